"""A server of tools is added or changed; several are taken in from the JSON of other programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPlainTextEdit, QWidget

from app.core_words import told
from app.i18n import listed, tr, trn
from app.presenters.tools import ToolServers
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from app.widgets.own_font import keep_font
from app.widgets.own_width import keep_width
from app.widgets.segmented import Segmented
from qvac_core.core.state import ToolServer
from qvac_core.errors import LocalProtocolError, QvacError
from qvac_core.tools.forms import TEXT_MOST, as_line, from_line, pairs_of

HIDDEN = "••••••••"
"""In the place of a value that is kept and never shown again."""
CHECK_MS = 200
SERVER_WIDTH, IMPORT_WIDTH = 520, 560
Pairs = tuple[tuple[str, str], ...]


def shown_pairs(pairs: Pairs, mark: str) -> str:
    return "\n".join(f"{name}{mark}{HIDDEN}" for name, _ in pairs)


def written_pairs(text: str, mark: str, before: Pairs) -> Pairs:
    """With the kept value where the dots still stand. Raises LocalProtocolError."""
    kept = dict(before)
    return tuple((name, kept.get(name, "") if value == HIDDEN else value) for name, value in pairs_of(text, mark))


class ServerDialog(Dialog):
    """It stays open until the core has taken the server, which is then started and asked for its tools."""

    def __init__(self, servers: ToolServers, theme: Theme, server: ToolServer | None, parent: QWidget) -> None:
        super().__init__(
            theme,
            tr("Change a server of tools") if server is not None else tr("Add a server of tools"),
            tr("A program that is started here runs as you, with all that you may do. Add only what you trust."),
            tr("Save") if server is not None else tr("Add"),
            parent=parent,
        )
        self._servers, self._before = servers, server
        old = server or ToolServer("")
        keep_width(self, theme, SERVER_WIDTH, least=True)
        self.name = QLineEdit(old.name)
        self.name.setPlaceholderText(tr("Files"))
        self.add_field(tr("Name"), self.name)
        self.name.setFocus()
        self.kind = Segmented(tr("What it is"), (("program", tr("A program to start")), ("address", tr("An address"))))
        self.body.addSpacing(8)
        self.body.addWidget(self.kind)
        self.kind.chosen.connect(lambda _kind: self._show_kind())
        self.command = QLineEdit(as_line(old.command, old.args))
        self.command.setPlaceholderText("npx -y @modelcontextprotocol/server-filesystem ~/Documents")
        self.folder = QLineEdit(old.cwd)
        self.variables = self._lines(shown_pairs(old.env, "="), "API_KEY=…")
        self.address = QLineEdit(old.url)
        self.address.setPlaceholderText("https://…/mcp")
        self.headers = self._lines(shown_pairs(old.headers, ": "), "Authorization: Bearer …")
        for field in (self.command, self.folder, self.address):
            keep_font(field, theme, lambda: theme.fixed_font("hint"))
        self._program = self._part(
            (tr("Command"), self.command),
            (tr("Folder it is started in, if not yours"), self.folder),
            (tr("Variables, one a line, as NAME=VALUE"), self.variables),
        )
        self._address = self._part(
            (tr("Address"), self.address), (tr("Headers, one a line, as NAME: VALUE"), self.headers)
        )
        self.wrong = Label(tone="danger", wrap=True)
        self.wrong.hide()
        self.body.addWidget(self.wrong)
        self.kind.show_choice("address" if old.url else "program")
        self._show_kind()

    def _lines(self, text: str, example: str) -> QPlainTextEdit:
        field = QPlainTextEdit(text)
        field.setTabChangesFocus(True)
        field.setPlaceholderText(example)
        field.setProperty("kind", "field")
        field.setFixedHeight(64)
        keep_font(field, self._theme, lambda: self._theme.fixed_font("hint"))
        return field

    def _part(self, *fields: tuple[str, QWidget]) -> list[QWidget]:
        widgets: list[QWidget] = []
        for label, field in fields:
            before = self.body.count()
            self.add_field(label, field)
            for place in range(before, self.body.count()):
                item = self.body.itemAt(place)
                if item is not None and (widget := item.widget()) is not None:
                    widgets.append(widget)
        return widgets

    def _is_address(self) -> bool:
        return self.kind.choice == "address"

    def _show_kind(self) -> None:
        address = self._is_address()
        for widget in self._program:
            widget.setVisible(not address)
        for widget in self._address:
            widget.setVisible(address)
        if self.isVisible():
            self.fit()

    def written(self) -> ToolServer:
        """Raises LocalProtocolError."""
        old = self._before or ToolServer("")
        if self._is_address():
            headers = written_pairs(self.headers.toPlainText(), ":", old.headers)
            return replace(
                old,
                name=self.name.text(),
                command="",
                args=(),
                env=(),
                cwd="",
                url=self.address.text(),
                headers=headers,
            )
        command, args = from_line(self.command.text())
        env = written_pairs(self.variables.toPlainText(), "=", old.env)
        cwd = self.folder.text().strip()
        return replace(old, name=self.name.text(), command=command, args=args, env=env, cwd=cwd, url="", headers=())

    def accept(self) -> None:
        try:
            server = self.written()
        except LocalProtocolError as error:
            self._refused(error)
            return
        old = self._before.name if self._before is not None else ""
        self.confirm.start_busy(tr("Saving…"))

        async def keep() -> None:
            await self._servers.keep(server, old)
            self.confirm.end_busy()
            self._servers.test(" ".join(server.name.split()))
            super(ServerDialog, self).accept()

        self._servers.run(keep(), self._refused)

    def _refused(self, error: QvacError) -> None:
        self.confirm.end_busy()
        self.wrong.setText(told(error.message))
        self.wrong.show()
        self.fit()


class ImportDialog(Dialog):
    """A pasted text or a file; what is in it is said while it is there."""

    def __init__(self, servers: ToolServers, theme: Theme, parent: QWidget) -> None:
        super().__init__(
            theme,
            tr("Import servers of tools"),
            tr("Paste the mcp.json of another program, or open it: Claude Desktop, LM Studio, Cursor, VS Code."),
            tr("Import"),
            parent=parent,
        )
        self._servers = servers
        self._found: tuple[ToolServer, ...] = ()
        self.dialog: QFileDialog | None = None
        keep_width(self, theme, IMPORT_WIDTH, least=True)
        self.text = QPlainTextEdit()
        keep_font(self.text, theme, lambda: theme.fixed_font("hint"))
        self.text.setAccessibleName(tr("The JSON of another program"))
        self.text.setPlaceholderText('{"mcpServers": {"files": {"command": "npx", "args": ["…"]}}}')
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setProperty("kind", "field")
        self.text.setMinimumHeight(220)
        self.body.addWidget(self.text)
        self.verdict = Label(tone="text3", wrap=True)
        self.body.addWidget(self.verdict)
        self.open_button = Button(theme, tr("Open a file…"), icon="folder-open")
        self.open_button.clicked.connect(self.choose_file)
        self.buttons.insertWidget(0, self.open_button)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(CHECK_MS)
        self._soon.timeout.connect(self.check)
        self.text.textChanged.connect(self._soon.start)
        self.accepted.connect(lambda: servers.take_in(self._found))
        self.finished.connect(self._soon.stop)
        self.text.setFocus()  # what was copied is pasted without a click
        self._show("")

    def check(self) -> None:
        text = self.text.toPlainText()

        async def look() -> None:
            self._found = await self._servers.look(text)
            self._show("")

        def wrong(error: QvacError) -> None:
            self._found = ()
            self._show(told(error.message))

        if text.strip():
            self._servers.run(look(), wrong)
        else:
            self._found = ()
            self._show("")

    def _show(self, fault: str) -> None:
        self.confirm.setEnabled(bool(self._found))
        self.verdict.set_tone("warn" if fault else "text3")
        if fault:
            self.verdict.setText(fault)
        elif self._found:
            names = listed([server.name for server in self._found])
            self.verdict.setText(trn("%n server: {names}", "%n servers: {names}", len(self._found), names=names))
        else:
            self.verdict.setText(tr("Nothing is started before you have seen what is in it."))

    def choose_file(self) -> None:
        dialog = self.dialog = QFileDialog(self, tr("Import servers of tools"), str(Path.home()), "JSON (*.json);;(*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda chosen: self.read(Path(chosen)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(TEXT_MOST + 1)
        except OSError as error:
            self._found = ()
            self._show(tr("{file} cannot be read: {reason}", file=path.name, reason=error.strerror or ""))
            return
        self.text.setPlainText(data.decode("utf-8", "replace"))
        self.check()
