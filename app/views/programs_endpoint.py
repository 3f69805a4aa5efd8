"""The endpoint's card: its switch, what it does now, its address and token, who may call, when it comes on."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QClipboard, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app import words
from app.announcements import announce
from app.core_words import told
from app.i18n import listed, tr, trn
from app.presenters.programs import ProgramsPresenter
from app.theme import Theme
from app.views.share_dialogs import confirm
from app.widgets.button import Button, CopyButton
from app.widgets.card import PADDING, Card, rule
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.status_line import StatusLine
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.core.state import ErrorInfo
from qvac_core.endpoint.guard import checked_origins
from qvac_core.errors import LocalProtocolError

TOKEN, SNIPPET = "token", "snippet"
DOTS = "•" * 20
DAY = 86400.0
LINES = 7  # that the field for pages is high


class EndpointCard(Card):
    """`retried`: somebody asked for another port."""

    retried = Signal()

    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setAccessibleName(tr("Programs may use this"))
        self._presenter, self._theme = presenter, theme
        self._build_head(theme)
        self.add_wide(rule())
        self._build_fields(theme)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, bottom=12)
        self._error_holder.hide()
        self._build_start(theme)
        self._connect()
        self.refresh()

    def _build_head(self, theme: Theme) -> None:
        self.switch = Switch(theme, tr("Programs may use this"))
        self.heading = Label(tr("Programs may use this"), scale="state", weight=600)
        self.more = Button(theme, kind="flat", icon="ellipsis", size="small", name=tr("More about programs"))
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.switch)
        row.addWidget(self.heading, 1)
        row.addWidget(self.more)
        self.status = StatusLine(theme)
        # Another port is offered where the port was taken.
        self.other_port = Button(theme, kind="primary")
        self.other_port.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.other_port.hide()
        column = QVBoxLayout()
        column.setContentsMargins(PADDING - 4, 12, PADDING - 1, 12)
        column.setSpacing(8)
        column.addLayout(row)
        padded = QHBoxLayout()
        padded.setContentsMargins(3, 0, 0, 0)
        padded.addWidget(self.status)
        column.addLayout(padded)
        offered = QHBoxLayout()
        offered.setContentsMargins(3, 0, 0, 0)
        offered.addWidget(self.other_port)
        offered.addStretch(1)
        column.addLayout(offered)
        self.body.addLayout(column)

    def _build_fields(self, theme: Theme) -> None:
        self.address = _shown_field(tr("Address"))
        self.copy_address = CopyButton(theme, name=tr("Copy the address"))
        self.token = _shown_field(tr("Token, always needed"))
        self.show_token = Button(theme, kind="flat", icon="eye", name=tr("Show the token for 30 seconds"))
        self.copy_token = CopyButton(theme, kind="primary", name=tr("Copy the token"))
        self.copy_token.clicked.disconnect()
        self.pages = Label(scale="hint", tone="text3", wrap=True)
        self.new_token = Button(theme, tr("New token…"), name=tr("Make a new token"))
        column = QVBoxLayout()
        column.setContentsMargins(PADDING - 1, 10, PADDING - 1, 12)
        column.setSpacing(4)
        for title, field, acts in (
            (tr("Address"), self.address, (self.copy_address,)),
            (tr("Token, always needed"), self.token, (self.show_token, self.copy_token)),
        ):
            label = Label(title, scale="hint", tone="text2")
            label.setBuddy(field)
            row = QHBoxLayout()
            row.setSpacing(8)
            row.addWidget(field, 1)
            for act in acts:
                row.addWidget(act)
            column.addWidget(label)
            column.addLayout(row)
            column.addSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.pages, 1)
        row.addWidget(self.new_token, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(row)
        self.body.addLayout(column)

    def _build_start(self, theme: Theme) -> None:
        self.add_wide(rule())
        self.at_start = Switch(theme, tr("On when QVAC Desktop starts"), size=ROW_SIZE)
        label = Label(tr("On when QVAC Desktop starts"))
        label.setBuddy(self.at_start)
        row = QHBoxLayout()
        row.setContentsMargins(PADDING - 1, 7, PADDING - 4, 9)
        row.addWidget(label, 1)
        row.addWidget(self.at_start)
        self.body.addLayout(row)

    def _connect(self) -> None:
        presenter = self._presenter
        self.switch.clicked.connect(lambda on: presenter.switch(on))
        self.other_port.clicked.connect(lambda: presenter.switch(True, presenter.state.free_port))
        self.show_token.clicked.connect(self._toggle_token)
        self.copy_token.clicked.connect(lambda: presenter.copy_with_token(TOKEN, lambda token: token))
        self.new_token.clicked.connect(self.ask_new_token)
        self.at_start.clicked.connect(presenter.set_at_start)
        self.more.clicked.connect(lambda: self.card_menu().open_below(self.more))
        self.error.dismissed.connect(self._error_holder.hide)
        presenter.changed.connect(self.refresh)
        presenter.calls_changed.connect(self._show_status)
        presenter.token_changed.connect(self._show_token)
        presenter.copied.connect(self._copied)

    # --- Shown

    def refresh(self) -> None:
        state = self._presenter.state
        self.switch.setChecked(state.on or self._presenter.switching)
        self.switch.setEnabled(not self._presenter.switching)
        self.at_start.setChecked(state.at_start)
        self.address.setText(state.address)
        self.copy_address.value = state.address
        self.other_port.setVisible(bool(state.free_port) and not state.on)
        # One primary: what helps now, or else what people come for.
        self.copy_token.set_kind("quiet" if self.other_port.isVisibleTo(self) else "primary")
        #: {port} is a number without marks for thousands
        self.other_port.setText(tr("Use port {port}", port=str(state.free_port)))
        if state.origins:
            pages = trn("%n web page may call it.", "%n web pages may call it.", len(state.origins))
        else:
            pages = tr("Web pages may not call it.")
        self.pages.setText(listed((pages, tr("A new token ends the old one at once.")), " "))
        self._show_status()
        self._show_token()

    def _show_status(self) -> None:
        state, presenter = self._presenter.state, self._presenter
        if presenter.switching and not state.on:
            self.status.show_status("loader-circle", tr("Starting…"))
        elif state.error:
            self.status.show_status("triangle-alert", tr("Off."), told(state.error), "danger")
        elif not state.on:
            facts = tr("Programs of this machine cannot use your models and providers.")
            self.status.show_status("terminal", tr("Off."), facts)
        else:
            self.status.show_status("terminal", tr("Listening, on this machine only."), self._callers(), "accent")

    def _callers(self) -> str:
        presenter, now = self._presenter, self._presenter.clock()
        today = [call for call in presenter.calls if now - call.started < DAY and call.outcome != "refused"]
        if not today:
            return tr("No program has called yet.")
        count = len({call.program for call in today})
        programs = trn("%n program in the last 24 hours", "%n programs in the last 24 hours", count)
        last = max(call.ended or now for call in today)
        return tr("{programs}, the last one {ago}.", programs=programs, ago=words.ago(last, now))

    def _show_token(self) -> None:
        presenter = self._presenter
        end = presenter.state.token_end
        hidden = f"qvac-{DOTS}{end}"
        self.token.setText(presenter.token or hidden)
        self.token.setCursorPosition(0)
        self.token.setAccessibleDescription("" if presenter.token else tr("hidden, ends with {end}", end=end))
        name = tr("Hide the token") if presenter.token else tr("Show the token for 30 seconds")
        self.show_token.setAccessibleName(name)
        self.show_token.setToolTip(name)

    def _toggle_token(self) -> None:
        if self._presenter.token:
            self._presenter.hide_token()
        else:
            self._presenter.show_token()

    def _copied(self, what: str, text: str) -> None:
        if what == TOKEN:
            QGuiApplication.clipboard().setText(text, QClipboard.Mode.Clipboard)
            self.copy_token.show_copied()

    # --- Acts

    def card_menu(self) -> Menu:
        menu = Menu(self)
        pages = menu.addAction(tr("Web pages that may call…"))
        pages.triggered.connect(lambda: OriginsDialog(self._presenter, self._theme, self.window()).open())
        port = menu.addAction(tr("Another port…"))
        port.triggered.connect(lambda: PortDialog(self._presenter, self._theme, self.window()).open())
        return menu

    def ask_new_token(self) -> None:
        confirm(
            self._theme,
            tr("Make a new token?"),
            tr("Every program that has the old one is refused from now on, until you give it the new one."),
            tr("New token"),
            self._make_token,
            parent=self.window(),
        )

    def _make_token(self) -> None:
        self._presenter.new_token()
        announce(self.window(), tr("The token is a new one."))

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()


class OriginsDialog(Dialog):
    """Web pages by their origins, one a line, checked as they are typed."""

    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(
            theme,
            tr("Web pages that may call"),
            tr(
                "A page that is allowed here still needs the token. One address a line, as in "
                "https://chat.example.com or app://obsidian.md."
            ),
            tr("Save"),
            parent=parent,
        )
        self._presenter = presenter
        self.pages = QPlainTextEdit()
        self.pages.setAccessibleName(tr("Web pages that may call"))
        self.pages.setTabChangesFocus(True)
        self.pages.setMaximumHeight(LINES * self.pages.fontMetrics().lineSpacing())
        self.pages.setPlainText("\n".join(presenter.state.origins))
        self.said = Label(scale="hint", tone="danger", wrap=True)
        self.said.hide()
        self.body.addSpacing(8)
        self.body.addWidget(self.pages)
        self.body.addWidget(self.said)
        self.pages.textChanged.connect(self._check)
        self.accepted.connect(lambda: presenter.set_origins(self._lines()))

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.pages.toPlainText().splitlines() if line.strip()]

    def _check(self) -> None:
        try:
            checked_origins(self._lines())
            wrong = ""
        except LocalProtocolError as error:
            wrong = told(error.message)
        self.said.setText(wrong)
        self.said.setVisible(bool(wrong))
        self.confirm.setEnabled(not wrong)
        self.fit()


class PortDialog(Dialog):
    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(
            theme,
            tr("Another port"),
            tr("Programs that have the old address have to be told the new one. A number from 1 to 65535."),
            tr("Use it"),
            parent=parent,
        )
        self.port = QLineEdit(str(presenter.state.port))
        self.port.setMaxLength(5)
        self.add_field(tr("Port"), self.port)
        self.port.textChanged.connect(lambda _text: self.confirm.setEnabled(self._number() > 0))
        self.accepted.connect(lambda: presenter.use_port(self._number()))

    def _number(self) -> int:
        text = self.port.text().strip()
        return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) < 65536 else 0


def _shown_field(name: str) -> QLineEdit:
    """Read, selected and copied, never written. What is in it stays left to right."""
    field = QLineEdit()
    field.setReadOnly(True)
    field.setAccessibleName(name)
    field.setProperty("state", "key")
    field.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
    return field
