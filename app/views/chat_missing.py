"""The line above the composer while this machine is to answer and cannot: which model is missing, and what helps."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import default_model
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.status_line import StatusLine
from app.words import size
from qvac_core.core.state import SharedModel, Target
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """Clause, facts, and the model that can take its place, if there is one."""

    clause: str
    facts: str
    instead: SharedModel | None = None


def missing(target: Target, models: tuple[SharedModel, ...]) -> Missing | None:
    """None while there is a model for this target, or another machine answers."""
    if target.provider_key:
        return None
    if not models:
        return Missing(tr("There is no model on this machine yet."), tr("Get a small one, or let a provider answer."))
    if target.model and not any(model.name == target.model for model in models):
        return Missing(
            tr("{model} is not on this machine any more.", model=target.model), tr("Choose another model."), models[0]
        )
    return None


class MissingBar(QWidget):
    def __init__(
        self,
        presenter: ChatPresenter,
        theme: Theme,
        add_provider: Callable[[str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self.line = StatusLine(theme)
        self.get = Button(theme, "", icon="download", size="small")
        self.use = Button(theme, "", icon="laptop", size="small")
        self.add = Button(theme, tr("Add a provider…"), size="small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 2)
        layout.setSpacing(8)
        layout.addWidget(self.line, 1)
        for button in (self.get, self.use, self.add):
            layout.addWidget(button)
        self.get.clicked.connect(presenter.download_default)
        self.use.clicked.connect(self._use_other)
        self.add.clicked.connect(lambda: add_provider(""))
        for signal in (
            presenter.target_changed,
            presenter.models_changed,
            presenter.answering_changed,
            presenter.opened,
            presenter.download_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        found = missing(presenter.target, presenter.models)
        comes = presenter.download is not None and not presenter.download.done and presenter.download.error is None
        if found is None or presenter.busy or comes or not presenter.chats.loaded:
            self.hide()
            return
        # Below a failed answer stand its own remedies: the line alone is enough there.
        last = presenter.messages[-1] if presenter.messages else None
        acts = last is None or last.status != "failed"
        self.line.show_status("triangle-alert", found.clause, found.facts, "warn")
        if not self.get.text():
            name, octets, _licence = default_model()
            self.get.setText(tr("Get {name}, {size}", name=name.rsplit(" ", 1)[0], size=size(octets)))
        self.get.setVisible(acts and found.instead is None)
        self.use.setVisible(acts and found.instead is not None)
        if found.instead is not None:
            self.use.setText(tr("Use {name}", name=found.instead.display_name))
        self.add.setVisible(acts and found.instead is None)
        self.show()

    def _use_other(self) -> None:
        found = missing(self._presenter.target, self._presenter.models)
        if found is not None and found.instead is not None:
            self._presenter.set_target(Target("", found.instead.name))
