"""The small widgets one by one: keys, copying, busy buttons, switches, tables, errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from app.key_words import group_key
from app.presenters.table_rows import Cell, Column, Row
from app.theme import Theme
from app.widgets.avatar import CELLS, pattern
from app.widgets.button import Button, CopyButton
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.keys import KeyField
from app.widgets.label import Label
from app.widgets.qr import qr_modules
from app.widgets.rows import RowModel
from app.widgets.segmented import Segmented
from app.widgets.switch import Switch
from app.widgets.table import ROW_TWO_LINES, Table
from qvac_core.codec.key_text import KeyCheck, parse_public_key, read_key, short_key
from qvac_core.core.state import ErrorInfo
from tests.gui.fake_core import MY_KEY

Shown = Callable[[QWidget], None]


@pytest.fixture
def shown(qapp: QApplication) -> Shown:
    def show(widget: QWidget) -> None:
        widget.show()
        QTest.qWaitForWindowExposed(widget)

    return show


# --- Keys


@given(st.binary(min_size=32, max_size=32))
def test_a_key_survives_being_shown_and_pasted(raw: bytes) -> None:
    key = raw.hex()
    grouped = group_key(key)
    assert all(len(group) == 4 for group in grouped.split(" "))
    assert parse_public_key(grouped) == raw


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", KeyCheck.EMPTY),
        ("2744 ccd1", KeyCheck.PARTIAL),
        (MY_KEY + "0", KeyCheck.WRONG),
        ("g" * 64, KeyCheck.WRONG),
        ("hello", KeyCheck.WRONG),
    ],
)
def test_what_a_typed_key_is(text: str, state: KeyCheck) -> None:
    assert read_key(text).check is state


@pytest.mark.parametrize(
    "pasted",
    [
        "“{}”",
        "\ufeff{}\u200b\r\n",
        "qvac://{}?name=Studio",
        "\u2066pear://{}/\u2069",
    ],
)
def test_what_is_pasted_into_a_field_is_read_as_on_the_command_line(theme: Theme, shown: Shown, pasted: str) -> None:
    field = KeyField(theme, "Key")
    shown(field)
    for key in (MY_KEY, MY_KEY.upper(), group_key(MY_KEY)):
        QGuiApplication.clipboard().setText(pasted.format(key))
        field.clear()
        QTest.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
        assert field.text() == group_key(MY_KEY)
        assert field.key == MY_KEY


def test_z_base_32_becomes_the_look_that_every_key_has(theme: Theme, shown: Shown) -> None:
    field = KeyField(theme, "Key")
    shown(field)
    QGuiApplication.clipboard().setText("rjuc3dtbqq5ryh6xik4u7jg4uc6gqwfnyfp1kj3pkqbye16s3ooy")
    QTest.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert field.text() == group_key(parse_public_key("rjuc3dtbqq5ryh6xik4u7jg4uc6gqwfnyfp1kj3pkqbye16s3ooy").hex())


def test_a_field_regroups_while_typing_and_copies_without_spaces(theme: Theme, shown: Shown) -> None:
    field = KeyField(theme, "Key")
    heard: list[KeyCheck] = []
    field.checked.connect(lambda state, _sentence: heard.append(state))
    shown(field)
    QTest.keyClicks(field, "2744ccd10")
    assert field.text() == "2744 ccd1 0"
    assert field.cursorPosition() == len(field.text())
    # In the middle too, the cursor stays behind what was typed.
    field.setCursorPosition(2)
    QTest.keyClicks(field, "ff")
    assert field.text() == "27ff 44cc d10"
    assert field.cursorPosition() == 4
    field.set_key(MY_KEY)
    assert field.key == MY_KEY
    assert heard[-1] == KeyCheck.KEY
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == MY_KEY
    QTest.keyClicks(field, "zz")
    assert field.key == ""
    assert read_key(field.text()).check is KeyCheck.WRONG


def test_a_short_key_shows_both_ends() -> None:
    assert short_key(MY_KEY) == "2744 ccd1 … b2e0"


@given(st.binary(min_size=32, max_size=32))
def test_an_avatar_is_mirrored_and_never_blank(raw: bytes) -> None:
    hue, cells = pattern(raw.hex())
    assert pattern(raw.hex().upper()) == (hue, cells)
    rows = [cells[i * CELLS : (i + 1) * CELLS] for i in range(CELLS)]
    assert all(row == row[::-1] for row in rows)
    assert any(cells)
    assert not all(cells)


def test_a_key_is_a_small_qr() -> None:
    modules = qr_modules(MY_KEY.upper())
    assert len(modules) == 29
    # Three finder patterns, none at the fourth corner.
    assert [modules[y][x] for y, x in ((0, 0), (0, 28), (28, 0))] == [True] * 3


# --- Buttons and switches


def test_copying_says_so_and_then_forgets(theme: Theme, shown: Shown) -> None:
    button = CopyButton(theme, MY_KEY, name="Copy my key")
    shown(button)
    width = button.width()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == MY_KEY
    assert button.text() == "Copied"
    assert button.width() >= width
    button._timer.timeout.emit()
    assert button.text() == "Copy"


def test_a_busy_button_keeps_its_width_and_takes_no_clicks(theme: Theme, shown: Shown) -> None:
    button = Button(theme, "Stop sharing now", icon="square")
    clicks: list[bool] = []
    button.clicked.connect(lambda checked=False: clicks.append(checked))
    shown(button)
    width = button.width()
    button.start_busy("Stopping…")
    button.adjustSize()
    assert (button.text(), button.width()) == ("Stopping…", width)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert clicks == []
    button.end_busy()
    assert button.text() == "Stop sharing now"
    assert button.isEnabled()


def test_the_ring_comes_with_the_keyboard_only(theme: Theme, shown: Shown) -> None:
    button = Button(theme, "Allow")
    shown(button)
    button.setFocus(Qt.FocusReason.MouseFocusReason)
    assert button.property("keyboardFocus") != "true"
    button.clearFocus()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert button.property("keyboardFocus") == "true"
    button.clearFocus()
    assert button.property("keyboardFocus") != "true"


def test_a_switch_toggles_with_space(theme: Theme, shown: Shown) -> None:
    switch = Switch(theme, "Share my GPU")
    clicks: list[bool] = []
    switch.clicked.connect(lambda checked=False: clicks.append(checked))
    shown(switch)
    switch.setFocus()
    QTest.keyClick(switch, Qt.Key.Key_Space)
    switch.setChecked(False)
    assert clicks == [True]


def test_segments_tell_clicks_from_code(qapp: QApplication, shown: Shown) -> None:
    segmented = Segmented("Mode", [("a", "One"), ("b", "Two")])
    chosen: list[str] = []
    segmented.chosen.connect(chosen.append)
    shown(segmented)
    segmented.show_choice("b")
    assert (segmented.choice, chosen) == ("b", [])
    segmented.button("a").click()
    assert (segmented.choice, chosen) == ("a", ["a"])


def test_strangers_names_are_text_not_markup(theme: Theme) -> None:
    assert Label("<b>x</b>").textFormat() is Qt.TextFormat.PlainText


def test_an_error_says_what_helps_and_copies_its_code(theme: Theme, shown: Shown) -> None:
    panel = ErrorPanel(theme)
    done: list[str] = []
    shown(panel)
    error = ErrorInfo("MODEL_LOAD_FAILED", 52200, "It was not added.", "This is no GGUF file.")
    for _again in range(2):
        panel.show_error(error, [Act("Try again", lambda: done.append("again"))])
    QApplication.processEvents()
    buttons = {b.text(): b for b in panel.findChildren(QPushButton) if b.isVisibleTo(panel)}
    assert list(buttons) == ["Try again", "Copy details", "Dismiss"]
    assert "52200" not in panel.title.text() + panel.message.text()
    buttons["Try again"].click()
    buttons["Copy details"].click()
    assert done == ["again"]
    assert "MODEL_LOAD_FAILED (52200)" in QGuiApplication.clipboard().text()
    buttons["Dismiss"].click()
    assert not panel.isVisible()


# --- Tables


def rows(keys: str, text: str = "") -> list[Row]:
    return [Row(key, (Cell(text or key),)) for key in keys]


ORDERS = st.lists(st.sampled_from("abcdefgh"), unique=True).map("".join)


@given(st.lists(st.tuples(ORDERS, st.sampled_from(["", "new"])), max_size=6))
def test_the_model_always_ends_at_what_it_was_shown(steps: list[tuple[str, str]]) -> None:
    model = RowModel([Column("Name")])
    count = 0

    def inserted(_parent: object, first: int, last: int) -> None:
        nonlocal count
        count += last - first + 1

    def removed(_parent: object, first: int, last: int) -> None:
        nonlocal count
        count -= last - first + 1

    def reset() -> None:
        nonlocal count
        count = model.rowCount()

    model.rowsInserted.connect(inserted)
    model.rowsRemoved.connect(removed)
    model.modelReset.connect(reset)
    for keys, text in steps:
        model.show(rows(keys, text))
        assert list(model.rows) == rows(keys, text)
        assert count == len(keys)


def test_a_row_on_top_moves_nothing_else(qapp: QApplication) -> None:
    model = RowModel([Column("Name")])
    model.show(rows("bcd"))
    changes: list[str] = []
    model.rowsInserted.connect(lambda *_: changes.append("insert"))
    model.rowsRemoved.connect(lambda *_: changes.append("remove"))
    model.dataChanged.connect(lambda *_: changes.append("data"))
    model.modelReset.connect(lambda: changes.append("reset"))
    model.show(rows("abc"))
    assert changes == ["remove", "insert"]


COLUMNS = (Column("", 50), Column("Name"), Column("Size", 80, right=True), Column("", 60))


def table_rows(on: bool = True) -> list[Row]:
    return [
        Row(key, (Cell(switch=on, accessible=f"Share {key}"), Cell(key), Cell("1"), Cell(menu=True))) for key in "ab"
    ]


def test_a_table_is_as_tall_as_its_rows_and_acts_by_keyboard(theme: Theme, shown: Shown) -> None:
    table = Table(theme, "Models", COLUMNS)
    heard: list[object] = []
    table.toggled.connect(lambda key, on: heard.append((key, on)))
    table.menu_wanted.connect(lambda key, _point: heard.append(("menu", key)))
    table.delete_wanted.connect(lambda key: heard.append(("delete", key)))
    table.resize(500, 100)
    table.show_rows(table_rows())
    shown(table)
    assert table.height() == table.header_height() + 2 * 34
    table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(table, Qt.Key.Key_Space)
    QTest.keyClick(table, Qt.Key.Key_Down)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Delete):
        QTest.keyClick(table, key)
    assert heard == [("a", False), ("menu", "b"), ("delete", "b")]


def test_a_table_acts_by_mouse_only_where_a_control_is(theme: Theme, shown: Shown) -> None:
    table = Table(theme, "Models", COLUMNS)
    heard: list[object] = []
    table.toggled.connect(lambda key, on: heard.append((key, on)))
    table.menu_wanted.connect(lambda key, _point: heard.append(("menu", key)))
    table.resize(500, 100)
    table.show_rows(table_rows(on=False))
    shown(table)
    for column in (1, 0, 3):
        middle = table.visualRect(table.rows.index(1, column)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle + QPoint(2, 0))
    assert heard == [("b", True), ("menu", "b")]


def test_columns_go_in_order_until_the_name_has_room(theme: Theme, shown: Shown) -> None:
    table = Table(theme, "Models", COLUMNS, drop=(2, 3), open_at_least=200)
    shown(table)
    for width, hidden in ((600, []), (330, [2]), (270, [2, 3])):
        table.resize(round(width * theme.breadth), 100)
        assert [column for column in range(4) if table.isColumnHidden(column)] == hidden, width


def test_a_state_without_a_detail_is_painted(theme: Theme, shown: Shown) -> None:
    table = Table(theme, "Models", COLUMNS, row_height=ROW_TWO_LINES)
    table.resize(500, 100)
    shown(table)
    pictures = []
    for cell in (Cell("a"), Cell("a", state="cannot be used", state_tone="danger")):
        table.show_rows([Row("a", (Cell(), cell, Cell("1"), Cell()))])
        pictures.append(table.viewport().grab().toImage())
    assert pictures[0] != pictures[1]


def test_a_screen_reader_hears_cells(theme: Theme) -> None:
    model = RowModel(COLUMNS)
    model.show(table_rows())
    role = Qt.ItemDataRole.AccessibleTextRole
    assert [model.data(model.index(0, column), role) for column in range(3)] == ["Share a", "a", "1"]
