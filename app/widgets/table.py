"""The one kind of table: no grid, quiet header aligned as its cells, keyboard acts on rows, as tall as its rows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableView, QWidget

from app.i18n import tr
from app.presenters.table_rows import Column, Row
from app.theme import Theme
from app.widgets.acts import ActingSelection
from app.widgets.cell_delegate import CellDelegate
from app.widgets.focus import ring_after
from app.widgets.rows import RowModel

ROW = 34
ROW_LOG = 28
ROW_TWO_LINES = 40
HEADER = 28


class Header(QHeaderView):
    """Titles in small text3, aligned as the cells below them."""

    def __init__(self, theme: Theme, parent: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = theme
        self._table = parent
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSectionsClickable(False)
        self.setHighlightSections(False)
        self.setMinimumSectionSize(8)

    def sizeHint(self) -> QSize:
        text = QFontMetricsF(self._theme.font("small")).height()
        return QSize(super().sizeHint().width(), max(HEADER, round(text) + 10))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        model = self._table.model()
        delegate = self._table.itemDelegate()
        if not isinstance(model, RowModel) or not isinstance(delegate, CellDelegate):
            return
        column = model.columns[section]
        painter.save()
        box = QRectF(rect)
        painter.fillRect(box, self._theme.colour("surface"))
        painter.fillRect(QRectF(box.left(), box.bottom() - 1, box.width(), 1), self._theme.colour("border"))
        font = self._theme.font("small")
        area = delegate.content(box, section)
        painter.setFont(font)
        painter.setPen(self._theme.colour("text3"))
        if self._table.isRightToLeft():
            painter.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        align = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
        text = QFontMetricsF(font).elidedText(tr(column.title), Qt.TextElideMode.ElideRight, area.width() + 1)
        painter.drawText(area, int(align | Qt.AlignmentFlag.AlignVCenter), text)
        painter.restore()


class Table(QTableView):
    """Signals carry the row's key. `fit`: the table is exactly as tall as its rows and never scrolls.

    `selecting`: one row is chosen, stays marked while the focus is elsewhere, and something beside the table shows more
    of it. `chosen` follows it; Enter `opened` goes there, Space presses the row's act, also where none is painted.
    """

    toggled = Signal(str, bool)
    chosen = Signal(str)
    opened = Signal(str)
    pressed = Signal(str)
    menu_wanted = Signal(str, QPoint)
    delete_wanted = Signal(str)

    def __init__(
        self,
        theme: Theme,
        name: str,
        columns: Sequence[Column],
        *,
        row_height: int = ROW,
        header: bool = True,
        fit: bool = True,
        drop: Sequence[int] = (),
        open_at_least: int = 0,
        selecting: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._selecting = selecting
        self._held = ""  # the row whose painted button is held down
        self._showing = False
        self._fit = fit
        self._drop = tuple(drop)
        self._open_at_least = open_at_least
        self._ring = False
        self.rows = RowModel(columns, self)
        self.setModel(self.rows)
        acting = ActingSelection(self.rows, self)
        acting.acted.connect(self._act)
        self.setSelectionModel(acting)
        self.delegate = CellDelegate(theme, row_height, self)
        self.delegate.marks_current = selecting
        self.setItemDelegate(self.delegate)
        self.setHorizontalHeader(Header(theme, self))
        self.horizontalHeader().setVisible(header)
        self.setAccessibleName(name)
        self._dress()
        self.rows.toggled.connect(self.toggled)
        self.delegate.pressed.connect(lambda index: self.pressed.emit(self._key(index)))
        self.delegate.menu.connect(lambda index, point: self.menu_wanted.emit(self._key(index), point))
        for signal in (self.rows.rowsInserted, self.rows.rowsRemoved, self.rows.modelReset):
            signal.connect(self._sized)
        theme.changed.connect(self._themed)
        self._sized()

    def _dress(self) -> None:
        self.setShowGrid(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setMouseTracking(True)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        if self._fit:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_row_height(self, height: int) -> None:
        """Pixels of a row where the text needs no more."""
        if self.delegate.set_row_height(height):
            self.verticalHeader().setDefaultSectionSize(self.delegate.row_height())
            self.rows.layoutChanged.emit()
            self._sized()

    def show_rows(self, rows: Sequence[Row]) -> None:
        if not self._selecting:
            self.rows.show(rows)
            return
        kept = self.current_key
        self._showing = True
        self.rows.show(rows)
        self._showing = False
        if self.current_key != kept:
            self.show_choice(kept)

    def show_columns(self, columns: Sequence[Column]) -> None:
        """Other titles or widths for the same columns."""
        self.rows.columns = tuple(columns)
        self.rows.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(columns) - 1)
        self._share_width()

    def set_open_at_least(self, width: int) -> None:
        """Pixels of a 13 px font that the open column has before columns are dropped."""
        self._open_at_least = width
        self._share_width()

    def show_choice(self, key: str) -> None:
        """Mark this row as the chosen one, without a signal; none where there is no such row."""
        place = next((at for at, row in enumerate(self.rows.rows) if row.key == key), -1)
        self._showing = True
        self.setCurrentIndex(self.rows.index(place, 0) if place >= 0 else QModelIndex())
        self._showing = False
        self.viewport().update()

    @property
    def current_key(self) -> str:
        index = self.currentIndex()
        return self._key(index) if index.isValid() else ""

    def header_height(self) -> int:
        header = self.horizontalHeader()
        return header.sizeHint().height() if not header.isHidden() else 0

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self._rows_height() if self._fit else super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self._rows_height() if self._fit else super().minimumSizeHint().height())

    def _rows_height(self) -> int:
        return self.header_height() + sum(self.sizeHintForRow(row) for row in range(self.rows.rowCount()))

    def _sized(self) -> None:
        if self._fit:
            self.setFixedHeight(self._rows_height())
            self.updateGeometry()

    def _themed(self) -> None:
        self._sized()
        self._share_width()
        self.viewport().update()
        self.horizontalHeader().viewport().update()

    def _share_width(self) -> None:
        """Fixed columns get their width in the font's scale, the one without a width what is left. Where that is less
        than `open_at_least`, columns of `drop` go, first ones first: tooltip and menu still tell them."""
        breadth = self._theme.breadth
        widths = {place: round(column.width * breadth) for place, column in enumerate(self.rows.columns)}
        room = self.viewport().width()
        for dropped in self._drop:
            if room - sum(widths.values()) >= self._open_at_least * breadth:
                break
            widths.pop(dropped)
        left = room - sum(widths.values())
        for place, column in enumerate(self.rows.columns):
            self.setColumnHidden(place, place not in widths)
            if place in widths:
                self.setColumnWidth(place, widths[place] if column.width else max(60, left))

    def _key(self, index: QModelIndex) -> str:
        return self.rows.row(index.row()).key

    def _act(self, index: QModelIndex) -> None:
        """What a click on this cell would do."""
        cell = self.rows.cell(index)
        self.setCurrentIndex(index)
        if cell.switch is not None:
            self.toggled.emit(self._key(index), not cell.switch)
        elif cell.menu:
            self._open_menu(index)
        elif cell.button:
            self.pressed.emit(self._key(index))

    def _open_menu(self, index: QModelIndex) -> None:
        corner = self.visualRect(index).bottomLeft()
        self.menu_wanted.emit(self._key(index), self.viewport().mapToGlobal(corner))

    # --- Qt's events

    def selectionCommand(
        self, _index: QModelIndex | QPersistentModelIndex, _event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        """Nothing is ever selected: rows have a current one and acts."""
        return QItemSelectionModel.SelectionFlag.NoUpdate

    def selectAll(self) -> None:
        return

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()
        if self._selecting and self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())  # what shows more of the row may have taken its place

    def currentChanged(
        self, current: QModelIndex | QPersistentModelIndex, previous: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().currentChanged(current, previous)
        if self._selecting and current.row() != previous.row():
            self.viewport().update()
            if current.isValid() and not self._showing:
                self.chosen.emit(self.rows.row(current.row()).key)

    def _button_at(self, event: QMouseEvent) -> QModelIndex:
        """The cell whose painted button is under the mouse, if one is."""
        index = self.indexAt(event.position().toPoint())
        if index.isValid():
            cell = self.rows.cell(index)
            box = self.delegate.button_rect(QRectF(self.visualRect(index)), index.column(), cell)
            if (cell.button or cell.menu) and box.contains(event.position()):
                return index
        return QModelIndex()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self._held:
            super().mouseMoveEvent(event)
        index = self.indexAt(event.position().toPoint())
        self._hover(index.row() if index.isValid() else -1, QPersistentModelIndex(self._button_at(event)))

    def leaveEvent(self, event: object) -> None:
        super().leaveEvent(event)  # type: ignore[arg-type]
        self._hover(-1, QPersistentModelIndex())

    def _hover(self, row: int, button: QPersistentModelIndex) -> None:
        if (row, button) != (self.delegate.hover_row, self.delegate.hover_button):
            self.delegate.hover_row, self.delegate.hover_button = row, button
            self.viewport().update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        chosen = self.current_key
        clicked = self._selecting and event.reason() == Qt.FocusReason.MouseFocusReason
        self._showing = clicked  # the click says itself what is chosen
        super().focusInEvent(event)
        self._showing = False
        self._ring = ring_after(event, self._ring)
        if clicked:
            self.show_choice(chosen)
        elif not self.currentIndex().isValid() and self.rows.rowCount():
            self.setCurrentIndex(self.rows.index(0, 0))
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._ring = ring_after(event, self._ring)
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._ring = False
        index = self._button_at(event)
        if self._selecting and index.isValid() and self.rows.cell(index).button:
            # Choosing the row would take its button away before it is let go.
            self._held = self._key(index)
        else:
            super().mousePressEvent(event)
        self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if not self._held:
            super().mouseReleaseEvent(event)
            return
        held, self._held = self._held, ""
        index = self._button_at(event)
        if index.isValid() and self._key(index) == held:
            self.pressed.emit(held)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        index = self.indexAt(event.pos())
        if index.isValid():
            self.menu_wanted.emit(self._key(index), event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._ring = True
        index = self.currentIndex()
        if not index.isValid():
            super().keyPressEvent(event)
            return
        cells = self.rows.row(index.row()).cells
        match event.key():
            case Qt.Key.Key_Space if self._selecting:
                self.pressed.emit(self._key(index))
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if self._selecting:
                self.opened.emit(self._key(index))
            case Qt.Key.Key_Space if any(cell.switch is not None for cell in cells):
                switch = next(cell.switch for cell in cells if cell.switch is not None)
                self.toggled.emit(self._key(index), not switch)
            case Qt.Key.Key_Space | Qt.Key.Key_Return | Qt.Key.Key_Enter if any(cell.button for cell in cells):
                self.pressed.emit(self._key(index))
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Menu:
                self._open_menu(index)
            case Qt.Key.Key_Delete:
                self.delete_wanted.emit(self._key(index))
            case _:
                super().keyPressEvent(event)
                self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        index = self.currentIndex()
        if not (self._ring and self.hasFocus() and index.isValid()):
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("accent"), 2))
        row = self.visualRect(index)
        ring = QRectF(0, row.top(), self.viewport().width(), row.height() - 1).adjusted(2, 1, -2, -1)
        painter.drawRoundedRect(ring, 4, 4)
        painter.end()
