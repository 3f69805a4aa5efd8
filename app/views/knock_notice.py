"""A knock told to an owner who looks at something else: who asks, with Allow and Deny, above every page but Share."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.announcements import announce
from app.i18n import later, tr, trn
from app.key_words import group_key
from app.presenters.share import SharePresenter
from app.theme import Theme
from app.views.share_dialogs import KeyDialog
from app.widgets.avatar import Avatar
from app.widgets.button import Button
from app.widgets.label import Label
from app.widgets.own_font import keep_font
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import Knock

ASKS = later("An unknown key asks to use your GPU")


class KnockNotice(QFrame):
    """The newest knock. Put away, it comes back with the next key that asks. `arrived`: a key that was not there."""

    arrived = Signal()
    all_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("noticeBar")
        self._presenter, self._theme = presenter, theme
        self._wanted = True
        self._seen: frozenset[str] | None = None  # None until the knocks of earlier runs are known
        self._put_away = False
        self.face = Avatar("", 24)
        self.key = Label(tone="text2")
        keep_font(self.key, theme, lambda: theme.fixed_font("hint"))
        self.allow = Button(theme, tr("Allow…"), kind="primary", size="small")
        self.deny = Button(theme, tr("Deny"), size="small")
        self.more = Button(theme, "", kind="flat", size="small", name=tr("Show all who ask"))
        self.close_button = Button(theme, kind="flat", icon="x", size="small", name=tr("Not now"))
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 12, 6)
        row.setSpacing(8)
        row.addWidget(self.face)
        row.addWidget(Label(tr(ASKS), weight=600))
        row.addWidget(self.key)
        row.addStretch(1)
        for button in (self.more, self.allow, self.deny, self.close_button):
            row.addWidget(button)
        self.allow.clicked.connect(self._ask_name)
        self.deny.clicked.connect(self._deny)
        self.more.clicked.connect(self.all_wanted)
        self.close_button.clicked.connect(self._dismiss)
        presenter.knocks_changed.connect(self._refresh)
        self.hide()

    def begin(self) -> None:
        """In a window that opens later: who asks already was told by another one."""
        self._refresh()
        self._dismiss()

    def show_here(self, wanted: bool) -> None:
        """Whether the page in front leaves the knocks to this notice."""
        self._wanted = wanted
        self._show()

    @property
    def newest(self) -> Knock | None:
        return max(self._presenter.knocks, key=lambda knock: knock.at, default=None)

    def _refresh(self) -> None:
        keys = frozenset(knock.public_key for knock in self._presenter.knocks)
        new = keys - self._seen if self._seen is not None else frozenset[str]()
        self._seen = keys
        self._put_away = self._put_away and not new
        if (newest := self.newest) is not None:
            short = short_key(newest.public_key)
            self.face.set_key(newest.public_key)
            self.key.setText(short)
            self.key.setToolTip(group_key(newest.public_key))
            self.allow.setAccessibleName(tr("Allow key {short}", short=short))
            self.deny.setAccessibleName(tr("Deny key {short}", short=short))
            self.setAccessibleName(tr("Unknown key {short} asks to use your GPU", short=short))
            self.more.setText(trn("%n more", "%n more", len(keys) - 1))
            self.more.setVisible(len(keys) > 1)
        self._show()
        if new:
            self.arrived.emit()
            announce(self, tr(ASKS))

    def _show(self) -> None:
        self.setVisible(self._wanted and not self._put_away and self.newest is not None)

    def _ask_name(self) -> None:
        if (knock := self.newest) is None:
            return

        def allow(key: str, name: str, hours: float | None) -> None:
            self._presenter.allow(key, name, hours=hours, place="knock")

        KeyDialog(
            self._theme, self._presenter.public_key, allow, public_key=knock.public_key, parent=self.window()
        ).open()

    def _deny(self) -> None:
        if (knock := self.newest) is not None:
            self._presenter.deny(knock.public_key)

    def _dismiss(self) -> None:
        self._put_away = True
        self._show()
