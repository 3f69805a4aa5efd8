"""Listens to a microphone in a thread of its own and tells what is heard, until it is stopped or is gone.

A busy window loses no word: the blocks wait in a queue. `Listening` is the decisions, without thread and clock.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from PySide6.QtCore import QObject, Qt, Signal

from app.audio.hearing import Hearing, State
from qvac_core.late_dataclass import dataclass

TICK = 0.05
LOOK_EVERY = 1.0
"""Seconds between two looks at which microphones there are."""
COMES_BACK_WITHIN = 5.0
"""Seconds that a sound server may take to start again."""
TAIL = 0.2
"""Seconds heard after a person lets go: the last word is still on its way through the sound server (50 ms blocks)."""
JOIN_LIMIT = 2.0


class Trouble(Enum):
    NO_LIBRARY = "no library"  # the package is not installed
    NO_SERVER = "no server"  # no sound system answers
    NO_MICROPHONE = "no microphone"
    REFUSED = "refused"  # it is there and cannot be opened: in use by another program, or not allowed
    UNPLUGGED = "unplugged"
    LOST = "lost"  # the sound system went away and did not come back


class MicrophoneError(Exception):
    """Never leaves this package: the window is told `Ended(trouble)`."""

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(detail or trouble.value)
        self.trouble = trouble
        self.detail = detail


class Input(Protocol):
    """A sound system. Both may wait for it (milliseconds, as a rule) and raise MicrophoneError."""

    def microphones(self) -> frozenset[str] | None:
        """What can hear a room; None where the sound system moves a capture by itself only to what can.

        Never the monitors of loudspeakers. To one of those PulseAudio moves a capture whose last microphone is
        unplugged, without a word: it would go on and record what this machine plays.
        """

    def open(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> Callable[[], None]:
        """Capture the system's default microphone; returns what ends it. Both callbacks come from another thread."""


@dataclass(frozen=True, slots=True)
class Heard:
    """16 kHz mono 32-bit floats; level 0 to 1."""

    samples: bytes
    level: float


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: State


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event. None: because it was stopped."""

    trouble: Trouble | None = None
    detail: str = ""


Event = Heard | StateChanged | Ended


class Listening:
    """One act of listening: `open`, then `step` with every block, or None when none came for a while, then `close`."""

    def __init__(
        self,
        sound: Input,
        tell: Callable[[Event], None],
        take: Callable[[bytes], None],
        ended: Callable[[], None],
        now: float,
    ) -> None:
        self._sound = sound
        self._tell = tell
        self._take, self._ended = take, ended
        self._hearing = Hearing(now)
        self._told = State.STARTING
        self._look_at = now + LOOK_EVERY
        self._opened_anew = False
        self._gone_since: float | None = None
        self._try_at = now
        self._close: Callable[[], None] | None = None

    def open(self) -> None:
        there = self._sound.microphones()
        if there is not None and not there:
            raise MicrophoneError(Trouble.NO_MICROPHONE)
        self._close = self._sound.open(self._take, self._ended)

    def close(self) -> None:
        if self._close is not None:
            self._close()
            self._close = None

    def step(self, block: bytes | None, now: float) -> None:
        """Raises MicrophoneError when nothing more can be heard."""
        if block:
            self._hearing.block(block, now)
            self._say_state()
            self._tell(Heard(block, self._hearing.level))
        elif self._hearing.tick(now) is State.STALLED:
            self._say_state()
            if now >= self._try_at:
                self._open_anew(now)
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look()

    def stopped_by_itself(self, now: float) -> None:
        """The device ended the capture: once more, on what is the default now."""
        self._open_anew(now)

    def _look(self) -> None:
        try:
            there = self._sound.microphones()
        except MicrophoneError:
            return  # the sound system went: no data comes any more, which is noticed by itself
        if there is not None and not there:
            raise MicrophoneError(Trouble.UNPLUGGED)

    def _open_anew(self, now: float) -> None:
        """On a new capture: the old one stays silent for good, also when its sound server is back."""
        if self._opened_anew and not self._hearing.heard_anything and self._gone_since is None:
            raise MicrophoneError(Trouble.LOST)
        self.close()
        try:
            self.open()
        except MicrophoneError as error:
            self._gone_since = now if self._gone_since is None else self._gone_since
            if now - self._gone_since >= COMES_BACK_WITHIN:
                raise MicrophoneError(Trouble.LOST, error.detail) from error
            self._try_at = now + LOOK_EVERY
            return
        self._opened_anew, self._gone_since = True, None
        self._hearing = Hearing(now)
        self._say_state()

    def _say_state(self) -> None:
        if self._hearing.state is not self._told:
            self._told = self._hearing.state
            self._tell(StateChanged(self._told))


class _Thread(threading.Thread):
    def __init__(self, sound: Input, tell: Callable[[Event], None]) -> None:
        super().__init__(name="microphone", daemon=True)
        self._sound = sound
        self._tell = tell
        self._blocks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # None: the capture ended by itself
        self._wanted_until: float | None = None

    def end(self, tail: float) -> None:
        self._wanted_until = time.monotonic() + tail

    def run(self) -> None:
        try:
            self._listen()
        except MicrophoneError as error:
            self._tell(Ended(error.trouble, error.detail))
        else:
            self._tell(Ended())

    def _listen(self) -> None:
        now = time.monotonic()
        listening = Listening(self._sound, self._tell, self._blocks.put, lambda: self._blocks.put(None), now)
        try:
            listening.open()
            self._tell(StateChanged(State.STARTING))
            while self._wanted_until is None or time.monotonic() < self._wanted_until:
                try:
                    block = self._blocks.get(timeout=TICK)
                except queue.Empty:
                    listening.step(None, time.monotonic())
                    continue
                if block is None:
                    listening.stopped_by_itself(time.monotonic())
                else:
                    listening.step(block, time.monotonic())
        finally:
            listening.close()


class Microphone(QObject):
    """`happened` carries Heard, StateChanged and, last, Ended, in the thread of whoever made this object."""

    happened = Signal(object)  # not `event`: that is a method of every QObject
    _told = Signal(object, object)

    def __init__(self, sound: Input, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sound = sound
        self._thread: _Thread | None = None
        self._told.connect(self._take, Qt.ConnectionType.QueuedConnection)

    @property
    def listening(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is None:
            thread = _Thread(self._sound, lambda event: self._told.emit(thread, event))
            self._thread = thread
            thread.start()

    def stop(self) -> None:
        """What is still on its way is heard; Ended follows."""
        if self._thread is not None:
            self._thread.end(TAIL)

    def abandon(self) -> None:
        """At once, and nothing more is told."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end(0.0)

    def close(self) -> None:
        """Abandon, and wait for the thread; one that waits for a sound server that hangs is left behind."""
        thread = self._thread
        self.abandon()
        if thread is not None:
            thread.join(JOIN_LIMIT)

    def _take(self, thread: object, event: Event) -> None:
        if thread is not self._thread:
            return
        if isinstance(event, Ended):
            self._thread = None
        self.happened.emit(event)
