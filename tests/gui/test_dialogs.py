"""Question dialogs by keyboard: Enter presses what has the focus, else the default; Escape says no."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from app.application import _say
from app.theme import Theme
from app.views.share_dialogs import KeyDialog, NameDialog, QrDialog, confirm
from app.widgets.button import Button
from app.widgets.chat.question_box import QuestionBox, ask_for_name
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from qvac_core.errors import StoreError
from tests.gui.fake_core import MY_KEY

KEY = "ab12" * 16


@pytest.fixture
def host(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def press(dialog: QDialog, key: Qt.Key) -> None:
    """To what has the focus in the dialog, as from a keyboard."""
    QTest.keyClick(dialog.focusWidget() or dialog, key)


def tab_to(dialog: QDialog, button: QWidget) -> None:
    for _stop in range(20):
        if dialog.focusWidget() is button:
            return
        press(dialog, Qt.Key.Key_Tab)
    raise AssertionError("Tab does not lead there")


Opened = tuple[QDialog, Button, Button, list[str]]


def danger(theme: Theme, host: QWidget) -> Opened:
    said: list[str] = []
    dialog = confirm(theme, "Stop sharing and quit?", "One person uses it.", "Quit", lambda: said.append("yes"), host)
    return dialog, dialog.cancel, dialog.confirm, said


def plain(theme: Theme, host: QWidget) -> Opened:
    said: list[str] = []
    dialog = Dialog(theme, "Go on?", "", "Go on", parent=host)
    dialog.accepted.connect(lambda: said.append("yes"))
    dialog.open()
    return dialog, dialog.cancel, dialog.confirm, said


def boxed(kind: str) -> Callable[[Theme, QWidget], Opened]:
    def make(theme: Theme, host: QWidget) -> Opened:
        said: list[str] = []
        box = QuestionBox(theme, "Delete it?", "", "Delete", kind=kind, parent=host)
        box.accepted.connect(lambda: said.append("yes"))
        box.open()
        return box, box.cancel, box.act, said

    return make


@pytest.mark.parametrize(
    ("make", "at_once"), [(danger, []), (plain, ["yes"]), (boxed("danger"), []), (boxed("primary"), ["yes"])]
)
@pytest.mark.parametrize("enter", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_presses_the_focused_button(
    theme: Theme, host: QWidget, make: Callable[[Theme, QWidget], Opened], at_once: list[str], enter: Qt.Key
) -> None:
    for wanted, answer in (("", at_once), ("act", ["yes"]), ("cancel", [])):
        dialog, cancel, act, said = make(theme, host)
        if wanted:
            tab_to(dialog, act if wanted == "act" else cancel)
        press(dialog, enter)
        assert not dialog.isVisible()
        assert said == answer, wanted
    dialog, cancel, act, said = make(theme, host)
    tab_to(dialog, act)
    press(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert said == []


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape])
def test_the_only_button_is_the_default(
    theme: Theme, host: QWidget, key: Qt.Key, capsys: pytest.CaptureFixture[str]
) -> None:
    dialog = QrDialog(theme, MY_KEY, host)
    dialog.open()
    press(dialog, key)
    assert not dialog.isVisible()
    # The dialog of a start that failed: Enter quits.
    left: list[bool] = []
    failed = _say(theme, StoreError("The data folder is a file."), lambda: left.append(True))
    press(failed, key)
    assert not failed.isVisible()
    assert left == [True]
    assert "is a file" in capsys.readouterr().err
    failed.deleteLater()


def test_enter_in_a_field_takes_the_default(theme: Theme, host: QWidget) -> None:
    names: list[str] = []
    dialog = NameDialog(theme, KEY, "Old", names.append, host)
    dialog.open()
    QTest.keyClicks(dialog.name, "New")
    press(dialog, Qt.Key.Key_Return)
    box = ask_for_name(theme, "Rename", "Old", names.append, host)
    field = box.focusWidget()
    assert isinstance(field, QLineEdit)
    QTest.keyClicks(field, "Newer")
    press(box, Qt.Key.Key_Return)
    assert names == ["New", "Newer"]


def test_a_key_that_is_not_complete_is_not_taken_by_enter(theme: Theme, host: QWidget) -> None:
    taken: list[str] = []
    dialog = KeyDialog(theme, MY_KEY, lambda key, _name, _hours: taken.append(key), parent=host)
    dialog.open()
    QTest.keyClicks(dialog.key, KEY[:10])
    press(dialog, Qt.Key.Key_Return)
    assert dialog.isVisible()
    assert taken == []
    dialog.close()


def test_enter_on_a_button_inside_does_not_close_the_dialog(theme: Theme, host: QWidget) -> None:
    dialog = Dialog(theme, "Question", "", "", cancel="Close", parent=host)
    inside = Button(theme, "Look again")
    dialog.body.addWidget(inside)
    looks: list[bool] = []
    inside.clicked.connect(lambda: looks.append(True))
    dialog.open()
    tab_to(dialog, inside)
    press(dialog, Qt.Key.Key_Return)
    assert len(looks) == 1
    assert dialog.isVisible()
    tab_to(dialog, dialog.cancel)
    press(dialog, Qt.Key.Key_Return)
    assert not dialog.isVisible()


def test_a_held_enter_presses_nothing(theme: Theme, host: QWidget) -> None:
    dialog, _cancel, act, said = danger(theme, host)
    tab_to(dialog, act)
    held = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, "\r", autorep=True)
    QApplication.sendEvent(act, held)
    assert said == []
    assert dialog.isVisible()
    dialog.close()


def test_a_text_that_comes_later_makes_room_for_itself(qtbot: QtBot, theme: Theme, host: QWidget) -> None:
    """As a verdict on what was written: it would lie on the field above it."""
    dialog = Dialog(theme, "Answer as JSON", "A sentence.", "Use this", parent=host)
    field, verdict = QPlainTextEdit(), Label(wrap=True)
    field.setMinimumHeight(240)
    dialog.body.addWidget(field)
    dialog.body.addWidget(verdict)
    dialog.open()
    before = dialog.height()
    verdict.setText(
        "This text is long enough for two lines at the width of a dialog, whatever font the system has. " * 2
    )
    qtbot.waitUntil(lambda: dialog.height() > before)
    assert field.geometry().bottom() < verdict.geometry().top()
    assert verdict.geometry().bottom() < dialog.confirm.geometry().top()
    dialog.reject()
