"""A page of two columns that scrolls, and is one column where the window is narrow."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QScrollArea, QWidget

from app.theme import Theme
from app.widgets.own_width import UNBOUND

NARROW = 1000
LEFT_WIDTH = 428
GAP = 12


class TwoColumns(QScrollArea):
    """right_first: where there is one column, the right one stands above. The left one keeps its width beside it."""

    def __init__(self, theme: Theme, left: QWidget, right: QWidget, *, right_first: bool = False) -> None:
        super().__init__()
        self._theme, self._left, self._right, self._right_first = theme, left, right, right_first
        self._narrow: bool | None = None
        content = QWidget()
        self._grid = QGridLayout(content)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self.setObjectName("page")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setWidget(content)
        self._arrange(False)

    def fit(self, width: int) -> None:
        """To a page of this width in pixels."""
        self._arrange(width < NARROW * self._theme.breadth)

    def _arrange(self, narrow: bool) -> None:
        if narrow == self._narrow:
            return
        self._narrow = narrow
        for column in (self._left, self._right):
            self._grid.removeWidget(column)
        above = narrow and self._right_first
        self._grid.addWidget(self._left, 1 if above else 0, 0)
        self._grid.addWidget(self._right, 1 if narrow and not above else 0, 0 if narrow else 1)
        self._grid.setColumnStretch(0, 1 if narrow else 0)
        self._grid.setColumnStretch(1, 0 if narrow else 1)
        wide = round(LEFT_WIDTH * self._theme.breadth)
        self._left.setMaximumWidth(UNBOUND if narrow else wide)
        self._left.setMinimumWidth(0 if narrow else wide)
