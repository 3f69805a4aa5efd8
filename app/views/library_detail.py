"""The strip below the table: the chosen model's sizes and context, what it takes, and the acts that get it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app import words
from app.i18n import tr
from app.presenters import library_rows as rows
from app.presenters.library import CONTEXTS, LibraryPresenter
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.elided_label import ElidedLabel
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.menu import Menu
from qvac_core.core.library_state import (
    CatalogEntry,
    DownloadChanged,
    DownloadState,
    Kind,
    ModelVersion,
    Source,
    SourceKind,
    Verdict,
)

SOURCES_SHOWN = 2  # as buttons; further ones are in the menu


class DetailStrip(QWidget):
    """`anyway_wanted(entry)`: it does not fit, and is to be had all the same."""

    anyway_wanted = Signal(str)
    rebuilt = Signal()

    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._narrow = False
        self.title = ElidedLabel(scale="state", weight=600)
        self.origin = ElidedLabel(scale="hint", tone="text3")
        self.sizes = Combo(theme, tr("Size"))
        self.contexts = Combo(theme, tr("Context"))
        for combo in (self.sizes, self.contexts):
            combo.setSizeAdjustPolicy(Combo.SizeAdjustPolicy.AdjustToContents)
        self._size_label = Label(tr("Size"), scale="hint", tone="text3")
        self._context_label = Label(tr("Context"), scale="hint", tone="text3")
        self.facts = QGridLayout()
        self.facts.setHorizontalSpacing(32)
        self.facts.setVerticalSpacing(2)
        self._facts_holder = QWidget()
        self._facts_holder.setLayout(self.facts)
        self.facts.setContentsMargins(0, 0, 0, 0)
        self._fact_labels: list[tuple[Label, Label]] = []
        self.acts = QHBoxLayout()
        self.acts.setSpacing(8)
        self.buttons: list[Button] = []
        self._second: Button | None = None  # of two sources
        self._page: Button | None = None
        self._more: Button | None = None
        self._drawn: object = None
        self._build()
        self.sizes.activated.connect(lambda at: presenter.choose_version(str(self.sizes.itemData(at))))
        self.contexts.activated.connect(lambda at: presenter.choose_context(int(self.contexts.itemData(at))))
        presenter.chosen_changed.connect(self.refresh)
        presenter.folder_changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.origin)
        head.addStretch(1)
        head.addWidget(self._size_label)
        head.addWidget(self.sizes)
        head.addSpacing(8)
        head.addWidget(self._context_label)
        head.addWidget(self.contexts)
        self._size_label.setBuddy(self.sizes)
        self._context_label.setBuddy(self.contexts)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(15, 12, 15, 13)
        self._layout.setSpacing(10)
        self._layout.addLayout(head)
        facts = QHBoxLayout()
        facts.addWidget(self._facts_holder)
        facts.addStretch(1)
        self._layout.addLayout(facts)
        self._layout.addSpacing(2)
        self._acts_holder = QWidget()
        self._acts_holder.setLayout(self.acts)
        self.acts.setContentsMargins(0, 0, 0, 0)
        # What finds no room goes into the menu: the buttons must not widen the window.
        self._acts_holder.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._layout.addWidget(self._acts_holder)

    def set_narrow(self, narrow: bool) -> None:
        if narrow != self._narrow:
            self._narrow = narrow
            for label in (self._size_label, self._context_label):
                label.setVisible(not narrow)
            self._facts_holder.setVisible(not narrow)
            self._layout.setSpacing(8 if narrow else 10)
            self._drawn = None
            self.refresh()

    def focus_first(self) -> None:
        """Enter in the table goes to what would be done."""
        first = next((button for button in self.buttons if button.isEnabled()), None)
        (first or self.sizes).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def region(self) -> QWidget:
        return self.buttons[0] if self.buttons else self.sizes

    def refresh(self) -> None:
        entry = self._presenter.chosen
        self.setVisible(entry is not None)
        if entry is None:
            return
        version = self._presenter.version(entry)
        self.title.setText(entry.title)
        self._show_sizes(entry, version)
        self._show_contexts(entry)
        if self._narrow:
            self.origin.setText(rows.narrow_facts(self._presenter, entry, version))
        else:
            self.origin.setText(rows.origin_words(entry, version))
            self._show_facts(rows.facts(self._presenter, entry, version))
        self._show_acts(entry, version)
        self.setAccessibleName(entry.title)

    def _show_sizes(self, entry: CatalogEntry, version: ModelVersion) -> None:
        listed = [(rows.version_words(one), one.id) for one in entry.versions]
        if [(self.sizes.itemText(at), self.sizes.itemData(at)) for at in range(self.sizes.count())] != listed:
            self.sizes.clear()
            for text, version_id in listed:
                self.sizes.addItem(text, version_id)
        self.sizes.setCurrentIndex(self.sizes.findData(version.id))
        self.sizes.setEnabled(len(listed) > 1)
        self.sizes.setToolTip("" if len(listed) > 1 else tr("It is to be had in this size alone."))

    def _show_contexts(self, entry: CatalogEntry) -> None:
        tokens = self._presenter.query.context_tokens
        most = entry.native_context or CONTEXTS[-1]
        listed = sorted({*(each for each in CONTEXTS if each <= most), tokens})
        if [self.contexts.itemData(at) for at in range(self.contexts.count())] != listed:
            self.contexts.clear()
            for each in listed:
                self.contexts.addItem(words.context(each), each)
        self.contexts.setCurrentIndex(self.contexts.findData(tokens))
        chats = entry.kind is Kind.CHAT
        self.contexts.setVisible(chats)
        self._context_label.setVisible(chats and not self._narrow)

    def _show_facts(self, told: list[tuple[str, str, str]]) -> None:
        while len(self._fact_labels) < len(told):
            place = len(self._fact_labels)
            name, value = Label(scale="hint", tone="text3"), Label(weight=500)
            self.facts.addWidget(name, 0, place)
            self.facts.addWidget(value, 1, place)
            self._fact_labels.append((name, value))
        for place, (name, value) in enumerate(self._fact_labels):
            shown = place < len(told)
            name.setVisible(shown)
            value.setVisible(shown)
            if shown:
                name.setText(told[place][0])
                value.setText(told[place][1])
                value.set_tone(told[place][2])
                value.setAccessibleName(f"{told[place][0]}: {told[place][1]}")

    # --- Acts

    def _show_acts(self, entry: CatalogEntry, version: ModelVersion) -> None:
        """Rebuilt only where they are others: a button that has the focus keeps it while bytes move."""
        presenter = self._presenter
        row, here = presenter.downloads.get(version.id), presenter.here(version)
        if row is not None and row.done and here is not None:
            row = None
        state = row.state if row is not None else None
        drawn = (entry.id, entry.exact, version.id, version.sources, version.fit.verdict, state, here, self._narrow)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        focused = any(button.hasFocus() for button in self.buttons)
        self._empty()
        if row is not None:
            self._add_download(row)
        elif here is not None:
            self._add_here(here.name, chats=here.kind is Kind.CHAT, shared=here.shared)
        else:
            self._add_sources(entry, version)
        self.acts.addStretch(1)
        self._add_end(entry, version)
        self.rebuilt.emit()
        if focused and self.buttons:
            self.buttons[0].setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _add_sources(self, entry: CatalogEntry, version: ModelVersion) -> None:
        presenter = self._presenter
        if version.fit.verdict is Verdict.TOO_LARGE:
            button = self._add(Button(self._theme, tr("Get anyway…"), icon="download"))
            button.clicked.connect(lambda: self.anyway_wanted.emit(entry.id))
            return
        for place, source in enumerate(version.sources[:SOURCES_SHOWN]):
            text, icon = rows.source_words(source, version)
            button = self._add(Button(self._theme, text, kind="quiet" if place else "primary", icon=icon))
            button.clicked.connect(partial(presenter.get, version.id, source.id))
            self._second = button if place else None

    def _add_download(self, row: DownloadChanged) -> None:
        presenter = self._presenter
        if row.state in (DownloadState.PAUSED, DownloadState.FAILED):
            again = tr("Try again") if row.state is DownloadState.FAILED else tr("Resume")
            button = self._add(Button(self._theme, again, kind="primary", icon="play"))
            button.clicked.connect(partial(presenter.resume, row.model, None))
            return
        if row.state in (DownloadState.RUNNING, DownloadState.QUEUED):
            button = self._add(Button(self._theme, tr("Pause"), icon="pause"))
            button.clicked.connect(partial(presenter.pause, row.model))
        said = tr("It is on its way, as said under Downloads.")
        self.acts.addWidget(Label(said, scale="hint", tone="text3"))

    def _add_here(self, name: str, *, chats: bool, shared: bool) -> None:
        presenter = self._presenter
        if chats:
            chat = self._add(Button(self._theme, tr("Chat with it"), kind="primary", icon="message-square"))
            chat.clicked.connect(partial(presenter.chat_with, name))
        share = self._add(Button(self._theme, tr("Stop sharing it") if shared else tr("Share it")))
        share.clicked.connect(partial(presenter.set_shared, name, not shared))
        self.acts.addWidget(IconLabel(self._theme, "check", "accent"))
        self.acts.addWidget(Label(tr("It is on this machine."), scale="hint", tone="text3"))

    def _add_end(self, entry: CatalogEntry, version: ModelVersion) -> None:
        """The model's page where there is room for it, and a menu of what has none."""
        if entry.page:
            self._page = self._add(Button(self._theme, tr("Model page"), kind="flat", icon="external-link"))
            self._page.setToolTip(entry.page)
            self._page.clicked.connect(partial(_open, entry.page))
        self._more = self._add(Button(self._theme, kind="flat", icon="ellipsis", name=tr("More about this model")))
        self._more.clicked.connect(lambda: self._open_menu(entry, version))
        self._fit_acts()

    def _fit_acts(self) -> None:
        """Buttons are never cut: the page goes into the menu first, then the second source."""
        room = self.width() - self._layout.contentsMargins().left() - self._layout.contentsMargins().right()
        optional = [button for button in (self._page, self._second) if button is not None]
        for button in optional:
            button.setVisible(not (self._narrow and button is self._page))
        for button in optional:
            if self._taken() <= room:
                break
            button.hide()

    def _taken(self) -> int:
        """Pixels of all acts beside each other."""
        shown = [item.widget() for item in map(self.acts.itemAt, range(self.acts.count())) if item is not None]
        widths = [widget.sizeHint().width() for widget in shown if widget is not None and not widget.isHidden()]
        return sum(widths) + self.acts.spacing() * len(widths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_acts()

    def _open_menu(self, entry: CatalogEntry, version: ModelVersion) -> None:
        menu = Menu(self)
        offered = _offers(self._presenter, version)
        beside = 0 if not offered else 1 if self._second is None or self._second.isHidden() else SOURCES_SHOWN
        for source in offered[beside:] if version.fit.verdict is not Verdict.TOO_LARGE else ():
            text, icon = rows.source_words(source, version)
            act = partial(self._presenter.get, version.id, source.id)
            menu.addAction(self._theme.icon(icon), text.replace("&", "&&"), act)
        if _asks_more(entry, version):
            ask = partial(self._presenter.look_closer, entry.id)
            menu.addAction(self._theme.icon("info"), tr("Ask Hugging Face for exact facts"), ask)
        if entry.page:
            menu.addAction(self._theme.icon("external-link"), tr("Model page"), partial(_open, entry.page))
            clipboard = QGuiApplication.clipboard()
            menu.addAction(self._theme.icon("copy"), tr("Copy its address"), partial(clipboard.setText, entry.page))
        copy = partial(QGuiApplication.clipboard().setText, version.file)
        menu.addAction(self._theme.icon("copy"), tr("Copy the file's name"), copy)
        if self._more is not None:
            menu.open_below(self._more)

    def _add(self, button: Button) -> Button:
        self.acts.addWidget(button)
        button.show()  # at once, not with the layout's next turn: it may get the focus right now
        self.buttons.append(button)
        return button

    def _empty(self) -> None:
        while (item := self.acts.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.buttons.clear()
        self._second = self._page = self._more = None


def _offers(presenter: LibraryPresenter, version: ModelVersion) -> tuple[Source, ...]:
    """Sources that can be asked now: none while it is on its way, or here."""
    busy = version.id in presenter.downloads or presenter.here(version) is not None
    return () if busy else version.sources


def _asks_more(entry: CatalogEntry, version: ModelVersion) -> bool:
    """Whether its source would say more than the catalog does."""
    return not entry.exact and any(source.kind is SourceKind.HUGGING_FACE for source in version.sources)


def _open(page: str) -> None:
    QDesktopServices.openUrl(QUrl(page))
