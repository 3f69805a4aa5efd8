"""The line above the composer while the provider of this conversation is away: what happens, and what helps."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.guest_terms import biting
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.status_line import StatusLine
from app.words import whole_duration
from qvac_core.core.state import ProviderEntry
from qvac_core.late_dataclass import dataclass

TICK_MS = 1000
BACK_MS = 4000
"""How long it says that the provider is back."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Icon, first clause, facts, tone; `away`: nothing is tried at this moment."""

    icon: str
    clause: str
    facts: str
    tone: str
    away: bool


def reach(provider: ProviderEntry, now: float) -> Reach | None:
    """None while there is nothing to say: it is online, or nobody has tried it yet."""
    left = provider.retry_at - now if provider.retry_at is not None else 0.0
    again = tr("Trying again in about {time}.", time=whole_duration(left)) if left >= 1 else ""
    match provider.state:
        case "waking":
            facts = tr("It was called and has two minutes to come.")
            return Reach("clock", tr("Waking {name}…", name=provider.name), facts, "text2", False)
        case "connecting" if provider.last_connected is not None:
            return Reach("refresh-cw", tr("Reconnecting to {name}…", name=provider.name), again, "text2", False)
        case "online" if not provider.models and provider.translates:
            facts = tr("Its translation models are in the menu of a message.")
            return Reach("languages", tr("{name} only translates.", name=provider.name), facts, "text2", True)
        case "online" if not provider.models:
            facts = tr("Ask its owner to share one.")
            return Reach(
                "triangle-alert", tr("{name} shares no model with you.", name=provider.name), facts, "warn", True
            )
        case "online" if (limit := biting(provider.terms, provider.name, now)) is not None:
            clause, facts, closed = limit
            return Reach("hourglass" if closed else "gauge", clause, facts, "warn" if closed else "text2", False)
        case "silent":
            since = tr(
                "No sign of it for {time}.",
                time=whole_duration(max(1.0, now - provider.silent_since)),
            )
            return Reach("triangle-alert", tr("Nothing comes from {name}.", name=provider.name), since, "warn", True)
        case "offline":
            why = told(provider.error.title) if provider.error is not None else ""
            return Reach(
                "triangle-alert",
                tr("{name} cannot be reached.", name=provider.name),
                f"{why} {again}".strip(),
                "warn",
                True,
            )
        case "waiting":
            facts = tr("Your key is shown there. It connects by itself once the key is allowed.")
            return Reach("clock", tr("Waiting for the owner of {name}.", name=provider.name), facts, "text2", True)
        case "refused":
            why = told(provider.error.message) if provider.error is not None else ""
            asking = tr("Asking again in about {time}.", time=whole_duration(left)) if again else ""
            facts = f"{why} {asking}".strip()
            return Reach(
                "ban", tr("{name} does not let you in at the moment.", name=provider.name), facts, "warn", True
            )
    return None


class ReachBar(QWidget):
    """Hidden while the provider answers and while this machine is the target.

    While an answer is on its way it speaks only of a provider that has become silent, and offers not to wait for it.
    """

    def __init__(self, presenter: ChatPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._lost = ""  # the provider whose return is told
        self._lets_in = False  # it did not, before
        self.line = StatusLine(theme)
        self.again = Button(theme, tr("Try now"), size="small", name=tr("Try to reach the provider now"))
        self.here = Button(theme, tr("Chat on this machine"), icon="laptop", size="small")
        self.stop = Button(theme, tr("Stop"), size="small", name=tr("Stop the answer that does not come"))
        self.go_on = Button(theme, tr("Go on with this machine"), icon="laptop", size="small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 2)
        layout.setSpacing(8)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.again)
        layout.addWidget(self.here)
        layout.addWidget(self.stop)
        layout.addWidget(self.go_on)
        self.again.clicked.connect(lambda: presenter.connect_provider(presenter.target.provider_key))
        self.here.clicked.connect(presenter.chat_here)
        self.stop.clicked.connect(presenter.stop)
        self.go_on.clicked.connect(presenter.continue_here)
        self._tick = _timer(self, TICK_MS, self.refresh)
        self._back = _timer(self, BACK_MS, self._end_back)
        self._back.setSingleShot(True)
        for signal in (presenter.target_changed, presenter.providers_changed, presenter.answering_changed):
            signal.connect(self.refresh)
        presenter.opened.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        provider = presenter.provider(presenter.target.provider_key)
        if provider is None or provider.public_key != self._lost:
            self._lost = ""
            self._back.stop()
        found = reach(provider, presenter.now) if provider is not None else None
        if provider is not None and found is not None and (not presenter.busy or self._keeps_waiting(provider)):
            self._show(found)
            self._lost = provider.public_key
            self._lets_in = provider.state in ("waiting", "refused")
            self._back.stop()
        elif provider is not None and self._lost and provider.state == "online":
            if not self._back.isActive():
                name = provider.name
                back = tr("{name} lets you in now.", name=name) if self._lets_in else tr("{name} is back.", name=name)
                self._show(Reach("circle-check", back, "", "accent", False))
                self._back.start()
        else:
            self.hide()
            self._tick.stop()

    def _keeps_waiting(self, provider: ProviderEntry) -> bool:
        """An answer is to come of a provider of which nothing comes."""
        answer = self._presenter.answering
        if provider.state != "silent" or answer is None:
            return False
        return not self._presenter.speaker(answer).local

    def _show(self, told: Reach) -> None:
        # Below a failed answer stand its own remedies: the line alone is enough there.
        last = self._presenter.messages[-1] if self._presenter.messages else None
        waits = self._presenter.busy
        acts = told.away and not waits and not (last is not None and last.status == "failed")
        self.line.show_status(told.icon, told.clause, told.facts, told.tone)
        self.again.setVisible(acts)
        self.here.setVisible(acts and bool(self._presenter.models))
        self.stop.setVisible(waits and not self._presenter.models)
        self.go_on.setVisible(waits and bool(self._presenter.models))
        if not self.isVisible():
            self.show()
            announce(self, self.line.text)
        if not self._tick.isActive():
            self._tick.start()

    def _end_back(self) -> None:
        self._lost = ""
        self.refresh()


def _timer(owner: QWidget, ms: int, then: Callable[[], None]) -> QTimer:
    timer = QTimer(owner)
    timer.setInterval(ms)
    timer.timeout.connect(then)
    return timer
