"""Whether somebody speaks, from the loudness alone: no model, no clock but the sound's own.

Against the quietest moment of the last seconds, so that a fan does not speak, and a whisper in a quiet room does. How
long it has been silent is what ends a turn (docs/wire/qvac.md section 9, `vad` and `endOfTurn`).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from qvac_core.engines.speech import SAMPLE_RATE
from qvac_core.engines.speech_task import Sound
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")

FRAME = SAMPLE_RATE // 50  # samples: 20 ms
FRAME_MS = 20
FLOOR_FRAMES = 250  # five seconds: people pause within
FLOOR_LEAST = -65.0  # dB of full scale; digital silence is no room
ABOVE_FLOOR = 12.0  # dB: where the probability is one half
SLOPE = 3.0  # dB
LEAST = -52.0  # dB of full scale: what is quieter is no speech, whatever the room
BEGIN_FRAMES = 3  # in a row: a click is none
HANGOVER_FRAMES = 10  # between syllables nobody has stopped
SMOOTHING = 0.5


class VoiceActivity:
    """Fed with sound of any length; asked after each piece."""

    def __init__(self) -> None:
        self.speaking = False
        self.probability = 0.0
        self.silence_ms = 0  # since speech was last heard; of no meaning before the first
        self._rest: Sound = np.zeros(0, np.float32)
        self._recent: deque[float] = deque(maxlen=FLOOR_FRAMES)
        self._level: float | None = None
        self._loud = 0
        self._quiet = 0

    def feed(self, sound: Sound) -> bool:
        """True where `speaking` is not what it was. A piece in which it turned twice is as it is at its end."""
        before = self.speaking
        sound = np.concatenate([self._rest, sound])
        frames = sound.size // FRAME
        self._rest = sound[frames * FRAME :]
        for energy in np.mean(np.square(sound[: frames * FRAME].reshape(frames, FRAME), dtype=np.float64), axis=1):
            self._frame(float(energy))
        return self.speaking is not before

    def _frame(self, energy: float) -> None:
        decibels = max(10 * math.log10(energy) if energy > 0 else FLOOR_LEAST, FLOOR_LEAST)
        before = decibels if self._level is None else self._level
        self._level = level = before + SMOOTHING * (decibels - before)
        self._recent.append(level)
        above = level - min(self._recent) - ABOVE_FLOOR
        self.probability = 1 / (1 + math.exp(-above / SLOPE)) if level > LEAST else 0.0
        if self.probability > 0.5:
            self._loud += 1
            self._quiet = 0
        else:
            self._loud = 0
            self._quiet += 1
        if self._loud >= BEGIN_FRAMES:
            self.speaking = True
        elif self._quiet > HANGOVER_FRAMES:
            self.speaking = False
        self.silence_ms = self._quiet * FRAME_MS
