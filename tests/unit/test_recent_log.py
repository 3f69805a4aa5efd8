"""What is kept for a report: the newest messages, without keys and without the person's folder."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from app.recent_log import MOST, RecentLog, shortened

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize("written", [KEY, KEY.upper(), " ".join(KEY[i : i + 4] for i in range(0, 64, 4))])
def test_keys_are_shortened_however_they_are_written(written: str) -> None:
    assert shortened(f"peer {written}, gone") == "peer 0123 4567 … cdef, gone"


def test_other_long_numbers_stay() -> None:
    assert shortened(f"sum {KEY}00") == f"sum {KEY}00"


def test_the_persons_folder_is_not_told() -> None:
    assert shortened("/home/ada/models/a.gguf", Path("/home/ada")) == "~/models/a.gguf"


def test_the_newest_are_kept_and_a_broken_message_breaks_nothing() -> None:
    log = RecentLog()
    for place in range(MOST + 5):
        log.handle(logging.LogRecord("n", logging.INFO, __file__, 1, "message %d", (place,), None))
    log.handle(logging.LogRecord("n", logging.INFO, __file__, 1, "%d", ("no number",), None))
    lines = log.text.splitlines()
    assert len(lines) == MOST
    assert "message 6" in lines[0] and "no number" not in lines[0]
    assert "%d" in lines[-1]
