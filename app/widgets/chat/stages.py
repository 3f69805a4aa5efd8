"""The stages of reaching a provider as rows: done, running or waiting, with seconds at the end."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QProgressBar, QWidget

from app.announcements import announce
from app.i18n import later, tr
from app.theme import Theme
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.own_font import keep_font
from app.words import duration
from qvac_core.core.state import ConnectionStage, Stage
from qvac_core.late_dataclass import dataclass

TICK_MS = 100


@dataclass(frozen=True, slots=True)
class StageWords:
    """A stage before, while and after it runs, and a line that explains the end."""

    waiting: str
    running: str
    done: str
    explained: str = ""


ORDER = (Stage.FINDING, Stage.CONNECTING, Stage.HANDSHAKE, Stage.LOADING)
WORDS = {
    Stage.FINDING: StageWords(
        later("Find it on the network"), later("Finding it on the network"), later("Found on the network")
    ),
    Stage.CONNECTING: StageWords(later("Connect"), later("Connecting"), later("Connected")),
    Stage.HANDSHAKE: StageWords(
        later("Handshake"),
        later("Handshake"),
        later("Handshake"),
        later("Encrypted, and the key is the one you pasted"),
    ),
    Stage.LOADING: StageWords(later("Ask for its models"), later("Asking for its models"), later("Ready")),
}


class StageRow(QWidget):
    def __init__(self, theme: Theme, words: StageWords, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = words
        self.icon = IconLabel(theme, "circle", "ctl", 18)
        self.title = Label(tr(words.waiting), tone="text3")
        self.seconds = Label(scale="hint", tone="text3")
        keep_font(self.seconds, theme, lambda: theme.font("hint", tabular=True))
        self.explained = Label(scale="hint", tone="text3", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 5, 0, 5)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        grid.addWidget(self.icon, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.title, 0, 1)
        grid.addWidget(self.seconds, 0, 2, Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self.explained, 1, 1, 1, 2)
        grid.addWidget(self.bar, 2, 1, 1, 2)
        grid.setColumnStretch(1, 1)
        self.explained.hide()
        self.bar.hide()

    def wait(self) -> None:
        self._show("circle", "ctl", tr(self._words.waiting), tone="text3", weight=400)
        self.seconds.setText("")
        self._explain("")
        self.bar.hide()

    def run(self, fraction: float | None) -> None:
        self._show("loader-circle", "accent", tr(self._words.running), tone="text", weight=600)
        self.bar.setVisible(fraction is not None)
        if fraction is not None:
            self.bar.setRange(0, 100)
            self.bar.setValue(round(100 * fraction))

    def finish(self, title: str = "") -> None:
        self._show("circle-check", "accent", title or tr(self._words.done), tone="text", weight=400)
        self._explain(tr(self._words.explained) if self._words.explained else "")
        self.bar.hide()

    def fail(self, title: str) -> None:
        self._show("circle-x", "danger", title, tone="text", weight=600)
        self._explain("")
        self.bar.hide()

    def show_seconds(self, seconds: float) -> None:
        self.seconds.setText(duration(seconds) if seconds > 0 else "")

    def _explain(self, text: str) -> None:
        self.explained.setText(text)
        self.explained.setVisible(bool(text))

    def _show(self, icon: str, token: str, title: str, *, tone: str, weight: int) -> None:
        self.icon.set_icon(icon, token)
        self.title.setText(title)
        self.title.set_tone(tone)
        if self.title.property("strength") != str(weight):
            self.title.setProperty("strength", str(weight))
            self.title.style().unpolish(self.title)
            self.title.style().polish(self.title)


class Stages(QWidget):
    """Feed it ConnectionStage events of one provider; between them the running stage counts by itself."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = {stage: StageRow(theme, WORDS[stage], self) for stage in ORDER}
        self._seconds: dict[Stage, float] = {}
        self._running: Stage | None = None
        self._since = 0.0
        self._began = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for index, row in enumerate(self.rows.values()):
            grid.addWidget(row, index, 0)

    @property
    def total(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self._began if self._began else 0.0

    @property
    def running(self) -> bool:
        return self._running is not None

    def begin(self) -> None:
        self._seconds = {}
        self._began = monotonic()
        for row in self.rows.values():
            row.wait()
            row.show()
        self._enter(Stage.FINDING, 0.0, None)
        self._timer.start()

    def take(self, event: ConnectionStage) -> None:
        """The seconds of an event belong to its own stage; FAILED ends the one that runs."""
        if event.stage in self.rows:
            if event.stage is self._running:
                self._since = monotonic() - event.seconds
                self.rows[event.stage].run(event.fraction)
            else:
                self._enter(event.stage, event.seconds, event.fraction)

    def finish(self, title: str) -> None:
        """All is done; `title` says what the provider offers."""
        self._leave()
        announce(self, f"{title}.")
        for stage, row in self.rows.items():
            row.finish(title if stage is Stage.LOADING else "")
            row.show()  # those after a failed one were hidden
        self._timer.stop()

    def fail(self, title: str) -> None:
        if self._running is not None:
            self._leave()
        failed = False
        for stage, row in self.rows.items():
            if stage not in self._seconds and failed:
                row.hide()
            elif stage is self._last():
                row.fail(title)
                failed = True
        self._running = None
        self._timer.stop()

    def _last(self) -> Stage:
        reached = [stage for stage in ORDER if stage in self._seconds]
        return reached[-1] if reached else Stage.FINDING

    def _enter(self, stage: Stage, seconds: float, fraction: float | None) -> None:
        self._leave()
        for earlier in ORDER[: ORDER.index(stage)]:
            self.rows[earlier].finish()
            self._seconds.setdefault(earlier, 0.0)
        self._running = stage
        announce(self, f"{WORDS[stage].running}.")
        self._since = monotonic() - seconds
        self._seconds[stage] = seconds
        self.rows[stage].run(fraction)

    def _leave(self) -> None:
        if self._running is not None:
            passed = monotonic() - self._since
            self._seconds[self._running] = passed
            self.rows[self._running].show_seconds(passed)
            self.rows[self._running].finish()
        self._running = None

    def _tick(self) -> None:
        if self._running is not None:
            self.rows[self._running].show_seconds(monotonic() - self._since)
