"""Files given to a conversation: transcripts that grow, stop, fail, wait for a model, are exported; texts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.audio.player import NoOutput, NoOutputError
from app.languages import Choice
from app.presenters.chat import ChatPresenter
from app.theme import Theme
from app.transcript_words import Form, file_name
from app.views.chat_files import local_files
from app.views.chat_page import ChatPage
from app.widgets.button import Button
from app.widgets.chat.transcript_row import FOLDED, UNFOLDED, TranscriptRow
from qvac_core.core.state import Draft, Message, SharedModelsChanged, SpeechChoice, Target
from qvac_core.core.transcript import begin, handed_over, piece, read
from qvac_core.errors import EngineCrashed, ModelError
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.scripted_output import Speaker
from tests.gui.share_window import POPUP
from tests.gui.test_microphone import ScriptedInput
from tests.sound_files import encode

WHISPER = SpeechChoice("Whisper base", "", loaded=True)
Test = Callable[["Desk"], Awaitable[None]]
Play = Callable[[Test], None]


class Desk:
    """A page with a busy fake core."""

    def __init__(self, page: ChatPage, presenter: ChatPresenter, core: FakeCore, speaker: Speaker) -> None:
        self.page, self.presenter, self.core, self.speaker = page, presenter, core, speaker
        self.messages = page.conversation.messages
        self.composer = page.conversation.composer

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        for _step in range(400):
            if true():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"never: {what}")

    async def give(self, *paths: Path) -> None:
        self.presenter.attach(paths)
        await self.presenter.settle()
        await asyncio.sleep(0.02)

    async def transcribe(self, recording: Path) -> TranscriptRow:
        await self.give(recording)
        await self.until(lambda: isinstance(self.last, TranscriptRow), "the row")
        assert isinstance(self.last, TranscriptRow)
        return self.last

    @property
    def last(self) -> object:
        return self.messages.rows[-1] if self.messages.rows else None

    @property
    def error(self) -> str:
        panel = self.page.conversation.error
        return panel.title.text() if panel.isVisible() else ""


@pytest.fixture
def desk(qloop: QEventLoop, theme: Theme) -> Play:
    async def body(test: Test) -> None:
        core = scenes.chat()
        core.speech = (WHISPER,)
        core.heard = ((0, 5_000, "And so my <fellow> Americans"), (5_000, 11_000, "ask not"))
        proxy, speaker = DirectProxy(core), Speaker()
        presenter = ChatPresenter(proxy, clock=core.clock, sound=ScriptedInput(), loudspeaker=speaker)
        with theme.undressed():
            page = ChatPage(presenter, theme)
        await proxy.start()
        page.resize(1280, 728)
        page.show()
        await presenter.load()
        await asyncio.sleep(0.01)
        try:
            await test(Desk(page, presenter, core, speaker))
        finally:
            page.hide()
            await presenter.close()
            await proxy.close()
            page.deleteLater()

    return lambda test: qloop.run_until_complete(body(test))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "oral-history-07.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1_000_000))
    return path


def test_a_recording_becomes_lines_with_times(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        row = await desk.transcribe(recording)
        assert desk.core.called("start_transcript") == [("merge", recording, Target("", "Whisper base"), "")]
        assert row.running.isVisible()
        assert row.clause.text() == "Transcribing, 0:11 of 42:10"
        assert "about 47 s left" in row.remark.text()
        assert row.title.text() == "42 min 10 s"
        assert row.file.info.text() == "1 MB"
        assert " ".join(row.lines.toPlainText().split()) == "0:00 And so my <fellow> Americans 0:05 ask not"
        assert "so far 0:11 is kept" in row.stats.words
        assert not desk.presenter.busy  # chatting goes on beside it
        assert desk.composer.button.text() == "Send"
        desk.core.release()
        await desk.until(lambda: row.message.status == "done", "the end")
        assert row.title.text() == "42 min 10 s, English"
        assert not row.running.isVisible()
        assert row.ask.isVisible()
        assert row.accessibleName() == "Transcript of oral-history-07.m4a, 2 lines"

    desk(test)


def test_stop_keeps_what_is_done(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        row = await desk.transcribe(recording)
        row.stop.click()
        await desk.until(lambda: row.message.status == "stopped", "stopped")
        assert "stopped, so far 0:11 is kept" in row.stats.words
        assert row.ask.isVisible()
        assert not row.transcript.whole

    desk(test)


def test_who_went_on_is_told_and_continue_takes_up_a_stopped_one(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        row = await desk.transcribe(recording)
        assert not row.go_on.isVisible()
        row.stop.click()
        await desk.until(lambda: row.message.status == "stopped", "the end")
        assert row.go_on.isVisible() and row.go_on in row.blocks()
        row.go_on.click()
        await desk.until(lambda: row.message.status == "streaming", "that it goes on")
        assert desk.core.called("continue_transcript") == [("merge", row.message.id)]
        assert row.running.isVisible() and not row.go_on.isVisible()
        desk.core.release()
        await desk.until(lambda: row.message.status == "done", "the end")
        handed = handed_over(5_000, "Studio", "") + handed_over(8_000, "", "Attic")
        told = replace(row.message, text=row.message.text + handed)
        row.show_message(told, desk.page.conversation.files.describe(told))
        assert row.notices.text() == (
            "Studio went away: from 0:05 on, this machine listened. "
            "This machine went away: from 0:08 on, Attic listened."
        )

    desk(test)


def test_a_failure_is_told_below_what_is_done(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.fail["transcript"] = EngineCrashed("The speech process ended over this sound.")
        row = await desk.transcribe(recording)
        await desk.until(lambda: row.message.status == "failed", "failed")
        assert row.error.isVisible()
        assert row.lines.toPlainText()

    desk(test)


def test_a_refusal_of_the_core_is_told(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.fail["start_transcript"] = ModelError("There is no file oral-history-07.m4a any more.")
        await desk.give(recording)
        assert "oral-history-07.m4a" in desk.error

    desk(test)


def test_answers_come_beside_a_transcript_and_again_without_it(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.presenter.send("What is it about?")
        await desk.presenter.settle()
        await desk.core.answers_ended()
        desk.core.script.hold = True
        row = await desk.transcribe(recording)
        before = [m.id for m in desk.presenter.messages]
        desk.core.script.hold = False
        desk.presenter.retry()
        await desk.presenter.settle()
        await desk.until(lambda: not desk.presenter.busy, "answered again")
        after = [m.id for m in desk.presenter.messages]
        assert row.message.id in after
        assert len(after) == len(before)
        assert row in desk.messages.rows
        desk.core.release()

    desk(test)


def test_ask_about_it_and_insert(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(recording)
        await desk.until(lambda: row.message.status == "done", "the end")
        row.ask.click()
        (chip,) = desk.composer.pasted.chips
        assert chip.open.text().startswith("Transcript of oral-history-07.m4a")
        desk.composer.set_text("Note:")
        row.insert.click()
        assert desk.composer.draft == Draft("Note:\n\nAnd so my <fellow> Americans ask not")

    desk(test)


def test_exports(desk: Play, recording: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(recording)
        await desk.until(lambda: row.message.status == "done", "the end")
        wanted: list[object] = []
        row.export_wanted.connect(lambda message_id, form: wanted.append((message_id, form)))
        row._want_export(Form.SUBTITLES)
        assert wanted == [(row.message.id, Form.SUBTITLES)]
        desk.presenter.transcripts.export(row.transcript, Form.SUBTITLES, tmp_path / "a.srt")
        assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:05,000\nAnd so")
        desk.presenter.transcripts.export(row.transcript, Form.TEXT, tmp_path / "none" / "a.txt")
        assert "could not be written" in desk.error

    desk(test)


@POPUP
def test_the_export_menu_lists_every_form(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(recording)
        await desk.until(lambda: row.message.status == "done", "the end")
        row.export.click()
        menu = QApplication.activePopupWidget()
        assert menu is not None
        assert [action.text().split("\t")[0] for action in menu.actions()] == [form.value[0] for form in Form]
        menu.close()

    desk(test)


def test_long_transcripts_are_folded(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        def long(lines: int) -> Message:
            text = begin("long.wav", 1) + "".join(piece(1000 * n, 1000 * n + 900, f"line {n}") for n in range(lines))
            return Message("long", "transcript", text, 0.0, "stopped")

        desk.messages.show_messages([long(FOLDED + 10)])
        (row,) = desk.messages.rows
        assert isinstance(row, TranscriptRow)
        assert row.more.text() == "Show 13 more lines"
        assert "line 7" in row.lines.toPlainText()
        assert "line 8" not in row.lines.toPlainText()
        assert f"line {FOLDED + 9}" in row.last_lines.toPlainText()
        row.more.click()
        assert "line 8" in row.lines.toPlainText()
        assert not row.more.isVisible()
        desk.messages.show_messages([long(UNFOLDED + 1)])
        (row,) = desk.messages.rows
        assert isinstance(row, TranscriptRow)
        row._open = True
        row._show_lines()
        assert row.more.text() == f"Open all {UNFOLDED + 1} lines"

    desk(test)


def test_without_a_model_the_recording_waits_for_one(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.speech = ()
        await desk.presenter.speech.load()
        await desk.give(recording)
        assert desk.error == "No model that understands speech is here."
        assert desk.core.called("start_transcript") == []
        panel = desk.page.conversation.error
        next(b for b in panel.findChildren(Button) if b.text().startswith("Get ")).click()
        await desk.presenter.settle()
        assert desk.core.called("download_model") == [("WHISPER_BASE_Q8_0",)]
        desk.core.speech = (WHISPER,)
        desk.core.emit(SharedModelsChanged(desk.core.models))
        await desk.presenter.settle()
        await desk.until(lambda: isinstance(desk.last, TranscriptRow), "it begins by itself")

    desk(test)


def test_put_away_the_recording_does_not_wait(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.speech = ()
        await desk.presenter.speech.load()
        await desk.give(recording)
        panel = desk.page.conversation.error
        next(b for b in panel.findChildren(Button) if b.text() == "Dismiss").click()
        desk.core.speech = (WHISPER,)
        await desk.presenter.speech.load()
        await desk.presenter.settle()
        assert desk.core.called("start_transcript") == []

    desk(test)


def test_a_conversation_that_nobody_has_written_in_is_begun(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.presenter.new_conversation()
        await desk.presenter.settle()
        row = await desk.transcribe(recording)
        assert desk.presenter.open_id.startswith("conversation-")
        assert desk.messages.rows == (row,)
        assert desk.page.conversation.stack.currentIndex() == 0

    desk(test)


def test_a_text_file_goes_beside_the_message(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        path = tmp_path / "returns.csv"
        path.write_text("title,days\nA,9\n")
        await desk.give(path)
        (chip,) = desk.composer.pasted.chips
        assert chip.open.text().startswith("returns.csv · ")
        assert chip.remove.accessibleName() == "Remove returns.csv"
        assert desk.composer.message == "File returns.csv:\n\ntitle,days\nA,9\n"
        chip.remove.click()
        assert desk.composer.message == ""

    desk(test)


def test_what_cannot_be_read_says_why_and_loses_nothing(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.composer.set_text("kept")
        path = tmp_path / "paper.pdf"
        path.write_bytes(b"%PDF-1.7" + bytes(50))
        await desk.give(path)
        assert desk.error == "paper.pdf is a PDF."
        assert desk.composer.message == "kept"

    desk(test)


def test_files_pasted_into_the_message_are_given(desk: Play, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("notes")
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)), QUrl("https://example.org/x.txt")])
        assert local_files(data) == [path]
        desk.composer.text.insertFromMimeData(data)
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        assert desk.composer.message == "File notes.txt:\n\nnotes"

    desk(test)


def test_a_stored_transcript_is_shown_again(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        text = begin("talk.wav", 1_000_000) + piece(0, 900, "kept")
        desk.core.message_lists["iron"] = (Message("t1", "transcript", text, 0.0, "streaming"),)
        desk.presenter.open("iron")
        await desk.presenter.settle()
        row = desk.last
        assert isinstance(row, TranscriptRow)
        assert row.message.status == "stopped"  # nobody works on it any more
        assert read(row.message.text).text == "kept"
        QTest.qWait(1)

    desk(test)


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """Twelve seconds of sound, as long as what the fake core hears in it."""
    path = tmp_path / "oral.wav"
    path.write_bytes(encode("wav", np.full(12 * 16_000, 0.2, np.float32)))
    return path


def test_a_line_plays_from_its_time_and_space_pauses(desk: Play, spoken: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(spoken)
        await desk.until(lambda: row.message.status == "done", "the end")
        assert row.sound.isVisible()
        await desk.until(lambda: max(row.waveform.bars(20), default=0) == 1.0, "the waveform")
        place = row.lines.row_rect(1).center().toPoint()
        desk.speaker.takes.clear()
        QTest.mouseClick(row.lines.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        await desk.until(lambda: desk.speaker.opened == 1, "it plays")
        assert row.play.accessibleName() == "Pause"
        assert row.lines.playing == 1
        assert row.waveform.value() == 5
        QTest.keyClick(row.lines, Qt.Key.Key_Space)
        assert row.play.accessibleName() == "Play"
        assert row.lines.playing == 1  # where it goes on
        QTest.keyClick(row.lines, Qt.Key.Key_Up)
        assert row.lines.current == 0
        QTest.keyClick(row.lines, Qt.Key.Key_Return)
        assert row.lines.playing == 0
        desk.speaker.takes.set()
        await desk.until(lambda: row.play.accessibleName() == "Play", "to the end")
        assert row.trouble.text() == ""

    desk(test)


def test_a_recording_that_was_moved_is_told_and_its_transcript_stays(desk: Play, spoken: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(spoken)
        await desk.until(lambda: row.message.status == "done", "the end")
        spoken.rename(spoken.with_name("elsewhere.wav"))
        row.play.click()
        await desk.until(lambda: row.trouble.isVisible(), "the sentence")
        assert row.trouble.text() == "oral.wav is not where it was: moved, renamed or deleted. Its transcript stays."
        assert row.play.accessibleName() == "Play"
        assert row.lines.toPlainText()

    desk(test)


def test_without_a_loudspeaker_the_row_says_so(desk: Play, spoken: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.speaker.refuses = NoOutputError(NoOutput.NO_DEVICE)
        row = await desk.transcribe(spoken)
        row.play.click()
        await desk.until(lambda: row.trouble.isVisible(), "the sentence")
        assert row.trouble.text().startswith("No loudspeaker or headphones answer.")

    desk(test)


def test_selecting_plays_nothing_and_offers_to_translate_and_to_ask(desk: Play, spoken: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(spoken)
        row.lines.selectAll()
        desk.messages.languages = (Choice("de", "German"),)
        menu = desk.messages.menu_for(row.lines, row, row.lines.mapToGlobal(QPoint(5, 5)))
        texts = [action.text() for action in menu.actions()]
        assert "Ask about this" in texts
        assert "Translate the selection to" in texts
        assert desk.speaker.opened == 0

    desk(test)


def test_another_conversation_is_quiet(desk: Play, spoken: Path) -> None:
    async def test(desk: Desk) -> None:
        row = await desk.transcribe(spoken)
        desk.speaker.takes.clear()
        row.play.click()
        await desk.until(lambda: desk.speaker.opened == 1, "it plays")
        desk.presenter.open("iron")
        await desk.presenter.settle()
        await desk.until(lambda: desk.speaker.closed == 1, "quiet")

    desk(test)


def test_the_name_of_an_export_says_that_it_is_not_whole(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        row = await desk.transcribe(recording)
        assert file_name(row.transcript, Form.SUBTITLES) == "oral-history-07 so far.srt"
        assert row.export.isEnabled()
        desk.core.release()
        await desk.until(lambda: row.message.status == "done", "the end")
        assert file_name(row.transcript, Form.SUBTITLES) == "oral-history-07.srt"

    desk(test)


def test_that_a_recording_goes_to_a_provider_is_said_before(desk: Play, recording: Path) -> None:
    async def test(desk: Desk) -> None:
        assert desk.presenter.target.provider_key == scenes.STUDIO
        files = desk.page.conversation.files
        assert files.told_before() == ""  # heard on this machine
        desk.core.speech = (SpeechChoice("Whisper large", scenes.STUDIO, loaded=True),)
        await desk.presenter.speech.load()
        told = "Recordings go to Studio desktop at once, to be transcribed there."
        assert desk.composer.clip.accessibleDescription() == told
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(recording))])
        actions, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
        enter = QDragEnterEvent(QPoint(5, 5), actions, data, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(desk.page.conversation, enter)
        assert files.target.isVisible()
        assert files.target.told == told

    desk(test)
