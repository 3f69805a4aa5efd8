"""A recording that is heard to its end: where its listener goes away, the next one goes on behind the last whole piece.

What was heard is not heard again, and no word of it is told twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from qvac_core.core.state import SpeechChoice, Target
from qvac_core.delegation.failures import Code
from qvac_core.engines.speech import Finished, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.errors import LocalProtocolError, QvacError

ROUNDED_MS = 2000  # by which two programs may differ about the length of a recording


@dataclass(frozen=True, slots=True)
class TakenOver:
    """From `at_ms` on, `by` listens in the place of `of`."""

    of: Target
    by: Target
    at_ms: int


class Listen(Protocol):
    def __call__(
        self, who: Target, start_ms: int, *, impatient: Callable[[], bool]
    ) -> AsyncGenerator[TranscriptionEvent, None]:
        """From that millisecond on; closing it cancels. impatient: whether somebody else could go on now.

        Raises QvacError.
        """


class Listeners:
    """Who can go on: those of a list, in its order, then this machine where that is wanted.

    What stays on this machine never leaves it: where this one fails, nobody else is asked. `choices` are the models
    that understand speech, of this machine and of the providers that are connected.
    """

    def __init__(
        self,
        choices: Callable[[], Sequence[SpeechChoice]],
        others: Sequence[str] = (),
        *,
        here: bool = False,
        language: str = "",
    ) -> None:
        self._choices = choices
        self._others = list(others)
        self._here = here
        self._language = language

    def next(self, after: Target) -> Target | None:
        """None: nobody. Nobody is named twice."""
        if not after.provider_key:
            return None
        self._others = [key for key in self._others if key != after.provider_key]
        for key in [*self._others, *([""] if self._here else [])]:
            if (model := self._model(key, after.model)) is not None:
                return Target(key, model)
        return None

    def any_but(self, who: Target) -> bool:
        """Whether somebody could go on for it now."""
        return self.next(who) is not None

    def _model(self, key: str, wanted: str) -> str | None:
        """The same one where it is there, else the one that is preferred or loaded."""
        there = [each for each in self._choices() if each.where == key and each.usable and self._understands(each)]
        there.sort(key=lambda each: (each.name != wanted, not each.preferred, not each.loaded))
        return there[0].name if there else None

    def _understands(self, choice: SpeechChoice) -> bool:
        return not (self._language and choice.languages) or self._language in choice.languages


async def heard_to_the_end(
    first: Target, listen: Listen, listeners: Listeners, *, start_ms: int = 0, segments: int = 0
) -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
    """The events of a transcript, numbered and timed as one. start_ms, segments: what was told of it before.

    Who was there before may have told of sound behind the end, so that nothing is left for who goes on: then that one
    goes on behind the last piece that the recording has.

    Raises the error of the last listener where nobody goes on, and of any where the recording or the request is wrong.
    """
    target, done_ms = first, start_ms
    ends = [0, start_ms]
    while True:
        begun_ms, beyond = done_ms, False
        try:
            async with aclosing(listen(target, done_ms, impatient=partial(listeners.any_but, target))) as events:
                async for event in events:
                    if isinstance(event, Segment):
                        event = replace(event, id=segments, start_ms=max(event.start_ms, done_ms))
                        segments, done_ms = segments + 1, max(event.end_ms, done_ms)
                        ends.append(done_ms)
                    elif isinstance(event, Finished):
                        if beyond := event.stop_reason is SpeechEnd.EOS and 0 < event.audio_ms < begun_ms - ROUNDED_MS:
                            done_ms = max((end for end in ends if end <= event.audio_ms), default=0)
                            ends = [done_ms]
                            break
                        event = replace(event, stats=replace(event.stats, segments=segments))
                    yield event
            if not beyond:
                return
            continue
        except QvacError as error:
            if _is_of_the_sound(error) or (following := listeners.next(target)) is None:
                raise
        yield TakenOver(target, following, done_ms)
        target = following


def _is_of_the_sound(error: QvacError) -> bool:
    """It would be told by everybody."""
    return isinstance(error, LocalProtocolError) or error.code == Code.TRANSCRIPTION_FAILED.value
