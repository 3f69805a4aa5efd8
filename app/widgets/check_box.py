"""A check box, for lists of choices that act together; what acts at once is a switch."""

from __future__ import annotations

from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QCheckBox, QStyle, QStyleOptionButton, QWidget

from app.theme import Theme
from app.widgets.focus import show_ring
from app.widgets.toggle_clicks import ToggleClicks

CHECK = 12


class CheckBox(ToggleClicks, QCheckBox):
    """Connect `clicked` for what people do. The sheet draws the box, the mark is a Lucide check."""

    def __init__(self, theme: Theme, text: str, *, name: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self._theme = theme
        self.setAccessibleName(name or text)
        self.toggle_clicks()
        theme.changed.connect(self.update)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        show_ring(self, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        show_ring(self, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        tone = "onacc" if self.isEnabled() else "text3"
        painter = QPainter(self)
        mark = self._theme.pixmap("check", tone, CHECK, self.devicePixelRatioF())
        painter.drawPixmap(box.center().x() + 1 - CHECK // 2, box.center().y() + 1 - CHECK // 2, mark)
        painter.end()
