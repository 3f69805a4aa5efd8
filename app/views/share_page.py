"""The Share my GPU tab: am I sharing, with whom, and what is it costing me? Two columns, or one where it is narrow."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.presenters.share import SharePresenter
from app.theme import Theme
from app.views.invite_page import InvitePage
from app.views.limits_page import LimitsPage
from app.views.share_access import AccessCard
from app.views.share_key import KeyCard
from app.views.share_knocks import KnockList
from app.views.share_log import LogCard
from app.views.share_manners import MannersCard
from app.views.share_models import ModelsCard
from app.views.share_running import RunningCard
from app.views.share_status import StatusCard
from app.widgets.table import ROW, ROW_TWO_LINES
from qvac_core.core.state import ErrorInfo

NARROW = 1080  # below: one column
LEFT_WIDTH = 428
MARGIN = 16
TOP = 12
GAP = 12
TICK_MS = 1000
GAUGE_TICKS = 2
DENSE_BELOW = 820  # pixels of height
DENSER = 2  # pixels that a row is lower there


AnyCard = StatusCard | ModelsCard | MannersCard | AccessCard | RunningCard | LogCard | KnockList


class _Column(QWidget):
    """As high as its cards are at its width.

    Qt would reckon with texts wrapped far narrower than they ever are here, and scroll what has room enough.
    """

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), 0)


class SharePage(QWidget):
    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self.status = StatusCard(presenter, theme)
        self.key = KeyCard(presenter.identity, theme)
        self.models = ModelsCard(presenter, theme)
        self.manners = MannersCard(presenter.manners, theme)
        self.knocks = KnockList(presenter, theme)
        self.access = AccessCard(presenter, theme)
        self.running = RunningCard(presenter, theme)
        self.log = LogCard(presenter, theme)
        self._build_columns()
        self._narrow: bool | None = None
        self._ticks = -1
        # Ages ("20 s ago") move on their own; nothing else here runs on time.
        self._ticking = QTimer(self)
        self._ticking.setInterval(TICK_MS)
        self._ticking.timeout.connect(self._tick)
        presenter.failed.connect(self._show_error)
        presenter.cleared.connect(self._clear_error)
        presenter.knocks_changed.connect(self._order_tabs)
        presenter.running_changed.connect(self._show_running)
        presenter.sharing_changed.connect(self._show_running)
        self.log.start_wanted.connect(lambda: presenter.set_sharing(True))
        self._show_running()
        self._arrange(False)

    @property
    def narrow(self) -> bool:
        return bool(self._narrow)

    def show_key(self, public_key: str) -> None:
        self.key.show_key(public_key)
        self.access.show_key(public_key)

    def open_person(self, public_key: str) -> None:
        self.stack.setCurrentWidget(self.person)
        self.person.show_person(public_key)

    def open_invites(self) -> None:
        self.stack.setCurrentWidget(self.invites)
        self.invites.open_page()

    def go_back(self) -> None:
        """To all of sharing, where it was left."""
        was = self.stack.currentWidget()
        self._presenter.person.leave()
        self.stack.setCurrentWidget(self.area)
        back: QWidget = self.access.invites if was is self.invites else self.access.table
        back.setFocus(Qt.FocusReason.OtherFocusReason)

    def regions(self) -> list[QWidget]:
        """Where F6 goes, in reading order."""
        inner = self.stack.currentWidget()
        if isinstance(inner, LimitsPage):
            return [inner.crumbs.link, inner.rename, inner.mine, inner.tokens.switch]
        if isinstance(inner, InvitePage):
            return [inner.crumbs.link, inner.form.name, inner.card.copy, inner.which.button("open")]
        return [
            self.status.switch,
            self.key.copy,
            self.models.add,
            self.manners.edit,
            self.access.mode.button("allow"),
            self.log.filter,
        ]

    def _build_columns(self) -> None:
        self._content = _Column()
        self._left, self._right = _Column(), _Column()
        self._left_column, self._right_column = QVBoxLayout(self._left), QVBoxLayout(self._right)
        for column in (self._left_column, self._right_column):
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(GAP)
        self._row = row = QHBoxLayout(self._content)
        row.setContentsMargins(MARGIN, TOP, MARGIN, TOP)
        row.setSpacing(GAP)
        row.addWidget(self._left)
        row.addWidget(self._right, 1)
        self.area = QScrollArea()
        self.area.setObjectName("page")
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setWidget(self._content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.person = LimitsPage(self._presenter.person, self._theme)
        self.invites = InvitePage(self._presenter.invites, self._theme)
        self.stack = QStackedWidget()
        for page in (self.area, self.person, self.invites):
            self.stack.addWidget(page)
        outer.addWidget(self.stack)
        self.access.person_wanted.connect(self.open_person)
        self.access.invites_wanted.connect(self.open_invites)
        for inner in (self.person, self.invites):
            inner.back.connect(self.go_back)
            inner.person_wanted.connect(self.open_person)

    def _arrange(self, narrow: bool) -> None:
        """Put the cards into two columns or one; the order is what matters most first."""
        if narrow == self._narrow:
            return
        self._narrow = narrow
        for column in (self._left_column, self._right_column):
            while (item := column.itemAt(0)) is not None:
                if (card := item.widget()) is not None:
                    # Not by `takeAt`: while Python holds such an item, Qt forgets no height that it has kept of a card.
                    column.removeWidget(card)
                else:
                    column.removeItem(item)
        if narrow:
            left: list[QWidget] = []
            right = [
                *(self.status, self.knocks, self.running, self.access),
                *(self.models, self.key, self.manners, self.log),
            ]
        else:
            left = [self.status, self.key, self.models, self.manners]
            right = [self.knocks, self.access, self.running, self.log]
        for column, cards in ((self._left_column, left), (self._right_column, right)):
            for card in cards:
                column.addWidget(card, 1 if card is self.log else 0)
        self._left_column.addStretch(1)
        self._left.setVisible(not narrow)
        self._left.setFixedWidth(round(LEFT_WIDTH * self._theme.breadth))
        self._order = [*left, *right]
        self._order_tabs()

    def _fit_rows(self, dense: bool) -> None:
        """At the design's 800 pixels all cards stand in one window, with rows a little lower and a shorter log."""
        for table, usual in ((self.access.table, ROW), (self.running.table, ROW), (self.models.table, ROW_TWO_LINES)):
            table.set_row_height(usual - DENSER if dense else usual)
        self.log.fit_rows(dense)
        for column in (self._left_column, self._right_column):
            column.setSpacing(GAP - DENSER if dense else GAP)
        self._row.setContentsMargins(MARGIN, TOP, MARGIN, TOP - DENSER if dense else TOP)

    def _order_tabs(self) -> None:
        """Tab walks the cards as the eye does; inside a card the order of making holds."""
        stops = [stop for card in self._order for stop in _stops(card)]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)

    def _show_running(self) -> None:
        presenter = self._presenter
        self.running.setVisible(bool(presenter.running) or (presenter.on and bool(presenter.log)))

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % GAUGE_TICKS == 0:
            self._presenter.gauges.refresh()
        self.status.tick()
        self.manners.tick()
        self.knocks.tick()
        self.access.tick()
        if self._presenter.running:
            self.running.tick()

    def _card(self, place: str) -> AnyCard:
        cards: dict[str, AnyCard] = {
            "status": self.status,
            "manners": self.manners,
            "models": self.models,
            "access": self.access,
            "knock": self.knocks,
            "running": self.running,
            "log": self.log,
        }
        return cards[place]

    def _show_error(self, place: str, error: ErrorInfo) -> None:
        self._card(place).show_error(error)

    def _clear_error(self, place: str) -> None:
        self._card(place).clear_error()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange(self.width() < NARROW * self._theme.breadth)
        self._fit_rows(self.height() < DENSE_BELOW and not self._narrow)
        left = 0 if self._narrow else self._left.width() + GAP
        self.access.fit(self.width() - left - 2 * MARGIN)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tick()
        self._ticking.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ticking.stop()


def _stops(card: QWidget) -> list[QWidget]:
    """The focusable widgets of a card, in the order of making."""
    return [child for child in card.findChildren(QWidget) if child.focusPolicy() & Qt.FocusPolicy.TabFocus]
