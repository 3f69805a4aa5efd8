"""A real window that hears: a real recording dropped on it, and a real voice at a real sound server's microphone.

Nothing is faked: whisper tiny.en in its process, the core on its own loop, PulseAudio. QVAC_SCREENSHOTS=FOLDER keeps
pictures.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.presenters.dictation_words import Phase
from app.theme import Theme
from app.transcript_words import Form
from app.widgets.chat.transcript_row import TranscriptRow
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from tests.gui.sound_server import SoundServer, sound_server
from tests.gui.test_real_windows import picture, until
from tests.sound_files import encode
from tests.speech_files import KENNEDY, english_model, kennedy_wav, samples_of

pytestmark = pytest.mark.timeout(300)


def alike(text: str) -> float:
    def words(text: str) -> list[str]:
        return re.findall(r"[a-z]+", text.lower())

    return SequenceMatcher(None, words(text), words(KENNEDY)).ratio()


@asynccontextmanager
async def window_with_speech(theme: Theme, folder: Path) -> AsyncIterator[MainWindow]:
    proxy = CoreProxy(CoreThread(lambda: Core(CoreConfig(folder, bootstrap=(("127.0.0.1", 9),)))))
    with theme.undressed():
        window = MainWindow(proxy, theme)
    try:
        await proxy.start()
        await proxy.call(lambda core: core.add_model_file(english_model()))
        window.show()
        await window.load()
        window.chat.chat_here()
        await until(lambda: window.chat.speech.choices, "the speech model")
        yield window
    finally:
        window.hide()
        await window.unload()
        assert await proxy.close(), "the core did not end in time"
        window.deleteLater()


def drop(window: MainWindow, path: Path) -> None:
    page = window.chat_page.conversation
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    place = QPointF(page.rect().center())
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entered = QDragEnterEvent(place.toPoint(), copy, data, left, none)
    QApplication.sendEvent(page, entered)
    assert entered.isAccepted()
    assert page.files.target.isVisible()
    QApplication.sendEvent(page, QDropEvent(place, copy, data, left, none))
    assert not page.files.target.isVisible()


def test_a_recording_dropped_on_the_window_becomes_a_transcript(
    qloop: QEventLoop, theme: Theme, tmp_path: Path
) -> None:
    async def play() -> None:
        recording = tmp_path / "speech.m4a"
        recording.write_bytes(encode("m4a", samples_of(kennedy_wav())))
        async with window_with_speech(theme, tmp_path / "data") as window:
            drop(window, recording)
            rows = window.chat_page.conversation.messages
            await until(lambda: any(isinstance(row, TranscriptRow) for row in rows.rows), "the row")
            (row,) = rows.rows
            assert isinstance(row, TranscriptRow)
            await until(lambda: row.message.status != "streaming", "the end")
            picture(window, "transcript")
            assert row.message.error is None
            assert alike(row.transcript.text) > 0.9
            assert row.transcript.audio_ms == pytest.approx(11_000, abs=100)
            assert "speech.m4a" in row.name.text()
            window.chat.transcripts.export(row.transcript, Form.SUBTITLES, tmp_path / "speech.srt")
            assert "--> " in (tmp_path / "speech.srt").read_text()
            row.ask.click()
            assert "fellow Americans" in window.chat_page.conversation.composer.message
        async with window_with_speech(theme, tmp_path / "data") as again:
            (row,) = again.chat_page.conversation.messages.rows
            assert isinstance(row, TranscriptRow)
            assert alike(row.transcript.text) > 0.9

    qloop.run_until_complete(play())


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    with sound_server(tmp_path_factory.mktemp("pulse")) as server:
        monkeypatch.setenv("PULSE_SERVER", server.address)
        server.start()
        yield server


def test_what_is_said_at_the_microphone_stands_in_the_message(
    qloop: QEventLoop, theme: Theme, tmp_path: Path, server: SoundServer
) -> None:
    async def play() -> None:
        speech = tmp_path / "speech.f32"
        samples_of(kennedy_wav()).tofile(speech)
        async with window_with_speech(theme, tmp_path / "data") as window:
            composer, dictation = window.chat_page.conversation.composer, window.chat.dictation
            QTest.mousePress(composer.mic, Qt.MouseButton.LeftButton)
            await until(lambda: dictation.phase in (Phase.LISTENING, Phase.MUTED), "it listens")
            server.play(speech)
            began = dictation.seconds
            await until(lambda: dictation.settled, "settled words")
            picture(window, "dictation")
            settled = dictation.settled
            await until(lambda: dictation.seconds > began + 12.5, "all of it heard")
            assert dictation.settled.startswith(settled)
            assert composer.talking
            composer.talk._pressed_at -= 1
            QTest.mouseRelease(composer.mic, Qt.MouseButton.LeftButton)
            await until(lambda: not composer.talking, "the last words")
            await asyncio.sleep(0)
            assert not window.chat_page.conversation.error.isVisible()
            assert alike(composer.text.toPlainText()) > 0.85
            assert window.chat.messages == []

    qloop.run_until_complete(play())
