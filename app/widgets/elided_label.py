"""A label of one line that gives way: what has no room is elided, and its tooltip has all of it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.widgets.label import Label

LEAST = 40


class ElidedLabel(Label):
    """`middle`: as paths are elided; else at the end."""

    def __init__(
        self,
        text: str = "",
        *,
        scale: str = "body",
        tone: str = "text",
        weight: int = 400,
        middle: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, scale=scale, tone=tone, weight=weight, parent=parent)
        self._mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)

    def setText(self, text: str) -> None:
        super().setText(text)
        self._tell()

    def minimumSizeHint(self) -> QSize:
        whole = super().minimumSizeHint()
        return QSize(min(LEAST, whole.width()), whole.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell()

    def _tell(self) -> None:
        wide = self.fontMetrics().horizontalAdvance(self.text())
        self.setToolTip(self.text() if wide > self.width() else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        shown = self.fontMetrics().elidedText(self.text(), self._mode, self.width())
        if shown == self.text():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        align = self.alignment() | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine
        if self.isRightToLeft():
            painter.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        painter.drawText(self.rect(), int(align), shown)
        painter.end()
