"""The rows of the model picker: providers with their models, filtered, painted and read out."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.presenters.picker_rows import Group, PickerRow, RowKind
from app.theme import Theme
from app.widgets.chat.bidi import isolated
from app.words import one_line
from qvac_core.core.state import Target

Index = QModelIndex | QPersistentModelIndex
ROLE = Qt.ItemDataRole.UserRole
GROUP_HEIGHT, MODEL_HEIGHT, NOTE_HEIGHT = 34, 32, 30
INSET = 6
TEXT_AT = 28  # where names of groups begin; models stand a little further in


class PickerModel(QStandardItemModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._groups: tuple[Group, ...] = ()
        self._current = Target()
        self._wanted = ""

    def show_groups(self, groups: tuple[Group, ...], current: Target, wanted: str) -> None:
        self._groups, self._current = groups, current
        self.filter(wanted)

    def filter(self, wanted: str) -> None:
        """A group stays whole when its own name matches, else with the models that do."""
        self._wanted = wanted.strip().casefold()
        self.clear()
        for group in self._groups:
            whole = self._wanted in group.head.text.casefold()
            rows = [row for row in group.rows if whole or self._matches(row)]
            if not whole and not rows:
                continue
            head = _item(group.head, selectable=False)
            for row in rows:
                head.appendRow(_item(row, selectable=True))
            self.appendRow(head)

    def row(self, index: Index) -> PickerRow | None:
        row = index.data(ROLE) if index.isValid() else None
        return row if isinstance(row, PickerRow) else None

    def all_indexes(self) -> list[QModelIndex]:
        result = []
        for group in range(self.rowCount()):
            head = self.index(group, 0)
            result.append(head)
            result.extend(self.index(child, 0, head) for child in range(self.rowCount(head)))
        return result

    def selectable(self) -> list[QModelIndex]:
        return [index for index in self.all_indexes() if self.flags(index) & Qt.ItemFlag.ItemIsSelectable]

    def current_index(self) -> QModelIndex:
        for index in self.all_indexes():
            row = self.row(index)
            if row is not None and row.current:
                return index
        return QModelIndex()

    def _matches(self, row: PickerRow) -> bool:
        return row.kind is RowKind.MODEL and self._wanted in row.text.casefold()


def _item(row: PickerRow, *, selectable: bool) -> QStandardItem:
    item = QStandardItem(row.text)
    item.setEditable(False)
    item.setSelectable(selectable)
    item.setData(row, ROLE)
    item.setData(row.spoken, Qt.ItemDataRole.AccessibleTextRole)
    if row.kind is not RowKind.MODEL:
        item.setToolTip(one_line(row.text))
    return item


PaintDot = Callable[..., None]


class PickerDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, paint_dot: PaintDot, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._paint_dot = paint_dot

    def sizeHint(self, _option: QStyleOptionViewItem, index: Index) -> QSize:
        row = index.data(ROLE)
        line = QFontMetrics(self._theme.font("body", 600)).height()
        least = {RowKind.GROUP: GROUP_HEIGHT, RowKind.MODEL: MODEL_HEIGHT}.get(row.kind, NOTE_HEIGHT)
        return QSize(100, max(least, line + 14))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: PickerRow = index.data(ROLE)
        painter.save()
        inner = option.rect.adjusted(INSET, 0, -INSET, 0)
        if row.kind is not RowKind.GROUP and option.state & (
            QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver
        ):
            selected = option.state & QStyle.StateFlag.State_Selected
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("accent_soft" if selected else "sel"))
            painter.drawRoundedRect(QRectF(inner), 5, 5)
        self._paint_texts(painter, option, inner, row)
        painter.restore()

    def _paint_texts(self, painter: QPainter, option: QStyleOptionViewItem, inner: QRect, row: PickerRow) -> None:
        direction = option.direction
        centre = inner.center().y()
        leading = int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        trailing = int(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        state_font = self._theme.font("hint", tabular=True)
        state_width = QFontMetrics(state_font).horizontalAdvance(row.state) + 2 if row.state else 0
        left = inner.left() + TEXT_AT - INSET + (0 if row.kind is RowKind.GROUP else 1)
        if row.kind is RowKind.MODEL:
            left += 6
        text = QRect(left, inner.top(), inner.right() - 8 - state_width - 10 - left, inner.height())
        if row.kind is RowKind.GROUP:
            dot = QStyle.visualRect(direction, inner, QRect(inner.left() + 6, centre - 3, 8, 8))
            token = "local" if row.local else "live"
            self._paint_dot(painter, self._theme, QRectF(dot), token, filled=row.local or row.online)
        if row.current:
            place = QStyle.visualRect(direction, inner, QRect(inner.left() + 6, centre - 7, 16, 16))
            pixmap = self._theme.pixmap("check", "accent", 16, painter.device().devicePixelRatio())
            painter.drawPixmap(place.topLeft(), pixmap)
        weight = 600 if row.kind is RowKind.GROUP or row.current else 400
        note = row.kind in (RowKind.CONNECT, RowKind.DOWNLOAD)
        painter.setFont(self._theme.font("hint" if note else "body", weight))
        painter.setPen(self._theme.colour("accent" if row.current else "text2" if note else "text"))
        act_font = self._theme.font("hint", 600)
        act_width = QFontMetrics(act_font).horizontalAdvance(row.act) + 6 if row.act else 0
        elided = painter.fontMetrics().elidedText(
            one_line(row.text), Qt.TextElideMode.ElideRight, text.width() - act_width
        )
        painter.drawText(QStyle.visualRect(direction, inner, text), leading, isolated(elided))
        if row.act:
            used = painter.fontMetrics().horizontalAdvance(elided) + 5
            painter.setFont(act_font)
            painter.setPen(self._theme.colour("accent"))
            painter.drawText(
                QStyle.visualRect(direction, inner, text.adjusted(used, 0, 0, 0)), leading, isolated(row.act)
            )
        painter.setFont(state_font)
        painter.setPen(self._theme.colour("accent" if row.current else "text3"))
        state = QRect(inner.right() - 8 - state_width, inner.top(), state_width, inner.height())
        painter.drawText(QStyle.visualRect(direction, inner, state), trailing, isolated(row.state))
