"""Who may use it: the mode, the keys with their acts, and the one visible question before everybody is let in."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QClipboard, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import later, tr
from app.presenters.share import SharePresenter
from app.presenters.share_rows import ACCESS_COLUMNS, ACCESS_DROP, access_rows
from app.theme import Theme
from app.views.share_dialogs import KeyDialog, NameDialog, confirm
from app.widgets.badge import Badge
from app.widgets.button import Button, CopyButton
from app.widgets.card import CARD_FOOT, Card
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.segmented import Segmented
from app.widgets.table import Table
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import AccessKey, AccessMode, ErrorInfo

NAME_AT_LEAST = 160
OPEN_TITLE = later("Open to everybody?")
OPEN_SENTENCE = later(
    "Anyone who has your key may then use this GPU, up to your limits, until you switch back. "
    "People you blocked stay blocked."
)


class OpenQuestion(QFrame):
    """Opening to everybody is asked once, in plain words, where the switch is."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("askPanel")
        self.cancel = Button(theme, tr("Cancel"), name=tr("Cancel opening to everybody"))
        self.open = Button(theme, tr("Open to everybody"), kind="danger")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(4)
        layout.addWidget(Label(tr(OPEN_TITLE), weight=600))
        layout.addWidget(Label(tr(OPEN_SENTENCE), tone="text2", wrap=True))
        layout.addSpacing(4)
        layout.addLayout(row)


class AccessCard(Card):
    """`person_wanted(key)`, `invites_wanted`: the pages of a person and of invites."""

    person_wanted = Signal(str)
    invites_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Who may use it"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self._room = 0
        self.mode = Segmented(
            tr("Who may use it"),
            [(AccessMode.ALLOW.value, tr("People I allow")), (AccessMode.DENY.value, tr("Everybody except…"))],
        )
        self.add_beside_title(self.mode, space=8)
        self.opened = Badge(tr("open to everybody"), "warn")
        self.add_beside_title(self.opened)
        self.add = Button(theme, tr("Add a key…"), icon="user-plus", size="small")
        self.more = Button(theme, kind="flat", icon="ellipsis", size="small", name=tr("More about who may use it"))
        self.invites = Button(theme, tr("Invites"), icon="ticket", size="small")
        self.add_act(self.invites)
        self.add_act(self.add)
        self.add_act(self.more)
        self.question = OpenQuestion(theme)
        self._question_holder = self.add_padded(self.question, top=4, bottom=12)
        self._question_holder.hide()
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.table = Table(theme, tr("Who may use it"), ACCESS_COLUMNS, drop=ACCESS_DROP, open_at_least=NAME_AT_LEAST)
        self.add_wide(self.table)
        self.copy_key = CopyButton(theme, text=tr("Copy my key"), kind="primary")
        self.empty_add = Button(theme, tr("Add a key…"), icon="user-plus")
        self.nobody = EmptyState(
            theme,
            "users",
            tr("Nobody is allowed yet"),
            tr("Give somebody your key and allow theirs when they knock, or add it here."),
            [self.copy_key, self.empty_add],
        )
        self.everybody = EmptyState(
            theme,
            "users",
            tr("Everybody with your key may use it"),
            tr("Nobody is blocked. Block a key to keep it out."),
        )
        self.add_wide(self.nobody)
        self.add_wide(self.everybody)
        self.body.addSpacing(CARD_FOOT)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        self.mode.chosen.connect(self._choose)
        self.question.cancel.clicked.connect(self._close_question)
        self.question.open.clicked.connect(self._open_to_everybody)
        self.add.clicked.connect(self.ask_key)
        self.empty_add.clicked.connect(self.ask_key)
        self.more.clicked.connect(self._open_card_menu)
        self.table.menu_wanted.connect(self.open_menu)
        self.table.delete_wanted.connect(self._ask_block)
        self.table.opened.connect(self.person_wanted)
        self.table.doubleClicked.connect(lambda index: self.person_wanted.emit(self.table.rows.row(index.row()).key))
        self.invites.clicked.connect(self.invites_wanted)
        self.error.dismissed.connect(self._error_holder.hide)
        presenter = self._presenter
        for signal in (presenter.rules_changed, presenter.sharing_changed, presenter.knocks_changed):
            signal.connect(self.refresh)

    def fit(self, width: int) -> None:
        """In so many pixels: where the texts of its acts are too long for them, as in German, their icons stay."""
        self._room = width
        self._show_acts()

    def _show_acts(self) -> None:
        everybody = self._presenter.rules.mode is AccessMode.DENY
        texts = {
            self.add: tr("Block a key…") if everybody else tr("Add a key…"),
            self.invites: tr("Invites"),
        }
        self.fit_acts(texts, self._room)

    def refresh(self) -> None:
        rules = self._presenter.rules
        self.table.show_rows(access_rows(rules, self._presenter.clock()))
        everybody = rules.mode is AccessMode.DENY
        if not self._question_holder.isVisibleTo(self):
            self.mode.show_choice(rules.mode.value)
        self.opened.setVisible(everybody)
        self.table.setVisible(bool(rules.keys))
        self.nobody.setVisible(not rules.keys and not everybody)
        self.everybody.setVisible(not rules.keys and everybody)
        self.add.set_icon("user-x" if everybody else "user-plus")
        self.add.setAccessibleName(tr("Block a key") if everybody else tr("Add a key"))
        self.add.setVisible(bool(rules.keys) or everybody)
        self._show_acts()
        # The next step once it is shared; before that another one is, and an answer to somebody who knocks.
        next_step = self._presenter.on and not self._presenter.knocks
        self.copy_key.set_kind("primary" if next_step else "quiet")

    def show_key(self, public_key: str) -> None:
        self.copy_key.value = public_key

    def tick(self) -> None:
        self.table.show_rows(access_rows(self._presenter.rules, self._presenter.clock()))

    # --- Acts

    def ask_key(self) -> None:
        presenter = self._presenter
        blocking = presenter.rules.mode is AccessMode.DENY

        def confirmed(key: str, name: str, hours: float | None) -> None:
            if blocking:
                presenter.block(key, name=name)
            else:
                presenter.allow(key, name, hours=hours, limits=dialog.limits())

        dialog = KeyDialog(self._theme, presenter.public_key, confirmed, blocking=blocking, parent=self.window())
        dialog.open()

    def _choose(self, value: str) -> None:
        if value == AccessMode.DENY.value and self._presenter.rules.mode is AccessMode.ALLOW:
            self._question_holder.show()
            announce(self.question, f"{tr(OPEN_TITLE)} {tr(OPEN_SENTENCE)}", assertive=True)
            self.question.cancel.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self._question_holder.hide()
        if value != self._presenter.rules.mode.value:
            self._presenter.set_mode(AccessMode(value))

    def _close_question(self) -> None:
        self._question_holder.hide()
        self.refresh()

    def _open_to_everybody(self) -> None:
        self._question_holder.hide()
        self._presenter.set_mode(AccessMode.DENY)

    def _open_card_menu(self) -> None:
        menu = Menu(self)
        knocks = menu.addAction(tr("Unknown keys may ask"))
        knocks.setCheckable(True)
        knocks.setChecked(self._presenter.rules.knocks)
        knocks.toggled.connect(self._presenter.set_knocks)
        menu.open_below(self.more)

    def open_menu(self, public_key: str, point: QPoint) -> None:
        key = self._presenter.key_of(public_key)
        if key is not None:
            self.menu_of(key).popup(point)

    def menu_of(self, key: AccessKey) -> QMenu:
        presenter, theme = self._presenter, self._theme
        menu = Menu(self)
        limits = menu.addAction(theme.icon("gauge"), tr("Limits and use…"))
        limits.triggered.connect(lambda: self.person_wanted.emit(key.public_key))
        rename = menu.addAction(theme.icon("pencil"), tr("Rename…"))
        rename.triggered.connect(lambda: self._ask_name(key))
        copy = menu.addAction(theme.icon("copy"), tr("Copy key"))
        copy.triggered.connect(lambda: QGuiApplication.clipboard().setText(key.public_key, QClipboard.Mode.Clipboard))
        menu.addSeparator()
        if key.blocked:
            allow = menu.addAction(theme.icon("user-check"), tr("Allow"))
            allow.triggered.connect(lambda: presenter.allow(key.public_key, key.name or short_key(key.public_key)))
        else:
            block = menu.addAction(theme.icon("ban", "danger"), tr("Block"))
            block.triggered.connect(lambda: presenter.block(key.public_key))
        remove = menu.addAction(theme.icon("trash-2", "danger"), tr("Remove"))
        remove.triggered.connect(lambda: presenter.remove(key.public_key))
        return menu

    def _ask_name(self, key: AccessKey) -> None:
        NameDialog(
            self._theme,
            key.public_key,
            key.name,
            lambda name: self._presenter.rename(key.public_key, name),
            self.window(),
        ).open()

    def _ask_block(self, public_key: str) -> None:
        key = self._presenter.key_of(public_key)
        if key is None or key.blocked:
            return
        confirm(
            self._theme,
            tr("Block {name}?", name=key.name or short_key(public_key)),
            tr("What it runs now is stopped, and its requests are met with silence."),
            tr("Block"),
            lambda: self._presenter.block(public_key),
            self.window(),
        )

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
