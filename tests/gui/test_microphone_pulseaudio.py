"""The system's microphone with a real sound server, and what happens to those: muted, unplugged, changed, killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.audio.hearing import SAMPLE_BYTES, SAMPLE_RATE, State
from app.audio.microphone import Ended, Event, Heard, Microphone, StateChanged, Trouble
from app.audio.system_input import SystemInput
from tests.gui.sound_server import SILENT_SCRIPT, SoundServer, sound_server

LIMIT_MS = 20_000


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    # A socket's path may have some 100 letters.
    with sound_server(tmp_path_factory.mktemp("pulse")) as server:
        monkeypatch.setenv("PULSE_SERVER", server.address)
        yield server


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Half a minute of 440 Hz."""
    path = tmp_path / "tone.f32"
    times = np.arange(30 * SAMPLE_RATE) / SAMPLE_RATE
    (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32).tofile(path)
    return path


class Ear:
    def __init__(self, qtbot: QtBot, sound: SystemInput | None = None) -> None:
        self._qtbot = qtbot
        self.events: list[Event] = []
        self.microphone = Microphone(sound or SystemInput())
        self.microphone.happened.connect(self.events.append)

    def start(self) -> None:
        self.microphone.start()
        self.until_state(State.LISTENING)

    def until_state(self, state: State) -> None:
        self._qtbot.waitUntil(lambda: bool(self.states) and self.states[-1] is state, timeout=LIMIT_MS)

    def until_ended(self) -> Ended:
        self._qtbot.waitUntil(lambda: bool(self.ends), timeout=LIMIT_MS)
        return self.ends[0]

    def until_loud(self) -> None:
        start = len(self.events)
        self._qtbot.waitUntil(
            lambda: any(isinstance(event, Heard) and event.level > 0.3 for event in self.events[start:]),
            timeout=LIMIT_MS,
        )

    @property
    def states(self) -> list[State]:
        return [event.state for event in self.events if isinstance(event, StateChanged)]

    @property
    def ends(self) -> list[Ended]:
        return [event for event in self.events if isinstance(event, Ended)]

    @property
    def samples(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.frombuffer(b"".join(e.samples for e in self.events if isinstance(e, Heard)), np.float32)


@pytest.fixture
def ear(qapp: QApplication, qtbot: QtBot) -> Iterator[Ear]:
    ear = Ear(qtbot)
    yield ear
    ear.microphone.close()


def test_what_is_played_is_heard_as_16_khz_mono(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    before = len(ear.samples)
    ear._qtbot.wait(1000)
    heard = ear.samples[before:]
    ear.microphone.stop()
    assert ear.until_ended() == Ended()
    spectrum = np.abs(np.fft.rfft(heard))
    assert abs(int(np.argmax(spectrum)) * SAMPLE_RATE / len(heard) - 440) < 5


def test_who_takes_the_blocks_may_be_busy_for_seconds(server: SoundServer, tone: Path) -> None:
    """The capture's own buffer keeps what comes meanwhile: no thread of Python runs while another holds on."""
    server.start()
    server.play(tone)
    came: list[tuple[float, int]] = []

    def take(block: bytes) -> None:
        if len(came) == 10:
            time.sleep(3)
        came.append((time.monotonic(), len(block) // SAMPLE_BYTES))

    close = SystemInput().open(take, lambda: None)
    end = time.monotonic() + LIMIT_MS / 1000
    while (not came or came[-1][0] - came[0][0] < 5) and time.monotonic() < end:
        time.sleep(0.05)
    close()
    lasted = came[-1][0] - came[0][0]
    assert lasted >= 5
    assert sum(samples for _, samples in came[1:]) / SAMPLE_RATE > lasted - 0.3


def test_muted_is_told_and_so_is_its_end(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    server.mute(True)
    ear.until_state(State.MUTED)
    server.mute(False)
    ear.until_state(State.LISTENING)
    ear.until_loud()


def test_unplugged_does_not_record_the_loudspeakers(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    server.unplug()
    assert ear.until_ended().trouble is Trouble.UNPLUGGED


def test_another_default_microphone_is_heard_on(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    server.plug_in_another()
    server.unplug()
    ear._qtbot.wait(1500)
    ear.until_loud()
    assert not ear.ends


def test_a_sound_server_that_restarts_is_heard_again(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    server.die()
    ear.until_state(State.STALLED)
    server.start()
    server.play(tone)
    ear.until_state(State.LISTENING)
    ear.until_loud()


def test_a_sound_server_that_dies_is_told(server: SoundServer, ear: Ear, tone: Path) -> None:
    server.start()
    server.play(tone)
    ear.start()
    ear.until_loud()
    server.die()
    assert ear.until_ended().trouble is Trouble.LOST


def test_no_sound_server(server: SoundServer, ear: Ear) -> None:
    ear.microphone.start()
    assert ear.until_ended().trouble in (Trouble.NO_SERVER, Trouble.NO_MICROPHONE)


def test_loudspeakers_alone_are_no_microphone(server: SoundServer, ear: Ear) -> None:
    server.start(SILENT_SCRIPT)
    ear.microphone.start()
    assert ear.until_ended().trouble is Trouble.NO_MICROPHONE
