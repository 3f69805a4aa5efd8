"""Plays a recording from a place in it, in a thread of its own, until it ends, is stopped or cannot be heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.audio.hearing import SAMPLE_RATE
from app.audio.recording import SAMPLE_BYTES, SOUND, Reading, Recording, UnplayableError
from app.i18n import later, tr

BLOCK = SAMPLE_RATE // 10 * SAMPLE_BYTES  # bytes read at once: 0.1 s
AHEAD = 20 * BLOCK
"""Bytes decoded before they are heard: what a busy machine may be late."""
LOOK_EVERY = 0.02  # seconds
STALLED_AFTER = 3.0
"""Seconds in which the sound system takes nothing: it is gone, and says nothing about it."""
TAIL = 0.25  # seconds: the end is still on its way through the sound system
JOIN_LIMIT = 2.0
POSITION_MS = 100  # between two looks at where it is


class NoOutput(Enum):
    NO_LIBRARY = later("This installation cannot play sound: the package miniaudio is not installed.")
    NO_DEVICE = later("No loudspeaker or headphones answer. Connect some, or start the sound system, and press Play.")
    LOST = later("The sound system went away. Press Play to go on from here.")


class NoOutputError(Exception):
    """Never leaves this package: the window is told a sentence."""

    def __init__(self, reason: NoOutput) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Output(Protocol):
    """A sound system."""

    def open(self, give: Callable[[int], bytes]) -> Callable[[], None]:
        """Play 16 kHz mono of 16 bits; returns what ends it. Raises NoOutputError.

        `give` is asked for a number of samples, from another thread; what it lacks is silence.
        """


class _Thread(threading.Thread):
    def __init__(self, output: Output, recording: Recording, start_ms: int, tell: Callable[[str], None]) -> None:
        super().__init__(name="player", daemon=True)
        self._output = output
        self._recording = recording
        self._start_ms = start_ms
        self._tell = tell
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._unwanted = threading.Event()
        self._reading: Reading | None = None
        self._heard = 0  # bytes

    @property
    def position_ms(self) -> int:
        return self._start_ms + self._heard // SAMPLE_BYTES * 1000 // SAMPLE_RATE

    def end(self) -> None:
        with self._lock:
            self._unwanted.set()
            if self._reading is not None:
                self._reading.leave()

    def run(self) -> None:
        try:
            self._play()
        except UnplayableError as error:
            self._tell(error.message)
        except NoOutputError as error:
            self._tell(tr(error.reason.value))
        else:
            self._tell("")

    def _play(self) -> None:
        reading = Reading(self._recording, SOUND, self._start_ms)
        try:
            with self._lock:
                if self._unwanted.is_set():
                    return
                self._reading = reading
            if not (first := reading.read(BLOCK)):
                return
            self._buffer += first
            close = self._output.open(self._give)
            try:
                self._hand_on(reading)
            finally:
                close()
        finally:
            reading.close()

    def _hand_on(self, reading: Reading) -> None:
        while data := reading.read(BLOCK):
            with self._lock:
                self._buffer += data
            self._until_no_more_than(AHEAD)
        self._until_no_more_than(0)
        self._unwanted.wait(TAIL)

    def _until_no_more_than(self, waiting: int) -> None:
        heard, since = self._heard, time.monotonic()
        while len(self._buffer) > waiting and not self._unwanted.wait(LOOK_EVERY):
            if self._heard != heard:
                heard, since = self._heard, time.monotonic()
            elif time.monotonic() - since > STALLED_AFTER:
                raise NoOutputError(NoOutput.LOST)

    def _give(self, samples: int) -> bytes:
        with self._lock:
            data = bytes(self._buffer[: samples * SAMPLE_BYTES])
            del self._buffer[: len(data)]
            self._heard += len(data)
        return data


class Player(QObject):
    """One recording at a time. `moved`: it is further on. `ended` carries why, "" = at its end."""

    moved = Signal()
    ended = Signal(str)
    _told = Signal(object, str)

    def __init__(self, output: Output, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._output = output
        self._thread: _Thread | None = None
        self._position_ms = 0
        self._clock = QTimer(self)
        self._clock.setInterval(POSITION_MS)
        self._clock.timeout.connect(self._look)
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    @property
    def playing(self) -> bool:
        return self._thread is not None

    @property
    def position_ms(self) -> int:
        """Of what is playing, or was."""
        return self._thread.position_ms if self._thread is not None else self._position_ms

    def play(self, recording: Recording, start_ms: int) -> None:
        self.pause()
        self._position_ms = start_ms
        thread = _Thread(self._output, recording, start_ms, lambda why: self._told.emit(thread, why))
        self._thread = thread
        thread.start()
        self._clock.start()

    def pause(self) -> None:
        """At once; `position_ms` stays. Nothing more is told."""
        thread, self._thread = self._thread, None
        self._clock.stop()
        if thread is not None:
            self._position_ms = thread.position_ms
            thread.end()

    def close(self) -> None:
        """Waits for the thread; one that waits for a sound system that hangs is left behind."""
        thread = self._thread
        self.pause()
        if thread is not None:
            thread.join(JOIN_LIMIT)

    def _look(self) -> None:
        if self._thread is not None and self._thread.position_ms != self._position_ms:
            self._position_ms = self._thread.position_ms
            self.moved.emit()

    def _take(self, thread: object, why: str) -> None:
        if thread is not self._thread:
            return
        self.pause()
        self.ended.emit(why)
