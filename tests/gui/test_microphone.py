"""Listening to a microphone, with sound systems scripted after what real ones do: no error, no end, just no data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.audio.hearing import SAMPLE_RATE, Hearing, State, loudness
from app.audio.microphone import (
    Ended,
    Event,
    Heard,
    Listening,
    Microphone,
    MicrophoneError,
    StateChanged,
    Trouble,
)

BLOCK = 0.05
VOICE = (0.1 * np.ones(int(BLOCK * SAMPLE_RATE), np.float32)).tobytes()
ZEROS = bytes(len(VOICE))


class ScriptedInput:
    """`there` and `refuses` may be changed while it runs."""

    def __init__(self, there: Iterable[str] | None = ("mic",)) -> None:
        self.there = None if there is None else frozenset(there)
        self.refuses: Trouble | None = None
        self.opened = 0
        self.closed = 0
        self.take: Callable[[bytes], None] = lambda _block: None

    def microphones(self) -> frozenset[str] | None:
        return self.there

    def open(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> Callable[[], None]:
        if self.refuses is not None:
            raise MicrophoneError(self.refuses)
        self.opened += 1
        self.take = take

        def close() -> None:
            self.closed += 1

        return close


class Room:
    """One act of listening in virtual time."""

    def __init__(self, sound: ScriptedInput) -> None:
        self.sound = sound
        self.events: list[Event] = []
        self.now = 100.0
        self.listening = Listening(sound, self.events.append, lambda _block: None, lambda: None, self.now)
        self.listening.open()

    def pass_time(self, seconds: float, block: bytes | None = None) -> None:
        for _step in range(round(seconds / BLOCK)):
            self.now += BLOCK
            self.listening.step(block, self.now)

    @property
    def states(self) -> list[State]:
        return [event.state for event in self.events if isinstance(event, StateChanged)]

    @property
    def state(self) -> State:
        return self.states[-1]


def test_it_listens_only_once_something_came() -> None:
    room = Room(ScriptedInput())
    room.pass_time(1.7)
    assert room.states == []
    room.pass_time(0.1, VOICE)
    assert room.states == [State.LISTENING]
    assert [event.samples for event in room.events if isinstance(event, Heard)] == [VOICE, VOICE]


def test_a_muted_microphone_sends_exact_zeros_and_comes_back() -> None:
    room = Room(ScriptedInput())
    room.pass_time(0.5, VOICE)
    room.pass_time(0.9, ZEROS)
    assert room.states == [State.LISTENING]
    room.pass_time(0.2, ZEROS)
    assert room.states == [State.LISTENING, State.MUTED]
    room.pass_time(0.1, VOICE)
    assert room.state is State.LISTENING
    room.pass_time(0.9, ZEROS)
    assert room.state is State.LISTENING


def test_a_microphone_muted_from_the_start_is_told() -> None:
    room = Room(ScriptedInput())
    room.pass_time(1.1, ZEROS)
    assert room.state is State.MUTED


def test_a_capture_that_went_silent_is_opened_anew() -> None:
    room = Room(ScriptedInput())
    room.pass_time(0.5, VOICE)
    room.pass_time(1.9)
    assert room.sound.opened == 1
    room.pass_time(0.2)
    assert (room.sound.opened, room.sound.closed) == (2, 1)
    assert room.states == [State.LISTENING, State.STALLED, State.STARTING]
    room.pass_time(0.1, VOICE)
    assert room.state is State.LISTENING


def test_what_stays_silent_after_that_is_lost() -> None:
    room = Room(ScriptedInput())
    room.pass_time(0.5, VOICE)
    with pytest.raises(MicrophoneError) as failed:
        room.pass_time(20)
    assert failed.value.trouble is Trouble.LOST
    assert room.now < 100 + 0.5 + 2 + 4 + 0.2


def test_a_microphone_that_never_says_anything_is_lost() -> None:
    room = Room(ScriptedInput())
    with pytest.raises(MicrophoneError) as failed:
        room.pass_time(20)
    assert failed.value.trouble is Trouble.LOST


def test_a_sound_server_may_take_some_seconds_to_start_again() -> None:
    room = Room(ScriptedInput())
    room.pass_time(0.5, VOICE)
    room.sound.refuses = Trouble.NO_SERVER
    room.pass_time(4.5)
    room.sound.refuses = None
    room.pass_time(1.2)
    room.pass_time(0.1, VOICE)
    assert room.states[-2:] == [State.STARTING, State.LISTENING]


def test_a_sound_server_that_stays_away_is_lost() -> None:
    room = Room(ScriptedInput())
    room.pass_time(0.5, VOICE)
    room.sound.refuses = Trouble.NO_SERVER
    with pytest.raises(MicrophoneError) as failed:
        room.pass_time(20)
    assert failed.value.trouble is Trouble.LOST


def test_the_last_microphone_unplugged_ends_it_though_data_still_comes() -> None:
    """PulseAudio moves the capture to the monitor of the loudspeakers."""
    room = Room(ScriptedInput())
    room.pass_time(1.5, VOICE)
    room.sound.there = frozenset()
    with pytest.raises(MicrophoneError) as failed:
        room.pass_time(2.0, VOICE)
    assert failed.value.trouble is Trouble.UNPLUGGED


def test_one_of_two_microphones_unplugged_goes_on() -> None:
    room = Room(ScriptedInput(("mic", "headset")))
    room.pass_time(1.5, VOICE)
    room.sound.there = frozenset({"mic"})
    room.pass_time(3.0, VOICE)
    assert room.states == [State.LISTENING]


def test_a_device_that_ends_the_capture_is_replaced_by_the_default_of_now() -> None:
    room = Room(ScriptedInput(None))
    room.pass_time(0.5, VOICE)
    room.listening.stopped_by_itself(room.now)
    assert room.sound.opened == 2
    room.pass_time(0.5, VOICE)
    assert room.states == [State.LISTENING, State.STARTING, State.LISTENING]


@pytest.mark.parametrize("trouble", [Trouble.NO_LIBRARY, Trouble.NO_SERVER, Trouble.REFUSED])
def test_what_cannot_be_opened_is_told_as_it_is(trouble: Trouble) -> None:
    sound = ScriptedInput()
    sound.refuses = trouble
    with pytest.raises(MicrophoneError) as failed:
        Room(sound)
    assert failed.value.trouble is trouble


def test_without_a_microphone_nothing_is_opened() -> None:
    sound = ScriptedInput(())
    with pytest.raises(MicrophoneError) as failed:
        Room(sound)
    assert (failed.value.trouble, sound.opened) == (Trouble.NO_MICROPHONE, 0)


def test_the_level_follows_the_voice() -> None:
    hearing = Hearing(0.0)
    hearing.block(ZEROS, 0.1)
    assert hearing.level == 0.0
    hearing.block(VOICE, 0.2)
    quiet = hearing.level
    hearing.block((0.3 * np.ones(800, np.float32)).tobytes(), 0.3)
    assert 0.0 < quiet < hearing.level <= 1.0
    hearing.block(np.full(800, np.nan, np.float32).tobytes(), 0.4)
    assert hearing.level == 0.0
    assert loudness(10.0) == 1.0


def test_the_thread_tells_the_window_and_ends(qapp: QApplication, qtbot: QtBot) -> None:
    sound = ScriptedInput()
    microphone = Microphone(sound)
    events: list[Event] = []
    microphone.happened.connect(events.append)
    microphone.start()
    qtbot.waitUntil(lambda: StateChanged(State.STARTING) in events)
    sound.take(VOICE)
    qtbot.waitUntil(lambda: any(isinstance(event, Heard) for event in events))
    microphone.stop()
    sound.take(VOICE)  # the last word, still on its way
    qtbot.waitUntil(lambda: Ended() in events)
    assert sum(isinstance(event, Heard) for event in events) == 2
    assert (sound.closed, microphone.listening) == (1, False)


def test_an_abandoned_microphone_says_nothing_more(qapp: QApplication, qtbot: QtBot) -> None:
    sound = ScriptedInput()
    microphone = Microphone(sound)
    events: list[Event] = []
    microphone.happened.connect(events.append)
    microphone.start()
    qtbot.waitUntil(lambda: sound.opened == 1)
    sound.take(VOICE)
    microphone.close()
    events.clear()
    qtbot.wait(60)
    assert (events, sound.closed) == ([], 1)
