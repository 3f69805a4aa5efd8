"""The Qt model that shows rows of a table (`app.presenters.table_rows`) with the fewest signals.

Views build whole lists of `Row`; `RowModel.show` finds what changed, so hover, current row and scrolling survive.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app.i18n import tr
from app.presenters.table_rows import Cell, Column, Row
from app.words import one_line

Index = QModelIndex | QPersistentModelIndex
LONGEST = 2_000  # letters of a tooltip
CELL_ROLE = Qt.ItemDataRole.UserRole + 1


class RowModel(QAbstractTableModel):
    """`toggled(key, on)`: somebody wants a row's switch changed; the model itself waits for the new rows."""

    toggled = Signal(str, bool)

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._rows: list[Row] = []

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows)

    def show(self, rows: Sequence[Row]) -> None:
        wanted = {row.key for row in rows}
        for place in range(len(self._rows) - 1, -1, -1):
            if self._rows[place].key not in wanted:
                self.beginRemoveRows(QModelIndex(), place, place)
                del self._rows[place]
                self.endRemoveRows()
        kept = [row.key for row in self._rows]
        present = set(kept)
        if kept != [row.key for row in rows if row.key in present]:
            self.beginResetModel()
            self._rows = list(rows)
            self.endResetModel()
            return
        self._insert(rows, present)
        for place, row in enumerate(rows):
            if self._rows[place] != row:
                self._rows[place] = row
                self.dataChanged.emit(self.index(place, 0), self.index(place, len(self.columns) - 1))

    def _insert(self, rows: Sequence[Row], present: set[str]) -> None:
        """Insert what is new, one signal for each run of neighbours."""
        place = 0
        while place < len(rows):
            if rows[place].key in present:
                place += 1
                continue
            end = place
            while end < len(rows) and rows[end].key not in present:
                end += 1
            self.beginInsertRows(QModelIndex(), place, end - 1)
            self._rows[place:place] = rows[place:end]
            self.endInsertRows()
            place = end

    def row(self, place: int) -> Row:
        return self._rows[place]

    def cell(self, index: Index) -> Cell:
        return self._rows[index.row()].cells[index.column()]

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        cell = self.cell(index)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return cell.text
            case Qt.ItemDataRole.AccessibleTextRole:
                return cell.accessible or " ".join(
                    filter(None, (cell.text, cell.badge, cell.detail + cell.state, cell.button))
                )
            case Qt.ItemDataRole.ToolTipRole:
                return one_line(cell.tooltip or self._rows[index.row()].tooltip, LONGEST) or None
            case Qt.ItemDataRole.CheckStateRole if cell.switch is not None:
                # The enum as its number: Qt's own accessibility reads it back as one.
                return Qt.CheckState.Checked.value if cell.switch else Qt.CheckState.Unchecked.value
            case _ if role == CELL_ROLE:
                return cell
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or self.cell(index).switch is None:
            return False
        on = value in (Qt.CheckState.Checked, Qt.CheckState.Checked.value)
        self.toggled.emit(self._rows[index.row()].key, on)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.isValid() and self.cell(index).switch is not None:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(self.columns[section].title)
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.AccessibleTextRole:
            return tr(self.columns[section].spoken or self.columns[section].title)
        return None
