"""One transcript in the making: sound comes in blocks, the model hears it window by window, segments go out.

A window holds a minute at most, so that an hour needs no more memory than that, and several requests can take
turns. It ends behind the last segment that surely is whole; the rest is heard again at the start of the next one. The
text so far is no prompt: where the same is said again the model would begin to repeat itself (measured: a minute with
one sentence five times lost a third of its words).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from qvac_core.engines.speech import SAMPLE_RATE, Segment
from qvac_core.engines.speech_task import Heard, Sound, Task
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")

EDGE_MS = 2000  # before a window's end: a segment that ends there may go on behind it
REST_MS = 10_000  # at a window's end: so little is heard with the next one


class Listener(Protocol):
    """The model: see `whisper.Whisper.hear`."""

    def __call__(
        self, sound: Sound, task: Task, on_segment: Callable[[Segment], None], is_cancelled: Callable[[], bool]
    ) -> Heard: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transcript is: enough to go on from there in another process. samples: heard to the end."""

    samples: int = 0
    segments: int = 0
    language: str = ""

    @property
    def milliseconds(self) -> int:
        return self.samples * 1000 // SAMPLE_RATE


class Windows:
    """`step` until `done`. blocks: the whole sound, also when it goes on from a `place` within."""

    def __init__(
        self,
        blocks: Iterator[Sound],
        task: Task,
        window_seconds: float,
        on_segment: Callable[[Segment], None],
        place: Place | None = None,
    ) -> None:
        self._blocks = blocks
        self._task = task
        self._window = round(window_seconds * SAMPLE_RATE)
        self._on_segment = on_segment
        self.place = place or Place()
        self._skip = self.place.samples
        self._sound: Sound = np.zeros(0, np.float32)
        self._ended = False
        self.done = False

    def step(self, hear: Listener, is_cancelled: Callable[[], bool]) -> bool:
        """Hear one window. False = it was cancelled."""
        self._fill(is_cancelled)
        if is_cancelled():
            return False
        sound = self._sound[: self._window]
        last = self._ended and sound.size == self._sound.size
        length_ms = sound.size * 1000 // SAMPLE_RATE
        whole_ms = length_ms if last else length_ms - EDGE_MS
        kept: list[Segment] = []
        held: list[Segment] = []

        def came(segment: Segment) -> None:
            if held or segment.end_ms > whole_ms:
                held.append(segment)
            else:
                kept.append(self._tell(segment))

        enough_ms = 0 if last else max(length_ms - REST_MS, 0)
        language = self._task.language or self.place.language
        task = replace(self._task, language=language, enough_ms=enough_ms)
        heard = hear(sound, task, came, is_cancelled)
        if heard.aborted:
            return False
        cut_ms = kept[-1].end_ms if kept and (held or heard.left) else length_ms
        if held and (not kept or cut_ms < length_ms // 2):
            kept += [self._tell(segment) for segment in held]  # one segment as long as the window: it is taken as it is
            cut_ms = length_ms
        cut = sound.size if cut_ms >= length_ms else cut_ms * SAMPLE_RATE // 1000
        self._sound = self._sound[cut:]
        # Found where something was said: a language found in silence is none.
        found = self.place.language or (heard.language if kept else "")
        self.place = replace(self.place, samples=self.place.samples + cut, language=found)
        self.done = last and not self._sound.size
        return True

    def _fill(self, is_cancelled: Callable[[], bool]) -> None:
        pieces = [self._sound]
        size = self._sound.size
        while size < self._window and not self._ended and not is_cancelled():
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
                break
            skipped = min(self._skip, block.size)
            self._skip -= skipped
            pieces.append(block[skipped:])
            size += block.size - skipped
        self._sound = np.concatenate(pieces)

    def _tell(self, segment: Segment) -> Segment:
        """In the times of the whole. Returns it as it was."""
        offset = self.place.milliseconds
        number = self.place.segments
        self.place = replace(self.place, segments=number + 1)
        self._on_segment(
            replace(segment, id=number, start_ms=segment.start_ms + offset, end_ms=segment.end_ms + offset)
        )
        return segment
