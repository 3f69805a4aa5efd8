"""A spot check in a dialog: one provider's model against the same file elsewhere, with progress and a verdict."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar, QWidget

from app.announcements import announce
from app.i18n import tr
from app.presenters.spot_check import SAID, TITLES, SpotCheckPresenter
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.own_width import keep_width
from app.widgets.status_line import StatusLine
from qvac_core.core.state import ErrorInfo

WIDTH = 500


class SpotCheckDialog(Dialog):
    """`presenter` is this dialog's own. model: which is chosen first, "" = the provider's first."""

    def __init__(
        self, presenter: SpotCheckPresenter, theme: Theme, parent: QWidget | None = None, *, model: str = ""
    ) -> None:
        provider = presenter.provider
        super().__init__(
            theme,
            tr("Does {name} use the model it names?", name=provider.name),
            tr(
                "A few questions drawn by chance go to it and to somebody else who has the same model file. It costs "
                "some fifty tokens at both."
            ),
            "",
            cancel=tr("Close"),
            parent=parent,
        )
        presenter.setParent(self)
        self._presenter = presenter
        keep_width(self, theme, WIDTH, least=True)
        self.model = Combo(theme, tr("Model"))
        for offer in provider.models:
            self.model.addItem(offer.name, offer.source)
        self.model.setCurrentIndex(max(0, self.model.findData(model)))
        self.other = Combo(theme, tr("Compare with"))
        self.other.addItem(tr("This machine, else whoever has it"), "")
        for one in presenter.others:
            self.other.addItem(one.name, one.public_key)
        self.error = ErrorPanel(theme)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress of the comparison"))
        self.doing = Label(scale="hint", tone="text3")
        self.verdict = StatusLine(theme)
        self.facts = Label(tone="text2", wrap=True)
        self.go = Button(theme, tr("Compare"), kind="primary", name=tr("Compare the answers"))
        self.go.clicked.connect(lambda: presenter.start(self.model.currentData() or "", self.other.currentData() or ""))
        self.buttons.addWidget(self.go)
        self.add_field(tr("Model"), self.model)
        self.add_field(tr("Compare with"), self.other)
        self.body.addSpacing(8)
        for widget in (self.error, self.bar, self.doing, self.verdict, self.facts):
            self.body.addWidget(widget)
        presenter.changed.connect(self.refresh)
        presenter.failed.connect(self._show_error)
        self.finished.connect(presenter.close)
        self.refresh()

    def refresh(self) -> None:
        presenter, found = self._presenter, self._presenter.found
        for field in (self.model, self.other, self.go):
            field.setEnabled(not presenter.running)
        if not presenter.provider.models:
            self.go.setEnabled(False)
            self.go.setToolTip(tr("It shares no model that chats with you"))
        self.bar.setVisible(presenter.running)
        self.doing.setVisible(presenter.running)
        self.verdict.setVisible(found is not None)
        self.facts.setVisible(found is not None)
        if presenter.running:
            self.error.clear()
            self.bar.setRange(0, presenter.of)
            self.bar.setValue(presenter.answered)
            at = tr("Question {number} of {count}…", number=presenter.answered + 1, count=presenter.of)
            self.doing.setText(at if presenter.of else tr("Looking for somebody who has the same file…"))
            self.bar.setAccessibleDescription(self.doing.text())
        elif found is not None:
            title, tone, icon = TITLES[found.finding]
            alike = sum(pair.agreement == 1.0 for pair in found.pairs)
            self.verdict.show_status(icon, tr(title), tr(SAID[found.finding]), tone)
            self.facts.setText(
                tr(
                    "{model}, compared with {other}: {alike} of {count} answers are the same.",
                    model=found.model,
                    other=presenter.compared_with,
                    alike=alike,
                    count=len(found.pairs),
                )
            )
            announce(self, f"{self.verdict.text} {self.facts.text()}")
        self._fit_now()

    def _fit_now(self) -> None:
        if self.isVisible():
            self.fit()

    def _show_error(self, error: ErrorInfo) -> None:
        self.error.show_error(error)
        self._fit_now()
