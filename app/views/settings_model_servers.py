"""Servers of other programs on the Settings page: what each is, whether it answers, which of its models are shared."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.i18n import tr
from app.presenters.model_servers import ModelServersPresenter, model_words, server_words
from app.presenters.settings_rows import Row
from app.theme import Theme
from app.views.model_server_dialog import ModelServerDialog
from app.views.settings_row import SIDE, SettingsEntry
from app.widgets.button import Button
from app.widgets.card import rule
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.core.model_servers_state import ModelAtServer, ModelServerEntry, ServerState


class ModelServersEntry(SettingsEntry):
    def __init__(self, servers: ModelServersPresenter, theme: Theme, row: Row) -> None:
        super().__init__()
        self._servers, self._theme = servers, theme
        self._words = row.words
        self.rows: dict[str, ModelServerRow] = {}
        self.dialog: Dialog | None = None
        self.sentence = Label(wrap=True, tone="text2")
        self.add = Button(theme, tr("Add…"), icon="plus", name=tr("Add a model server"))
        self.add.clicked.connect(lambda: self.edit(None))
        acts = QHBoxLayout()
        acts.setContentsMargins(SIDE, 10, SIDE, 10)
        acts.setSpacing(8)
        acts.addWidget(self.sentence, 1)
        acts.addWidget(self.add, 0, Qt.AlignmentFlag.AlignTop)
        self.error = ErrorPanel(theme)
        self._list = QVBoxLayout()
        self._list.setSpacing(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(acts)
        layout.addWidget(self.error)
        layout.addLayout(self._list)
        servers.changed.connect(self.refresh)
        servers.failed.connect(self.error.show_error)
        self.refresh()

    def texts(self) -> tuple[str, ...]:
        return (tr("Models of another server"), *(entry.name for entry in self._servers.entries), *self._words)

    def refresh(self) -> None:
        entries = self._servers.entries
        self.sentence.setText(
            tr("Their models stand beside those of this machine, in Chat and for guests.")
            if entries
            else tr("None yet. Ollama, LM Studio, llama.cpp's server, vLLM: whatever speaks OpenAI's API.")
        )
        if list(self.rows) != [entry.id for entry in entries]:
            _clear(self._list)
            self.rows = {}
            for entry in entries:
                row = self.rows[entry.id] = ModelServerRow(self._servers, self._theme, self)
                self._list.addWidget(row)
        for entry in entries:
            self.rows[entry.id].show_entry(entry)

    def edit(self, entry: ModelServerEntry | None) -> None:
        self._show_dialog(ModelServerDialog(self._servers, self._theme, entry, self.window()))

    def ask_to_remove(self, entry: ModelServerEntry) -> None:
        dialog = Dialog(
            self._theme,
            tr("Remove {name}?", name=entry.name),
            tr("Its models are offered no more, and its key is forgotten. The server itself stays as it is."),
            tr("Remove"),
            kind="danger",
            parent=self.window(),
        )
        dialog.accepted.connect(lambda: self._servers.remove(entry.id))
        self._show_dialog(dialog)

    def _show_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._forget)
        dialog.open()

    def _forget(self) -> None:
        self.dialog = None


class ModelServerRow(QFrame):
    def __init__(self, servers: ModelServersPresenter, theme: Theme, owner: ModelServersEntry) -> None:
        super().__init__()
        self._servers, self._theme, self._owner = servers, theme, owner
        self._entry: ModelServerEntry | None = None
        self._open = False
        self._lines: tuple[object, ...] = ()  # what the lines of the models were made of
        self.switches: dict[str, Switch] = {}
        self.fold = Button(theme, kind="flat", icon="chevron-right", size="small", name=tr("Models"))
        self.fold.clicked.connect(self._toggle)
        self.name = Label(weight=500)
        self.words = Label(scale="hint", tone="text3", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(1)
        texts.addWidget(self.name)
        texts.addWidget(self.words)
        self.again = Button(theme, tr("Try again"))
        self.again.clicked.connect(self._look)
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More about this server"))
        self.more.clicked.connect(self._open_menu)
        line = QHBoxLayout()
        line.setContentsMargins(SIDE - 6, 8, SIDE, 8)
        line.setSpacing(8)
        line.addWidget(self.fold)
        line.addLayout(texts, 1)
        line.addWidget(self.again)
        line.addWidget(self.more)
        self.models = QFrame()
        self._models = QVBoxLayout(self.models)
        self._models.setContentsMargins(SIDE + 26, 2, SIDE, 10)
        self._models.setSpacing(2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(rule())
        layout.addLayout(line)
        layout.addWidget(self.models)
        self.models.hide()

    def show_entry(self, entry: ModelServerEntry) -> None:
        self._entry = entry
        away = entry.state is ServerState.AWAY
        self.name.setText(entry.name)
        self.words.setText(server_words(entry))
        self.words.set_tone("danger" if away else "text3")
        self.words.setToolTip(entry.url)
        self.again.setVisible(away)
        self.again.setAccessibleName(tr("Try {name} again", name=entry.name))
        self.more.setVisible(entry.kept)
        self.more.setAccessibleName(tr("More about {name}", name=entry.name))
        self.fold.setEnabled(bool(entry.models))
        self.fold.setAccessibleName(tr("Models of {name}", name=entry.name))
        self._show_models()

    def _show_models(self) -> None:
        assert self._entry is not None
        entry = self._entry
        shown = self._open and bool(entry.models)
        self.fold.set_icon("chevron-down" if shown else "chevron-right")
        self.models.setVisible(shown)
        lines = (shown, tuple((model.name, model_words(model)) for model in entry.models))
        if lines != self._lines:
            self._lines = lines
            _clear(self._models)
            self.switches = {}
            for model in entry.models if shown else ():
                self._models.addWidget(self._line_of(model))
        for model in entry.models if shown else ():
            self.switches[model.name].setChecked(model.shared)

    def _line_of(self, model: ModelAtServer) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 1, 0, 1)
        row.setSpacing(8)
        row.addWidget(Label(model.served))
        row.addWidget(Label(model_words(model), scale="hint", tone="text3", wrap=True), 1)
        switch = Switch(self._theme, tr("Share {name}", name=model.name), size=ROW_SIZE)
        switch.setToolTip(tr("Shared with guests"))
        switch.clicked.connect(lambda on: self._servers.share(model.name, on))
        self.switches[model.name] = switch
        row.addWidget(switch)
        return holder

    def _toggle(self) -> None:
        self._open = not self._open
        self._show_models()

    def _look(self) -> None:
        if self._entry is not None:
            self._servers.look(self._entry.id)

    def _open_menu(self) -> None:
        entry = self._entry
        if entry is None:
            return
        menu = Menu(self)
        menu.addAction(self._theme.icon("pencil"), tr("Change…"), lambda: self._owner.edit(entry))
        menu.addAction(self._theme.icon("refresh-cw"), tr("Test"), self._look)
        menu.addSeparator()
        icon = self._theme.icon("trash-2", "danger")
        menu.addAction(icon, tr("Remove…"), lambda: self._owner.ask_to_remove(entry))
        menu.open_below(self.more)


def _clear(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
