"""Paints every kind of cell: avatar and name, fixed-font key, bar, dot, icon, two lines, switch, button, row menu."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QTableView

from app.presenters.table_rows import Cell
from app.theme import Theme
from app.widgets.avatar import paint_avatar
from app.widgets.rows import RowModel
from app.widgets.switch import ROW_SIZE, paint_switch
from app.words import one_line

Index = QModelIndex | QPersistentModelIndex
PAD = 8
EDGE = 15  # with the card's border: 16 from its outside
AVATAR = 22
BAR = QSize(44, 4)
BUTTON_HEIGHT = 24
MENU_SIZE = 24
ICON = 15


class CellDelegate(QStyledItemDelegate):
    """`pressed(index)`: a painted button; `menu(index, global point)`: the dots of a row."""

    pressed = Signal(QModelIndex)
    menu = Signal(QModelIndex, QPoint)

    def __init__(self, theme: Theme, row_height: int, parent: QTableView) -> None:
        super().__init__(parent)
        self._theme = theme
        self._row_height = row_height
        self._table = parent
        self.hover_row = -1
        self.hover_button = QPersistentModelIndex()
        self.marks_current = False  # also while the focus is elsewhere: something shows more of that row

    def set_row_height(self, height: int) -> bool:
        """Whether it is another one."""
        changed = height != self._row_height
        self._row_height = height
        return changed

    def row_height(self, lines: float | None = None) -> int:
        """Pixels of a row: the design's, or more where the system's text is larger."""
        text = QFontMetricsF(self._theme.font()).height() if lines is None else lines
        return max(self._row_height, round(text) + 8)

    # --- Geometry, shared with the header

    def content(self, rect: QRectF, column: int) -> QRectF:
        """The part of a cell that holds its content: 16 px from the card's edges, 8 between neighbours."""
        visible = [c for c in range(len(self._model.columns)) if not self._table.isColumnHidden(c)]
        left = EDGE if column == visible[0] else PAD
        right = EDGE if column == visible[-1] else PAD
        if self._table.isRightToLeft():
            left, right = right, left
        return rect.adjusted(left, 0, -right, 0)

    def button_rect(self, rect: QRectF, column: int, cell: Cell) -> QRectF:
        area = self.content(rect, column)
        if cell.menu:
            width, height = float(MENU_SIZE), float(MENU_SIZE)
        else:
            text = QFontMetricsF(self._theme.font(weight=500)).horizontalAdvance(cell.button)
            width = text + 18 + (ICON + 6 if cell.button_icon else 0)
            height = max(BUTTON_HEIGHT, QFontMetricsF(self._theme.font()).height() + 6)
        # Outlines and dots end where text does; a button without an outline ends with its text there.
        out = 9.0 if cell.flat else 0.0
        placed = QRectF(area.right() + out - width, area.center().y() - height / 2, width, height)
        return self._visual(area, placed)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        cell = self._model.cell(index)
        lines = QFontMetricsF(self._theme.font()).height()
        if cell.detail or cell.state:
            lines += QFontMetricsF(self._theme.font("small")).height()
        return QSize(0, self.row_height(lines))

    # --- Painting

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cell = self._model.cell(index)
        rect = QRectF(option.rect)
        painter.save()
        current = (self.marks_current or self._table.hasFocus()) and self._table.currentIndex().row() == index.row()
        if current or index.row() == self.hover_row:
            painter.fillRect(rect, self._theme.colour("sel"))
        if index.row() < self._model.rowCount() - 1:
            painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), self._theme.colour("border"))
        if cell.button or cell.menu:
            self._paint_button(painter, self.button_rect(rect, index.column(), cell), cell, index)
        else:
            self._paint_content(painter, self.content(rect, index.column()), cell, index)
        painter.restore()

    def _paint_content(self, painter: QPainter, area: QRectF, cell: Cell, index: Index) -> None:
        left = area.left()
        middle = area.center().y() - 0.5
        if cell.switch is not None:
            box = QRectF(left, middle - ROW_SIZE.height() / 2, ROW_SIZE.width(), ROW_SIZE.height())
            mirrored = self._table.isRightToLeft()
            position = 1.0 if cell.switch else 0.0
            paint_switch(painter, self._theme, self._visual(area, box), position, mirrored=mirrored)
            left += ROW_SIZE.width() + 10
        if cell.avatar:
            box = QRectF(left, round(middle - AVATAR / 2), AVATAR, AVATAR)
            paint_avatar(painter, self._visual(area, box), cell.avatar)
            left += AVATAR + 10
        if cell.dot:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour(cell.dot))
            painter.drawEllipse(self._visual(area, QRectF(left, middle - 4, 8, 8)))
            left += 14
        if cell.icon:
            left = (
                max(left, area.right() - self._icon_and_text(cell))
                if self._model.columns[index.column()].right
                else left
            )
            box = self._visual(area, QRectF(left, round(middle - ICON / 2), ICON, ICON))
            ratio = painter.device().devicePixelRatioF()
            painter.drawPixmap(box.topLeft(), self._theme.pixmap(cell.icon, cell.icon_tone, ICON, ratio))
            left += ICON + (14 if cell.detail else 5)
        if cell.fraction is not None:
            self._paint_bar(painter, self._visual(area, QRectF(left, middle - 2, BAR.width(), BAR.height())), cell)
            left += BAR.width() + 8
        text = QRectF(left, area.top(), max(0.0, area.right() - left), area.height() - 1)
        self._paint_text(painter, self._visual(area, text), cell, self._model.columns[index.column()].right)

    def _paint_text(self, painter: QPainter, area: QRectF, cell: Cell, right: bool) -> None:
        font = self._theme.fixed_font("hint") if cell.fixed else self._theme.font(weight=cell.weight, tabular=right)
        # Words decide their own direction, columns their side: "6.1 GB" and keys stay as they are on a mirrored page.
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        end = right != self._table.isRightToLeft()
        align = Qt.AlignmentFlag.AlignAbsolute | (Qt.AlignmentFlag.AlignRight if end else Qt.AlignmentFlag.AlignLeft)
        if not (cell.detail or cell.state):
            self._line(painter, area, cell.text, font, cell.tone, align | Qt.AlignmentFlag.AlignVCenter)
            return
        small = self._theme.font("small")
        upper = QFontMetricsF(font).height()
        lower = QFontMetricsF(small).height()
        top = area.top() + (area.height() - upper - lower) / 2
        first = QRectF(area.left(), top, area.width(), upper)
        if cell.badge:
            first = self._paint_badge(painter, first, cell, font)
        self._line(painter, first, cell.text, font, cell.tone, align | Qt.AlignmentFlag.AlignVCenter)
        second = QRectF(area.left(), top + upper, area.width(), lower)
        self._line(painter, second, cell.detail.rstrip(), small, "text3", align | Qt.AlignmentFlag.AlignVCenter)
        if cell.state:
            used = QFontMetricsF(small).horizontalAdvance(cell.detail)
            rest = second.adjusted(0, 0, -used, 0) if self._table.isRightToLeft() else second.adjusted(used, 0, 0, 0)
            self._line(painter, rest, cell.state, small, cell.state_tone, align | Qt.AlignmentFlag.AlignVCenter)

    def _paint_badge(self, painter: QPainter, line: QRectF, cell: Cell, font: QFont) -> QRectF:
        """The badge right after the text, which gives way to it; returns what is left for the text."""
        small = self._theme.font("small", 500)
        wide = QFontMetricsF(small).horizontalAdvance(cell.badge) + 10
        text = min(QFontMetricsF(font).horizontalAdvance(one_line(cell.text)) + 1, max(0.0, line.width() - wide - 7))
        box = self._visual(line, QRectF(line.left() + text + 7, line.top(), wide, line.height()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("accent_soft"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setFont(small)
        painter.setPen(self._theme.colour("accent"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), cell.badge)
        return self._visual(line, QRectF(line.left(), line.top(), text, line.height()))

    def _icon_and_text(self, cell: Cell) -> float:
        return ICON + 5 + QFontMetricsF(self._theme.font(weight=cell.weight, tabular=True)).horizontalAdvance(cell.text)

    def _line(
        self, painter: QPainter, area: QRectF, text: str, font: QFont, tone: str, align: Qt.AlignmentFlag
    ) -> None:
        painter.setFont(font)
        painter.setPen(self._theme.colour(tone))
        shown = QFontMetricsF(font).elidedText(one_line(text), Qt.TextElideMode.ElideRight, area.width() + 1)
        painter.drawText(area, int(align | Qt.TextFlag.TextSingleLine), shown)

    def _paint_bar(self, painter: QPainter, box: QRectF, cell: Cell) -> None:
        fraction = min(1.0, max(0.0, cell.fraction or 0.0))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour("track"))
        painter.drawRoundedRect(box, 1.5, 1.5)
        if fraction > 0:
            painter.setBrush(self._theme.colour("warn" if fraction > 0.8 else "accent"))
            filled = QRectF(box.left(), box.top(), max(2.0, box.width() * fraction), box.height())
            painter.drawRoundedRect(self._visual(box, filled), 1.5, 1.5)

    def _paint_button(self, painter: QPainter, box: QRectF, cell: Cell, index: Index) -> None:
        hovered = self.hover_button == index
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ratio = painter.device().devicePixelRatioF()
        if cell.menu:
            if hovered:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._theme.colour("track"))
                painter.drawRoundedRect(box, 6, 6)
            at = QPointF(round(box.center().x() - 8), round(box.center().y() - 8))
            painter.drawPixmap(at, self._theme.pixmap("ellipsis", "text2", 16, ratio))
            return
        if cell.flat:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("track") if hovered else Qt.BrushStyle.NoBrush)
        else:
            painter.setPen(QPen(self._theme.colour("ctl"), 1))
            painter.setBrush(self._theme.colour("sel" if hovered else "surface"))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        text = box.adjusted(9, 0, -9, 0)
        if cell.button_icon:
            at = self._visual(text, QRectF(text.left(), round(text.center().y() - ICON / 2), ICON, ICON)).topLeft()
            painter.drawPixmap(at, self._theme.pixmap(cell.button_icon, "text", ICON, ratio))
            text = self._visual(text, text.adjusted(ICON + 6, 0, 0, 0))
        centre = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        self._line(painter, text, cell.button, self._theme.font(weight=500), "text", centre)

    # --- Acting

    def editorEvent(
        self, event: QEvent, model: object, option: QStyleOptionViewItem, index: Index
    ) -> bool:  # model: QAbstractItemModel, always ours
        if event.type() != QEvent.Type.MouseButtonRelease or not isinstance(event, QMouseEvent):
            return False
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        cell = self._model.cell(index)
        rect = QRectF(option.rect)
        plain = self._model.index(index.row(), index.column())
        if cell.switch is not None:
            checked = Qt.CheckState.Unchecked if cell.switch else Qt.CheckState.Checked
            return self._model.setData(plain, checked, Qt.ItemDataRole.CheckStateRole)
        box = self.button_rect(rect, index.column(), cell)
        if cell.menu and box.contains(event.position()):
            self.menu.emit(plain, self._table.viewport().mapToGlobal(box.bottomLeft().toPoint()))
            return True
        if cell.button and box.contains(event.position()):
            self.pressed.emit(plain)
            return True
        return False

    @property
    def _model(self) -> RowModel:
        return cast("RowModel", self._table.model())

    def _visual(self, bounds: QRectF, rect: QRectF) -> QRectF:
        if not self._table.isRightToLeft():
            return rect
        return QRectF(bounds.left() + bounds.right() - rect.right(), rect.top(), rect.width(), rect.height())
