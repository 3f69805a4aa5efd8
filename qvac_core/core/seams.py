"""The seams of an answer: where it broke off and goes on, or went over to another provider. Light to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qvac_core.core.state import Message

# The end of a seam's sentence below which the answer starts anew: what stands above it is kept, and is no part of it.
ANEW = "answers anew."


def start_of(seams: Sequence[tuple[int, str]]) -> int:
    """Where in its text an answer starts: behind what was kept of an earlier attempt."""
    return max((offset for offset, sentence in seams if sentence.endswith(ANEW)), default=0)


def can_go_on(message: Message) -> bool:
    """It broke off, was stopped, or was cut at its greatest length, with something there."""
    cut = message.stats is not None and message.stats.ending == "length"
    ended = message.status in ("failed", "stopped") or (message.status == "done" and cut)
    return message.role == "assistant" and bool(message.text or message.tools) and ended


def with_seam(message: Message, offset: int, sentence: str) -> Message:
    """With a seam there; it takes the place of an earlier one behind which nothing was said."""
    seams = message.seams
    if seams and not message.text[seams[-1][0] : offset].strip():
        seams = seams[:-1]
    return replace(message, seams=(*seams, (offset, sentence)))
