"""The sound of transcripts: read by a process of its own, played from a place, drawn, and what cannot be heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.audio.hearing import SAMPLE_RATE
from app.audio.player import NoOutput, NoOutputError, Player
from app.audio.recording import PEAKS, SOUND, Reading, Recording, UnplayableError
from app.audio.system_output import SystemOutput
from app.audio.waveforms import Waveforms
from tests.gui.scripted_output import Speaker
from tests.gui.sound_server import sound_server
from tests.sound_files import encode

LIMIT_MS = 30_000


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """Three seconds: quiet, loud, quiet."""
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    path = tmp_path / "a -b.wav"
    path.write_bytes(encode("wav", np.concatenate((0.05 * tone, 0.8 * tone, 0.05 * tone))))
    return Recording(path, path.stat().st_size)


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
def player(qapp: QApplication, speaker: Speaker) -> Iterator[Player]:
    player = Player(speaker)
    yield player
    player.close()


def everything(reading: Reading) -> bytes:
    data = b""
    while piece := reading.read(4096):
        data += piece
    reading.close()
    return data


@pytest.mark.parametrize("ending", ["wav", "mp3", "m4a", "flac", "ogg"])
def test_sound_begins_where_it_is_asked_to(tmp_path: Path, ending: str) -> None:
    times = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    sound = np.where(times < 2, 0.0, 0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    path = tmp_path / f"a.{ending}"
    path.write_bytes(encode(ending, sound))
    recording = Recording(path, path.stat().st_size)
    whole = np.frombuffer(everything(Reading(recording, SOUND)), np.int16)
    later = np.frombuffer(everything(Reading(recording, SOUND, 1500)), np.int16)
    loud = [int(np.argmax(np.abs(samples) > 5000)) / SAMPLE_RATE for samples in (whole, later)]
    assert loud[0] == pytest.approx(2.0, abs=0.1)
    assert loud[1] == pytest.approx(0.5, abs=0.15)  # to a frame of the file
    assert everything(Reading(recording, SOUND, 60_000)) == b""


def test_peaks(recording: Recording) -> None:
    peaks = everything(Reading(recording, PEAKS))
    assert len(peaks) == pytest.approx(30, abs=1)
    assert max(peaks[2:8]) < 20
    assert min(peaks[12:18]) > 150


def test_what_is_no_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(bytes(5000))
    reading = Reading(Recording(path, 5000), SOUND)
    with pytest.raises(UnplayableError, match="This is no sound"):
        reading.read(10)
    reading.close()


def test_a_recording_that_is_gone_or_another_one_says_so(recording: Recording) -> None:
    recording.path.write_bytes(b"other")
    with pytest.raises(UnplayableError, match=r"a -b\.wav has changed since"):
        Reading(recording, SOUND)
    recording.path.unlink()
    with pytest.raises(UnplayableError, match=r"a -b\.wav is not where it was"):
        Reading(recording, SOUND)


def test_plays_to_the_end(qtbot: QtBot, player: Player, speaker: Speaker, recording: Recording) -> None:
    with qtbot.waitSignal(player.ended, timeout=LIMIT_MS) as ended:
        player.play(recording, 1000)
    assert ended.args == [""]
    assert not player.playing
    assert player.position_ms == pytest.approx(3000, abs=50)
    samples = np.frombuffer(bytes(speaker.heard), np.int16)
    assert np.abs(samples[: SAMPLE_RATE // 2]).max() > 20_000
    assert speaker.opened == speaker.closed == 1


def test_paused_and_gone_on(qtbot: QtBot, player: Player, speaker: Speaker, recording: Recording) -> None:
    player.play(recording, 500)
    qtbot.waitUntil(lambda: len(speaker.heard) > 0, timeout=LIMIT_MS)
    speaker.takes.clear()
    player.pause()
    assert not player.playing
    assert 500 < player.position_ms <= 3000
    qtbot.waitUntil(lambda: speaker.closed == 1, timeout=LIMIT_MS)


def test_without_a_loudspeaker_a_sentence(qtbot: QtBot, player: Player, speaker: Speaker, recording: Recording) -> None:
    speaker.refuses = NoOutputError(NoOutput.NO_DEVICE)
    with qtbot.waitSignal(player.ended, timeout=LIMIT_MS) as ended:
        player.play(recording, 0)
    assert ended.args[0].startswith("No loudspeaker or headphones answer.")


def test_a_sound_system_that_goes_away_is_noticed(
    qtbot: QtBot, player: Player, speaker: Speaker, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audio.player.STALLED_AFTER", 0.1)
    speaker.takes.clear()
    with qtbot.waitSignal(player.ended, timeout=LIMIT_MS) as ended:
        player.play(recording, 0)
    assert ended.args[0].startswith("The sound system went away.")


def test_waveforms_come_one_after_the_other(qapp: QApplication, qtbot: QtBot, recording: Recording) -> None:
    waveforms = Waveforms()
    gone = Recording(recording.path.with_name("gone.wav"), 1)
    waveforms.want(gone)
    waveforms.want(recording)
    qtbot.waitUntil(lambda: len(waveforms.of(recording)) >= 29, timeout=LIMIT_MS)
    assert waveforms.of(gone) == b""
    waveforms.close()
    waveforms.want(recording)  # nothing any more


def test_the_systems_loudspeaker(
    qapp: QApplication,
    qtbot: QtBot,
    recording: Recording,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real PulseAudio plays it; where there is none, that is told."""
    with sound_server(tmp_path_factory.mktemp("pulse")) as server:
        monkeypatch.setenv("PULSE_SERVER", server.address)
        server.start()
        player = Player(SystemOutput())
        with qtbot.waitSignal(player.ended, timeout=LIMIT_MS) as ended:
            player.play(recording, 2000)
        assert ended.args == [""]
        assert player.position_ms == pytest.approx(3000, abs=50)
        player.close()
    player = Player(SystemOutput())
    with qtbot.waitSignal(player.ended, timeout=LIMIT_MS) as ended:
        player.play(recording, 0)
    assert ended.args[0].startswith("No loudspeaker or headphones answer.")
    player.close()
