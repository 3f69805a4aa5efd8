"""A part of the screen, chosen with the mouse or the keyboard: the screen as it was, dimmed, with a frame on it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QColor,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QScreen,
)
from PySide6.QtWidgets import QWidget

from app.i18n import tr
from app.theme import Theme

LEAST = 16  # pixels; a shorter drag is a click
STEP = 20  # pixels, for the arrow keys
DIM = QColor(0, 0, 0, 110)


class ScreenPart(QWidget):
    """`chosen` with the part's picture; `left` when none is wanted. One for each screen; the first answer ends all."""

    chosen = Signal(object)  # QImage
    left = Signal()

    def __init__(self, theme: Theme, screen: QScreen, picture: QPixmap) -> None:
        super().__init__(None, Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint)
        self._theme = theme
        self._picture = picture
        self._start: QPoint | None = None
        self._done = False
        self.part = QRect()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("QVAC Desktop")
        self.setAccessibleName(tr("A part of the screen"))
        self.setAccessibleDescription(self._help())
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setScreen(screen)
        self.setGeometry(screen.geometry())

    def _help(self) -> str:
        return tr(
            "Draw a frame around the QR code. Arrow keys move it, with Shift they size it, Enter takes it, Esc leaves."
        )

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(self.rect(), self._picture)
        painter.setClipRect(self.rect())
        painter.fillRect(self.rect(), DIM)
        if not self.part.isEmpty():
            painter.drawPixmap(self.part, self._picture, self._on_picture(self.part))
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.drawRect(self.part)
        painter.setFont(self._theme.font("body", 600))
        words = self._help()
        width = min(self.width() - 32, painter.fontMetrics().horizontalAdvance(words) + 32)
        box = QRectF((self.width() - width) / 2, 24, width, painter.fontMetrics().height() * 2 + 12)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("surface"))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(self._theme.colour("text"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), words)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._start = event.position().toPoint()
        else:
            self.close()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._start is not None:
            self.part = QRect(self._start, event.position().toPoint()).normalized().intersected(self.rect())
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.mouseMoveEvent(event)
        self._start = None
        self._take()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        moves = {
            Qt.Key.Key_Left: QPoint(-STEP, 0),
            Qt.Key.Key_Right: QPoint(STEP, 0),
            Qt.Key.Key_Up: QPoint(0, -STEP),
            Qt.Key.Key_Down: QPoint(0, STEP),
        }
        if key is Qt.Key.Key_Escape:
            self.close()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._take()
        elif (move := moves.get(key)) is not None:
            part = self.part
            if part.isEmpty():  # the middle of the screen, to begin with
                part = QRect(0, 0, self.width() // 3, self.height() // 3)
                part.moveCenter(self.rect().center())
            elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                part = part.adjusted(0, 0, move.x(), move.y())
            else:
                part = part.translated(move)
            self.part = part.intersected(self.rect()) if part.width() >= LEAST and part.height() >= LEAST else self.part
            self.update()

    def closeEvent(self, event: QCloseEvent) -> None:
        super().closeEvent(event)
        if not self._done:
            self._done = True
            self.left.emit()

    def _take(self) -> None:
        if self.part.width() < LEAST or self.part.height() < LEAST or self._done:
            return
        self._done = True
        self.chosen.emit(self._picture.toImage().copy(self._on_picture(self.part)))
        self.close()

    def _on_picture(self, part: QRect) -> QRect:
        """In the picture's pixels, which a scaled screen has more of."""
        across = self._picture.width() / max(1, self.width())
        down = self._picture.height() / max(1, self.height())
        return QRectF(part.x() * across, part.y() * down, part.width() * across, part.height() * down).toRect()


def grabbed() -> list[tuple[QScreen, QPixmap]]:
    """Every screen as it is now; without those that the system does not show."""
    pictures = [(screen, screen.grabWindow(0)) for screen in QGuiApplication.screens()]
    return [(screen, picture) for screen, picture in pictures if not picture.isNull()]
