"""Settings of one model: context, slots, memory cap, idle time, longest answer; each its own or as for all models."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.i18n import number, tr, trn
from app.presenters.model_options import OptionsPresenter, when_it_acts
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.number import Number
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.core.model_options import ModelOptions, OptionsOfModel
from qvac_core.core.state import ErrorInfo, SharedModel
from qvac_core.store.settings import (
    LARGEST_CONTEXT,
    MOST_ANSWER_TOKENS,
    MOST_IDLE_MINUTES,
    MOST_MEMORY_MB,
    MOST_SLOTS,
    SMALLEST_CONTEXT,
)

NO_LIMIT_YET = {"memory_mb": 8000, "answer_tokens": 2048}  # what a switch that goes on begins with


class OptionRow(QWidget):
    """Switch and number; off says what holds then."""

    def __init__(self, theme: Theme, text: str, hint: str, field: Number, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = Switch(theme, text, size=ROW_SIZE)
        self.field = field
        self.otherwise = Label(tone="text3")
        label = Label(text, weight=500, wrap=True)
        label.setBuddy(self.switch)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(label)
        texts.addWidget(Label(hint, tone="text3", scale="hint", wrap=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 8, 0, 0)
        row.setSpacing(12)
        row.addLayout(texts, 1)
        # As the rows of the settings: what is chosen ends where the others end.
        row.addWidget(self.otherwise)
        row.addWidget(self.field)
        row.addWidget(self.switch)
        self.switch.toggled.connect(self._show)

    def _show(self, on: bool) -> None:
        self.field.setVisible(on)
        self.otherwise.setVisible(not on)

    def show_value(self, value: int, start: int, otherwise: str) -> None:
        """value 0: as for all, which `otherwise` says; `start`: what a switch that goes on begins with."""
        self.field.show_value(value or start)
        self.otherwise.setText(otherwise)
        self.switch.setChecked(value > 0)
        self._show(value > 0)

    @property
    def value(self) -> int:
        return self.field.value() if self.switch.isChecked() else 0


class ModelOptionsDialog(Dialog):
    def __init__(
        self,
        presenter: OptionsPresenter,
        theme: Theme,
        model: SharedModel,
        options: OptionsOfModel,
        parent: QWidget | None = None,
    ) -> None:
        name = model.display_name or model.name
        super().__init__(theme, tr("Settings of {model}", model=name), when_it_acts(options), tr("Save"), parent=parent)
        self._presenter, self._model = presenter, model
        chats = model.ability == "chat"
        self.rows: dict[str, OptionRow] = {}
        if chats:
            self._add(
                "context_tokens",
                tr("Context"),
                tr("Tokens of one chat; guests are told."),
                Number(theme, tr("Context"), SMALLEST_CONTEXT, LARGEST_CONTEXT, step=1024, unit=tr("tokens")),
            )
            self._add(
                "slots",
                tr("Slots"),
                tr("Answers at once; each takes memory."),
                Number(theme, tr("Slots"), 1, MOST_SLOTS),
            )
            self._add(
                "answer_tokens",
                tr("Longest answer"),
                tr("What a guest can ask for at most."),
                Number(theme, tr("Longest answer"), 1, MOST_ANSWER_TOKENS, step=256, unit=tr("tokens")),
            )
        self._add(
            "memory_mb",
            tr("Memory cap"),
            tr("It is not loaded if it would take more."),
            Number(theme, tr("Memory cap"), 1, MOST_MEMORY_MB, step=500, unit="MB"),
        )
        self._add(
            "idle_minutes",
            tr("Unload when nobody uses it"),
            tr("Its memory is free then; the next request loads it again."),
            Number(theme, tr("Minutes until it is unloaded"), 1, MOST_IDLE_MINUTES, unit=tr("min")),
        )
        widest = max(row.field.sizeHint().width() for row in self.rows.values())
        for row in self.rows.values():
            row.field.setMinimumWidth(widest)
        self.error = ErrorPanel(theme)
        self.body.addSpacing(8)
        self.body.addWidget(self.error)
        # Accepted by the core first: what it refuses stays on the screen.
        self.confirm.clicked.disconnect(self.accept)
        self.confirm.clicked.connect(self._save)
        self.show_options(options)

    def _add(self, name: str, text: str, hint: str, field: Number) -> None:
        row = self.rows[name] = OptionRow(self._theme, text, hint, field)
        self.body.addWidget(row)

    def show_options(self, options: OptionsOfModel) -> None:
        said = _others(options.others)
        for name, row in self.rows.items():
            start = getattr(options.others, name) or NO_LIMIT_YET.get(name, 1)
            row.show_value(getattr(options.own, name), start, said[name])

    def chosen(self) -> ModelOptions:
        return ModelOptions(**{name: row.value for name, row in self.rows.items()})

    def _save(self) -> None:
        self.error.clear()
        self._presenter.save(self._model.name, self.chosen(), lambda _options: self.accept(), self._refused)

    def _refused(self, error: ErrorInfo) -> None:
        self.error.show_error(error)
        self.fit()


def _others(options: ModelOptions) -> dict[str, str]:
    """What holds for a model without numbers of its own."""
    no_limit = tr("no limit")
    return {
        "context_tokens": tr("{count} tokens", count=words.context(options.context_tokens)),
        "slots": number(options.slots),
        "answer_tokens": tr("{count} tokens", count=number(options.answer_tokens))
        if options.answer_tokens
        else no_limit,
        "memory_mb": words.size(options.memory_mb * 1e6) if options.memory_mb else no_limit,
        "idle_minutes": trn("after %n minute", "after %n minutes", options.idle_minutes),
    }
