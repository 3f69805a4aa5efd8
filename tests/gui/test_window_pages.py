"""Pages behind the tools at the end of the tab row: how they open, how a person gets back, and what the tools show."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.page_tool import PageTool
from app.window import CHAT, SHARE, MainWindow
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run


class Shelf(QWidget):
    """A page with two regions."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        self.field, self.act = QLineEdit(), QPushButton("Act")
        layout.addWidget(self.field)
        layout.addWidget(self.act)

    def regions(self) -> list[QWidget]:
        return [self.field, self.act]


def added(window: MainWindow) -> tuple[Shelf, PageTool]:
    shelf = Shelf()
    return shelf, window.add_page(shelf, "Shelf", "hard-drive", "Ctrl+J")


def test_a_page_opens_by_tool_and_by_shortcut_and_its_first_region_has_the_focus(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        shelf, tool = added(window)
        window.tabs.setCurrentIndex(SHARE)
        QTest.mouseClick(tool, Qt.MouseButton.LeftButton)
        assert window.stack.currentWidget() is shelf and shelf.field.hasFocus()
        assert tool.isChecked() and tool.accessibleName() == "Shelf"
        assert busy.settings["tab"] == "share"  # the next start is on a tab
        QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
        assert window.stack.currentWidget() is window.chat_page and not tool.isChecked()
        QTest.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)
        assert window.stack.currentWidget() is shelf

    run(test)


def test_every_way_back_leads_to_the_tab_that_was_in_front(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        shelf, tool = added(window)
        window.tabs.setCurrentIndex(SHARE)

        def back(step: object) -> None:
            assert window.stack.currentWidget() is window.share_page, step
            assert window.tabs.currentIndex() == SHARE

        for step in ("Esc", "tab", "Enter", "Ctrl+1", "tool", "press"):
            window.open_page(shelf)
            assert window.stack.currentWidget() is shelf
            match step:
                case "Esc":
                    QTest.keyClick(shelf.field, Qt.Key.Key_Escape)
                    assert window.tabs.hasFocus()
                case "tab":
                    place = window.tabs.tabRect(SHARE).center()
                    QTest.mouseClick(window.tabs, Qt.MouseButton.LeftButton, pos=place)
                case "Enter":
                    window.tabs.setFocus()
                    QTest.keyClick(window.tabs, Qt.Key.Key_Return)
                case "Ctrl+1":
                    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
                case "tool":
                    QTest.mouseClick(tool, Qt.MouseButton.LeftButton)
                case "press":
                    action = QAccessible.queryAccessibleInterface(tool).actionInterface()
                    action.doAction("Toggle")
                    await asyncio.sleep(0)
            back(step)

    run(test)


def test_the_other_tab_leaves_the_page_too(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        shelf, _tool = added(window)
        window.tabs.setCurrentIndex(SHARE)
        window.open_page(shelf)
        QTest.mouseClick(window.tabs, Qt.MouseButton.LeftButton, pos=window.tabs.tabRect(CHAT).center())
        assert window.stack.currentWidget() is window.chat_page

    run(test)


def test_escape_on_a_tab_stays(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        added(window)
        window.tabs.setCurrentIndex(SHARE)
        QTest.keyClick(window.tabs, Qt.Key.Key_Escape)
        assert window.stack.currentWidget() is window.share_page and window.isVisible()

    run(test)


def test_f6_walks_the_regions_of_the_page_in_front(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        shelf, _tool = added(window)
        window.open_page(shelf)
        seen = []
        for _press in range(3):
            QTest.keyClick(window, Qt.Key.Key_F6)
            seen.append(window.focusWidget())
        assert seen == [shelf.act, window.tabs, shelf.field]

    run(test)


def test_a_knock_is_told_above_a_page(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        shelf, _tool = added(window)
        window.tabs.setCurrentIndex(SHARE)
        assert not window.knocks.isVisible()
        window.open_page(shelf)
        assert window.knocks.isVisible()
        window.knocks.more.click()
        assert window.stack.currentWidget() is window.share_page

    run(test)


def test_a_small_window_shows_icons_with_names(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        _shelf, tool = added(window)
        wide = tool.sizeHint().width()
        window.resize(1000, 700)
        await asyncio.sleep(0.01)
        assert tool.sizeHint().width() < wide
        assert "Shelf" in tool.toolTip() and tool.accessibleName() == "Shelf"
        window.resize(1280, 800)
        await asyncio.sleep(0.01)
        assert (tool.sizeHint().width(), tool.toolTip()) == (wide, "Ctrl+J")

    run(test)


def test_the_underline_is_the_open_ones(run: Run, busy: FakeCore, theme: Theme) -> None:
    async def test(window: MainWindow) -> None:
        shelf, tool = added(window)
        await asyncio.sleep(0.01)

        def lines(widget: QWidget) -> bool:
            image = widget.grab().toImage()
            accent = theme.colour("accent")
            return any(image.pixelColor(x, image.height() - 1) == accent for x in range(image.width()))

        assert (lines(window.tabs), lines(tool)) == (True, False)
        window.open_page(shelf)
        assert (lines(window.tabs), lines(tool)) == (False, True)
        window.close_page()
        assert (lines(window.tabs), lines(tool)) == (True, False)

    run(test)


def test_a_tool_shows_a_progress(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        _shelf, tool = added(window)
        before = tool.grab().toImage()
        tool.show_progress(0.5)
        assert tool.grab().toImage() != before and tool.accessibleDescription() == "50%"
        tool.show_progress(None)
        assert tool.grab().toImage() == before

    run(test)
