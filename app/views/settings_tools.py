"""The servers of tools on the Settings page: what each is, whether it answers, what its tools may do."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app import tool_words
from app.i18n import tr
from app.presenters.settings_rows import Row
from app.presenters.tools import ToolServers
from app.theme import Theme
from app.views.settings_row import SIDE, SettingsEntry
from app.views.settings_system import TextDialog
from app.views.tool_dialogs import ImportDialog, ServerDialog
from app.widgets.button import Button
from app.widgets.card import rule
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.own_font import keep_font
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.core.state import ServerEntry, ToolServer
from qvac_core.tools.health import ServerState, ServerTool


class ToolServersEntry(SettingsEntry):
    def __init__(self, servers: ToolServers, theme: Theme, row: Row) -> None:
        super().__init__()
        self._servers, self._theme = servers, theme
        self._words = row.words
        self._open: set[str] = set()
        self.rows: dict[str, ServerRow] = {}
        self.dialog: Dialog | None = None
        self.sentence = Label(
            tr("None yet. A server of files, of a calendar or of the web is added by its command."), wrap=True
        )
        self.sentence.setProperty("tone", "text2")
        self.add = Button(theme, tr("Add…"), icon="plus", name=tr("Add a server of tools"))
        self.take_in = Button(theme, tr("Import…"), icon="upload", name=tr("Import servers of tools"))
        self.add.clicked.connect(lambda: self._show_dialog(ServerDialog(servers, theme, None, self.window())))
        self.take_in.clicked.connect(lambda: self._show_dialog(ImportDialog(servers, theme, self.window())))
        acts = QHBoxLayout()
        acts.setContentsMargins(SIDE, 10, SIDE, 10)
        acts.setSpacing(8)
        acts.addWidget(self.sentence, 1)
        acts.addStretch(0)
        acts.addWidget(self.add, 0, Qt.AlignmentFlag.AlignTop)
        acts.addWidget(self.take_in, 0, Qt.AlignmentFlag.AlignTop)
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
        return (tr("Servers"), *(entry.server.name for entry in self._servers.entries), *self._words)

    def refresh(self) -> None:
        entries = self._servers.entries
        self.sentence.setText(
            tr("None yet. A server of files, of a calendar or of the web is added by its command.")
            if not entries
            else tr("What a tool finds is sent to whoever answers the conversation.")
        )
        names = [entry.server.name for entry in entries]
        if list(self.rows) != names:
            while (item := self._list.takeAt(0)) is not None:
                if (widget := item.widget()) is not None:
                    widget.hide()
                    widget.deleteLater()
            self.rows = {}
            for entry in entries:
                row = ServerRow(self._servers, self._theme, self)
                self._list.addWidget(row)
                self.rows[entry.server.name] = row
        for entry in entries:
            self.rows[entry.server.name].show_entry(entry)

    def edit(self, server: ToolServer) -> None:
        self._show_dialog(ServerDialog(self._servers, self._theme, server, self.window()))

    def ask_to_remove(self, name: str) -> None:
        dialog = Dialog(
            self._theme,
            tr("Remove {name}?", name=name),
            tr("It is ended, and conversations use it no more. Its programs and files stay as they are."),
            tr("Remove"),
            kind="danger",
            parent=self.window(),
        )
        dialog.accepted.connect(lambda: self._servers.remove(name))
        self._show_dialog(dialog)

    def show_details(self, entry: ServerEntry) -> None:
        title = tr("What {name} wrote", name=entry.server.name)
        sentence = tr("The end of its errors. It may hold keys: look before you pass it on.")
        self._show_dialog(TextDialog(self._theme, title, sentence, entry.health.details, self.window()))

    def _show_dialog(self, dialog: Dialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._forget)
        dialog.open()

    def _forget(self) -> None:
        self.dialog = None


class ServerRow(QFrame):
    def __init__(self, servers: ToolServers, theme: Theme, owner: ToolServersEntry) -> None:
        super().__init__()
        self._servers, self._theme, self._owner = servers, theme, owner
        self._entry: ServerEntry | None = None
        self._open = False
        self.fold = Button(theme, kind="flat", icon="chevron-right", size="small", name=tr("Tools"))
        self.fold.clicked.connect(self._toggle)
        self.name = Label(weight=500)
        self.words = Label(scale="hint", tone="text3", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(1)
        texts.addWidget(self.name)
        texts.addWidget(self.words)
        self.policy = Combo(theme, tr("Question before a call"))
        self.policy.addItem(tr("Ask first"), False)
        self.policy.addItem(tr("Allow what only reads"), True)
        self.policy.activated.connect(self._trust)
        self.again = Button(theme, tr("Try again"))
        self.again.clicked.connect(lambda: self._with(lambda entry: servers.test(entry.server.name)))
        self.in_new = Switch(theme, tr("On in new conversations"), size=ROW_SIZE)
        self.in_new.setToolTip(tr("On in new conversations"))
        self.in_new.clicked.connect(self._set_in_new)
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More about this server"))
        self.more.clicked.connect(self._open_menu)
        line = QHBoxLayout()
        line.setContentsMargins(SIDE - 6, 8, SIDE, 8)
        line.setSpacing(8)
        line.addWidget(self.fold)
        line.addLayout(texts, 1)
        for widget in (self.again, self.policy, self.in_new, self.more):
            line.addWidget(widget)
        self.tools = QFrame()
        self._tools = QVBoxLayout(self.tools)
        self._tools.setContentsMargins(SIDE + 26, 2, SIDE, 10)
        self._tools.setSpacing(2)
        self.switches: dict[str, Switch] = {}
        self._lines: tuple[object, ...] = ()  # what the lines of the tools were made of
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(rule())
        layout.addLayout(line)
        layout.addWidget(self.tools)
        self.tools.hide()

    def _with(self, do: object) -> None:
        if self._entry is not None and callable(do):
            do(self._entry)

    def show_entry(self, entry: ServerEntry) -> None:
        self._entry = entry
        server, health = entry.server, entry.health
        failed = health.state is ServerState.FAILED
        self.name.setText(server.name)
        self.words.setText(tool_words.server_words(entry))
        self.words.set_tone("danger" if failed else "text3")
        self.words.setToolTip(server.url or " ".join((server.command, *server.args)))
        self.again.setVisible(failed)
        self.again.setAccessibleName(tr("Try {name} again", name=server.name))
        self.policy.setVisible(not failed)
        self.policy.setCurrentIndex(int(server.trusted))
        self.policy.setAccessibleName(tr("Question before a call of {name}", name=server.name))
        self.in_new.setVisible(not failed)
        self.in_new.setChecked(server.in_new)
        self.in_new.setAccessibleName(tr("{name} is on in new conversations", name=server.name))
        self.more.setAccessibleName(tr("More about {name}", name=server.name))
        self.fold.setEnabled(bool(health.tools))
        self.fold.setToolTip(
            tr("Tools of {name}", name=server.name) if health.tools else tr("Test it to see its tools")
        )
        self.fold.setAccessibleName(tr("Tools of {name}", name=server.name))
        self._show_tools()

    def _show_tools(self) -> None:
        assert self._entry is not None
        entry = self._entry
        shown = self._open and bool(entry.health.tools)
        self.fold.set_icon("chevron-down" if shown else "chevron-right")
        self.tools.setVisible(shown)
        lines = (shown, entry.health.tools, entry.server.always, entry.unusable)
        if lines == self._lines:
            for name, switch in self.switches.items():
                switch.setChecked(name not in entry.server.off and switch.isEnabled())
            return
        self._lines = lines
        while (item := self._tools.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.switches = {}
        if shown:
            for tool in self._entry.health.tools:
                self._tools.addWidget(self._line_of(tool))

    def _line_of(self, tool: ServerTool) -> QWidget:
        assert self._entry is not None
        server = self._entry.server
        unusable = next((each.reason for each in self._entry.unusable if each.tool == tool.name), "")
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 1, 0, 1)
        row.setSpacing(8)
        name = Label(tool.name)
        keep_font(name, self._theme, lambda: self._theme.fixed_font("hint"))
        name.setToolTip(tool.description)
        words = Label(
            unusable or tool_words.tool_words(tool), scale="hint", tone="warn" if unusable else "text3", wrap=True
        )
        row.addWidget(name)
        row.addWidget(words, 1)
        if tool.name in server.always:
            ask = Button(self._theme, tr("Ask again"), kind="link", size="small")
            ask.setAccessibleName(tr("Ask again before {tool} runs", tool=tool.name))
            ask.setToolTip(tr("It runs without a question now"))
            ask.clicked.connect(partial(self._ask_again, tool.name))
            row.addWidget(Label(tr("always allowed"), scale="hint", tone="text2"))
            row.addWidget(ask)
        switch = Switch(self._theme, tr("{tool} may be used", tool=tool.name), size=ROW_SIZE)
        switch.setChecked(tool.name not in server.off and not unusable)
        switch.setEnabled(not unusable)
        switch.clicked.connect(lambda on, tool=tool.name: self._switch(tool, on))
        self.switches[tool.name] = switch
        row.addWidget(switch)
        return holder

    # --- Done

    def _toggle(self) -> None:
        self._open = not self._open
        self._show_tools()

    def _change(self, **values: object) -> None:
        if self._entry is not None:
            self._servers.change(self._entry.server.name, **values)

    def _trust(self, _place: int) -> None:
        self._change(trusted=bool(self.policy.currentData()))

    def _set_in_new(self) -> None:
        self._change(in_new=self.in_new.isChecked())

    def _now(self) -> ToolServer:
        assert self._entry is not None
        return self._servers.latest(self._entry.server.name) or self._entry.server

    def _switch(self, tool: str, on: bool) -> None:
        others = tuple(name for name in self._now().off if name != tool)
        self._change(off=others if on else (*others, tool))

    def _ask_again(self, tool: str) -> None:
        self._change(always=tuple(name for name in self._now().always if name != tool))

    def _open_menu(self) -> None:
        entry = self._entry
        if entry is None:
            return
        menu = Menu(self)
        name = entry.server.name
        menu.addAction(self._theme.icon("pencil"), tr("Change…"), lambda: self._owner.edit(entry.server))
        menu.addAction(self._theme.icon("refresh-cw"), tr("Test"), lambda: self._servers.test(name))
        if entry.health.details:
            menu.addAction(self._theme.icon("file-text"), tr("What it wrote…"), lambda: self._owner.show_details(entry))
        menu.addSeparator()
        icon = self._theme.icon("trash-2", "danger")
        menu.addAction(icon, tr("Remove…"), lambda: self._owner.ask_to_remove(name))
        menu.open_below(self.more)
