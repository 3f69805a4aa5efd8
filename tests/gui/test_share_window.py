"""The main window with a fake core: tabs, shortcuts, what it remembers, names and order of stops, sizes, mirrored."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.presenters.settings_rows import SECTIONS
from app.theme import Theme
from app.views.share_dialogs import KeyDialog
from app.widgets.dialog import Dialog
from app.widgets.segmented import Segmented
from app.window import CHAT, SHARE, MainWindow
from app.window_place import put_back
from qvac_core.core.state import Notice, SharingPhase, SharingState
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON
from tests.gui.share_window import POPUP, Run, dialog_of, settle

# --- First start, tabs, remembering


def test_the_first_start_is_on_chat_and_later_ones_where_one_was(run: Run, fake_core: FakeCore) -> None:
    async def first(window: MainWindow) -> None:
        assert window.tabs.currentIndex() == CHAT
        window.tabs.setCurrentIndex(SHARE)
        assert window.share_page.isVisible()
        await settle(window)
        assert fake_core.settings["tab"] == "share"

    run(first)


def test_the_tab_and_place_come_back(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        assert window.tabs.currentIndex() == SHARE
        window.resize(760, 600)  # the offscreen screen is 800x800
        window.share.set_sharing(False)
        busy.set_sharing(SharingState())
        for request in busy.requests:
            busy.end_request(request.id, "eos")
        left: list[bool] = []
        window.leaving.connect(lambda: left.append(True))
        window.close()
        await settle(window)
        assert left == [True]
        before = window.size()
        window.resize(1280, 800)
        put_back(window, busy.settings["geometry"])
        assert window.size() == before

    run(test)


def test_rubbish_in_the_settings_hurts_nothing(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings = {"geometry": "not base64!", "tab": "nonsense", "theme": "purple"}

    async def test(window: MainWindow) -> None:
        assert window.tabs.currentIndex() == CHAT
        window.open_settings("appearance")
        assert window.settings.page.row("theme").value_words() == "As the system"

    run(test)


@POPUP
def test_shortcuts(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
        QTest.keyClick(window, Qt.Key.Key_2, control)
        assert window.stack.currentWidget() is window.chat_page
        QTest.keyClick(window, Qt.Key.Key_1, control)
        assert window.stack.currentWidget() is window.share_page
        QTest.keyClick(window, Qt.Key.Key_S, control | shift)
        await settle(window)
        assert busy.called("stop_sharing") == [()]
        QTest.keyClick(window, Qt.Key.Key_Comma, control)
        assert window.settings.page.isVisible()
        QTest.keyClick(window, Qt.Key.Key_1, control)
        seen = []
        window.tabs.setFocus()
        for _press in range(len(window.share_page.regions()) + 1):
            QTest.keyClick(window, Qt.Key.Key_F6)
            seen.append(window.focusWidget())
        page = window.share_page
        assert seen == [*page.regions(), window.tabs]

    run(test)


@POPUP
def test_the_theme_is_chosen_in_the_settings_and_kept(run: Run, busy: FakeCore, theme: Theme) -> None:
    async def test(window: MainWindow) -> None:
        window.open_settings("appearance")
        theme_row = window.settings.page.row("theme").controls[0]
        assert isinstance(theme_row, Segmented)
        theme_row.button("dark").click()
        await window.settings.presenter.settle()
        assert theme.dark
        assert busy.settings["theme"] == "dark"

    run(test)


def test_the_share_tab_carries_its_light(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        assert window.tabs.accessibleTabName(SHARE) == "Share my GPU, sharing is on, 2 on, 1 asks to use it"
        busy.set_sharing(SharingState(SharingPhase.OFF, NOON))
        assert window.tabs.accessibleTabName(SHARE) == "Share my GPU, sharing is off, 1 asks to use it"
        busy.set_sharing(SharingState(SharingPhase.UNREACHABLE, NOON))
        assert window.tabs.accessibleTabName(SHARE).startswith("Share my GPU, sharing is on, not reachable, ")

    run(test)


# --- The window as a whole


def test_quitting_asks_while_guests_are_on(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        left: list[bool] = []
        window.leaving.connect(lambda: left.append(True))
        QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
        dialog = dialog_of(window, Dialog)
        assert "2 people use this GPU now" in dialog.sentence.text()
        dialog.cancel.click()
        assert window.isVisible()
        assert left == []
        window.close()
        dialog_of(window, Dialog).confirm.click()
        assert left == [True]
        assert not window.isVisible()

    run(test)


def test_a_notice_is_shown_until_put_away(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        busy.emit(Notice("A settings file was set aside.", "It could not be read."))
        assert window.notice.isVisible()
        assert window.notice.title.text() == "A settings file was set aside."
        window.notice.close_button.click()
        assert not window.notice.isVisible()

    run(test)


def focusable(root: QWidget) -> list[QWidget]:
    return [
        widget
        for widget in root.findChildren(QWidget)
        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]


@POPUP
def test_every_stop_has_an_accessible_name(run: Run, busy: FakeCore) -> None:
    def nameless(root: QWidget) -> list[str]:
        names = {
            widget: QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
            for widget in focusable(root)
        }
        return [f"{type(widget).__name__} {widget.objectName()}" for widget, name in names.items() if not name]

    async def test(window: MainWindow) -> None:
        window.share_page.access.mode.button("deny").click()
        await settle(window)
        assert len(focusable(window)) > 15
        assert nameless(window) == []
        window.share_page.access.add.click()
        assert nameless(dialog_of(window, KeyDialog)) == []
        dialog_of(window, KeyDialog).close()
        for section in SECTIONS:
            window.open_settings(section.name)
            assert nameless(window.settings.page) == []

    run(test)


def test_tab_walks_the_page_as_the_eye_does(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = window.share_page
        wanted = [
            window.tabs,
            page.status.switch,
            page.key.qr,
            page.key.copy,
            page.models.add,
            page.models.table,
            page.knocks.cards[0].allow,
            page.access.mode.button("allow"),
            page.access.add,
            page.access.table,
            page.running.table,
            page.log.filter,
            page.log.table,
        ]
        window.tabs.setFocus(Qt.FocusReason.TabFocusReason)
        walked: list[QWidget | None] = []
        for _press in range(40):
            walked.append(window.focusWidget())
            QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        places = [walked.index(widget) for widget in wanted]
        assert places == sorted(places)

    run(test)


def test_narrow_is_one_column_with_what_matters_first(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = window.share_page
        for width, narrow in ((900, True), (1280, False), (720, True)):
            window.resize(width, 640)
            await asyncio.sleep(0.02)
            assert page.narrow is narrow
            cards = [page.status, page.knocks, page.running, page.access, page.models, page.key, page.log]
            tops = [card.mapTo(page, card.rect().topLeft()).y() for card in cards]
            if narrow:
                assert tops == sorted(tops)
            # Nothing is wider than the window.
            for card in cards:
                assert card.mapTo(window, card.rect().topRight()).x() < width
            name = page.access.table.columnWidth(0)
            assert name >= 150

    run(test)


def test_acts_whose_texts_find_no_room_keep_their_icons_and_names(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        access = window.share_page.access
        assert access.invites.text() == "Invites" and access.add.text() == "Add a key…"
        longer = access.title_row.sizeHint().width()
        access.fit(longer - 1)
        assert (access.add.text(), access.add.toolTip(), access.add.accessibleName()) == ("", "Add a key…", "Add a key")
        assert access.invites.text() == "Invites" and access.title_row.sizeHint().width() < longer
        access.fit(longer - 90)
        assert access.invites.text() == "" and access.invites.accessibleName() == "Invites"
        access.fit(longer)
        assert access.add.text() == "Add a key…" and access.add.toolTip() == ""

    run(test)


@pytest.mark.parametrize("size", [(1280, 800), (900, 640), (720, 520)])
def test_it_paints_mirrored_and_dark_without_a_warning(
    run: Run, busy: FakeCore, theme: Theme, size: tuple[int, int]
) -> None:
    async def test(window: MainWindow) -> None:
        window.resize(*size)
        window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        theme.choose("dark")
        await asyncio.sleep(0.02)
        picture = window.grab().toImage()
        page = theme.colour("bg")
        assert picture.pixelColor(4, size[1] - 4) == page
        # The first card starts at the right edge now.
        assert window.share_page.status.mapTo(window, window.share_page.status.rect().topRight()).x() > size[0] - 40

    run(test)
