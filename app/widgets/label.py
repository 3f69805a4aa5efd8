"""A text in one of the design's sizes, tones and weights."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.words import ONE_LINE, one_line

ARABIC_LINE = 1.3  # of the font's own
LONGEST = 4_000  # letters of a sentence that wraps


class Label(QLabel):
    """`scale`, `tone` and `weight` are names of the theme; the sheet does the rest, theme changes included."""

    def __init__(
        self,
        text: str = "",
        *,
        scale: str = "body",
        tone: str = "text",
        weight: int = 400,
        wrap: bool = False,
        selectable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        # Names and sentences come from people and peers: never let Qt guess that one of them is HTML.
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._most = LONGEST if wrap else ONE_LINE
        self.setText(text)
        if QGuiApplication.isRightToLeft():
            # Qt would put a Latin name at the left of a mirrored page.
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignAbsolute
            self.setAlignment(right | Qt.AlignmentFlag.AlignVCenter)
        self.setProperty("scale", scale)
        self.setProperty("tone", tone)
        self.setProperty("strength", str(weight))
        self.setWordWrap(wrap)
        if wrap:
            self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
            self._follow_height()
        if selectable:
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def sizeHint(self) -> QSize:
        return self._with_room(super().sizeHint())

    def minimumSizeHint(self) -> QSize:
        return self._with_room(super().minimumSizeHint())

    def _with_room(self, hint: QSize) -> QSize:
        """Arabic letters reach above and below the line of the font that Qt measures."""
        if not QGuiApplication.isRightToLeft() or hint.height() <= 0:
            return hint
        return hint.expandedTo(QSize(0, round(self.fontMetrics().height() * ARABIC_LINE)))

    def setText(self, text: str) -> None:
        """No more than a line, or a paragraph, of what people and peers send."""
        super().setText(one_line(text, self._most))

    def _follow_height(self) -> None:
        # setSizePolicy replaced the one that setWordWrap marked.
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_tone(self, tone: str) -> None:
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            restyle(self)


class ElidedLabel(Label):
    """Gives way where there is no room; the whole text is its tooltip then."""

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:
        super().setText(text)
        self._tell()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        self.style().drawItemText(
            painter, self.rect(), self.alignment(), self.palette(), self.isEnabled(), text, self.foregroundRole()
        )
        painter.end()

    def _tell(self) -> None:
        whole = self.fontMetrics().horizontalAdvance(self.text()) <= self.width()
        self.setToolTip("" if whole else self.text())


def restyle(widget: QWidget) -> None:
    """Make the sheet look again at a widget whose properties changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()
