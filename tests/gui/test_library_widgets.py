"""Widgets that came with the library: check boxes, meters, tables with a chosen row, badges and quiet buttons."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QAccessible, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget

from app import accessible
from app.presenters.table_rows import Cell, Column, Row
from app.theme import Theme
from app.widgets.check_box import CheckBox
from app.widgets.meter import Meter, Part, PartsMeter
from app.widgets.table import Table

COLUMNS = (Column("Model"), Column("Download", 80, right=True), Column("", 120, right=True, spoken="Act"))


def _rows(*keys: str, without: str = "") -> list[Row]:
    return [
        Row(key, (Cell(key, badge="beside you"), Cell("1.1 GB"), Cell() if key == without else Cell(button="Get")))
        for key in keys
    ]


def _shown(widget: QWidget) -> None:
    widget.show()
    QTest.qWaitForWindowExposed(widget)


def test_a_check_box_is_clicked_by_mouse_and_keyboard_and_says_what_it_is(qapp: QApplication, theme: Theme) -> None:
    box = CheckBox(theme, "Gemma 3 27B", name="Remove Gemma 3 27B, 16.5 GB")
    wanted: list[bool] = []
    box.clicked.connect(lambda: wanted.append(box.isChecked()))
    _shown(box)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    QTest.keyClick(box, Qt.Key.Key_Space)
    box.setChecked(True)
    assert wanted == [True, False]
    found = QAccessible.queryAccessibleInterface(box)
    assert found.role() is QAccessible.Role.CheckBox
    assert found.text(QAccessible.Text.Name) == "Remove Gemma 3 27B, 16.5 GB"
    assert found.state().checked


def test_the_mark_of_a_check_box_is_painted(qapp: QApplication, theme: Theme) -> None:
    box = CheckBox(theme, "A")
    _shown(box)
    off = box.grab().toImage()
    box.setChecked(True)
    on = box.grab().toImage()
    accent, onacc = theme.colour("accent"), theme.colour("onacc")
    seen = {on.pixelColor(x, y).name() for x in range(16) for y in range(box.height())}
    assert off != on
    assert {accent.name(), onacc.name()} <= seen


def test_a_meter_says_its_value_and_warns_above_80_percent(qapp: QApplication, theme: Theme) -> None:
    accessible.install()
    meter = Meter(theme, "Memory")
    meter.resize(120, 30)
    _shown(meter)
    meter.resize(120, meter.sizeHint().height())
    meter.show_value(0.5, "12 GB")
    quiet = meter.grab().toImage()
    meter.show_value(0.9, "21.6 GB")
    assert meter.bar.accessibleName() == "Memory, 21.6 GB"
    assert QAccessible.queryAccessibleInterface(meter.bar).role() is QAccessible.Role.ProgressBar
    assert theme.colour("warn").name() in _colours(meter.grab().toImage())
    assert theme.colour("warn").name() not in _colours(quiet)


def _colours(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(0, image.width(), 5) for y in range(image.height())}


def test_parts_of_a_whole_stand_side_by_side_with_their_words(qapp: QApplication, theme: Theme) -> None:
    meter = PartsMeter(theme, "Disk")
    meter.show_parts([Part(25, "25 GB models"), Part(50, "50 GB other files", "text3")], 100, "25 GB free")
    assert meter.bar.fractions() == (0.25, 0.75)
    assert meter.bar.accessibleName() == "Disk, 25 GB models, 50 GB other files, 25 GB free"
    meter.show_parts([Part(0, "no models"), Part(900, "too much", "text3")], 100, "")
    assert meter.bar.fractions() == (0.0, 1.0)
    meter.show_parts([], 0, "")
    assert meter.bar.fractions() == ()
    meter.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    meter.show_parts([Part(25, "25 GB models")], 100, "75 GB free")
    meter.resize(200, 40)
    _shown(meter)
    image = meter.grab().toImage()
    assert image.pixelColor(195, 3) == theme.colour("accent")
    assert image.pixelColor(5, 3) == theme.colour("track")


class _Page(QWidget):
    """A table with a chosen row, and what it said."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.table = Table(theme, "Models", COLUMNS, row_height=44, fit=False, selecting=True)
        layout = QVBoxLayout(self)
        layout.addWidget(QLineEdit())  # has the focus first, as the search has
        layout.addWidget(self.table)
        self.said: list[tuple[str, str]] = []
        self.table.chosen.connect(lambda key: self.said.append(("chosen", key)))
        self.table.opened.connect(lambda key: self.said.append(("opened", key)))
        self.table.pressed.connect(lambda key: self.said.append(("pressed", key)))
        # As the page does it: the chosen row's act stands elsewhere.
        self.table.chosen.connect(lambda key: self.table.show_rows(_rows("a", "b", "c", without=key)))
        self.table.show_rows(_rows("a", "b", "c"))
        self.resize(500, 300)

    def press_button(self, row: int) -> None:
        index = self.table.rows.index(row, 2)
        box = self.table.delegate.button_rect(QRectF(self.table.visualRect(index)), 2, self.table.rows.cell(index))
        QTest.mouseClick(self.table.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())


def test_one_row_is_chosen_by_keyboard_opened_with_enter_and_acted_on_with_space(
    qapp: QApplication, theme: Theme
) -> None:
    page = _Page(theme)
    _shown(page)
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_Down)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    QTest.keyClick(page.table, Qt.Key.Key_Space)
    assert page.said == [("chosen", "a"), ("chosen", "b"), ("opened", "b"), ("pressed", "b")]


def test_the_button_of_another_row_acts_though_choosing_it_would_take_the_button_away(
    qapp: QApplication, theme: Theme
) -> None:
    page = _Page(theme)
    _shown(page)
    page.press_button(2)
    assert page.said == [("pressed", "c")]


def test_the_chosen_row_stays_chosen_when_rows_come_and_go(qapp: QApplication, theme: Theme) -> None:
    page = _Page(theme)
    _shown(page)
    page.table.show_choice("b")
    page.table.show_rows(_rows("c", "b", "a"))
    page.table.show_rows(_rows("z", "b", "y"))
    assert page.table.current_key == "b"
    page.table.show_rows(_rows("z"))
    assert page.table.current_key == ""
    assert page.said == []  # nobody chose anything
