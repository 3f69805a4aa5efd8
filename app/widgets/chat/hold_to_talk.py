"""One gesture for mouse, keyboard and assistive technology: hold to talk, or tap to talk until the next tap.

IDLE ── press ──> HOLDING ── let go after 300 ms ──> IDLE (finished)
                    └────── let go before ─────────> LOCKED ── press ──> IDLE (finished)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QObject, Signal

TAP_SECONDS = 0.3


class Gesture(Enum):
    IDLE = "idle"
    HOLDING = "holding"
    LOCKED = "locked"


class HoldToTalk(QObject):
    began = Signal()
    locked = Signal()
    finished = Signal()

    def __init__(self, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self._clock = clock
        self._pressed_at = 0.0
        self.state = Gesture.IDLE

    def press(self) -> None:
        if self.state is Gesture.LOCKED:
            self.state = Gesture.IDLE
            self.finished.emit()
        elif self.state is Gesture.IDLE:
            self.state = Gesture.HOLDING
            self._pressed_at = self._clock()
            self.began.emit()

    def let_go(self) -> None:
        if self.state is not Gesture.HOLDING:
            return
        if self._clock() - self._pressed_at < TAP_SECONDS:
            self.state = Gesture.LOCKED
            self.locked.emit()
        else:
            self.state = Gesture.IDLE
            self.finished.emit()

    def finish(self) -> None:
        """By another way than letting go: Enter, a window that goes to the back."""
        if self.state is not Gesture.IDLE:
            self.state = Gesture.IDLE
            self.finished.emit()

    def reset(self) -> None:
        """It ended for another reason; whoever still holds the button lets go of nothing."""
        self.state = Gesture.IDLE
