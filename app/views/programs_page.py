"""The page For programs: may programs of this machine use what I reach, how do they, and who does?

Below 1080 px it is one column.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.presenters.programs import SWITCH, ProgramsPresenter
from app.theme import Theme
from app.views.programs_connect import ConnectCard
from app.views.programs_endpoint import EndpointCard
from app.views.programs_tables import CallsCard, ModelsCard
from app.widgets.own_width import UNBOUND
from qvac_core.core.state import ErrorInfo

NARROW = 1080
LEFT_WIDTH = 428
MARGIN = 16
TOP = 12
GAP = 12


class ProgramsPage(QWidget):
    """Its parts are made when it is looked at for the first time. `left`: more cards go below the endpoint's."""

    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._narrow: bool | None = None
        self._built = False
        self._errors: dict[str, ErrorInfo] = {}
        presenter.failed.connect(self._show_error)
        presenter.cleared.connect(self._clear_error)

    def build(self) -> None:
        """Make its parts, unless they are there."""
        if self._built:
            return
        presenter, theme = self._presenter, self._theme
        self.endpoint = EndpointCard(presenter, theme)
        self.connect_card = ConnectCard(presenter, theme)
        self.models = ModelsCard(presenter, theme)
        self.calls = CallsCard(presenter, theme)
        self._left, self._right, inner = QWidget(), QWidget(), QWidget()
        self.left = QVBoxLayout(self._left)
        self.left.setContentsMargins(0, 0, 0, 0)
        self.left.setSpacing(GAP)
        self.left.addWidget(self.endpoint)
        self.left.addStretch(1)
        right = QVBoxLayout(self._right)
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(GAP)
        right.addWidget(self.connect_card)
        right.addWidget(self.models)
        right.addWidget(self.calls, 1)
        self._columns = QHBoxLayout(inner)
        self._columns.setContentsMargins(MARGIN, TOP, MARGIN, TOP)
        self._columns.setSpacing(GAP)
        self._columns.addWidget(self._left)
        self._columns.addWidget(self._right, 1)
        self.area = QScrollArea()
        self.area.setObjectName("page")
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.area)
        self._built = True
        self._arrange()
        for place, error in self._errors.items():
            self._show_error(place, error)

    @property
    def narrow(self) -> bool:
        return bool(self._narrow)

    def regions(self) -> list[QWidget]:
        """Where F6 goes: the token first, as what people come for, once it is of use."""
        self.build()
        on = self._presenter.state.on
        first: list[QWidget] = [self.endpoint.copy_token, self.endpoint.switch]
        card = self.connect_card
        kinds: QWidget = card.kind_combo if self.narrow else card.kinds.button(card.kind)
        return [*(first if on else first[::-1]), kinds, card.model, self.models.table, self.calls.table]

    def _arrange(self) -> None:
        narrow = self.width() < NARROW * self._theme.breadth
        if narrow == self._narrow:
            return
        self._narrow = narrow
        direction = QHBoxLayout.Direction.TopToBottom if narrow else QHBoxLayout.Direction.LeftToRight
        self._columns.setDirection(direction)
        wide = round(LEFT_WIDTH * self._theme.breadth)
        self._left.setMinimumWidth(0 if narrow else wide)
        self._left.setMaximumWidth(UNBOUND if narrow else wide)
        self.connect_card.set_narrow(narrow)

    def _show_error(self, place: str, error: ErrorInfo) -> None:
        if not self._built:
            self._errors[place] = error
        else:
            (self.endpoint if place == SWITCH else self.connect_card).show_error(error)

    def _clear_error(self, place: str) -> None:
        if not self._built:
            self._errors.pop(place, None)
        else:
            (self.endpoint if place == SWITCH else self.connect_card).clear_error()

    # --- Qt's events

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._built:
            self._arrange()

    def setVisible(self, visible: bool) -> None:
        if visible:
            self.build()  # before Qt shows what is in it, so that it can have the focus at once
        super().setVisible(visible)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._presenter.opened(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._presenter.opened(False)
