"""How loud recordings are where, for the eye: computed one after the other, in a thread and a process of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import OrderedDict

from PySide6.QtCore import QObject, Qt, Signal

from app.audio.recording import PEAKS, Reading, Recording, UnplayableError

KEPT = 32  # waveforms, each of at most LONGEST bytes
LONGEST = 10 * 3600 * 10  # peaks: ten hours; what is longer is drawn as far as that
READ = 600  # peaks told at once: a minute
JOIN_LIMIT = 2.0


class Waveforms(QObject):
    """`grew` carries the Recording."""

    grew = Signal(object)
    _told = Signal(object, bytes)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._peaks: OrderedDict[Recording, bytes] = OrderedDict()
        self._wanted: queue.SimpleQueue[Recording | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._reading: Reading | None = None
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def of(self, recording: Recording) -> bytes:
        """A byte for each 100 ms, 255 = full scale; b"" while nothing is known."""
        return self._peaks.get(recording, b"")

    def want(self, recording: Recording) -> None:
        if recording in self._peaks or self._closed.is_set():
            return
        self._peaks[recording] = b""
        while len(self._peaks) > KEPT:
            self._peaks.popitem(last=False)
        self._wanted.put(recording)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="waveforms", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._wanted.put(None)
        if self._reading is not None:
            self._reading.leave()
        if self._thread is not None:
            self._thread.join(JOIN_LIMIT)

    def _take(self, recording: Recording, peaks: bytes) -> None:
        if recording in self._peaks:
            self._peaks[recording] += peaks
            self.grew.emit(recording)

    # --- The thread's

    def _work(self) -> None:
        while not self._closed.is_set() and (recording := self._wanted.get()) is not None:
            with contextlib.suppress(UnplayableError):  # who presses Play is told
                self._read(recording)

    def _read(self, recording: Recording) -> None:
        self._reading = reading = Reading(recording, PEAKS)
        total = 0
        try:
            while total < LONGEST and not self._closed.is_set() and (peaks := reading.read(READ)):
                total += len(peaks)
                self._told.emit(recording, peaks)
        finally:
            self._reading = None
            reading.close()
