"""Buttons in a row that goes on in the next line: whole in every language, mirrored where it is read from the right."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.button import Button
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.flow_row import FlowRow
from qvac_core.core.state import ErrorInfo

ERROR = ErrorInfo("X", 1, "The owner has not allowed your key yet.", "Send it your key.")


def rows(panel: QWidget) -> list[list[str]]:
    """The buttons as they are read, line by line."""
    lines: dict[int, list[Button]] = {}
    for button in panel.findChildren(Button):
        if button.isVisible():
            lines.setdefault(button.geometry().top(), []).append(button)
    rtl = panel.layoutDirection() is Qt.LayoutDirection.RightToLeft
    return [
        [button.text() for button in sorted(line, key=lambda one: one.x(), reverse=rtl)]
        for _, line in sorted(lines.items())
    ]


@pytest.mark.parametrize("direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft])
def test_remedies_go_on_in_the_next_line_and_none_is_cut(
    qtbot: QtBot, theme: Theme, direction: Qt.LayoutDirection
) -> None:
    panel = ErrorPanel(theme, dismissable=False)
    qtbot.addWidget(panel)
    panel.setLayoutDirection(direction)
    texts = ("Erneut fragen", "Meinen Schlüssel kopieren", "Auf diesem Rechner chatten")
    panel.show_error(ERROR, [Act(text, lambda: None) for text in texts])
    for width, lines in ((900, 1), (440, 2), (250, 4)):
        panel.resize(width, panel.heightForWidth(width))
        panel.show()
        assert len(rows(panel)) == lines
        assert [text for line in rows(panel) for text in line] == [*texts, "Copy details"]
        for button in panel.findChildren(Button):
            assert button.width() >= min(button.sizeHint().width(), panel.contentsRect().width())
            assert panel.rect().contains(button.geometry())
    assert panel.heightForWidth(250) > panel.heightForWidth(440) > panel.heightForWidth(900)


def test_the_last_one_stands_at_the_other_end(qtbot: QtBot, theme: Theme) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    row = FlowRow()
    host.setLayout(row)
    first, last = Button(theme, "One"), Button(theme, "Two")
    row.add(first)
    row.add(last, at_end=True)
    host.show()
    row.setGeometry(QRect(0, 0, 400, 40))
    assert first.x() == 0 and last.geometry().right() == 399
    first.hide()
    row.setGeometry(QRect(0, 0, 400, 40))
    assert last.geometry().right() == 399 and row.heightForWidth(400) == last.sizeHint().height()
    assert row.takeAt(5) is None and row.itemAt(7) is None
