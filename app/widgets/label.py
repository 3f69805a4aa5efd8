"""A text in one of the design's sizes, tones and weights."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import (
    QFont,
    QFontInfo,
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextBlockFormat,
    QTextCursor,
    QTextDocument,
    QTextLayout,
    QTextOption,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyle, QWidget

from app.words import ONE_LINE, one_line

ARABIC_LINE = 1.3  # of the font's own
PITCH, ARABIC_PITCH = 1.4, 20 / 13  # from line to line, of the font's size
NO_LIMIT = 16_777_215  # Qt's own
MOST_HEIGHTS = 32  # widths of which a label remembers how high it is
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
        self._measured: tuple[str, QFont] | None = None
        self._heights: dict[int, int] = {}  # of what was measured, by width: layouts ask for two or three in turns
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

    # --- Lines that wrap stand apart as the design wants. Qt's label knows the line of the font alone.

    def sizeHint(self) -> QSize:
        return self._with_room(self._with_lines(super().sizeHint()))

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        if self._has_lines and hint.height() > 0:
            # Of all the text in one line, as Qt's own.
            return self._with_room(hint.expandedTo(QSize(0, self.heightForWidth(NO_LIMIT))))
        return self._with_room(hint)

    def heightForWidth(self, width: int) -> int:
        if not self._has_lines:
            return super().heightForWidth(width)
        around = self.height() - self.contentsRect().height() + 2 * self.margin()
        return self._lines_height(max(1, width - around)) + around

    @property
    def _has_lines(self) -> bool:
        return self.wordWrap() and bool(self.text())

    def _with_lines(self, hint: QSize) -> QSize:
        if not self._has_lines or hint.height() <= 0:
            return hint
        return hint.expandedTo(QSize(0, self.heightForWidth(hint.width())))

    def formats(self) -> list[QTextLayout.FormatRange]:
        """What of a text that wraps looks otherwise than the rest of it."""
        return []

    def remeasure(self) -> None:
        """Formats are others now."""
        self._measured = None
        self.updateGeometry()
        self.update()

    def pitch(self) -> int:
        """From line to line, in pixels."""
        em = QFontInfo(self.font()).pixelSize()
        wanted = em * (ARABIC_PITCH if QGuiApplication.isRightToLeft() else PITCH)
        return max(round(wanted), self.fontMetrics().lineSpacing())

    def _lines_height(self, width: int) -> int:
        measured = (self.text(), self.font())
        if measured != self._measured or len(self._heights) > MOST_HEIGHTS:
            self._measured, self._heights = measured, {}
        high = self._heights.get(width)
        if high is None:
            lines = self._laid_out(width)
            last = self._with_room(QSize(0, self.fontMetrics().height())).height()
            high = self._heights[width] = last + (lines.lineCount() - 1) * self.pitch()
        return high

    def _laid_out(self, width: int) -> QTextLayout:
        """Its lines, the first at 0, the next ones a pitch apart."""
        lines = QTextLayout(self.text().replace("\n", "\u2028"), self.font())
        if formats := self.formats():
            lines.setFormats(formats)
        option = QTextOption(Qt.AlignmentFlag(self._across()))
        option.setWrapMode(QTextOption.WrapMode.WordWrap)
        option.setTextDirection(self.layoutDirection())
        lines.setTextOption(option)
        pitch, y = self.pitch(), 0.0
        lines.beginLayout()
        while (line := lines.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(0, y))
            y += pitch
        lines.endLayout()
        return lines

    def _across(self) -> Qt.AlignmentFlag:
        shown = QStyle.visualAlignment(self.layoutDirection(), self.alignment())
        return shown & Qt.AlignmentFlag.AlignHorizontal_Mask | Qt.AlignmentFlag.AlignAbsolute

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._has_lines:
            super().paintEvent(event)
            return
        if self.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse:
            self._space_document()
            super().paintEvent(event)
            return
        room = self.contentsRect().adjusted(self.margin(), self.margin(), -self.margin(), -self.margin())
        lines = self._laid_out(room.width())
        spare = room.height() - self._lines_height(room.width())
        upright = self.alignment() & Qt.AlignmentFlag.AlignVertical_Mask
        share = {Qt.AlignmentFlag.AlignTop: 0.0, Qt.AlignmentFlag.AlignBottom: 1.0}.get(upright, 0.5)
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        lines.draw(painter, QPointF(room.left(), room.top() + round(max(0, spare) * share)))
        painter.end()

    def _space_document(self) -> None:
        """What can be selected is a document of Qt's, made anew with every text."""
        document = self.findChild(QTextDocument)
        if document is None:
            return
        spaced = QTextBlockFormat()
        gap = self.pitch() - self.fontMetrics().lineSpacing()
        spaced.setLineHeight(gap, QTextBlockFormat.LineHeightTypes.LineDistanceHeight.value)
        if document.firstBlock().blockFormat().lineHeight() != gap:
            cursor = QTextCursor(document)
            cursor.select(QTextCursor.SelectionType.Document)
            cursor.mergeBlockFormat(spaced)

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
