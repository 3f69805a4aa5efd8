"""The Library page: what can this machine run, and what does it cost to get? Left what is here, right what can be had.

Below 1080 px it shows one of its four parts at a time.
"""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app import words
from app.i18n import listed, tr
from app.presenters.library import DOWNLOADS, FIND, FOLDER, HERE, NEAR, LibraryPresenter
from app.theme import Theme
from app.views.library_downloads import DownloadsCard
from app.views.library_find import FindCard
from app.views.library_here import HereCard
from app.views.library_near import NearCard
from app.widgets.elided_label import ElidedLabel
from app.widgets.own_width import UNBOUND
from app.widgets.segmented import Segmented
from qvac_core.core.state import ErrorInfo

NARROW = 1080  # below: one part at a time
LEFT_WIDTH = 428
MARGIN = 16
TOP = 12
GAP = 12
BAR = 10  # the left column's scroll bar stands in the gap between the columns
TICK_MS = 20_000  # ages in days and minutes


class LibraryPage(QWidget):
    """Its parts are made when it is looked at for the first time: most starts never do."""

    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._narrow: bool | None = None
        self._built = False
        self._errors: dict[str, ErrorInfo] = {}  # of before it was made
        presenter.failed.connect(self._show_error)
        presenter.cleared.connect(self._clear_error)

    def build(self) -> None:
        """Make its parts, unless they are there."""
        if self._built:
            return
        presenter, theme = self._presenter, self._theme
        self.catalog = FindCard(presenter, theme)
        self.downloads = DownloadsCard(presenter, theme)
        self.here = HereCard(presenter, theme)
        self.near = NearCard(presenter, theme)
        self.parts = Segmented(
            tr("Show"),
            [
                (FIND, tr("Find", "models to be had")),
                (DOWNLOADS, tr("Downloads")),
                (HERE, tr("On this machine")),
                (NEAR, tr("Found near you")),
            ],
        )
        self.parts.show_choice(FIND)
        self.summary = ElidedLabel(scale="hint", tone="text3")
        self._build()
        self._ticking = QTimer(self)
        self._ticking.setInterval(TICK_MS)
        self._ticking.timeout.connect(self.here.tick)
        self._connect()
        self._built = True
        self._arrange(self._is_narrow())
        for place, error in self._errors.items():
            self._show_error(place, error)

    def _build(self) -> None:
        self._left, left = QWidget(), QVBoxLayout()
        self._left.setLayout(left)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(GAP)
        for card in (self.downloads, self.here, self.near):
            left.addWidget(card)
        left.addStretch(1)
        self.area = QScrollArea()
        self.area.setObjectName("page")
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self._left)
        self._bar = QWidget()
        bar = QHBoxLayout(self._bar)
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(8)
        bar.addWidget(self.parts)
        bar.addStretch(1)
        bar.addWidget(self.summary)
        columns = QHBoxLayout()
        columns.setSpacing(GAP - BAR)
        columns.addWidget(self.area)
        columns.addWidget(self.catalog, 1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(MARGIN, TOP, MARGIN, TOP)
        outer.setSpacing(GAP - 2)
        outer.addWidget(self._bar)
        outer.addLayout(columns, 1)
        self._order_tabs()

    def _connect(self) -> None:
        presenter = self._presenter
        for signal in (
            presenter.downloads_changed,
            presenter.models_changed,
            presenter.near_changed,
            presenter.folder_changed,
        ):
            signal.connect(self._show_parts)
        self.parts.chosen.connect(lambda _part: self._show_parts())
        self.downloads.free_up_wanted.connect(self.here.ask_to_free_up)
        self.downloads.folder_wanted.connect(self.here.choose_folder)
        self.catalog.detail.rebuilt.connect(self._order_tabs)
        self.here.find_wanted.connect(self.show_find)
        self.near.shown.connect(self.show_find)

    # --- Where one is

    @property
    def narrow(self) -> bool:
        return bool(self._narrow)

    def regions(self) -> list[QWidget]:
        """Where F6 goes: the search first, as what people come for."""
        self.build()
        find = self.catalog
        stops: list[QWidget] = [find.search, find.table, find.detail.region(), self.downloads.all]
        stops += [self.here.table, self.near.table]
        return [self.parts.button(self.parts.choice), *stops] if self.narrow and self.parts.choice != FIND else stops

    def show_find(self) -> None:
        self.parts.show_choice(FIND)
        self._show_parts()
        self.catalog.search.setFocus(Qt.FocusReason.OtherFocusReason)

    def _order_tabs(self) -> None:
        """The search is the first stop, then its table and detail, then the left column, as F6 goes."""
        stops = [
            stop
            for card in (self._bar, self.catalog, self.downloads, self.here, self.near)
            for stop in card.findChildren(QWidget)
            # The lists of combo boxes are windows of their own.
            if stop.focusPolicy() & Qt.FocusPolicy.TabFocus and stop.window() is card.window()
        ]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)

    # --- Shown

    def _arrange(self, narrow: bool) -> None:
        if narrow == self._narrow:
            return
        self._narrow = narrow
        self._bar.setVisible(narrow)
        self.catalog.set_narrow(narrow)
        self.here.set_narrow(narrow)
        wide = round(LEFT_WIDTH * self._theme.breadth)
        self._left.setMinimumWidth(0 if narrow else wide)
        self._left.setMaximumWidth(UNBOUND if narrow else wide)
        self.area.setMinimumWidth(0 if narrow else wide + BAR)
        self.area.setMaximumWidth(UNBOUND if narrow else wide + BAR)
        self._show_parts()

    def _show_parts(self) -> None:
        presenter = self._presenter
        part = self.parts.choice if self.narrow else ""
        self.catalog.setVisible(part in ("", FIND))
        self.area.setVisible(part != FIND)
        self.downloads.setVisible(part == DOWNLOADS or (not part and not self.downloads.empty))
        self.here.setVisible(part in ("", HERE))
        nothing = not presenter.models and self.near.empty
        self.near.setVisible(part == NEAR or (not part and not self.near.empty and not nothing))
        if not self.narrow:
            return
        near = sum(len(program.unused) for program in presenter.usable_near)
        near += sum(neighbour.models for neighbour in presenter.neighbours)
        for name, text, count in (
            (DOWNLOADS, tr("Downloads"), len(presenter.downloads)),
            (HERE, tr("On this machine"), len(presenter.models)),
            (NEAR, tr("Found near you"), near),
        ):
            self.parts.rename(name, tr("{part}, {count}", part=text, count=count) if count else text)
        said = [tr("{rate}/s", rate=words.size(presenter.rate))] if presenter.rate > 0 else []
        if presenter.folder is not None and not presenter.folder.missing:
            said.append(tr("{size} free", size=words.size(presenter.folder.free_bytes)))
        self.summary.setText(listed(said))

    def _card(self, place: str) -> FindCard | DownloadsCard | HereCard | NearCard:
        cards: dict[str, FindCard | DownloadsCard | HereCard | NearCard] = {
            FIND: self.catalog,
            DOWNLOADS: self.downloads,
            HERE: self.here,
            FOLDER: self.here,
            NEAR: self.near,
        }
        return cards[place]

    def _show_error(self, place: str, error: ErrorInfo) -> None:
        if not self._built:
            self._errors[place] = error
            return
        self._card(place).show_error(error)
        self._show_parts()

    def _clear_error(self, place: str) -> None:
        if not self._built:
            self._errors.pop(place, None)
            return
        self._card(place).clear_error()
        self._show_parts()

    # --- Qt's events

    def _is_narrow(self) -> bool:
        return self.width() < NARROW * self._theme.breadth

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._built:
            self._arrange(self._is_narrow())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self._built:
            self._arrange(self._is_narrow())

    def setVisible(self, visible: bool) -> None:
        if visible:
            self.build()  # before Qt shows what is in it, so that it can have the focus at once
        super().setVisible(visible)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.here.tick()
        self._ticking.start()
        self._presenter.opened()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self._built:
            self._ticking.stop()
