"""Stop sequences: what of them is shown, wherever the tokens cut them."""

from __future__ import annotations

from qvac_core.engines.answer_text import AnswerText


def _shown(text: AnswerText, *pieces: str) -> str:
    shown = "".join(text.push(piece.encode()) for piece in pieces)
    return shown + ("" if text.stopped else text.finish())


def test_a_stop_sequence_is_not_shown_wherever_it_begins() -> None:
    text = AnswerText(("END",))
    assert _shown(text, "one E", "N", "D two") == "one " and text.stopped
    open_end = AnswerText(("END",))
    assert _shown(open_end, "one E", "N") == "one EN" and not open_end.stopped


def test_it_is_shown_where_that_is_asked_for_with_its_whole_last_token_and_nothing_is_held_back() -> None:
    text = AnswerText(("END", "zzz"), show_stop=True)
    assert [text.push(piece.encode()) for piece in ("one E", "N", "Ding", " two")] == ["one E", "N", "Ding", ""]
    assert text.stopped and text.finish() == ""
    open_end = AnswerText(("END",), show_stop=True)
    assert _shown(open_end, "one E", "N") == "one EN" and not open_end.stopped
    assert _shown(AnswerText((), show_stop=True), "a", "b") == "ab"
