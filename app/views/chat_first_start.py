"""The first screen: three cards, one for each thing this program does. Nothing leaves the machine before a choice."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from app import words
from app.announcements import announce
from app.core_words import told
from app.i18n import listed, tr
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import default_model, time_left
from app.theme import Theme
from app.views.key_sources import KeyDrops, KeySources
from app.widgets.button import Button
from app.widgets.chat.composer import PRIVACY
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.icon_label import IconLabel, IconTile
from app.widgets.keys import KeyField
from app.widgets.label import Label, restyle
from app.widgets.own_width import keep_width
from app.words import pair_of_sizes, rate, size
from qvac_core.codec.key_links import link_of
from qvac_core.codec.key_text import KeyCheck, read_key
from qvac_core.core.state import DownloadChanged

CARDS_WIDTH = 1040
STACKED_BELOW = 860


class ChoiceCard(QFrame):
    """Icon, title, two lines, the act, and one small line at the foot."""

    def __init__(self, theme: Theme, icon: str, tone: str, title: str, sentence: str, foot: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.act = QVBoxLayout()
        self.act.setSpacing(8)
        self.foot = Label(foot, scale="hint", tone="text3", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(4)
        layout.addWidget(IconTile(theme, icon, tone))
        layout.addSpacing(10)
        layout.addWidget(Label(title, scale="state", weight=600))
        self.sentence = Label(sentence, tone="text2", wrap=True)
        layout.addWidget(self.sentence)
        layout.addSpacing(16)
        layout.addLayout(self.act)
        layout.addStretch(1)
        layout.addSpacing(20)
        layout.addWidget(self.foot)


class FirstStart(QScrollArea):
    """`provider_wanted` with a complete key and what a link calls it; the other two choices go to the presenter."""

    provider_wanted = Signal(str, str)  # key, name
    here_wanted = Signal()

    def __init__(self, presenter: ChatPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._theme = theme
        self._name = ("", "")  # what a link called the machine of a key
        self._invite = ("", "")  # of which key, and its letters
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._use = self._use_card()
        self._share = self._share_card()
        self._here = self._here_card()
        self._cards = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._cards.setSpacing(16)
        for card in (self._use, self._share, self._here):
            self._cards.addWidget(card, 1)
        self.setWidget(self._page())
        presenter.download_changed.connect(self._show_download)
        presenter.models_changed.connect(self._show_models)
        self._show_models()

    def focus_first(self) -> None:
        self.key.setFocus()

    def _page(self) -> QWidget:
        title = Label(tr("What would you like to do?"), scale="display", weight=600)
        hint = Label(tr("Nothing leaves this machine before you choose. You can do the other two later."), tone="text2")
        for label in (title, hint):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
        holder = QWidget()
        holder.setLayout(self._cards)
        keep_width(holder, self._theme, CARDS_WIDTH, most=True)
        self._cards.setContentsMargins(0, 0, 0, 0)
        promise = QHBoxLayout()
        promise.setSpacing(8)
        promise.addStretch(1)
        promise.addWidget(IconLabel(self._theme, "shield", "text2"))
        promise.addWidget(
            Label(
                tr("No account and no telemetry. Machines find each other by key and talk encrypted end to end."),
                scale="hint",
                tone="text2",
            )
        )
        promise.addStretch(1)
        page = Surface(self._theme)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(8)
        layout.addStretch(2)
        layout.addWidget(title)
        layout.addWidget(hint)
        layout.addSpacing(20)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(holder, 1000)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addSpacing(16)
        layout.addLayout(promise)
        layout.addStretch(3)
        return page

    def _use_card(self) -> ChoiceCard:
        card = ChoiceCard(
            self._theme,
            "waypoints",
            "accent",
            tr("Use somebody's GPU"),
            tr("Paste the key or the invite its owner gave you, or drop a picture of its QR code here."),
            tr(PRIVACY),
        )
        self.key = KeyField(self._theme, tr("Key of the provider"), tr("Provider key or qvac:// link"))
        self.checked = Label(scale="hint", tone="text3", wrap=True)
        self.connect_ = Button(self._theme, tr("Connect…"), kind="primary", size="large")
        self.connect_.clicked.connect(self._use_key)
        self.key.returnPressed.connect(self._use_key)
        self.key.checked.connect(self._show_check)
        self.sources = KeySources(self._theme, self._presenter.run)
        self.sources.clipboard.hide()  # Ctrl+V in the field above does the same
        self.key.named.connect(self._keep_name)
        self.key.invited.connect(self._keep_invite)
        self.key.picture_pasted.connect(self.sources.paste)
        self.sources.found.connect(lambda found: self.provider_wanted.emit(found.text, found.name))
        self.sources.text.connect(self._take_text)
        self.sources.said.connect(self._say)
        drops = KeyDrops(self)
        drops.dropped.connect(self.sources.take)
        drops.over.connect(lambda over: _mark(card, over))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.connect_)
        row.addWidget(self.checked, 1)
        card.act.addWidget(self.key)
        card.act.addWidget(self.sources)
        card.act.addLayout(row)
        self._show_check(KeyCheck.EMPTY, "")
        return card

    def _share_card(self) -> ChoiceCard:
        card = ChoiceCard(
            self._theme,
            "radio-tower",
            "accent",
            tr("Share my GPU"),
            tr("Let people you allow use this machine's GPU. Nobody is admitted until you say so."),
            tr("You can stop at any time."),
        )
        self.share = Button(self._theme, tr("Choose what to share"), size="large", icon="arrow-right")
        # The arrow stands behind the words.
        behind = Qt.LayoutDirection.LeftToRight if self.isRightToLeft() else Qt.LayoutDirection.RightToLeft
        self.share.setLayoutDirection(behind)
        self.share.clicked.connect(self._presenter.share_requested)
        _stretch(self.share)
        card.act.addWidget(self.share)
        return card

    def _here_card(self) -> ChoiceCard:
        card = ChoiceCard(
            self._theme,
            "laptop",
            "local",
            tr("Chat on this machine"),
            tr("Download a small model and chat without anybody else. It works offline afterwards."),
            tr("Computed here: nothing you write leaves this machine."),
        )
        name, octets, licence = default_model()
        self.model = Label(name, weight=600)
        self.about = Label(
            tr("{size}, {licence}, from Hugging Face", size=size(octets), licence=words.licence(licence)),
            scale="hint",
            tone="text3",
            wrap=True,
        )
        about = QHBoxLayout()
        about.setSpacing(10)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self.model)
        texts.addWidget(self.about)
        about.addWidget(IconLabel(self._theme, "hard-drive", "text2", 18))
        about.addLayout(texts, 1)
        self.get = Button(self._theme, tr("Download {size}", size=size(octets)), size="large", icon="download")
        self.get.clicked.connect(self._get)
        _stretch(self.get)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Download"))
        self.rate = Label(scale="hint", tone="text3", wrap=True)
        self.cancel = Button(self._theme, tr("Cancel"), kind="flat", name=tr("Cancel the download"))
        self.cancel.clicked.connect(self._presenter.cancel_download)
        self.error = ErrorPanel(self._theme, dismissable=False)
        card.act.addLayout(about)
        for widget in (self.get, self.bar, self.rate, self.cancel, self.error):
            card.act.addWidget(widget)
        for widget in (self.bar, self.rate, self.cancel):
            widget.hide()
        return card

    # --- Use somebody's GPU

    def _show_check(self, state: KeyCheck, sentence: str) -> None:
        self.checked.setText({KeyCheck.EMPTY: "", KeyCheck.KEY: tr("Valid key")}.get(state, told(sentence)))
        self.checked.set_tone({KeyCheck.KEY: "accent", KeyCheck.WRONG: "danger"}.get(state, "text3"))
        self.connect_.setVisible(state is not KeyCheck.EMPTY)
        self.connect_.setEnabled(state is KeyCheck.KEY)
        self.connect_.setToolTip("" if state is KeyCheck.KEY else tr("Paste the whole key first"))

    def _keep_name(self, name: str) -> None:
        self._name = (self.key.key, name)

    def _keep_invite(self, invite: str) -> None:
        self._invite = (self.key.key, invite)

    def _take_text(self, text: str) -> None:
        self.key.set_key(text)
        found = read_key(text)
        self._keep_name(found.name)
        self._keep_invite(found.invite)
        self.key.setFocus()

    def _say(self, sentence: str, trouble: bool) -> None:
        self.checked.setText(sentence)
        self.checked.set_tone("danger" if trouble else "text3")
        if trouble:
            announce(self, sentence)

    def _use_key(self) -> None:
        if key := self.key.key:
            name = self._name[1] if self._name[0] == key else ""
            invite = self._invite[1] if self._invite[0] == key else ""
            self.provider_wanted.emit(link_of(bytes.fromhex(key), name, invite) if invite else key, name)

    # --- Chat on this machine

    @property
    def here_says(self) -> str:
        return self._here.sentence.text()

    def _get(self) -> None:
        if self._presenter.models:
            self.here_wanted.emit()
        else:
            self._presenter.download_default()

    def _show_models(self) -> None:
        models = self._presenter.models
        if models:
            self.model.setText(models[0].display_name)
            self.about.setText(tr("{size}, on this machine", size=size(models[0].size_bytes)))
            self._here.sentence.setText(tr("A model is here already. Chat without anybody else, offline too."))
            self.get.setText(tr("Start to chat"))
            self.get.set_icon("message-square")
            self.get.setAccessibleName(tr("Start to chat on this machine"))

    def _show_download(self, download: DownloadChanged | None) -> None:
        running = download is not None and not download.done and download.error is None
        self.get.setVisible(not running)
        for widget in (self.bar, self.rate, self.cancel):
            widget.setVisible(running)
        if download is None:
            return
        if download.error is not None:
            again = Act(tr("Try again"), self._presenter.download_default, "primary", "rotate-cw")
            self.error.show_error(download.error, [again])
            return
        self.error.clear()
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * download.downloaded / download.total) if download.total else 0)
        self.rate.setText(download_words(download))
        if download.done and self.isVisible():
            self.here_wanted.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        stacked = event.size().width() < STACKED_BELOW
        direction = QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight
        if self._cards.direction() != direction:
            self._cards.setDirection(direction)


class Surface(QWidget):
    """A page in the colour of cards and conversations."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("surface"))
        painter.end()


def download_words(download: DownloadChanged) -> str:
    """ "49 of 98 MB, 9.8 MB/s, about 5 s left"."""
    words = [pair_of_sizes(download.downloaded, download.total)]
    if download.rate > 0:
        words.append(rate(download.rate))
        words.append(time_left(download.total - download.downloaded, download.rate))
    return listed(words)


def _mark(card: QFrame, over: bool) -> None:
    card.setProperty("over", over)
    restyle(card)


def _stretch(button: Button) -> None:
    policy = button.sizePolicy()
    policy.setHorizontalPolicy(policy.Policy.Expanding)
    button.setSizePolicy(policy)
