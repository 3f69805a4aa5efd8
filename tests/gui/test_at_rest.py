"""A window that nobody uses wakes for little: the caret stands still, and garbage is looked for ever more rarely."""

from __future__ import annotations

import gc

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app import garbage
from app.caret import RestingCaret


def test_the_caret_rests_and_blinks_again_with_the_next_letter(qtbot: QtBot) -> None:
    field = QLineEdit()
    qtbot.addWidget(field)
    with qtbot.waitActive(field):
        field.show()
        field.activateWindow()
    field.setFocus()
    hints = QGuiApplication.styleHints()
    before = hints.cursorFlashTime()
    hints.setCursorFlashTime(1000)
    caret = RestingCaret(field)
    try:
        caret.rest.timeout.emit()
        assert hints.cursorFlashTime() == 0
        QTest.keyClicks(field, "a")
        assert hints.cursorFlashTime() == 1000
        assert caret.rest.isActive()
    finally:
        caret.close()
        hints.setCursorFlashTime(before)


def test_a_system_whose_carets_stand_still_is_left_alone(qtbot: QtBot) -> None:
    field = QLineEdit()
    qtbot.addWidget(field)
    hints = QGuiApplication.styleHints()
    before = hints.cursorFlashTime()
    hints.setCursorFlashTime(0)
    caret = RestingCaret(field)
    try:
        assert not caret.rest.isActive()
    finally:
        caret.close()
        hints.setCursorFlashTime(before)


def test_garbage_is_looked_for_more_rarely_while_there_is_none(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    found = False
    monkeypatch.setattr(garbage, "collect", lambda: found)
    keeper = garbage.WindowThreadGarbage()
    keeper.hold()
    try:
        timer = keeper._timer
        assert timer is not None
        for _ in range(10):
            timer.timeout.emit()
        assert timer.interval() == garbage.LONGEST_INTERVAL_MS
        found = True
        timer.timeout.emit()
        assert timer.interval() == garbage.INTERVAL_MS
    finally:
        keeper.release()
    assert gc.isenabled()
