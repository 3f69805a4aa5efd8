"""Adding a provider: a key that is checked as it is typed, stages with their seconds, and what helps when one fails."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import later, listed, tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import Cause, cause_of
from app.presenters.guest_terms import terms_in_words
from app.theme import Theme
from app.views.invite_offer import OfferPanel
from app.views.key_sources import KeyDrops, KeySources
from app.widgets.avatar import Avatar
from app.widgets.button import Button, CopyButton
from app.widgets.card import rule
from app.widgets.chat.stages import Stages
from app.widgets.dialog import PROGRAM
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.focus import hand_on_focus
from app.widgets.keys import KeyField
from app.widgets.label import Label
from app.widgets.own_font import keep_font
from app.widgets.own_width import keep_width
from app.words import duration
from qvac_core.codec.key_links import NAME_LETTERS, link_of
from qvac_core.codec.key_text import KeyCheck, read_key, short_key
from qvac_core.core.error_text import describe
from qvac_core.core.state import ConnectionStage, Offer, ProviderEntry, Stage, Target
from qvac_core.errors import QvacError

WIDTH = 540
LONGEST_SHOWN = 300  # letters of a text that is no key
OWN_KEY = later("This is your own key: it means this machine.")
FAILED = later("Failed")
FAILED_STAGE = {
    Cause.REFUSED: later("Refused by the owner"),
    Cause.NOT_FOUND: later("Not found on the network"),
    Cause.OFFLINE: later("Found, but it does not answer"),
    Cause.NO_PATH: later("Found, but no path leads there"),
    Cause.NO_NETWORK: later("No network"),
}


class ProviderDialog(QDialog):
    """`chosen`: a target to chat with from now on. `here_wanted`: this machine instead.

    `network_wanted`: how this machine is connected, and its relays.
    """

    chosen = Signal(object)  # Target
    here_wanted = Signal()
    network_wanted = Signal()

    def __init__(
        self,
        presenter: ChatPresenter,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        key: str = "",
        name: str = "",
    ) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._theme = theme
        self._task: asyncio.Task[object] | None = None
        self._entry: ProviderEntry | None = None
        self._invite = ("", "")  # of which key, and the letters of its grant
        self._offer: Offer | None = None
        self.offer_panel = OfferPanel(theme)
        self.offer_panel.hide()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(PROGRAM)  # its heading says the rest
        self.setAccessibleName(tr("Add a provider"))
        keep_width(self, theme, WIDTH)
        self.key = KeyField(theme, tr("Key of the provider"), tr("Paste the key or the invite its owner gave you"))
        self.checked = Label(scale="hint", tone="text3")
        self.sources = KeySources(theme, presenter.run)
        self.said = Label(scale="hint", tone="text3", wrap=True)
        self.face = Avatar("", 28)
        self.name = QLineEdit()
        self.name.setAccessibleName(tr("Name on this machine"))
        self.name.setPlaceholderText(tr("For example Studio desktop"))
        self.name.setMaxLength(NAME_LETTERS)
        self.stages = Stages(theme)
        self.error = ErrorPanel(theme, dismissable=False)
        self.mine = MyKey(theme, presenter.public_key)
        self.progress = Label(scale="hint", tone="text3")
        self.cancel = Button(theme, tr("Cancel"))
        self.go = Button(theme, tr("Connect"), kind="primary")
        self.key.checked.connect(self._show_check)
        self.key.named.connect(self._offer_name)
        self.key.picture_pasted.connect(self.sources.paste)
        self.sources.found.connect(lambda found: self.offer(found.text, found.name))
        self.key.invited.connect(self._take_invite)
        self.sources.text.connect(self.offer_text)
        self.sources.said.connect(self._say)
        drops = KeyDrops(self)
        drops.dropped.connect(self.sources.take)
        self.cancel.clicked.connect(self.reject)
        self.go.clicked.connect(self._go)
        self.key.returnPressed.connect(self._go)
        self.name.returnPressed.connect(self._go)
        presenter.stage_changed.connect(self._take_stage)
        presenter.providers_changed.connect(self._take_providers)
        self.finished.connect(self._end)
        self._lay_out()
        self.stages.hide()
        self.mine.hide()
        self.said.hide()
        if key:
            self.offer(key, name)
        else:
            self._show_check(KeyCheck.EMPTY, "")

    def focusNextPrevChild(self, next_: bool) -> bool:
        return hand_on_focus(lambda: super(ProviderDialog, self).focusNextPrevChild(next_))

    def offer(self, key: str, name: str = "") -> None:
        """Fill in a key that came from elsewhere; nothing connects by itself."""
        if self.connecting:
            return
        if read_key(key).invite:
            self.offer_text(key)
            return
        self.key.set_key(key)
        self.key.setCursorPosition(0)
        self._offer_name(name)
        self.name.setFocus()

    def offer_text(self, text: str) -> None:
        """A link or a text in which a key may be. One that is none stands in the field, with what is wrong with it."""
        found = read_key(text)
        if found.check is KeyCheck.KEY:
            self.offer(found.key.hex(), found.name)
            if found.invite:
                self._take_invite(found.invite)
        elif not self.connecting:
            self.key.set_key(" ".join(text.split())[:LONGEST_SHOWN])
            self.key.setFocus()

    def _take_invite(self, letters: str) -> None:
        """What it gives is shown; nothing of it is used up before its user says so."""
        key = self.key.key
        self._invite = (key, letters)

        async def read() -> None:
            offer = await self._presenter.read_invite(self._link())
            if self._invite == (key, letters):
                self._offer = offer
                self.offer_panel.show_offer(offer)
                self.offer_panel.show()
                self._show_button()
                self._resize()

        def failed(error: QvacError) -> None:
            self._forget_invite()
            self._say(told(error.message), True)

        self._presenter.run(read(), failed)

    def _link(self) -> str:
        key, letters = self._invite
        return link_of(bytes.fromhex(key), self.name.text().strip(), letters)

    def _forget_invite(self) -> None:
        self._invite, self._offer = ("", ""), None
        self.offer_panel.hide()
        self._resize()

    def _offer_name(self, name: str) -> None:
        """What a link calls the machine: only where its user has not called it something."""
        if name and not self.name.text().strip():
            self.name.setText(name)

    def _say(self, sentence: str, trouble: bool) -> None:
        self.said.setText(sentence)
        self.said.set_tone("danger" if trouble else "text3")
        self.said.setVisible(bool(sentence))
        if trouble:
            announce(self, sentence)
        self._resize()

    @property
    def connecting(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Connect with what the fields say."""
        self._go()

    def _lay_out(self) -> None:
        self.setLayout(outer := QVBoxLayout())
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        body = QVBoxLayout()
        body.setContentsMargins(20, 18, 20, 16)
        body.setSpacing(6)
        title = Label(tr("Add a provider"), scale="state", weight=600)
        labels = QHBoxLayout()
        labels.addWidget(Label(tr("Key or qvac:// link"), scale="hint", tone="text2"), 1)
        labels.addWidget(self.checked)
        field = QHBoxLayout()
        field.setSpacing(8)
        field.addWidget(self.key, 1)
        field.addWidget(self.face)
        keep = self.face.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.face.setSizePolicy(keep)
        body.addWidget(title)
        body.addSpacing(8)
        body.addLayout(labels)
        body.addLayout(field)
        body.addSpacing(2)
        body.addWidget(self.sources)
        body.addWidget(self.said)
        body.addWidget(self.offer_panel)
        body.addSpacing(6)
        body.addWidget(Label(tr("Name on this machine"), scale="hint", tone="text2"))
        body.addWidget(self.name)
        body.addSpacing(8)
        body.addWidget(self.stages)
        body.addWidget(self.error)
        body.addWidget(self.mine)
        body.addStretch(1)
        outer.addLayout(body, 1)
        outer.addWidget(rule())
        footer = QHBoxLayout()
        footer.setContentsMargins(20, 12, 20, 12)
        footer.setSpacing(8)
        footer.addWidget(self.progress, 1)
        footer.addWidget(self.cancel)
        footer.addWidget(self.go)
        outer.addLayout(footer)

    # --- The key

    def _show_check(self, state: KeyCheck, sentence: str) -> None:
        own = self.key.key == self._presenter.public_key
        words = {KeyCheck.EMPTY: "", KeyCheck.KEY: tr("Valid key")}.get(state, told(sentence))
        self.checked.setText(tr(OWN_KEY) if own else words)
        if own:
            announce(self, tr(OWN_KEY))
        self.checked.set_tone(
            "local" if own else {KeyCheck.KEY: "accent", KeyCheck.WRONG: "danger"}.get(state, "text3")
        )
        self.face.setVisible(state is KeyCheck.KEY)
        self.face.set_key(self.key.key)
        known = self._presenter.provider(self.key.key)
        if known is not None and not self.name.text():
            self.name.setText(known.name)
        self._entry = None
        if self._invite[0] and self._invite[0] != self.key.key:
            self._forget_invite()
        self._show_button()

    def _show_button(self) -> None:
        self.go.setVisible(True)
        if self._entry is not None:
            model = self._entry.models[0].name if self._entry.models else ""
            self.go.setText(tr("Chat with {model}", model=model) if model else tr("Chat"))
            self.go.setEnabled(bool(model))
        elif self.key.key and self.key.key == self._presenter.public_key:
            self.go.setText(tr("Chat on this machine"))
            self.go.setEnabled(True)
        elif self._offer is not None:
            self.go.setText(tr("Take the invite"))
            self.go.setEnabled(not self._offer.run_out)
        else:
            self.go.setText(tr("Connect"))
            self.go.setEnabled(bool(self.key.key))
            self.go.setToolTip("" if self.go.isEnabled() else tr("Paste the whole key first"))
        self.go.setAccessibleName(self.go.text())

    # --- Connecting

    def _go(self) -> None:
        if self.connecting or not self.go.isEnabled():
            return
        if self._entry is not None:
            self.chosen.emit(Target(self._entry.public_key, self._entry.models[0].source))
            self.accept()
        elif self.key.key == self._presenter.public_key:
            self.here_wanted.emit()
            self.accept()
        elif self.key.key:
            self._presenter.run(self._connect(self.key.key, self.name.text().strip()), self._failed)

    async def _connect(self, key: str, name: str) -> None:
        self._task = asyncio.current_task()
        self._show_connecting(True)
        try:
            if self._offer is not None:
                self._entry = await self._presenter.accept_invite(self._link(), name)
                self._forget_invite()
            else:
                self._entry = await self._presenter.add_provider(key, name)
        except QvacError:
            self._task = None
            raise
        except asyncio.CancelledError:
            self._task = None
            raise
        self._task = None
        self._show_connecting(False)
        self.progress.setText(tr("Connected after {time}", time=duration(self.stages.total)))
        self._succeeded(self._entry)

    def _show_connecting(self, connecting: bool) -> None:
        for field in (self.key, self.name):
            field.setReadOnly(connecting)
        self.sources.setDisabled(connecting)
        self.go.setVisible(not connecting)
        self.cancel.setText(tr("Cancel") if connecting else tr("Close"))
        if connecting:
            self.error.clear()
            self.mine.hide()
            self.stages.show()
            self.stages.begin()
            self.progress.setText("")
        self._resize()

    def _take_stage(self, event: ConnectionStage) -> None:
        if event.provider_key == self.key.key and self.connecting:
            self.stages.take(event)
            if event.stage is not Stage.FAILED:
                self.progress.setText(tr("Running for {time}", time=duration(self.stages.total)))

    def _succeeded(self, entry: ProviderEntry) -> None:
        names = [model.name for model in entry.models]
        shares = (
            tr("{several} and {last}", several=listed(names[:-1]), last=names[-1]) if len(names) > 1 else "".join(names)
        )
        none = tr("It only translates") if entry.translates else tr("It shares no model with you yet")
        self.stages.finish(tr("It shares {models}", models=shares) if names else none)
        if entry.terms is not None and (limits := terms_in_words(entry.terms, self._presenter.now)):
            self._say(tr("You may use: {limits}.", limits=limits), False)
        self._show_button()
        self.go.setFocus()
        self._resize()

    def _failed(self, error: QvacError) -> None:
        self._task = None
        self._show_connecting(False)
        info = describe(error)
        cause = cause_of(info)
        self.stages.fail(tr(FAILED_STAGE.get(cause, FAILED)))
        self.progress.setText(tr("Stopped after {time}", time=duration(self.stages.total)))
        self._show_waiting()
        self.error.show_error(info, self._remedies(cause))
        self.mine.setVisible(cause is Cause.REFUSED)
        self.go.setVisible(False)
        self._resize()

    def _show_waiting(self) -> None:
        """It does not stop there: once the owner allows the key, it goes on."""
        entry = self._presenter.provider(self.key.key)
        if entry is not None and entry.state == "waiting":
            self.progress.setText(tr("Waiting for the owner"))

    def _take_providers(self) -> None:
        """The owner has allowed the key meanwhile, and it was connected by itself."""
        entry = self._presenter.provider(self.key.key)
        refused = self.error.isVisibleTo(self) and not self.connecting
        if entry is not None and entry.state == "online" and self._entry is None and refused:
            self._entry = entry
            self.error.clear()
            self.mine.hide()
            self.progress.setText(tr("Allowed by the owner"))
            self._succeeded(entry)
        elif refused:
            self._show_waiting()

    def _remedies(self, cause: Cause) -> list[Act]:
        if cause is Cause.REFUSED:
            acts = [Act(tr("Ask again"), self._again, "primary", "send")]
        else:
            acts = [Act(tr("Try again"), self._again, "primary", "rotate-cw")]
        if cause is Cause.NO_PATH:
            acts.append(Act(tr("Add a relay"), self.network_wanted.emit, icon="cable"))
        elif cause is Cause.NO_NETWORK:
            acts.append(Act(tr("Network"), self.network_wanted.emit))
        elif cause is Cause.NOT_FOUND:
            acts.append(Act(tr("Check the key"), self._check_key))
        else:
            acts.append(Act(tr("Chat on this machine"), self._here, icon="laptop"))
        return acts

    def _again(self) -> None:
        self._show_button()
        self._go()

    def _check_key(self) -> None:
        self.error.clear()
        self.stages.hide()
        self._show_button()
        self.key.setFocus()
        self.key.selectAll()
        self._resize()

    def _here(self) -> None:
        self.here_wanted.emit()
        self.accept()

    def _end(self, _result: int) -> None:
        self.sources.cancel()
        if self._task is not None:
            self._task.cancel()

    def _resize(self) -> None:
        layout = self.layout()
        if layout is not None:
            layout.activate()
            # Not the minimum size: that counts wrapped labels at their narrowest.
            wanted = layout.totalHeightForWidth(self.width()) if layout.hasHeightForWidth() else -1
            self.setFixedHeight(wanted if wanted > 0 else layout.totalSizeHint().height())


class MyKey(QWidget):
    """What the owner needs to admit me."""

    def __init__(self, theme: Theme, public_key: str) -> None:
        super().__init__()
        key = Label(short_key(public_key))
        keep_font(key, theme, lambda: theme.fixed_font("hint"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(Label(tr("My key"), scale="hint", tone="text2"))
        layout.addWidget(Avatar(public_key, 20))
        layout.addWidget(key)
        layout.addStretch(1)
        layout.addWidget(CopyButton(theme, public_key, text=tr("Copy my key")))
