"""The Chat page as a person uses it, with a fake core: keys and clicks in, what is on screen out."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAccessible, QGuiApplication, QPaintEvent, QRegion
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot
from qasync import QEventLoop

from app.presenters.chat import ChatPresenter
from app.presenters.chat_groups import Entry
from app.theme import Theme
from app.views import chat_conversation
from app.views.chat_page import ChatPage
from app.widgets.chat.answer_row import AnswerRow
from app.widgets.chat.composer import LEFT, PRIVACY, PRIVATE, Composer
from app.widgets.chat.conversation_list import ROLE
from app.widgets.chat.question_row import QuestionRow
from app.widgets.chat.seam import Seam
from qvac_core.core.state import (
    AnswerFinished,
    AnswerPlace,
    AnswerSeam,
    AnswerStarted,
    AnswerTokens,
    ConnectionStage,
    DownloadChanged,
    DownloadState,
    Draft,
    Message,
    Stage,
    Target,
)
from qvac_core.errors import NetworkError
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import MY_KEY, FakeCore, Script

# What the offscreen platform says when a popup opens.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True)

ATTIC = "5510" + scenes.STUDIO[4:]
Z_BASE_32 = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyo"


@dataclass
class Chat:
    """The page, with short words for what a person does."""

    qtbot: QtBot
    loop: QEventLoop
    core: FakeCore
    presenter: ChatPresenter
    page: ChatPage

    def settle(self, *, answers: bool = True) -> None:
        async def all_of_it() -> None:
            await self.presenter.settle()
            if answers:
                await self.core.answers_ended()
                await self.presenter.settle()
            for _round in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(all_of_it())

    def type(self, text: str) -> None:
        QTest.keyClicks(self.page.conversation.composer.text, text)

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.page.conversation.composer.text, key, modifier)

    def ask(self, text: str, *, answers: bool = True) -> None:
        self.type(text)
        self.press(Qt.Key.Key_Return)
        self.settle(answers=answers)

    def last(self) -> AnswerRow:
        row = self.page.conversation.messages.rows[-1]
        assert isinstance(row, AnswerRow)
        return row

    def acts(self) -> dict[str, QPushButton]:
        """The buttons of the last answer's failure."""
        buttons = self.last().error.findChildren(QPushButton)
        return {button.text(): button for button in buttons if button.isVisibleTo(self.last())}

    def waiting(self) -> bool:
        return self.page.conversation.composer.waiting

    @property
    def composed(self) -> str:
        return self.page.conversation.composer.text.toPlainText()


Open = Callable[..., Chat]


@pytest.fixture
def open_chat(qtbot: QtBot, qloop: QEventLoop, theme: Theme) -> Iterator[Open]:
    opened: list[tuple[Chat, DirectProxy]] = []

    def open_it(core: FakeCore, size: tuple[int, int] = (1280, 728)) -> Chat:
        proxy = DirectProxy(core)
        presenter = ChatPresenter(proxy, clock=core.clock)
        with theme.undressed():
            page = ChatPage(presenter, theme)
        qtbot.addWidget(page)
        chat = Chat(qtbot, qloop, core, presenter, page)
        opened.append((chat, proxy))

        async def begin() -> None:
            await proxy.start()
            page.resize(*size)
            page.show()
            await presenter.load()

        qloop.run_until_complete(begin())
        return chat

    yield open_it

    async def end() -> None:
        for chat, proxy in opened:
            await chat.presenter.close()
            await proxy.close()

    qloop.run_until_complete(end())


@contextmanager
def no_browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    opened: list[str] = []
    monkeypatch.setattr(chat_conversation, "_open", lambda url: opened.append(url.toString()))
    yield opened


def populated() -> FakeCore:
    return scenes.chat()


# --- Asking


def test_enter_sends_and_the_answer_streams_in(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.ask("Shift")
    assert chat.core.called("ask") == [("merge", "Shift")]
    assert chat.composed == ""
    assert chat.last().message.text == "Hello, world."
    assert chat.last().stats.words == "Studio desktop · direct · first token 0.31 s · 64 tok/s · 212 in, 248 out"


def test_shift_enter_is_a_new_line(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.type("one")
    chat.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    chat.type("two")
    assert chat.composed == "one\ntwo"
    assert chat.core.called("ask") == []


def test_stop_stands_where_send_stood_and_esc_stops(open_chat: Open) -> None:
    core = populated()
    core.script = Script(hold=True)
    chat = open_chat(core)
    button = chat.page.conversation.composer.button
    place = button.geometry()
    chat.ask("Go", answers=False)
    assert button.text() == "Stop"
    assert button.kind == "stop"
    assert button.geometry().topRight() == place.topRight()
    chat.press(Qt.Key.Key_Escape)
    assert button.text() == "Stopping…"
    assert not button.isEnabled()
    chat.settle()
    assert button.text() == "Send"
    assert chat.last().message.status == "stopped"
    assert chat.last().stats.words.endswith("you stopped it")


def test_a_question_typed_meanwhile_waits_for_the_end(open_chat: Open) -> None:
    core = populated()
    core.script = Script(hold=True)
    chat = open_chat(core)
    chat.ask("First", answers=False)
    chat.ask("Second", answers=False)
    assert chat.composed == "Second"
    assert chat.waiting()
    chat.press(Qt.Key.Key_Escape)
    assert not chat.waiting()
    chat.press(Qt.Key.Key_Return)
    core.script = Script()
    chat.core.release()
    chat.settle()
    assert [text for _, text in core.called("ask")] == ["First", "Second"]
    assert chat.composed == ""


def test_a_new_placeholder_is_painted(qtbot: QtBot, theme: Theme) -> None:
    """Qt knows the new text and goes on showing the old one until something else is painted there."""
    composer = Composer(theme)
    qtbot.addWidget(composer)
    composer.resize(600, 90)
    composer.show()
    qtbot.waitExposed(composer)
    painted: list[QRegion] = []

    class Watch(QObject):
        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
            if isinstance(event, QPaintEvent):
                painted.append(event.region())
            return False

    watch = Watch()
    viewport = composer.text.viewport()
    qtbot.wait(20)
    viewport.installEventFilter(watch)
    for answering, says in ((True, "waits until"), (False, "Ask Studio")):
        painted.clear()
        composer.show_state(name="Studio", local=False, answering=answering)
        qtbot.wait(20)
        assert says in composer.text.placeholderText()
        assert any(region.boundingRect().width() == viewport.width() for region in painted)


def test_a_draft_stays_with_its_conversation(open_chat: Open) -> None:
    core = populated()
    chat = open_chat(core)
    chat.type("half a thought")
    chat.page._choose("zfs")
    chat.settle()
    assert chat.composed == ""
    titles = {row.title: row.when for row in chat.page.side.model._rows if isinstance(row, Entry)}
    assert titles["Barcode CSV merge"] == "draft"
    chat.type("other")
    chat.page._choose("merge")
    chat.settle()
    assert chat.composed == "half a thought"
    chat.press(Qt.Key.Key_Return)
    chat.settle()
    assert chat.composed == "" and core.called("ask") == [("merge", "half a thought")]
    chat.page._choose("zfs")
    chat.settle()
    assert chat.composed == "other"


def test_what_waited_when_the_program_ended_is_told(open_chat: Open) -> None:
    core = populated()
    core.kept_drafts["merge"] = Draft("Second", waiting=True)
    chat = open_chat(core)
    composer = chat.page.conversation.composer
    assert chat.composed == "Second" and composer.privacy.text() == LEFT
    assert core.called("ask") == []
    chat.type("?")
    assert composer.privacy.text() == PRIVACY


def test_up_in_an_empty_composer_edits_the_last_question(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.press(Qt.Key.Key_Up)
    row = [row for row in chat.page.conversation.messages.rows if isinstance(row, QuestionRow)][-1]
    assert row.edit is not None
    assert row.edit.text.toPlainText() == "Will that hold for two million rows?"
    QTest.keyClick(row.edit.text, Qt.Key.Key_Escape)
    assert row.edit is None


def test_who_reads_it_is_said_in_the_composer(open_chat: Open) -> None:
    chat = open_chat(populated())
    composer = chat.page.conversation.composer
    assert composer.privacy.text() == PRIVACY
    chat.presenter.set_target(Target("", "qwen3-4b"))
    chat.settle()
    assert composer.privacy.text() == PRIVATE
    assert composer.text.placeholderText() == "Ask this machine"


def test_waiting_says_what_the_provider_does(open_chat: Open) -> None:
    core = populated()
    core.script = Script(pieces=(), hold=True)
    chat = open_chat(core)
    chat.ask("Go", answers=False)
    core.emit(ConnectionStage(scenes.STUDIO, Stage.LOADING, 1.0, 0.64))
    assert chat.last().waiting.text() == "Studio desktop loads Qwen3 8B, 64%…"
    core.release()
    chat.settle()


def test_who_goes_on_is_said_before_the_first_word(open_chat: Open) -> None:
    """The provider ends before it has said anything, or in the middle; this machine reads for a long time."""
    core = populated()
    chat = open_chat(core)
    for offset, text in ((0, ""), (3, "Yes")):
        answer = Message(f"late-{offset}", "assistant", "", scenes.NOW, "streaming")
        core.emit(ConnectionStage(scenes.STUDIO, Stage.READY, 0.0))
        core.emit(AnswerStarted("merge", answer))
        if text:
            core.emit(AnswerTokens("merge", answer.id, text))
        core.emit(AnswerSeam("merge", answer.id, offset, scenes.SEAM))
        row = chat.last()
        assert [widget.sentence for widget in row.view.widgets if isinstance(widget, Seam)] == [scenes.SEAM]
        assert row.view.isVisible() and row.waiting.isVisible()
        assert row.waiting.text() == "This machine is reading…"
        core.emit(AnswerTokens("merge", answer.id, " and more"))
        assert not row.waiting.isVisible()
        core.emit(AnswerFinished("merge", replace(answer, text=f"{text} and more", status="done")))


def test_the_place_in_a_providers_line_is_told_until_it_is_ones_turn(open_chat: Open) -> None:
    core = populated()
    chat = open_chat(core)
    answer = Message("late", "assistant", "", scenes.NOW, "streaming", stats=chat.presenter.messages[-1].stats)
    core.emit(ConnectionStage(scenes.STUDIO, Stage.READY, 0.0))
    core.emit(AnswerStarted("merge", answer))
    row = chat.last()
    reading = row.waiting.text()
    for place, words in ((3, "You are number 3 in line."), (1, "You are the next in line.")):
        core.emit(AnswerPlace(answer.id, place))
        assert row.waiting.text().endswith(words)
    for place, wait, words in ((2, 43.0, "number 2 in line: about 45 s."), (1, 95.0, "in about 1 min 30 s.")):
        core.emit(AnswerPlace(answer.id, place, wait))
        assert row.waiting.text().endswith(words)
    core.emit(AnswerPlace(answer.id, 0))
    assert row.waiting.text() == reading
    core.emit(AnswerPlace(answer.id, 2))
    core.emit(AnswerFinished("merge", replace(answer, status="stopped")))
    assert chat.presenter.places == {}


def test_the_answer_is_copied_and_asked_again(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.ask("Go")
    chat.last().stats.copy.click()
    assert QGuiApplication.clipboard().text() == "Hello, world."
    chat.last().stats.again.click()
    chat.settle()
    assert chat.core.called("retry") == [("merge",)]
    assert len(chat.page.conversation.messages.rows) == len(chat.presenter.messages)


def test_the_room_is_told_only_where_the_whole_prompt_was_counted(open_chat: Open) -> None:
    """Of an answer that was stopped the prompt is not known: its own tokens alone are not the conversation's."""
    core = populated()
    chat = open_chat(core)
    chat.ask("Go")
    assert chat.page.conversation.composer.room.text() == "460 of 8k tokens"
    core.script = Script(pieces=("Half",), stats=replace(scenes.STATS, prompt_tokens=0, generated_tokens=115))
    chat.ask("Go on")
    assert chat.page.conversation.composer.room.text() == ""


def test_a_click_anywhere_in_the_composer_writes_there(open_chat: Open) -> None:
    chat = open_chat(populated())
    composer = chat.page.conversation.composer
    with chat.qtbot.waitActive(chat.page):
        chat.page.activateWindow()
    chat.page.conversation.bar.picker.setFocus()
    QTest.mouseClick(composer.privacy, Qt.MouseButton.LeftButton)
    assert composer.text.hasFocus()


# --- Failing


def test_a_failure_names_its_remedy_and_retry_works(open_chat: Open) -> None:
    core = populated()
    core.script = Script(pieces=("Half",), stats=None, error=scenes.OFFLINE)
    chat = open_chat(core)
    chat.ask("Go")
    row = chat.last()
    assert row.error.isVisibleTo(row)
    assert row.error.title.text() == scenes.OFFLINE.title
    core.script = Script()
    with chat.qtbot.waitActive(chat.page):
        chat.page.activateWindow()
    QTest.mouseClick(chat.acts()["Retry"], Qt.MouseButton.LeftButton)
    chat.settle()
    assert chat.page.conversation.composer.text.hasFocus()  # its button is gone; a person writes on
    assert chat.last().message.text == "HalfHello, world."
    assert not chat.last().error.isVisibleTo(chat.last())


def test_a_model_that_is_no_longer_shared_is_not_offered_again(open_chat: Open) -> None:
    """What the provider shares was asked when it connected, and the model stands there still."""
    core = populated()
    core.script = Script(pieces=("Half",), stats=None, error=scenes.MODEL_OFF)
    chat = open_chat(core)
    assert chat.presenter.target.model == "qwen3-8b"
    chat.ask("Go")
    assert set(chat.acts()) == {"Use GPT-OSS 20B", "Try again", "Copy details"}


def test_a_conversation_that_is_too_long_is_not_retried(open_chat: Open) -> None:
    """What was too long once is so again."""
    core = populated()
    core.script = Script(pieces=(), stats=None, error=scenes.TOO_LONG)
    chat = open_chat(core)
    chat.ask("Go")
    assert set(chat.acts()) == {"New conversation", "Copy details"}
    chat.acts()["New conversation"].click()
    chat.settle()
    assert chat.presenter.messages == []


def test_who_has_used_up_a_day_is_led_to_somebody_else(open_chat: Open) -> None:
    """The same machine refuses the question until tomorrow."""
    core = populated()
    core.script = Script(pieces=(), stats=None, error=scenes.USED_UP)
    chat = open_chat(core)
    chat.ask("Go")
    first, *others = chat.acts()
    assert others[-2:] == ["Retry", "Copy details"]
    asked = chat.presenter.target
    core.script = Script()
    chat.acts()[first].click()
    chat.settle()
    assert chat.presenter.target.provider_key != asked.provider_key
    assert chat.last().message.text == "Hello, world."


def test_refused_offers_to_ask_again_my_key_and_this_machine(open_chat: Open) -> None:
    core = populated()
    core.script = Script(pieces=(), stats=None, error=scenes.REFUSED)
    chat = open_chat(core)
    chat.ask("Go")
    assert list(chat.acts()) == ["Ask again", "Copy my key", "Chat on this machine", "Copy details"]
    chat.acts()["Copy my key"].click()
    assert QGuiApplication.clipboard().text() == MY_KEY
    core.script = Script(stats=scenes.LOCAL_STATS)
    chat.acts()["Chat on this machine"].click()
    chat.settle()
    assert core.called("set_target") == [("merge", Target())]
    assert chat.last().stats.who.text() == "This machine"


def test_not_found_offers_to_check_the_key(open_chat: Open) -> None:
    core = populated()
    core.script = Script(pieces=(), stats=None, error=scenes.NOT_FOUND)
    chat = open_chat(core)
    chat.ask("Go")
    chat.acts()["Check the key"].click()
    assert chat.page.dialog is not None
    assert chat.page.dialog.key.key == scenes.STUDIO
    chat.page.dialog.close()


# --- Conversations


def shown(chat: Chat) -> list[str]:
    model = chat.page.side.model
    return [str(model.index(row).data()) for row in range(model.rowCount())]


def test_conversations_are_listed_opened_and_renamed(open_chat: Open) -> None:
    chat = open_chat(populated())
    assert shown(chat)[:3] == ["Pinned", "Barcode CSV merge", "Exhibition labels, EN to DE"]
    model = chat.page.side.model
    index = model.index(model.row_of("zfs"))
    chat.page.side.view.clicked.emit(index)
    chat.settle()
    assert chat.presenter.open_id == "zfs"
    assert chat.page.side.view.currentIndex().data(ROLE).conversation.id == "zfs"
    model.setData(chat.page.side.view.currentIndex(), "Snapshots")
    chat.settle()
    assert chat.core.called("rename_conversation") == [("zfs", "Snapshots")]
    assert "Snapshots" in shown(chat)


def click(chat: Chat, conversation_id: str) -> None:
    view = chat.page.side.view
    place = view.visualRect(chat.page.side.model.index(chat.page.side.model.row_of(conversation_id))).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def keys(text: str) -> None:
    """To whatever has the focus, as from a keyboard."""
    for letter in text:
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClicks(focus, letter)


def press(key: Qt.Key) -> None:
    focus = QApplication.focusWidget()
    assert focus is not None
    QTest.keyClick(focus, key)


@pytest.mark.parametrize("at_once", [True, False])
def test_f2_after_a_click_renames_and_sends_nothing(open_chat: Open, at_once: bool) -> None:
    chat = open_chat(populated())
    QTest.qWaitForWindowActive(chat.page)
    click(chat, "zfs")
    if not at_once:
        chat.settle()
        assert QApplication.focusWidget() is chat.page.conversation.composer.text
    press(Qt.Key.Key_F2)
    chat.settle()  # what was clicked is open by now
    keys("Snapshots")
    press(Qt.Key.Key_Return)
    chat.settle()
    assert chat.core.called("rename_conversation") == [("zfs", "Snapshots")]
    assert chat.core.called("ask") == []
    assert chat.composed == ""
    assert "Snapshots" in shown(chat)


def test_what_the_core_tells_meanwhile_does_not_close_the_editor(open_chat: Open) -> None:
    chat = open_chat(populated())
    QTest.qWaitForWindowActive(chat.page)
    click(chat, "zfs")
    chat.settle()
    press(Qt.Key.Key_F2)
    keys("Snap")
    chat.loop.run_until_complete(
        chat.core.rename_conversation("merge", "Merged")
    )  # another window, an answer that ends
    chat.settle()
    keys("shots")
    press(Qt.Key.Key_Return)
    chat.settle()
    assert chat.core.called("rename_conversation")[-1] == ("zfs", "Snapshots")
    assert chat.composed == ""
    assert {"Snapshots", "Merged"} <= set(shown(chat))


def test_f2_without_a_list_asks_for_the_name(open_chat: Open) -> None:
    chat = open_chat(populated(), (800, 600))
    QTest.qWaitForWindowActive(chat.page)
    chat.presenter.open("zfs")
    chat.settle()
    press(Qt.Key.Key_F2)
    assert chat.page.question is not None
    field = chat.page.question.focusWidget()
    assert isinstance(field, QLineEdit)
    QTest.keyClicks(field, "Snapshots")
    QTest.keyClick(field, Qt.Key.Key_Return)
    chat.settle()
    assert chat.core.called("rename_conversation") == [("zfs", "Snapshots")]
    assert chat.composed == ""


def test_a_search_that_is_typed_while_a_conversation_opens_stays_a_search(open_chat: Open) -> None:
    chat = open_chat(populated())
    QTest.qWaitForWindowActive(chat.page)
    click(chat, "zfs")
    chat.page._search()
    keys("snap")
    chat.settle()
    keys("shot")
    assert chat.page.side.search.text() == "snapshot"
    assert chat.composed == ""


def test_del_asks_before_it_deletes(open_chat: Open) -> None:
    chat = open_chat(populated())
    QTest.keyClick(chat.page.side.view, Qt.Key.Key_Delete)
    question = chat.page.question
    assert question is not None
    assert chat.core.called("delete_conversation") == []
    question.act.click()
    chat.settle()
    assert chat.core.called("delete_conversation") == [("merge",)]


def test_search_shows_what_was_found_or_that_nothing_was(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.page.side.searched.emit("explain")
    chat.settle()
    # What is open stays on top, so that one row is always that of what is shown.
    assert shown(chat) == ["Open now", "Barcode CSV merge", "November", "Explain ZFS snapshots"]
    chat.page.side.searched.emit("kiln")
    chat.settle()
    assert chat.page.side.nothing.title.text() == "Nothing contains “kiln”"
    assert chat.page.side.stack.currentIndex() == 1


def test_a_new_conversation_keeps_the_target(open_chat: Open) -> None:
    chat = open_chat(populated())
    chat.page.side.new.click()
    conversation = chat.page.conversation
    assert conversation.stack.currentWidget() is conversation.empty
    assert conversation.empty.sentence.text() == "Studio desktop will answer, with Qwen3 8B."
    chat.ask("New")
    assert chat.core.called("new_conversation") == [(Target(scenes.STUDIO, "qwen3-8b"),)]


# --- Picker


def test_the_picker_filters_and_chooses_by_keyboard(open_chat: Open) -> None:
    chat = open_chat(populated())
    bar = chat.page.conversation.bar
    assert bar.picker.accessibleName() == "Answering: Provider Studio desktop, reachable, 38 milliseconds, Qwen3 8B"
    bar.open_picker()
    popup = bar.popup
    QTest.keyClicks(popup.search, "gpt")
    assert [popup.model.row(i).text for i in popup.model.all_indexes()] == [  # type: ignore[union-attr]
        "Studio desktop",
        "GPT-OSS 20B",
    ]
    QTest.keyClick(popup.search, Qt.Key.Key_Return)
    chat.settle()
    assert not popup.isVisible()
    assert chat.core.called("set_target") == [("merge", Target(scenes.STUDIO, "gpt-oss-20b"))]
    assert bar.picker.model.text() == "GPT-OSS 20B"


def test_arrows_walk_what_can_be_chosen(open_chat: Open) -> None:
    chat = open_chat(populated())
    popup = chat.page.conversation.bar.popup
    chat.page.conversation.bar.open_picker()
    QTest.keyClick(popup.search, Qt.Key.Key_Down)
    QTest.keyClick(popup.search, Qt.Key.Key_Down)
    row = popup.model.row(popup.tree.currentIndex())
    assert row is not None
    assert row.target == Target(scenes.WORKSHOP, "qwen3-4b")
    QTest.keyClick(popup.search, Qt.Key.Key_Escape)
    assert not popup.isVisible()


def test_an_offline_provider_is_tried_again_from_the_picker(open_chat: Open) -> None:
    chat = open_chat(populated())
    popup = chat.page.conversation.bar.popup
    chat.page.conversation.bar.open_picker()
    QTest.keyClicks(popup.search, "library")
    QTest.keyClick(popup.search, Qt.Key.Key_Return)
    chat.settle()
    assert chat.core.called("connect_provider") == [(scenes.LIBRARY,)]
    assert popup.isVisible()
    library = popup.model.row(popup.model.all_indexes()[0])
    assert library is not None
    assert library.online
    popup.close()


def dead(chat: Chat) -> str:
    """A key that nobody answers for, added and given up on."""
    chat.core.fail["connect_provider"] = NetworkError("Nobody answers.", name="PEER_NOT_FOUND")
    dialog = chat.page.add_provider()
    dialog.key.set_key(ATTIC)
    dialog.start()
    chat.settle()
    dialog.close()
    provider = chat.presenter.provider(ATTIC)
    assert provider is not None and not provider.models
    return ATTIC


def act(menu: QMenu, *path: str) -> None:
    for text in path[:-1]:
        inner = next(action for action in menu.actions() if action.text() == text).menu()
        assert isinstance(inner, QMenu)
        menu = inner
    next(action for action in menu.actions() if action.text() == path[-1]).trigger()


def test_a_provider_that_was_never_reached_can_be_renamed_and_removed(open_chat: Open) -> None:
    chat = open_chat(populated())
    key = dead(chat)
    menu = QMenu()
    chat.page._fill_menu(menu)
    provider = chat.presenter.provider(key)
    assert provider is not None
    act(menu, "Providers", provider.name, "Rename…")
    question = chat.page.question
    assert question is not None
    field = question.focusWidget()
    assert isinstance(field, QLineEdit)
    field.setText("Attic")
    question.act.click()
    chat.settle()
    assert chat.core.called("rename_provider") == [(key, "Attic")]
    again = QMenu()
    chat.page._fill_menu(again)
    act(again, "Providers", "Attic", "Remove…")
    assert chat.page.question is not None
    chat.page.question.act.click()
    chat.settle()
    assert chat.core.called("remove_provider") == [(key,)]
    assert chat.presenter.provider(key) is None


def test_the_picker_renames_and_removes_too(open_chat: Open) -> None:
    chat = open_chat(populated())
    key = dead(chat)
    bar = chat.page.conversation.bar
    for place in ("menu", Qt.Key.Key_F2, Qt.Key.Key_Delete):
        bar.open_picker()
        popup = bar.popup
        index = next(i for i in popup.model.selectable() if (row := popup.model.row(i)) and row.public_key == key)
        if isinstance(place, str):
            popup.tree.customContextMenuRequested.emit(popup.tree.visualRect(index).center())
            act(next(m for m in popup.findChildren(QMenu) if m.isVisible()), "Remove…")
        else:
            popup.tree.setCurrentIndex(index)
            QTest.keyClick(popup.tree, place)
        assert not popup.isVisible(), place
        question = chat.page.question
        assert question is not None
        assert question.act.text() == ("Rename" if place == Qt.Key.Key_F2 else "Remove provider")
        question.reject()
    assert chat.core.called("remove_provider") == []
    assert chat.core.called("rename_provider") == []


# --- Adding a provider


def test_the_key_is_checked_as_it_is_typed(open_chat: Open) -> None:
    chat = open_chat(populated())
    dialog = chat.page.add_provider()
    assert not dialog.go.isEnabled()
    QTest.keyClicks(dialog.key, ATTIC[:20])
    assert dialog.checked.text() == "20 of 64 characters."
    dialog.key.set_key("not a key!")
    assert dialog.checked.property("tone") == "danger"
    dialog.key.set_key(" ".join(ATTIC[i : i + 8] for i in range(0, 64, 8)).upper())
    assert dialog.checked.text() == "Valid key"
    assert dialog.go.isEnabled()
    dialog.close()


def test_a_key_in_z_base_32_is_read(open_chat: Open) -> None:
    chat = open_chat(populated())
    dialog = chat.page.add_provider()
    dialog.key.setText(Z_BASE_32)
    assert len(dialog.key.key) == 64
    assert dialog.checked.text() == "Valid key"
    dialog.close()


def test_my_own_key_means_this_machine(open_chat: Open) -> None:
    chat = open_chat(populated())
    dialog = chat.page.add_provider()
    dialog.key.set_key(MY_KEY)
    assert dialog.checked.text() == "This is your own key: it means this machine."
    dialog.go.click()
    chat.settle()
    assert chat.core.called("add_provider") == []
    assert chat.core.called("set_target") == [("merge", Target())]


def test_a_missing_model_is_told_before_anything_is_sent(open_chat: Open) -> None:
    """My own key means this machine, and that may have no model; or not the one of this conversation any more."""
    core = populated()
    here = core.models
    core.models = ()
    chat = open_chat(core)
    bar = chat.page.conversation.missing
    assert bar.isHidden()
    dialog = chat.page.add_provider(MY_KEY)
    dialog.go.click()
    chat.settle()
    assert bar.isVisible() and bar.line.text.startswith("There is no model on this machine yet.")
    assert bar.get.width() >= bar.get.fontMetrics().horizontalAdvance(bar.get.text())
    assert bar.get.accessibleName() == bar.get.text()
    assert bar.get.isVisible() and bar.add.isVisible() and not bar.use.isVisible()
    chat.presenter.new_conversation()
    assert chat.presenter.target.provider_key  # somebody who can answer
    chat.presenter.chat_here()
    assert chat.page.conversation.empty.sentence.text() == "There is no model on this machine yet."
    core.slow["download"] = asyncio.Event()
    bar.get.click()
    chat.loop.run_until_complete(asyncio.sleep(0.02))
    assert bar.isHidden() and chat.page.conversation.download.isVisible()
    core.slow["download"].set()
    chat.settle()
    assert bar.isHidden()

    core._set_models(here)
    chat.presenter.set_target(Target("", "gone.gguf"))
    assert bar.line.text == "gone.gguf is not on this machine any more. Choose another model."
    assert bar.use.text() == "Use Qwen3 4B" and not bar.get.isVisible()
    bar.use.click()
    assert chat.presenter.target == Target("", "qwen3-4b") and bar.isHidden()


def test_a_provider_is_added_through_all_stages_and_chosen(open_chat: Open) -> None:
    chat = open_chat(populated())
    dialog = chat.page.add_provider()
    dialog.key.set_key(ATTIC)
    dialog.name.setText("Attic machine")
    dialog.go.click()
    chat.settle()
    rows = [row.title.text() for row in dialog.stages.rows.values()]
    assert rows == ["Found on the network", "Connected", "Handshake", "It shares Qwen3 8B and GPT-OSS 20B"]
    assert dialog.go.text() == "Chat with Qwen3 8B"
    dialog.go.click()
    chat.settle()
    assert chat.core.called("add_provider") == [(ATTIC, "Attic machine")]
    assert chat.presenter.target == Target(ATTIC, "qwen3-8b-q4_k_m.gguf")
    assert chat.page.conversation.bar.picker.who.text() == "Attic machine"


@pytest.mark.parametrize(
    ("name", "stage", "acts", "my_key"),
    [
        ("NOT_ADMITTED", "Refused by the owner", ["Ask again", "Chat on this machine"], True),
        ("PEER_NOT_FOUND", "Not found on the network", ["Try again", "Check the key"], False),
        ("PEER_CONNECTION_FAILED", "Found, but it does not answer", ["Try again", "Chat on this machine"], False),
    ],
)
def test_a_failed_connection_says_why_and_what_helps(
    open_chat: Open, name: str, stage: str, acts: list[str], my_key: bool
) -> None:
    core = populated()
    core.fail["connect_provider"] = NetworkError("It failed.", name=name)
    chat = open_chat(core)
    dialog = chat.page.add_provider(ATTIC)
    dialog.start()
    chat.settle()
    titles = [row.title.text() for row in dialog.stages.rows.values() if row.isVisibleTo(dialog)]
    assert titles[-1] == stage
    assert dialog.error.isVisibleTo(dialog)
    assert dialog.mine.isVisibleTo(dialog) == my_key
    buttons = [b for b in dialog.error.findChildren(QPushButton) if b.isVisibleTo(dialog)]
    assert [button.text() for button in buttons][:-1] == acts
    buttons[0].click()
    chat.settle()
    assert dialog.go.text() == "Chat with Qwen3 8B"
    dialog.close()


def test_a_key_that_is_allowed_later_is_connected_in_the_open_dialog(open_chat: Open) -> None:
    core = populated()
    core.fail["connect_provider"] = NetworkError("Not yet.", name="NOT_ADMITTED")
    chat = open_chat(core)
    dialog = chat.page.add_provider(ATTIC)
    dialog.start()
    chat.settle()
    assert dialog.error.isVisibleTo(dialog) and not dialog.go.isVisibleTo(dialog)
    core._change_provider(ATTIC, state="waiting")
    assert dialog.progress.text() == "Waiting for the owner"
    core._change_provider(ATTIC, state="online", models=core.provider_list[0].models)
    assert dialog.progress.text() == "Allowed by the owner"
    assert all(row.isVisibleTo(dialog) for row in dialog.stages.rows.values())
    assert dialog.go.isVisibleTo(dialog) and dialog.go.text() == "Chat with Qwen3 8B"
    assert not dialog.error.isVisibleTo(dialog) and not dialog.mine.isVisibleTo(dialog)
    dialog.close()


def test_cancel_ends_the_attempt(open_chat: Open) -> None:
    core = populated()
    core.slow["connect_provider"] = asyncio.Event()
    chat = open_chat(core)
    dialog = chat.page.add_provider(ATTIC)
    dialog.start()

    async def soon() -> None:
        for _round in range(4):
            await asyncio.sleep(0)

    chat.loop.run_until_complete(soon())
    assert dialog.connecting
    assert dialog.cancel.text() == "Cancel"
    dialog.cancel.click()
    chat.settle()


# --- First start


def test_the_first_screen_has_three_ways(open_chat: Open) -> None:
    chat = open_chat(FakeCore())
    first = chat.page.first_start
    assert chat.page.stack.currentWidget() is first
    assert first.about.text() == "98 MB, Apache 2.0, from Hugging Face"
    assert chat.core.calls == [("start",)]
    with chat.qtbot.waitSignal(chat.presenter.share_requested, timeout=1000):
        first.share.click()
    first.key.set_key(ATTIC)
    first.connect_.click()
    assert chat.page.dialog is not None
    chat.page.dialog.start()
    chat.settle()
    chat.page.dialog.go.click()
    chat.settle()
    assert chat.page.stack.currentWidget() is not first
    assert chat.presenter.target.provider_key == ATTIC


def test_the_small_model_is_downloaded_and_then_chatted_with(open_chat: Open) -> None:
    core = FakeCore()
    core.slow["download"] = asyncio.Event()
    chat = open_chat(core)
    first = chat.page.first_start
    first.get.click()

    async def soon() -> None:
        for _round in range(4):
            await asyncio.sleep(0)

    assert first.here_says == "Download a small model and chat without anybody else. It works offline afterwards."
    chat.loop.run_until_complete(soon())
    assert first.bar.isVisible()
    assert first.cancel.isVisible()
    assert first.rate.text() == "49 of 98 MB, 10 MB/s, about 5 s left"
    core.slow["download"].set()
    chat.settle()
    assert chat.page.stack.currentWidget() is not first
    chat.ask("Hello")
    assert core.called("new_conversation") == [(Target(),)]


def test_a_failed_download_can_be_tried_again(open_chat: Open) -> None:
    chat = open_chat(FakeCore())
    first = chat.page.first_start
    chat.core.emit(DownloadChanged("x", 1, 98_000_000, 0.0, DownloadState.FAILED, scenes.NOT_FOUND))
    assert not first.error.isVisibleTo(first)  # another one, which the Library shows
    small = "SMOLLM2_135M_INST_Q4_1"
    chat.core.emit(DownloadChanged(small, 1, 98_000_000, 0.0, DownloadState.FAILED, scenes.NOT_FOUND))
    assert first.error.isVisibleTo(first)
    button = next(b for b in first.error.findChildren(QPushButton) if b.text() == "Try again")
    button.click()
    chat.settle()
    assert chat.core.called("download_model") == [("",)]


def test_a_model_that_is_here_need_not_be_downloaded(open_chat: Open) -> None:
    """It was added on the other tab before anybody chatted."""
    core = FakeCore()
    core.models = populated().models
    first = open_chat(core).page.first_start
    assert first.get.text() == "Start to chat"
    assert "ownload" not in first.here_says


# --- Links


def test_a_link_is_shown_before_it_is_opened(open_chat: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = open_chat(populated())
    with no_browser(monkeypatch) as opened:
        chat.page.conversation.open_link("https://example.org/a?b=c")
        box = chat.page.conversation.question
        assert box is not None
        assert box.sentence.text() == "https://example.org/a?b=c"
        assert opened == []
        box.act.click()
        assert opened == ["https://example.org/a?b=c"]


def test_an_address_is_shown_truthfully(open_chat: Open) -> None:
    """A look-alike by its encoded name; of a mail address nothing that the mail program would do by itself."""
    chat = open_chat(populated())
    conversation = chat.page.conversation
    for address, shown in (
        ("https://pаypal.com/a b", "https://xn--pypal-4ve.com/a%20b"),  # its first a is Cyrillic
        ("mailto:me@example.org?attach=/etc/passwd", "mailto:me@example.org"),
    ):
        conversation.open_link(address)
        assert conversation.question is not None
        assert conversation.question.sentence.text() == shown
        conversation.question.reject()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "javascript:alert(1)", "mailto:", "https:", "x"])
def test_other_addresses_are_not_opened(open_chat: Open, address: str) -> None:
    chat = open_chat(populated())
    chat.page.conversation.open_link(address)
    assert chat.page.conversation.question is None


# --- Sizes, keyboard, accessibility, life


def test_narrow_the_side_list_is_an_overlay(open_chat: Open) -> None:
    chat = open_chat(populated(), (900, 568))
    assert chat.page.narrow
    assert not chat.page.side.isVisible()
    chat.page.conversation.bar.panel.click()
    assert chat.page.side.isVisible()
    QTest.mouseClick(chat.page.scrim, Qt.MouseButton.LeftButton)
    assert not chat.page.side.isVisible()
    chat.page.resize(1280, 728)
    assert chat.page.side.isVisible()
    assert not chat.page.conversation.bar.panel.isVisible()


def test_the_theme_changes_everything(open_chat: Open, theme: Theme) -> None:
    chat = open_chat(populated())
    theme.choose("dark")
    chat.settle()
    image = chat.page.grab().toImage()
    bright = [
        (x, y)
        for x in range(2, image.width(), 24)
        for y in range(2, image.height(), 24)
        if image.pixelColor(x, y).lightness() > 235
    ]
    assert len(bright) < 40  # letters, not surfaces


def focusable(page: QWidget) -> list[QWidget]:
    widgets = [w for w in page.findChildren(QWidget) if w.focusPolicy() != Qt.FocusPolicy.NoFocus]
    return [w for w in widgets if w.isVisibleTo(page) and w.window() is page.window()]


@pytest.mark.parametrize("core", [populated, FakeCore, lambda: scenes.chat(failed=True)])
def test_everything_that_takes_focus_has_a_name(open_chat: Open, core: Callable[[], FakeCore]) -> None:
    chat = open_chat(core())
    nameless = [
        widget
        for widget in focusable(chat.page)
        if not QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
    ]
    assert nameless == []


def test_every_act_is_in_the_menu(open_chat: Open) -> None:
    chat = open_chat(populated())
    menu = QMenu()
    chat.qtbot.addWidget(menu)
    chat.page._fill_menu(menu)
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts == [
        "New conversation",
        "New window",
        "Open in a new window",
        "Add a provider…",
        "Answer again",
        "Parameters of this conversation",
        "Tools of this conversation…",
        "Copy the last answer",
        "Rename the conversation…",
        "Unpin",
        "Export",
        "Delete the conversation…",
        "Export all conversations…",
        "Import conversations…",
        "Rename Studio desktop…",
        "Remove Studio desktop…",
        "Providers",
    ]


def test_a_page_that_is_closed_is_gone(qtbot: QtBot, theme: Theme) -> None:
    proxy = DirectProxy(populated())
    presenter = ChatPresenter(proxy)
    with theme.undressed():
        page = ChatPage(presenter, theme)
    page.show()
    gone = weakref.ref(page)
    page.deleteLater()
    QApplication.sendPostedEvents(None, 52)  # QEvent.DeferredDelete
    theme.changed.emit()
    del page
    gc.collect()
    assert gone() is None
