"""A transcript in words and as files: times, progress, the forms of an export and their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.transcript_words import (
    Course,
    Form,
    clock,
    course,
    ending,
    export,
    facts,
    file_name,
    for_the_model,
    paragraphs,
    save,
)
from qvac_core.core.state import Message, TranscriptProgress
from qvac_core.core.transcript import Transcript, TranscriptLine
from qvac_core.errors import StoreError

LINES = (
    TranscriptLine(0, 1_500, "And so <my> fellow"),
    TranscriptLine(1_500, 3_000, "Americans."),
    TranscriptLine(6_000, 3_723_450, "Ask not."),
)
WHOLE = Transcript("talk.m4a", 39, LINES, True, "en", 3_724_000)
HALF = Transcript("talk.m4a", 39, LINES)


def test_times() -> None:
    assert [clock(ms) for ms in (0, 999, 21_000, 1_548_000, 3_723_000)] == ["0:00", "0:00", "0:21", "25:48", "1:02:03"]
    assert facts(WHOLE, None) == "1 h 2 min, English"
    assert facts(Transcript(), TranscriptProgress("m", 0, 2_530_000, None)) == "42 min 10 s"
    assert facts(Transcript(), None) == ""


def test_progress() -> None:
    assert course(None, 0.0).fraction is None
    at = course(TranscriptProgress("m", 1_548_000, 2_530_000, 47.0), 73.7)
    assert (at.clause, at.remark) == ("Transcribing, 25:48 of 42:10", "21 × real time, about 47 s left")
    assert at.fraction == pytest.approx(0.612, abs=0.001)
    assert course(TranscriptProgress("m", 4_000, 0, None), 2.0) == Course("Transcribing, 0:04", "2.0 × real time", None)
    assert course(TranscriptProgress("m", 20_000, 11_000, None), 0.5).fraction == 1.0


def test_exports() -> None:
    assert export(WHOLE, Form.TEXT) == "And so <my> fellow Americans.\n\nAsk not.\n"
    assert export(WHOLE, Form.TIMES).splitlines()[1:] == ["0:01  Americans.", "0:06  Ask not."]
    assert "00:00:06,000 --> 01:02:03,450\nAsk not." in export(WHOLE, Form.SUBTITLES)
    assert export(WHOLE, Form.WEB_SUBTITLES).startswith("WEBVTT\n")
    assert "And so &lt;my&gt; fellow" in export(WHOLE, Form.WEB_SUBTITLES)
    data = json.loads(export(HALF, Form.DATA))
    assert (data["whole"], data["segments"][2]) == (False, {"startMs": 6000, "endMs": 3723450, "text": "Ask not."})
    assert paragraphs(Transcript()) == ""


def test_an_unfinished_one_says_so_in_its_name() -> None:
    assert file_name(WHOLE, Form.SUBTITLES) == "talk.srt"
    assert file_name(HALF, Form.WEB_SUBTITLES) == "talk so far.vtt"
    assert for_the_model(WHOLE).startswith("Transcript of talk.m4a:\n\n0:00  And so")
    assert for_the_model(HALF).startswith("Transcript of talk.m4a, as far as it was transcribed:\n\n")


def test_how_it_ended() -> None:
    def message(status: str) -> Message:
        return Message("m", "transcript", "", 0.0, status)

    assert ending(message("done"), WHOLE) == ""
    assert ending(message("done"), Transcript(whole=True)) == "nothing was said"
    assert ending(message("streaming"), HALF) == "so far 1:02:03 is kept"
    assert ending(message("stopped"), HALF) == "stopped, so far 1:02:03 is kept"
    assert ending(message("stopped"), Transcript()) == "stopped before the first word"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    save("text\n", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"text\n"
    with pytest.raises(StoreError, match=r"b\.txt could not be written"):
        save("text", tmp_path / "no folder" / "b.txt")
