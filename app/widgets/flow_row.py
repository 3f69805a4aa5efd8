"""Widgets in a row that goes on in the next line where there is no room: buttons are whole in every language."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QStyle, QWidget


class FlowRow(QLayout):
    """Those added `at_end`, behind the others, stand at the other end of the last line."""

    def __init__(self, spacing: int = 8) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._at_end: set[QWidget] = set()
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)

    def add(self, widget: QWidget, *, at_end: bool = False) -> None:
        if at_end:
            self._at_end.add(widget)
        self.addWidget(widget)

    # --- What a QLayout has to be

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        if not 0 <= index < len(self._items):
            return None
        item = self._items.pop(index)
        self._at_end.discard(item.widget())
        return item

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        lines = self._lines(width)
        return lines[-1][-1][1].bottom() + 1 if lines else 0

    def sizeHint(self) -> QSize:
        sizes = [item.sizeHint() for item in self._shown()]
        width = sum(size.width() for size in sizes) + self.spacing() * max(0, len(sizes) - 1)
        return QSize(width, max((size.height() for size in sizes), default=0))

    def minimumSize(self) -> QSize:
        sizes = [item.minimumSize() for item in self._shown()]
        return QSize(max((s.width() for s in sizes), default=0), max((s.height() for s in sizes), default=0))

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        parent = self.parentWidget()
        direction = parent.layoutDirection() if parent is not None else Qt.LayoutDirection.LeftToRight
        for line in self._lines(rect.width()):
            for item, place in line:
                item.setGeometry(QStyle.visualRect(direction, rect, place.translated(rect.topLeft())))

    # --- Lines

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[list[tuple[QLayoutItem, QRect]]]:
        """The items of each line with their places, from the left and from 0, 0."""
        lines: list[list[tuple[QLayoutItem, QRect]]] = []
        x = y = 0
        for item in self._shown():
            size = QSize(min(item.sizeHint().width(), max(width, item.minimumSize().width())), item.sizeHint().height())
            if not lines or x + size.width() > width:
                y = max((place.bottom() + 1 for _, place in lines[-1]), default=0) + self.spacing() if lines else 0
                x = 0
                lines.append([])
            lines[-1].append((item, QRect(x, y, size.width(), size.height())))
            x += size.width() + self.spacing()
        if lines:
            self._push_to_end(lines[-1], width)
        return lines

    def _push_to_end(self, line: list[tuple[QLayoutItem, QRect]], width: int) -> None:
        right = width
        for index in reversed(range(len(line))):
            item, place = line[index]
            if item.widget() not in self._at_end:
                return
            right -= place.width()
            line[index] = (item, QRect(right, place.y(), place.width(), place.height()))
            right -= self.spacing()
