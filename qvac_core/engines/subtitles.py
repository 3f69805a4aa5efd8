"""A transcript as text: plain, SubRip (.srt) and WebVTT (w3.org/TR/webvtt1)."""

from __future__ import annotations

from collections.abc import Iterable

from qvac_core.engines.speech import Segment


def plain_text(segments: Iterable[Segment]) -> str:
    """All of it in one line of prose."""
    return " ".join(segment.text for segment in segments)


def srt(segments: Iterable[Segment]) -> str:
    """SubRip: numbered from 1, comma before the milliseconds. A blank line would end a cue, so none stands in one."""
    cues = (
        f"{number}\n{_time(segment.start_ms, ',')} --> {_time(_end(segment), ',')}\n{_lines(segment.text)}\n"
        for number, segment in enumerate(segments, 1)
    )
    return "\n".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """WebVTT: a full stop before the milliseconds; `&`, `<` and `>` escaped, with which an arrow cannot occur."""
    cues = (
        f"{_time(segment.start_ms, '.')} --> {_time(_end(segment), '.')}\n{_escaped(_lines(segment.text))}\n"
        for segment in segments
    )
    return "\n".join(("WEBVTT\n", *cues))


def _end(segment: Segment) -> int:
    """A cue that lasts no time is shown by no player."""
    return max(segment.end_ms, segment.start_ms + 1)


def _time(milliseconds: int, mark: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{rest:03}"


def _lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
