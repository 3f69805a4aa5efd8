"""Sentences for a translation engine: none too long, nothing lost between them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.engines.sentences import MOST_TOKENS, sentences_of


def split(line: str) -> list[str]:
    return re.findall(r"[^.!?]*[.!?]+\s*|[^.!?]+", line)


def count(text: str) -> int:
    return len(text.encode("utf-8", "replace")) // 3 + 1


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two!  Three?", ["One.", "Two!", "Three?"]),
        ("  A line\n\n another \n", ["A line", "another"]),
        ("See:\n```\ncode. more.\n```\nDone.", ["See:", "Done."]),
        ("12345. 67890.", []),
        ("中文。中文。", ["中文。中文。"]),
    ],
)
def test_each_is_one_sentence(text: str, pieces: list[str]) -> None:
    parts = list(sentences_of(text, split, count))
    assert "".join(part.text for part in parts) == text
    assert [part.text for part in parts if not part.as_it_is] == pieces


def test_a_long_one_is_cut_behind_a_mark_or_between_words_and_a_word_without_end_anywhere() -> None:
    clause = "some words that belong together, "
    for text in (clause * 40, clause.replace(",", "") * 40, "x" * 5000, "漢" * 3000, "\U0001f600a" * 2000):
        pieces = [part.text for part in sentences_of(text, split, count)]
        assert "".join(pieces) == text
        assert all(count(piece) <= MOST_TOKENS for piece in pieces)
    assert all(piece.text.endswith(",") for piece in sentences_of(clause * 40, split, count) if not piece.as_it_is)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.integers(1, 40))
def test_together_they_are_the_text_again(text: str, times: int) -> None:
    parts = list(sentences_of(text * times, split, count))
    assert "".join(part.text for part in parts) == text * times
    assert all(count(part.text) <= MOST_TOKENS for part in parts if not part.as_it_is)


def test_what_the_splitter_leaves_out_is_kept() -> None:
    parts = list(sentences_of("One. Two. Three.", lambda line: ["Two."], count))
    assert "".join(part.text for part in parts) == "One. Two. Three."
