"""Knocks: unknown keys that ask to use this GPU. Avatar and short key only, never a text of a stranger."""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, QPropertyAnimation, Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app import words
from app.announcements import announce
from app.i18n import tr, trn
from app.key_words import group_key
from app.presenters.share import HOUR_GRANT, SharePresenter
from app.theme import Theme
from app.views.share_dialogs import KeyDialog
from app.widgets.avatar import Avatar
from app.widgets.button import Button
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.own_font import keep_font
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import ErrorInfo, Knock

SHOWN = 3
SLIDE_MS = 160


class KnockCard(QFrame):
    """One knock. Alt+A and Alt+D act while the focus is inside."""

    def __init__(
        self, knock: Knock, presenter: SharePresenter, theme: Theme, primary: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("knock")
        self._knock, self._presenter, self._theme = knock, presenter, theme
        short = short_key(knock.public_key)
        self.setToolTip(group_key(knock.public_key))
        self.key = Label(short, tone="text2")
        keep_font(self.key, theme, lambda: theme.fixed_font("hint"))
        self.age = Label(scale="hint", tone="text2")
        self.allow = Button(
            theme, tr("Allow…"), kind="primary" if primary else "quiet", name=tr("Allow key {short}", short=short)
        )
        self.hour = Button(theme, tr("For an hour"), name=tr("Allow key {short} for an hour", short=short))
        self.deny = Button(theme, tr("Deny"), name=tr("Deny key {short}", short=short))
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More for key {short}", short=short))
        self._lay_out(Label(tr("An unknown key asks to use your GPU"), weight=600, wrap=True))
        self.setAccessibleName(tr("An unknown key asks to use your GPU: {short}", short=short))
        self.allow.clicked.connect(self.ask_name)
        self.hour.clicked.connect(self._for_an_hour)
        self.deny.clicked.connect(lambda: presenter.deny(knock.public_key))
        self.more.clicked.connect(self._open_menu)
        for keys, act in (("Alt+A", self.ask_name), ("Alt+D", self.deny.click)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
        self.tick()

    @property
    def public_key(self) -> str:
        return self._knock.public_key

    def tick(self) -> None:
        self.age.setText(f"· {words.ago(self._knock.at, self._presenter.clock())}")

    def set_primary(self, primary: bool) -> None:
        self.allow.set_kind("primary" if primary else "quiet")

    def slide_in(self) -> None:
        """A new one grows into its place, so that nobody's click lands on the wrong person."""
        duration = self._theme.duration(SLIDE_MS)
        if not duration:
            return
        slide = QPropertyAnimation(self, b"maximumHeight", self)
        slide.setDuration(duration)
        slide.setStartValue(0)
        slide.setEndValue(self.sizeHint().height())
        slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        slide.finished.connect(lambda: self.setMaximumHeight(16777215))
        slide.start(QPropertyAnimation.DeletionPolicy.DeleteWhenStopped)

    def ask_name(self) -> None:
        def allow(key: str, name: str, hours: float | None) -> None:
            self._presenter.allow(key, name, hours=hours, place="knock", limits=dialog.limits())

        dialog = KeyDialog(
            self._theme, self._presenter.public_key, allow, public_key=self.public_key, parent=self.window()
        )
        dialog.open()

    def _for_an_hour(self) -> None:
        name = tr("Guest {key}", key=self.public_key[:4])
        self._presenter.allow(self.public_key, name, hours=HOUR_GRANT, place="knock")

    def _open_menu(self) -> None:
        menu = Menu(self)
        block = menu.addAction(self._theme.icon("ban", "danger"), tr("Block this key"))
        block.triggered.connect(lambda: self._presenter.block(self.public_key, "knock"))
        menu.open_below(self.more)

    def _lay_out(self, title: Label) -> None:
        below = QHBoxLayout()
        below.setSpacing(5)
        below.addWidget(self.key)
        below.addWidget(self.age)
        below.addStretch(1)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(title)
        texts.addLayout(below)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 11, 12, 11)
        row.setSpacing(6)
        row.addWidget(Avatar(self.public_key, 32))
        row.addSpacing(6)
        row.addLayout(texts, 1)
        for button in (self.allow, self.hour, self.deny, self.more):
            row.addWidget(button)


class KnockList(QWidget):
    """Newest first, three shown; the others wait behind one button. No knock: no space."""

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._cards: list[KnockCard] = []
        self._all = False
        self._filled = False
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self.error = ErrorPanel(theme)
        self.more = Button(theme, "", kind="flat", size="small", icon="chevron-down", name=tr("Show all who ask"))
        self.more.setProperty("iconOnly", "false")
        self.deny_all = Button(theme, tr("Deny all"), kind="flat", size="small", name=tr("Deny all who ask"))
        self.foot = QWidget()
        foot = QHBoxLayout(self.foot)
        foot.setContentsMargins(0, 0, 0, 0)
        foot.addWidget(self.more)
        foot.addStretch(1)
        foot.addWidget(self.deny_all)
        self._column.addWidget(self.foot)
        self.deny_all.clicked.connect(self._deny_all)
        self._column.addWidget(self.error)
        self.more.clicked.connect(self._show_all)
        self.error.dismissed.connect(self.refresh)
        presenter.knocks_changed.connect(self.refresh)
        self.refresh()

    @property
    def cards(self) -> tuple[KnockCard, ...]:
        return tuple(self._cards)

    def refresh(self) -> None:
        newest = sorted(self._presenter.knocks, key=lambda knock: knock.at, reverse=True)
        shown = newest if self._all else newest[:SHOWN]
        wanted = [knock.public_key for knock in shown]
        for card in [card for card in self._cards if card.public_key not in wanted]:
            self._cards.remove(card)
            self._column.removeWidget(card)
            card.hide()
            card.deleteLater()
        for place, knock in enumerate(shown):
            if place >= len(self._cards) or self._cards[place].public_key != knock.public_key:
                card = KnockCard(knock, self._presenter, self._theme, place == 0)
                self._cards.insert(place, card)
                self._column.insertWidget(place, card)
                if self._filled:
                    # From the window: whoever is in the other tab shall hear it, too.
                    announce(self.window(), f"{card.accessibleName()}.")
                    if self.isVisible():
                        card.slide_in()
            self._cards[place].set_primary(place == 0)
        self._filled = True
        left = len(newest) - len(shown)
        self.more.setText(trn("%n more", "%n more", left))
        self.more.setVisible(left > 0)
        self._all = self._all and len(newest) > SHOWN
        self.foot.setVisible(len(newest) > SHOWN)
        self.setVisible(bool(newest) or self.error.isVisibleTo(self))

    def tick(self) -> None:
        for card in self._cards:
            card.tick()

    def show_error(self, error: ErrorInfo) -> None:
        self.error.show_error(error)
        self.show()

    def clear_error(self) -> None:
        self.error.clear()
        self.refresh()

    def _deny_all(self) -> None:
        """Those that can be counted now: who asks meanwhile is not denied unseen."""
        for knock in self._presenter.knocks:
            self._presenter.deny(knock.public_key)

    def _show_all(self) -> None:
        self._all = True
        self.refresh()
