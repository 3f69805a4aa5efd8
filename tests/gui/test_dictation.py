"""Talking in the composer: the gesture, what is shown meanwhile, what is inserted, and what each failure leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.audio.hearing import SAMPLE_RATE
from app.audio.microphone import Trouble
from app.presenters.chat import ChatPresenter
from app.presenters.dictation_words import Phase, settings_page, trouble_words
from app.presenters.speech import listener_for, suggested_model
from app.theme import Theme
from app.views.chat_page import ChatPage
from app.widgets.button import Button
from app.widgets.chat.hold_to_talk import Gesture, HoldToTalk
from app.widgets.chat.voice_row import BARS, LevelBars
from qvac_core.core.state import DictationEnded, DictationHeard, ErrorInfo, ProvidersChanged, SpeechChoice, Target
from qvac_core.errors import ModelError
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.test_microphone import VOICE, ScriptedInput

WHISPER = SpeechChoice("Whisper base", "", loaded=True, languages=("en", "de"))
REMOTE = SpeechChoice("Whisper large v3 turbo", scenes.STUDIO, loaded=True)
Test = Callable[["Talk"], Awaitable[None]]


class Talk:
    """A page with a busy fake core and a scripted microphone."""

    def __init__(self, page: ChatPage, presenter: ChatPresenter, core: FakeCore, sound: ScriptedInput) -> None:
        self.page, self.presenter, self.core, self.sound = page, presenter, core, sound
        self.composer = page.conversation.composer
        self.dictation = presenter.dictation

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        for _step in range(400):
            if true():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"never: {what}")

    async def begin(self) -> None:
        """The button goes down and something is heard."""
        before = self.sound.opened
        self.core.spoken.clear()
        QTest.mousePress(self.composer.mic, Qt.MouseButton.LeftButton)
        await self.until(lambda: self.sound.opened > before, "the microphone opens")

    async def say(self, blocks: int = 1) -> None:
        heard = len(b"".join(self.core.spoken))
        for _block in range(blocks):
            self.sound.take(VOICE)
        await self.until(lambda: len(b"".join(self.core.spoken)) >= heard + blocks * len(VOICE), "heard")

    async def let_go(self) -> None:
        self.composer.talk._pressed_at -= 1
        QTest.mouseRelease(self.composer.mic, Qt.MouseButton.LeftButton)
        await self.ended()

    async def ended(self) -> None:
        await self.until(lambda: not self.composer.talking and not self.dictation.running, "the dictation ends")

    @property
    def text(self) -> str:
        return self.composer.text.toPlainText()

    @property
    def error(self) -> str:
        panel = self.page.conversation.error
        return panel.title.text() if panel.isVisible() else ""


@pytest.fixture
def talk(qloop: QEventLoop, theme: Theme) -> Callable[[Test], None]:
    async def body(test: Test) -> None:
        core = scenes.chat()
        core.speech = (WHISPER,)
        core.said = (("So the reading room", " opened"), ("So the reading room opened in", " the old"))
        sound = ScriptedInput()
        proxy = DirectProxy(core)
        presenter = ChatPresenter(proxy, clock=core.clock, sound=sound)
        with theme.undressed():
            page = ChatPage(presenter, theme)
        await proxy.start()
        page.resize(1280, 728)
        page.show()
        await presenter.load()
        await asyncio.sleep(0.01)
        try:
            await test(Talk(page, presenter, core, sound))
        finally:
            page.hide()
            await presenter.close()
            await proxy.close()
            page.deleteLater()

    return lambda test: qloop.run_until_complete(body(test))


# --- The gesture


def test_hold_and_tap(qapp: QApplication) -> None:
    now = [0.0]
    gesture = HoldToTalk(clock=lambda: now[0])
    told: list[str] = []
    for name in ("began", "locked", "finished"):
        getattr(gesture, name).connect(lambda name=name: told.append(name))
    gesture.press()
    now[0] += 0.31
    gesture.let_go()
    assert told == ["began", "finished"]
    told.clear()
    gesture.press()
    now[0] += 0.29
    gesture.let_go()
    assert (told, gesture.state) == (["began", "locked"], Gesture.LOCKED)
    gesture.press()
    gesture.let_go()
    assert told == ["began", "locked", "finished"]
    assert gesture.state is Gesture.IDLE


# --- Holding


def test_what_is_said_is_inserted_when_the_button_is_let_go(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.composer.set_text("Listen:")
        await talk.begin()
        assert talk.composer.talking
        assert talk.composer.voice.words.text() == "Wait for the microphone…"
        await talk.say(2)
        assert talk.composer.voice.words.text() == "Let go to insert"
        assert talk.text == "Listen: So the reading room opened in the old"
        assert talk.composer.voice.heard_by.text() == "heard on this machine"
        await talk.let_go()
        assert talk.text == "Listen: So the reading room opened in the old"
        assert talk.core.called("ask") == []
        assert talk.core.called("start_dictation") == [(Target("", "Whisper base"), "")]
        assert len(talk.core.called("end_dictation")) == 1
        assert talk.composer.draft.text == talk.text
        assert not talk.composer.text.isReadOnly()

    talk(test)


def test_unsettled_words_are_pale_and_settled_ones_are_not(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.say()

        def colour(word: str) -> str:
            cursor = QTextCursor(talk.composer.text.document())
            cursor.setPosition(talk.text.index(word) + 1)
            brush = cursor.charFormat().foreground()
            return brush.color().name() if brush.style() != Qt.BrushStyle.NoBrush else ""

        pale = talk.page._theme.colour("text3").name()
        assert (colour("reading"), colour("opened")) == ("", pale)
        await talk.say()
        assert (colour("opened"), colour("old")) == ("", pale)
        await talk.let_go()
        assert colour("old") == ""

    talk(test)


def test_talking_goes_between_what_is_written(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.core.said = (("two", ""),)
        talk.composer.set_text("one three")
        cursor = talk.composer.text.textCursor()
        cursor.setPosition(3)
        talk.composer.text.setTextCursor(cursor)
        await talk.begin()
        await talk.say()
        await talk.let_go()
        assert talk.text == "one two three"
        talk.composer.text.undo()
        assert talk.text == "one three"

    talk(test)


def test_escape_discards_and_what_was_selected_comes_back(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.composer.set_text("keep this")
        talk.composer.text.selectAll()
        await talk.begin()
        await talk.say()
        assert talk.text.startswith("So the")
        QTest.keyClick(talk.composer.text, Qt.Key.Key_Escape)
        assert not talk.composer.talking
        assert talk.text == "keep this"
        await talk.presenter.settle()
        assert len(talk.core.called("discard_dictation")) == 1
        await talk.until(lambda: talk.sound.closed == 1, "the microphone closes")
        QTest.mouseRelease(talk.composer.mic, Qt.MouseButton.LeftButton)
        assert talk.composer.talk.state is Gesture.IDLE

    talk(test)


def test_a_tap_locks_and_shows_stop(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        QTest.mouseClick(talk.composer.mic, Qt.MouseButton.LeftButton)
        await talk.until(lambda: talk.sound.opened, "the microphone opens")
        await talk.say()
        assert talk.composer.talking
        assert talk.composer.voice.words.text() == "Stop inserts"
        assert talk.composer.mic.accessibleName() == "Stop and insert what was said"
        QTest.mouseClick(talk.composer.mic, Qt.MouseButton.LeftButton)
        await talk.ended()
        assert talk.text == "So the reading room opened"

    talk(test)


def test_enter_ends_a_locked_dictation_and_sends_nothing(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.composer.mic.click()
        await talk.until(lambda: talk.sound.opened, "the microphone opens")
        await talk.say()
        QTest.keyClick(talk.composer.text, Qt.Key.Key_Return)
        await talk.ended()
        assert talk.text == "So the reading room opened"
        assert talk.core.called("ask") == []

    talk(test)


def test_the_keys_are_held_as_the_button_is(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.page.activateWindow()
        talk.page.side.search.setFocus()
        both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        QTest.keyPress(talk.page.side.search, Qt.Key.Key_Space, both)
        await talk.until(lambda: talk.sound.opened, "the microphone opens")
        again = QKeyEvent(QEvent.Type.KeyRelease, Qt.Key.Key_Space, both, "", True)
        QApplication.sendEvent(talk.composer.text, again)
        assert talk.composer.talk.state is Gesture.HOLDING
        await talk.say()
        talk.composer.talk._pressed_at -= 1
        QTest.keyRelease(talk.composer.text, Qt.Key.Key_Space, both)
        await talk.ended()
        assert talk.text == "So the reading room opened"

    talk(test)


def test_a_window_that_goes_to_the_back_lets_go_of_the_keys(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        QTest.keyPress(talk.composer.text, Qt.Key.Key_Space, both)
        await talk.until(lambda: talk.sound.opened, "the microphone opens")
        await talk.say()
        QApplication.sendEvent(talk.page.window(), QEvent(QEvent.Type.WindowDeactivate))
        await talk.ended()
        assert talk.text == "So the reading room opened"

    talk(test)


def test_what_is_said_before_the_model_listens_is_not_lost(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        gate = talk.core.slow["start_dictation"] = asyncio.Event()
        await talk.begin()
        talk.sound.take(VOICE)
        await talk.until(lambda: talk.dictation.phase is Phase.LISTENING, "it listens")
        talk.composer.talk._pressed_at -= 1
        QTest.mouseRelease(talk.composer.mic, Qt.MouseButton.LeftButton)
        await talk.until(lambda: not talk.dictation.microphone.listening, "the microphone ends")
        assert talk.composer.voice.words.text() == "Writing the last words…"
        gate.set()
        await talk.ended()
        assert b"".join(talk.core.spoken) == VOICE
        assert talk.text == "So the reading room opened"

    talk(test)


def test_discarded_before_the_model_listens_it_is_discarded_there_too(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        gate = talk.core.slow["start_dictation"] = asyncio.Event()
        await talk.begin()
        QTest.keyClick(talk.composer.text, Qt.Key.Key_Escape)
        gate.set()
        await talk.presenter.settle()
        assert len(talk.core.called("discard_dictation")) == 1
        assert not talk.dictation.running

    talk(test)


def test_let_go_before_the_microphone_woke_up(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.let_go()
        assert talk.text == ""
        await talk.presenter.settle()
        assert talk.core.called("end_dictation") == []

    talk(test)


# --- Failures


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_microphone_that_cannot_be_heard_says_why(talk: Callable[[Test], None], trouble: Trouble) -> None:
    async def test(talk: Talk) -> None:
        talk.sound.refuses = trouble
        QTest.mousePress(talk.composer.mic, Qt.MouseButton.LeftButton)
        await talk.ended()
        assert talk.error == trouble_words(trouble).title
        assert talk.composer.button.isVisible()

    talk(test)


def test_unplugged_in_the_middle_keeps_what_was_said(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.say()
        talk.sound.there = frozenset()
        await talk.ended()
        assert talk.text == "So the reading room opened"
        assert talk.error == "The microphone was unplugged."

    talk(test)


def test_a_model_that_fails_in_the_middle_keeps_what_was_said(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.say()
        lost = ErrorInfo("ECONNRESET", 0, "Studio desktop went offline.", "Hold the button to go on.")
        talk.core.emit(DictationEnded(talk.dictation._id, "So the reading room", lost))
        await talk.ended()
        assert (talk.text, talk.error) == ("So the reading room", "Studio desktop went offline.")

    talk(test)


def test_a_refusal_of_the_core_is_shown_and_keeps_what_was_said(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.say()
        talk.core.fail["dictate"] = ModelError("The model process ended unexpectedly.", name="WORKER_CRASHED")
        talk.sound.take(VOICE)
        await talk.ended()
        assert talk.text == "So the reading room opened"
        assert talk.error

    talk(test)


def test_words_of_one_that_was_discarded_change_nothing(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        await talk.say()
        old = talk.dictation._id
        QTest.keyClick(talk.composer.text, Qt.Key.Key_Escape)
        talk.core.emit(DictationHeard(old, "late", ""))
        talk.core.emit(DictationEnded(old, "late"))
        assert talk.text == ""

    talk(test)


def test_without_a_model_one_is_offered_and_fetched_in_place(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.presenter.speech.choices = ()
        QTest.mousePress(talk.composer.mic, Qt.MouseButton.LeftButton)
        assert (talk.sound.opened, talk.composer.talking) == (0, False)
        panel = talk.page.conversation.error
        assert talk.error == "No model that understands speech is here."
        assert "MIT License" in panel.message.text()
        get = next(b for b in panel.findChildren(Button) if b.text().startswith("Get "))
        assert get.text() == "Get Whisper base, 82 MB"
        talk.core.slow["download"] = asyncio.Event()
        get.click()
        await asyncio.sleep(0.02)
        assert talk.core.called("download_model") == [("WHISPER_BASE_Q8_0",)]
        assert talk.page.conversation.download.isVisible()
        talk.page.conversation.download.cancel.click()
        await talk.presenter.settle()
        assert talk.core.called("cancel_download") == [("WHISPER_BASE_Q8_0",)]

    talk(test)


# --- Who hears it


def test_the_provider_that_answers_hears_it_if_it_can() -> None:
    local, big = WHISPER, SpeechChoice("Whisper small")
    answers = Target(scenes.STUDIO, "qwen3-8b")
    assert listener_for(answers, (local, REMOTE)) == REMOTE
    assert listener_for(answers, (local,)) == local
    assert listener_for(Target(), (REMOTE,)) is None
    assert listener_for(Target(), (big, local)) == local  # loaded
    assert listener_for(answers, (SpeechChoice("x", scenes.STUDIO, usable=False, reason="busy"), big)) == big


def test_who_hears_it_is_told(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        talk.core.speech = (WHISPER, REMOTE)
        talk.core.emit(ProvidersChanged(talk.core.provider_list))
        await talk.presenter.settle()
        await talk.begin()
        assert talk.composer.voice.heard_by.text() == "heard by Studio desktop"
        await talk.say()
        assert talk.core.called("start_dictation") == [(Target(scenes.STUDIO, "Whisper large v3 turbo"), "")]

    talk(test)


def test_the_language_is_kept_and_used(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        voice = talk.composer.voice
        assert [voice.language.itemText(i) for i in range(voice.language.count())] == [
            "Any language",
            "English",
            "German",
        ]
        voice.language.setCurrentIndex(2)
        voice.language.activated.emit(2)
        await talk.say()
        await talk.let_go()
        await talk.presenter.settle()
        assert talk.core.settings["speech_language"] == "de"
        await talk.begin()
        await talk.say()
        assert talk.core.called("start_dictation")[-1] == (Target("", "Whisper base"), "de")

    talk(test)


def test_the_suggested_model_is_in_the_catalog_and_of_many_languages() -> None:
    model = suggested_model()
    assert model.model_type == "whispercpp-transcription"
    assert "_EN_" not in model.name


def test_the_systems_page_opens_where_there_is_one() -> None:
    assert settings_page(Trouble.REFUSED, "win32").startswith("ms-settings:")
    assert settings_page(Trouble.REFUSED, "darwin").startswith("x-apple.systempreferences:")
    assert settings_page(Trouble.REFUSED, "linux") == ""
    assert settings_page(Trouble.NO_MICROPHONE, "win32") == ""


def test_the_level_moves_twenty_times_a_second_and_one_bar_where_motion_is_unwanted(
    qapp: QApplication, theme: Theme
) -> None:
    bars = LevelBars(theme)
    assert bars.still
    assert bars._frames.interval() == 50
    for _frame in range(40):
        bars.add(0.5)
        bars.add(0.2)
        bars._frame()
    assert bars.levels == (0.5,) * BARS
    theme.reduced_motion = False
    try:
        assert not bars.still
    finally:
        theme.reduced_motion = True


def test_samples_make_the_time(talk: Callable[[Test], None]) -> None:
    async def test(talk: Talk) -> None:
        await talk.begin()
        talk.sound.take(VOICE * (61 * SAMPLE_RATE // 800))
        await talk.until(lambda: talk.composer.voice.time.text() == "1:01", "the time")

    talk(test)
