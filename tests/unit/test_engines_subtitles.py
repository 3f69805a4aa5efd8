"""A transcript as text, SRT and WebVTT."""

from __future__ import annotations

from qvac_core.engines.speech import Segment
from qvac_core.engines.subtitles import plain_text, srt, vtt

SEGMENTS = [
    Segment(0, 0, 1500, "Salt & <pepper> --> here"),
    Segment(1, 3_723_045, 3_723_045, "two\n\nlines "),
]


def test_plain_text_is_one_line_of_prose() -> None:
    assert plain_text(SEGMENTS[:1] * 2) == "Salt & <pepper> --> here Salt & <pepper> --> here"
    assert plain_text([]) == ""


def test_srt() -> None:
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,500\nSalt & <pepper> --> here\n\n2\n01:02:03,045 --> 01:02:03,046\ntwo\nlines\n"
    )
    assert srt([]) == ""


def test_vtt() -> None:
    assert vtt(SEGMENTS) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nSalt &amp; &lt;pepper&gt; --&gt; here\n"
        "\n01:02:03.045 --> 01:02:03.046\ntwo\nlines\n"
    )
    assert vtt([]) == "WEBVTT\n"
