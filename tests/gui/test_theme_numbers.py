"""Number fields and sliders: what counts as chosen, the wheel, bounds, a mirrored page, and their names."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.number import Number, TimeField
from app.widgets.slider import SliderNumber


def wheel(widget: QWidget) -> QWheelEvent:
    centre = QPointF(widget.rect().center())
    event = QWheelEvent(
        centre,
        widget.mapToGlobal(centre),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event


def on_screen(qtbot: QtBot, *widgets: QWidget) -> QWidget:
    page = QWidget()
    qtbot.addWidget(page)
    layout = QVBoxLayout(page)
    for widget in widgets:
        layout.addWidget(widget)
    with qtbot.waitActive(page):
        page.show()
    return page


def test_only_what_people_do_is_chosen(qtbot: QtBot, theme: Theme) -> None:
    number, clock, both = Number(theme, "N", 0, 9), TimeField(theme, "T"), SliderNumber(theme, "S", 0, 100, step=10)
    _page = on_screen(qtbot, number, clock, both)
    said: list[object] = []
    for field in (number, clock, both):
        field.chosen.connect(said.append)
    number.show_value(3)
    clock.show_value("08:30")
    both.show_value(50)
    assert said == []
    assert (number.value(), clock.text_value, both.value) == (3, "08:30", 50)
    for stepped in (number, clock, both.slider):
        stepped.setFocus()
        QTest.keyClick(stepped, Qt.Key.Key_Up)
    assert said == [4, "09:30", 60]


def test_a_number_is_taken_when_it_is_whole(qtbot: QtBot, theme: Theme) -> None:
    number = Number(theme, "Port", 0, 65_535, grouped=False)
    _page = on_screen(qtbot, number)
    said: list[int] = []
    number.chosen.connect(said.append)
    number.setFocus()
    number.selectAll()
    QTest.keyClicks(number, "4000")
    assert said == []
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert said == [4000] and number.text() == "4000"
    number.selectAll()
    QTest.keyClicks(number, "99999x")  # more than there is: what no longer fits is not written
    QTest.keyClick(number, Qt.Key.Key_Return)
    assert said == [4000, 9999]


def test_the_wheel_scrolls_the_page_unless_the_field_has_the_focus(qtbot: QtBot, theme: Theme) -> None:
    number, other, both = Number(theme, "N", 0, 9), Number(theme, "O", 0, 9), SliderNumber(theme, "S", 0, 9)
    _page = on_screen(qtbot, number, other, both)
    other.setFocus()
    assert not wheel(number).isAccepted()
    assert not wheel(both.slider).isAccepted()
    assert (number.value(), both.value) == (0, 0)
    assert wheel(other).isAccepted()
    assert other.value() == 1


def test_knob_and_field_are_one_value(qtbot: QtBot, theme: Theme) -> None:
    both = SliderNumber(theme, "Text size", 80, 200, step=5, unit="%")
    _page = on_screen(qtbot, both)
    said: list[int] = []
    both.chosen.connect(said.append)
    both.show_value(100)
    both.number.setFocus()
    both.number.selectAll()
    QTest.keyClicks(both.number, "123")
    QTest.keyClick(both.number, Qt.Key.Key_Return)
    assert (said, both.slider.value()) == ([123], 25)
    both.slider.setSliderDown(True)
    both.slider.setSliderPosition(30)
    assert (said, both.number.value()) == ([123], 150)  # still in the hand
    both.slider.setSliderDown(False)
    assert said == [123, 150]


def test_the_filled_part_begins_where_reading_begins(qtbot: QtBot, theme: Theme) -> None:
    both = SliderNumber(theme, "S", 0, 10)
    page = on_screen(qtbot, both)
    both.show_value(3)

    def filled() -> tuple[bool, bool]:
        image = both.slider.grab().toImage()
        accent, middle = theme.colour("accent"), image.height() // 2
        return image.pixelColor(4, middle) == accent, image.pixelColor(image.width() - 5, middle) == accent

    assert filled() == (True, False)
    page.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    assert filled() == (False, True)


def test_their_parts_have_names(qtbot: QtBot, theme: Theme) -> None:
    both = SliderNumber(theme, "Text size", 0, 10)
    _page = on_screen(qtbot, both)
    assert both.slider.accessibleName() == both.number.lineEdit().accessibleName() == "Text size"
    both.setAccessibleName("Schriftgröße")
    assert both.number.lineEdit().accessibleName() == "Schriftgröße"


def test_a_number_stands_beside_its_chevrons_in_both_directions(qtbot: QtBot, theme: Theme) -> None:
    field = Number(theme, "Context", 0, 9000, unit="كلمة")
    qtbot.addWidget(field)
    assert field.alignment() & Qt.AlignmentFlag.AlignRight
    field.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    assert field.alignment() & Qt.AlignmentFlag.AlignLeft
    assert field.alignment() & Qt.AlignmentFlag.AlignAbsolute, "the direction of the text in it says nothing"
