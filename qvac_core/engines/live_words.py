"""A live transcript as decisions: sound in, "hear this now" out, words in, events out. No clock, no model, no asyncio.

While somebody speaks a window grows from where they began; it is heard again about once a second, and what two passes
agree on is settled. Silence ends the turn: the window is heard once more, all of it is settled, and a new one begins
with the next voice. A window too long for the model is cut behind its last settled word; its words are never a prompt
while their sound is in it (the model would repeat them for ever).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qvac_core.engines.local_agreement import LocalAgreement, Word
from qvac_core.engines.speech import SAMPLE_RATE, Segment
from qvac_core.engines.speech_task import Sound
from qvac_core.engines.voice_activity import VoiceActivity
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")

LEAD_MS = 400  # of sound kept from before a voice is noticed
LEAST_MS = 1000  # of a window that is worth a pass: shorter ones give nonsense
CUT_MS = 15_000  # a window longer than this is cut behind its last settled word
LONGEST_MS = 28_000  # Whisper hears thirty seconds at once
FORCED_MS = 5000  # left of a window in which nothing settled
SETTLE_MS = 3000  # of silence after which a window is closed where turns do not end
BACKLOG_MS = 120_000  # of sound that waits for a model slower than speech
METER_LEAST_MS = 20


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """language, prompt, translate as in TranscriptionRequest.

    end_of_turn_ms: of silence that ends a turn; 0 = turns do not end. pass_interval_ms: of sound between two passes.
    meter_ms: of sound between two Voice events that only tell the level.
    """

    language: str = ""
    prompt: str = ""
    translate: bool = False
    end_of_turn_ms: int = 800
    pass_interval_ms: int = 1000
    meter_ms: int = 250


@dataclass(frozen=True, slots=True)
class Committed:
    """Words that never change again; put one after the other, spaces are part of the text."""

    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Tentative:
    """What stands behind them for now; replaces the last one. "" = nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class Voice:
    """On every change, and about four times a second for a level meter. probability: 0 to 1."""

    speaking: bool
    probability: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Everything said so far was committed just before."""

    silence_ms: int


@dataclass(frozen=True, slots=True)
class LiveFinished:
    """The last event. text: all committed words."""

    text: str
    language: str
    audio_ms: int


LiveEvent = Committed | Tentative | Voice | TurnEnded | LiveFinished


@dataclass(frozen=True, slots=True)
class Pass:
    """Sound to be heard now. last: of its window."""

    sound: Sound
    start_ms: int
    last: bool
    language: str


class LiveWords:
    """feed, wanted_pass, heard, end: in any order, but each wanted pass is answered by `heard` before the next."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._meter_ms = max(options.meter_ms, METER_LEAST_MS)
        self._voice = VoiceActivity()
        self._words = LocalAgreement()
        self._sound: Sound = np.zeros(0, np.float32)  # from `_start` on
        self._start = 0  # sample
        self._open = False  # a window grows
        self._closing: int | None = None  # it is to be heard for the last time, up to this sample
        self._resumed = False  # a voice came behind that
        self._passed = 0  # sample up to which the last pass heard
        self._metered = 0  # sample of the last Voice
        self._silence_ms = 0  # that ended the turn
        self._said_tentative = ""
        self._text = ""
        self._language = options.language
        self._flying: Pass | None = None
        self._ending = False
        self.finished = False

    @property
    def audio_ms(self) -> int:
        """Of sound that was fed."""
        return _milliseconds(self._end)

    @property
    def is_behind(self) -> bool:
        """More sound waits than will ever be caught up with."""
        return _milliseconds(self._sound.size) > BACKLOG_MS

    @property
    def _end(self) -> int:
        return self._start + self._sound.size

    # --- Sound ----------------------------------------------------------------------------------------------------

    def feed(self, sound: Sound) -> list[LiveEvent]:
        if self._ending:
            return []
        events: list[LiveEvent] = []
        step = _samples(self._meter_ms)
        for start in range(0, sound.size, step):
            events += self._piece(sound[start : start + step])
        return events

    def _piece(self, sound: Sound) -> list[LiveEvent]:
        changed = self._voice.feed(sound)
        self._sound = np.concatenate([self._sound, sound])
        if self._voice.speaking and not self._open:
            self._open = True
            self._passed = self._end
        if not self._open:
            self._drop(self._end - _samples(LEAD_MS))
        elif self._closing is not None:
            self._resumed = self._resumed or self._voice.speaking
        elif self._voice.silence_ms >= (self._options.end_of_turn_ms or SETTLE_MS):
            self._closing = self._end
            self._silence_ms = self._voice.silence_ms
        if changed or self._end - self._metered >= _samples(self._meter_ms):
            self._metered = self._end
            return [Voice(self._voice.speaking, round(self._voice.probability, 3))]
        return []

    def _drop(self, before: int) -> None:
        if before > self._start:
            self._sound = self._sound[before - self._start :]
            self._start = before

    def end(self) -> list[LiveEvent]:
        """No more sound comes. What is open is heard once more."""
        self._ending = True
        if self._open and self._closing is None:
            self._closing = self._end
        return self._finish()

    # --- Passes ---------------------------------------------------------------------------------------------------

    def wanted_pass(self) -> Pass | None:
        """What to hear now; None = nothing yet."""
        if self._flying is not None or not self._open:
            return None
        until = self._end if self._closing is None else self._closing
        length = min(until - self._start, _samples(LONGEST_MS))
        due = self._end - self._passed >= _samples(self._options.pass_interval_ms) and length >= _samples(LEAST_MS)
        if self._closing is None and not due:
            return None
        last = self._start + length == self._closing
        self._flying = Pass(self._sound[:length], _milliseconds(self._start), last, self._language)
        self._passed = self._start + length
        return self._flying

    def heard(self, segments: Sequence[Segment], language: str) -> list[LiveEvent]:
        """The words of the wanted pass, one segment each, in its own times."""
        flown, self._flying = self._flying, None
        assert flown is not None
        words = [
            Word(segment.text, segment.start_ms + flown.start_ms, segment.end_ms + flown.start_ms)
            for segment in segments
        ]
        end_ms = flown.start_ms + _milliseconds(flown.sound.size)
        if flown.last:
            return self._close_window(words, flown)
        if _milliseconds(flown.sound.size) >= LONGEST_MS:
            settled = self._words.settle(words, end_ms - FORCED_MS)
            events = self._committed(settled, language)
            self._cut(settled[-1].end_ms if settled else end_ms - FORCED_MS)
        else:
            events = self._committed(self._words.heard(words), language)
            if _milliseconds(flown.sound.size) > CUT_MS and self._words.committed_ms > flown.start_ms:
                self._cut(self._words.committed_ms)
        return [*events, *self._tentative(" ".join(word.text for word in self._words.tentative))]

    def _close_window(self, words: list[Word], flown: Pass) -> list[LiveEvent]:
        events = self._committed(self._words.settle(words), self._language)
        events += self._tentative("")
        # What came while it was heard is the beginning of the next one.
        self._cut(flown.start_ms + _milliseconds(flown.sound.size))
        self._open, self._resumed = self._resumed, False
        self._closing = self._end if self._open and self._ending else None
        self._passed = self._start
        if self._options.end_of_turn_ms and self._silence_ms:
            events.append(TurnEnded(self._silence_ms))
        self._silence_ms = 0
        return events + self._finish()

    def _cut(self, at_ms: int) -> None:
        self._drop(_samples(at_ms))
        self._words.cut(at_ms)

    # --- Events ---------------------------------------------------------------------------------------------------

    def _committed(self, words: list[Word], language: str) -> list[LiveEvent]:
        if not words:
            return []
        text = ("" if not self._text else " ") + " ".join(word.text for word in words)
        self._text += text
        self._language = self._language or language
        return [Committed(text, words[0].start_ms, words[-1].end_ms)]

    def _tentative(self, text: str) -> list[LiveEvent]:
        if text == self._said_tentative:
            return []
        self._said_tentative = text
        return [Tentative(text)]

    def _finish(self) -> list[LiveEvent]:
        if not self._ending or self._open or self._flying is not None or self.finished:
            return []
        self.finished = True
        return [LiveFinished(self._text, self._language if self._text else "", self.audio_ms)]


def _milliseconds(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE


def _samples(milliseconds: int) -> int:
    return milliseconds * SAMPLE_RATE // 1000
