"""The first card: one switch, and under it a line that is always true."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import later, tr
from app.presenters.share import SharePresenter
from app.presenters.share_manners import HOUR
from app.presenters.share_rows import status
from app.theme import Theme
from app.tray_words import paused
from app.views.share_gauges import GaugesRow
from app.widgets.button import Button
from app.widgets.card import PADDING, Card, rule
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.label import ElidedLabel, Label
from app.widgets.menu import Menu
from app.widgets.status_line import StatusLine
from app.widgets.switch import RING, Switch
from qvac_core.core.state import ErrorInfo, PauseReason, SharingPhase

ON = later("Sharing is on")
PAUSED = later("Sharing is paused")
TITLES = {
    SharingPhase.OFF: later("Sharing is off"),
    SharingPhase.STOPPING: later("Sharing is off"),
}
PAUSES: tuple[tuple[str, float | None], ...] = (
    (later("For half an hour"), HOUR / 2),
    (later("For an hour"), HOUR),
    (later("For four hours"), 4 * HOUR),
    (later("Until I resume"), None),
)


class StatusCard(Card):
    """`network_wanted`: somebody asks why, and what helps."""

    network_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._presenter = presenter
        self.switch = Switch(theme, tr("Share my GPU"))
        self.state = Label(scale="state", weight=600)
        self.gpu = ElidedLabel(scale="hint", tone="text3")
        # The state and the button come first; where there is no room, the name of the GPU goes.
        self.gpu.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.pause = Button(theme, tr("Pause"), icon="pause", name=tr("Pause sharing"))
        self.gauges = GaugesRow(presenter.gauges, theme)
        self.line = StatusLine(theme)
        self.again = Button(theme, tr("Try now"), icon="refresh-cw", name=tr("Try to reach the network now"))
        self.network = Button(theme, tr("Network"), icon="cable", name=tr("How this machine is connected"))
        self.resume = Button(theme, tr("Resume"), icon="play", name=tr("Resume sharing"))
        self.error = ErrorPanel(theme)
        top = QHBoxLayout()
        top.setSpacing(12 - RING)
        top.addWidget(self.switch)
        top.addWidget(self.state)
        top.addWidget(self.gpu, 1)
        top.addWidget(self.pause)
        top.addWidget(self.resume)
        # A hidden holder takes no spacing; an empty layout would.
        self._acts = QWidget()
        acts = QHBoxLayout(self._acts)
        acts.setContentsMargins(27, 0, 0, 0)
        acts.setSpacing(8)
        acts.addWidget(self.again)
        acts.addWidget(self.network)
        acts.addStretch(1)
        # The ring's room belongs to the switch, not to the margin: its edge stands where text begins.
        top.setContentsMargins(PADDING - 1 - RING, 12 - RING, PADDING - 1, 6)
        inner = QVBoxLayout()
        inner.setContentsMargins(PADDING - 1, 0, PADDING - 1, PADDING - 4)
        inner.setSpacing(10)
        inner.addWidget(self.line)
        inner.addWidget(self._acts)
        inner.addWidget(self.error)
        self.body.addLayout(top)
        self.body.addLayout(inner)
        self._rule = rule()
        self.add_wide(self._rule)
        self._gauges_holder = self.add_padded(self.gauges, top=10, bottom=13)
        self.switch.clicked.connect(presenter.set_sharing)
        self.again.clicked.connect(presenter.try_again)
        self.network.clicked.connect(self.network_wanted)
        self.pause.clicked.connect(lambda: self.pause_menu().open_below(self.pause))
        self.resume.clicked.connect(presenter.resume)
        presenter.gauges.changed.connect(self._show_gauges)
        self._show_gauges()
        for signal in (
            presenter.sharing_changed,
            presenter.models_changed,
            presenter.rules_changed,
            presenter.pauses_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        state = presenter.sharing
        if self.switch.isChecked() != presenter.on:
            self.switch.setChecked(presenter.on)
        self.switch.setEnabled(state.phase is not SharingPhase.STOPPING)
        self.state.setText(tr(PAUSED) if self._paused else tr(TITLES.get(state.phase, ON)))
        by_hand = self._paused and any(pause.reason is PauseReason.OWNER for pause in presenter.pauses)
        self.resume.setVisible(by_hand)
        self.pause.setVisible(presenter.on and not by_hand)
        self._acts.setVisible(state.phase is SharingPhase.UNREACHABLE and not self._paused)
        self.tick()

    @property
    def _paused(self) -> bool:
        return self._presenter.on and bool(self._presenter.pauses)

    def tick(self) -> None:
        presenter = self._presenter
        if self._paused:
            clause = paused(presenter.pauses, presenter.clock()) + "."
            stay = tr("Guests stay connected, and are told when to ask again.")
            self.line.show_status("pause", clause, stay, "warn")
            return
        shared = sum(model.shared for model in presenter.models)
        icon, clause, facts, tone = status(
            presenter.sharing, presenter.announced_at, presenter.people_on, shared, presenter.clock()
        )
        self.line.show_status(icon, clause, facts, tone)

    def _show_gauges(self) -> None:
        shown = bool(self._presenter.gauges.shown())
        self._rule.setVisible(shown)
        self._gauges_holder.setVisible(shown)
        gpu = self._presenter.gauges.gpu
        self.gpu.setText(gpu.name.removeprefix("NVIDIA ") if gpu is not None else "")
        self.gpu.setToolTip(self.gpu.text())

    def pause_menu(self) -> Menu:
        menu = Menu(self)
        for text, seconds in PAUSES:
            menu.addAction(tr(text), partial(self._pause, seconds))
        menu.addSeparator()
        menu.addAction(tr("For an hour, and end what runs"), partial(self._pause, HOUR, cut=True))
        return menu

    def _pause(self, seconds: float | None, *, cut: bool = False) -> None:
        presenter = self._presenter
        presenter.pause(None if seconds is None else presenter.clock() + seconds, cut=cut)

    def show_error(self, error: ErrorInfo) -> None:
        retry = Act(tr("Try again"), lambda: self._presenter.set_sharing(True), "quiet", "rotate-ccw")
        self.error.show_error(error, [] if self._presenter.on else [retry])

    def clear_error(self) -> None:
        self.error.clear()
