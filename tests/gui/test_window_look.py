"""What the whole window looks like at the edges: a small screen, popups, the side list, the ring, one filled button."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, QSize, Qt, QVariantAnimation
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.presenters.share_rows import LOG_COLUMNS
from app.presenters.table_rows import Cell, Column, Row
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.conversation_list import ConversationList
from app.widgets.dialog import Dialog
from app.widgets.focus import hand_on_focus
from app.widgets.popup import Popup
from app.widgets.switch import Switch
from app.widgets.table import Table
from app.window import MainWindow, first_size
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run


def test_the_first_window_fits_the_screen() -> None:
    """With its title bar, which Qt does not count."""
    assert first_size(QSize(1920, 1080)) == QSize(1280, 800)
    small = first_size(QSize(1280, 800))
    assert small.height() <= 800 - 40
    assert small.width() < 1280
    assert first_size(QSize(640, 480)) == QSize(720, 520)


def test_a_popup_has_no_corners(qtbot: QtBot, theme: Theme) -> None:
    """Where nothing blends them (X11 without a compositor), they would be black."""
    owner = QWidget()
    qtbot.addWidget(owner)
    popup = Popup(theme, "Popup", owner)
    popup.resize(200, 100)
    shape = popup.shape().toImage()

    def inside(x: int, y: int) -> bool:
        return shape.pixelColor(x, y) == QColor(Qt.GlobalColor.black)

    for x, y in ((0, 0), (199, 0), (0, 99), (199, 99), (1, 1)):
        assert not inside(x, y)
    for x, y in ((100, 0), (0, 50), (100, 50), (4, 4)):
        assert inside(x, y)


def test_the_side_list_has_one_colour(qtbot: QtBot, theme: Theme) -> None:
    """Beside its scroll bar, too."""
    side = ConversationList(theme)
    qtbot.addWidget(side)
    side.resize(252, 300)
    side.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
    side.show()
    image = side.grab().toImage()
    colours = {image.pixelColor(x, 290).name().upper() for x in range(251)}
    assert theme.tokens.surface not in colours
    assert theme.tokens.side in colours


def test_the_ring_of_a_table_is_the_keyboards(qtbot: QtBot, theme: Theme) -> None:
    table = Table(theme, "Things", [Column("Name")])
    qtbot.addWidget(table)
    table.show_rows([Row(str(place), (Cell(f"Row {place}"),)) for place in range(3)])
    table.resize(300, 140)
    with qtbot.waitActive(table):
        table.show()

    def has_ring() -> bool:
        image = table.grab().toImage()
        accent = theme.colour("accent")
        return any(image.pixelColor(150, y) == accent for y in range(image.height()))

    table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert has_ring()
    place = table.visualRect(table.rows.index(0, 0)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(place))
    assert not has_ring()
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert has_ring()


@pytest.mark.parametrize("by_keyboard", [False, True])
@pytest.mark.parametrize("end", [QWidget.hide, lambda button: button.setEnabled(False)], ids=["hidden", "disabled"])
def test_a_button_that_goes_away_hands_on_the_ring_of_a_keyboard_only(
    qtbot: QtBot, theme: Theme, end: Callable[[QWidget], None], by_keyboard: bool
) -> None:

    class Window(QWidget):
        def focusNextPrevChild(self, next_: bool) -> bool:
            return hand_on_focus(lambda: super(Window, self).focusNextPrevChild(next_))

    window = Window()
    qtbot.addWidget(window)
    layout = QHBoxLayout(window)
    first, second = Button(theme, "Retry"), Button(theme, "Stop")
    layout.addWidget(first)
    layout.addWidget(second)
    with qtbot.waitActive(window):
        window.show()
    second.setFocus()
    first.setFocus(Qt.FocusReason.TabFocusReason if by_keyboard else Qt.FocusReason.MouseFocusReason)
    end(first)
    assert second.hasFocus()
    assert (second.property("keyboardFocus") == "true") is by_keyboard


@pytest.mark.parametrize("by_keyboard", [False, True])
def test_a_dialog_rings_its_first_control_only_when_a_keyboard_opened_it(
    qtbot: QtBot, theme: Theme, by_keyboard: bool
) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    layout = QHBoxLayout(window)
    other, opener = Button(theme, "Other"), Button(theme, "Open")
    layout.addWidget(other)
    layout.addWidget(opener)
    with qtbot.waitActive(window):
        window.show()
    other.setFocus()
    opener.setFocus(Qt.FocusReason.TabFocusReason if by_keyboard else Qt.FocusReason.MouseFocusReason)
    dialog = Dialog(theme, "Go on?", "", "Go on", parent=window)
    with qtbot.waitActive(dialog):
        dialog.open()
    focus = dialog.focusWidget()
    assert isinstance(focus, Button)
    assert (focus.property("keyboardFocus") == "true") is by_keyboard
    dialog.reject()


def test_the_ring_of_a_button_is_one(qtbot: QtBot, theme: Theme) -> None:
    """Fusion paints a frame of its own around the text, once Tab was pressed in the window."""
    window = QWidget()
    qtbot.addWidget(window)
    layout = QHBoxLayout(window)
    first, second = Button(theme, "Cancel"), Button(theme, "Remove provider", kind="danger")
    layout.addWidget(first)
    layout.addWidget(second)
    with qtbot.waitActive(window):
        window.show()
    first.setFocus()
    QTest.keyClick(first, Qt.Key.Key_Tab)
    assert second.hasFocus()
    image = second.grab().toImage()
    width, height = image.width(), image.height()
    inside = {image.pixelColor(x, y).name() for x in range(6, width - 6) for y in (4, height - 5)}
    assert len(inside) == 1  # above and below the letters


def test_causes_get_the_room_that_is_left() -> None:
    assert [column.title for column in LOG_COLUMNS if column.width == 0] == ["Ended"]
    # Of the card in a window of 1280: more than any of the causes has letters.
    assert 804 - sum(column.width for column in LOG_COLUMNS) >= 220


def test_one_filled_button_on_the_first_page(run: Run, fake_core: FakeCore) -> None:
    fake_core.models = ()

    async def first(window: MainWindow) -> None:
        await asyncio.sleep(0)
        filled = [
            button.text()
            for button in window.share_page.findChildren(QPushButton)
            if button.property("kind") == "primary" and button.isVisibleTo(window.share_page)
        ]
        assert filled == ["Get a small model"]

    run(first)


@pytest.mark.parametrize("wanted", ["true", "", "false"])
def test_less_motion_can_be_asked_for(wanted: str, theme: Theme, run: Run, fake_core: FakeCore) -> None:
    """A switch that is pressed is at its end at once; without the setting it moves there."""
    fake_core.settings["reduced_motion"] = wanted
    theme.reduced_motion = False

    async def test(window: MainWindow) -> None:
        switch = Switch(theme, "Share", parent=window)
        switch.show()
        assert theme.duration(150) == (0 if wanted == "true" else 150)
        switch.click()
        moving = [each for each in switch.findChildren(QVariantAnimation) if each.state() is each.State.Running]
        assert bool(moving) == (wanted != "true")

    try:
        run(test)
    finally:
        theme.reduced_motion = True
