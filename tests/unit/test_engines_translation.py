"""What of a translation knows no engine: names of languages, pieces of a text, what stands around an answer."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.engines.interface import Finished, StopReason, Token
from qvac_core.engines.language_names import language_name
from qvac_core.engines.text_pieces import Part, estimated_tokens, parts_of
from qvac_core.engines.translation import (
    ChatTranslation,
    TranslationRequest,
    chat_of_translation,
    wrong_with,
    wrong_with_chat,
)
from qvac_core.engines.translation_text import PlainTranslation
from qvac_core.errors import EngineCrashed, InferenceCancelled, ModelError
from tests.unit.scripted_engine import ScriptedModel, finished


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("de", "German"),
        ("pt-BR", "Brazilian Portuguese"),
        ("pt_br", "Brazilian Portuguese"),
        ("zh-Hant-TW", "Traditional Chinese"),
        ("sr-Latn", "Serbian (Latin script)"),
        ("de-AT", "German (AT)"),
        ("Swiss German", "Swiss German"),
        (" Klingon ", "Klingon"),
        ("tlh", "tlh"),
        ("", ""),
    ],
)
def test_a_language_is_called_by_its_name(written: str, name: str) -> None:
    assert language_name(written) == name


@given(st.text(alphabet="ab .\n`~é漢!?。\t"), st.integers(1, 40))
def test_the_parts_are_the_text_again_and_none_is_too_long(text: str, most: int) -> None:
    parts = list(parts_of(text, most))
    assert "".join(part.text for part in parts) == text
    assert all(estimated_tokens(part.text) <= max(2, most) for part in parts if not part.as_it_is)
    assert all(part.text.strip() == part.text for part in parts if not part.as_it_is)


def test_a_text_is_cut_at_paragraphs_then_sentences_then_words() -> None:
    first, second = "One sentence here. And another one.", "A second paragraph."
    text = f"{first}\n\n{second}"
    assert list(parts_of(text, 100)) == [Part(text)]
    assert list(parts_of(text, 13)) == [Part(first), Part("\n\n", True), Part(second)]
    pieces = [part.text for part in parts_of(first, 8) if not part.as_it_is]
    assert pieces == ["One sentence here.", "And another one."]


def test_code_and_what_has_no_letter_stay_as_they_are() -> None:
    code = "```sh\nls -l\n```\n"
    assert list(parts_of(f"Look:\n{code}123\n", 50)) == [
        Part("Look:"),
        Part("\n", True),
        Part(code, True),
        Part("123", True),
        Part("\n", True),
    ]
    assert [part.as_it_is for part in parts_of("```\nnever closed\n", 50)] == [False, True]
    assert not any(part.as_it_is for part in parts_of("```\nall of it\n```", 50)), "then it is what is meant"


@pytest.mark.parametrize("unit", ["```a\n", " ", "\n", " \n", "x", ". ", "`", "。", "a ```\n~~~\n"])
def test_no_text_takes_long_to_cut(unit: str) -> None:
    text = "a" + unit * (60_000 // len(unit)) + "b"
    started = time.process_time()
    assert "".join(part.text for part in parts_of(text, 100)) == text
    assert time.process_time() - started < 5, "seconds of the processor for what must not grow with the square"


def plain(source: str, answer: str, *, step: int = 1) -> str:
    reader = PlainTranslation(source)
    told = [reader.write(answer[at : at + step]) for at in range(0, len(answer), step)]
    return "".join([*told, reader.end()])


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("source", "answer", "told"),
    [
        ("Hello.", " Hallo. \n", "Hallo."),
        ("Hello.", "Here is the translation:\n\nHallo.\n\nWelt.", "Hallo.\n\nWelt."),
        ("Hello.", 'Sure! Here\'s the translation in German:\n"Hallo."', "Hallo."),
        ("Hello.", "„Hallo.“", "Hallo."),
        ("Hello.", "Here is the translation:", "Here is the translation:"),
        ("Hello.", "Here is the translation:\n", "Here is the translation:"),
        ("Hello.", '"', '"'),
        ("Hello.", '""', '""'),
        ("Hello.", "", ""),
        ("He said it.", '"Ja", sagte er, "nein".', '"Ja", sagte er, "nein".'),
        ("He said it.", '"Ja", sagte er.', '"Ja", sagte er.'),
        ('"Hello."', '"Hallo."', '"Hallo."'),
        ("Hier ist die Übersetzung:\nHallo.", "Here is the translation:\nHello.", "Here is the translation:\nHello."),
        ("Le texte.", "Translation is an art:\nit takes time.", "it takes time."),
        ("Une traduction. Translation.", "Translation is an art:\nok", "Translation is an art:\nok"),
        ("Voici.", "Here is the house:\nit is old.", "Here is the house:\nit is old."),
        ("Texte", "The translation bureau opened. " * 9, ("The translation bureau opened. " * 9).strip()),
    ],
)
def test_what_stands_around_a_translation_is_taken_off_where_it_cannot_be_meant(
    source: str, answer: str, told: str, step: int
) -> None:
    assert plain(source, answer, step=step) == told


def test_a_long_answer_streams() -> None:
    reader = PlainTranslation("Hello")
    assert reader.write("Guten Tag") == "Guten Tag"
    assert reader.write(" und") == " und"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to": " "}, "into which language"),
        ({"to": "x" * 65}, "A language is"),
        ({"source": "de\n"}, "A language is"),
        ({"context": "x" * 2001}, "context of a translation"),
        ({"text": "\n"}, "no text"),
        ({"text": "word " * 60, "most_tokens": 50}, "about 100 tokens, where 50 are the most"),
        ({}, ""),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(change: dict[str, str | int], words: str) -> None:
    asked: dict[str, str | int] = {"request_id": "r", "text": "Hello.", "to": "de", **change}
    request = TranslationRequest(**asked)  # type: ignore[arg-type]
    wrong = wrong_with(request) or wrong_with_chat(request)
    assert words in wrong and bool(words) == bool(wrong)


def test_the_model_hears_names_and_context() -> None:
    system, user = chat_of_translation(
        "Hello.", TranslationRequest("r", "Hello.", "de", source="en-GB", context="A greeting.")
    )
    assert user.content == "Hello." and "from British English into German" in system.content
    assert system.content.endswith("A greeting.")


def translated(model: ScriptedModel, text: str, most_tokens: int = 0) -> tuple[str, ChatTranslation]:
    translation = ChatTranslation(model, TranslationRequest("r", text, "de", most_tokens=most_tokens))

    async def main() -> str:
        return "".join([token async for token in translation.texts()])

    return asyncio.run(main()), translation


def test_pieces_are_asked_for_one_by_one_and_counted_together() -> None:
    model = ScriptedModel(("ein ", "Satz. "), step=0)
    paragraphs = ["words and words. " * 200] * 3
    text, translation = translated(model, "\n\n".join(paragraphs))
    assert text.count("ein Satz.") == len(model.requests) >= 4 and "\n\n" in text
    stats = translation.stats
    assert (stats.generated_tokens, stats.prompt_tokens) == (2 * len(model.requests), 31 * len(model.requests))
    assert translation.stop_reason is StopReason.EOS
    for request in model.requests:
        assert (request.request_id, request.sampling.temp, request.thinking) == ("r", 0.0, False)


def test_what_the_model_thinks_is_no_part_of_it() -> None:
    model = ScriptedModel(("Hallo",), step=0)
    model.thoughts = ("hm", "so")
    assert translated(model, "Hello")[0] == "Hallo"


def test_no_more_is_generated_than_may_be() -> None:
    model = ScriptedModel(("a ", "b "), step=0)
    _, translation = translated(model, "\n\n".join(["words and words. " * 200] * 3), most_tokens=5)
    assert [request.sampling.predict for request in model.requests] == [5, 3, 1]
    assert translation.stop_reason is StopReason.LENGTH


def test_an_answer_that_was_cut_is_told() -> None:
    model = ScriptedModel(("a ",), step=0)
    model.end = finished(StopReason.LENGTH)
    assert translated(model, "Hello")[1].stop_reason is StopReason.LENGTH


class _Narrow(ScriptedModel):
    """Takes no more than so many characters at once."""

    def complete(self, request):  # type: ignore[no-untyped-def]
        if len(request.history[-1].content) > 300:
            raise ModelError("too long", name="CONTEXT_OVERFLOW", code=52421)
        return super().complete(request)


def test_a_piece_with_more_tokens_than_thought_is_cut_again() -> None:
    model = _Narrow(("x ",), step=0)
    text, _ = translated(model, "words and words. " * 100)
    assert len(model.requests) >= 6 and text.split() == ["x"] * len(model.requests)
    with pytest.raises(ModelError, match="too long"):
        translated(_Overflowing(step=0), "Hello")


class _Overflowing(ScriptedModel):
    def complete(self, request):  # type: ignore[no-untyped-def]
        raise ModelError("too long", name="CONTEXT_OVERFLOW", code=52421)


class _Wordless(ScriptedModel):
    async def complete(self, request):  # type: ignore[no-untyped-def]
        yield Token("x")


def test_an_engine_that_says_no_end_has_failed() -> None:
    with pytest.raises(EngineCrashed):
        translated(_Wordless(step=0), "Hello")


async def test_it_is_cancelled_between_two_steps_and_between_two_pieces() -> None:
    model = ScriptedModel(("ein ", "Satz. "), step=0.001)
    text = "\n\n".join(["words and words. " * 200] * 3)
    for at in (0, 1, 2):
        translation = ChatTranslation(model, TranslationRequest("r", text, "de"))
        texts = translation.texts()
        for _ in range(at):
            await anext(texts)
        assert translation.cancel()
        with pytest.raises(InferenceCancelled):
            while True:
                await anext(texts)
        assert not translation.cancel() and not model.running


def test_the_statistics_are_those_of_the_engine() -> None:
    model = ScriptedModel(("a ", "b "), step=0)
    end = finished(generated=2)
    assert isinstance(end, Finished)
    _, translation = translated(model, "Hello")
    assert translation.stats.tokens_per_second == pytest.approx(50.0)
    assert translation.stats.time_to_first_token > 0 and translation.stats.total_time > 0
