"""Whether a microphone is heard, from its blocks of samples and the time. Knows no sound server, no thread, no screen.

    STARTING ── the first block ──> LISTENING <── 1 s of exact zeros, anything else ──> MUTED
        │                               │                                               │
        └── none for 4 s ──> STALLED <──┴──────────── none for 2 s ─────────────────────┘

A sound server accepts a capture long before the device delivers (0.5 to 1.7 s on one that slept), so what is said
before LISTENING is lost: only from then on a person may be told to speak. A server that dies says nothing (PulseAudio
16.1: no error, no end, no data for ever), and a muted microphone delivers exact zeros.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")


SAMPLE_RATE = 16_000
"""Hz; what whisper models hear. Mono, 32-bit floats."""
SAMPLE_BYTES = 4
STARTS_WITHIN = 4.0
"""Seconds that a device may need to wake up. Measured: 1.7 for a virtual one."""
STALLED_AFTER = 2.0
MUTED_AFTER = 1.0
QUIETEST, LOUDEST = -55.0, -10.0
"""Decibels of full scale at which the level meter is empty, and full."""


class State(Enum):
    STARTING = "starting"
    LISTENING = "listening"
    MUTED = "muted"  # exact zeros: by a switch, or because the system lets no program hear it
    STALLED = "stalled"  # nothing comes: the sound server or the device is gone


class Hearing:
    def __init__(self, now: float) -> None:
        self.state = State.STARTING
        self.level = 0.0  # 0 to 1, of the last block
        self._last_block = now
        self._zeros = 0  # samples in a row
        self._heard = False

    @property
    def heard_anything(self) -> bool:
        """A block has come since it was opened."""
        return self._heard

    def block(self, samples: bytes, now: float) -> None:
        """`samples`: 32-bit floats. What is no number counts as silence: some drivers send it."""
        values = np.nan_to_num(np.frombuffer(samples, np.float32), posinf=0.0, neginf=0.0)
        self._last_block = now
        self._heard = True
        self._zeros = 0 if values.any() else self._zeros + len(values)
        self.state = State.MUTED if self._zeros >= MUTED_AFTER * SAMPLE_RATE else State.LISTENING
        self.level = loudness(float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))) if len(values) else 0.0

    def tick(self, now: float) -> State:
        limit = STALLED_AFTER if self._heard else STARTS_WITHIN
        if now - self._last_block >= limit:
            self.state = State.STALLED
        return self.state


def loudness(rms: float) -> float:
    """0 to 1, as people hear it: in decibels."""
    if rms <= 0.0:
        return 0.0
    return min(1.0, max(0.0, (20 * math.log10(rms) - QUIETEST) / (LOUDEST - QUIETEST)))
