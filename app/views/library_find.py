"""What can be had: the search, the table of models with what each needs here, and the strip that gets one."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app import words
from app.i18n import tr
from app.presenters.library import LibraryPresenter, Shown
from app.presenters.library_rows import FIND_DROP, find_columns, find_foot, find_rows
from app.theme import Theme
from app.views.library_detail import DetailStrip
from app.views.share_dialogs import confirm
from app.widgets.button import Button
from app.widgets.card import Card, rule
from app.widgets.combo import Combo
from app.widgets.elided_label import ElidedLabel
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.label import Label
from app.widgets.search_field import SearchField
from app.widgets.segmented import Segmented
from app.widgets.switch import ROW_SIZE, Switch
from app.widgets.table import Table
from qvac_core.core.library_state import CatalogEntry, Kind, Verdict
from qvac_core.core.state import ErrorInfo

ROW = 44
NAME_AT_LEAST = 210
NAME_IN_NARROW = 400  # then the licence stands in the detail alone
QUOTED = 40  # letters of a search that a button repeats


class CatalogField(SearchField):
    """Down goes into the table; Esc empties it first; Enter takes the address that was pasted, or goes to the table."""

    down_wanted = Signal()
    enter_pressed = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Down:
                self.down_wanted.emit()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.enter_pressed.emit()
            case Qt.Key.Key_Escape if self.text():
                self.clear()
            case Qt.Key.Key_Escape:
                event.ignore()  # the page is left
            case _:
                super().keyPressEvent(event)


class CatalogTable(Table):
    """Up from the first row leads back to the search."""

    up_wanted = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Up and self.currentIndex().row() <= 0:
            self.up_wanted.emit()
        else:
            super().keyPressEvent(event)


class FindCard(Card):
    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._presenter, self._theme = presenter, theme
        self.setAccessibleName(tr("Models to be had"))
        kinds = [
            ("", tr("All", "kinds of models")),
            (Kind.CHAT.value, tr("Chat")),
            (Kind.TRANSCRIBE.value, tr("Speech")),
            (Kind.TRANSLATE.value, tr("Translation")),
            (Kind.EMBED.value, tr("Embeddings")),
        ]
        self.search = CatalogField(theme, tr("Search models"), tr("Search, or paste an address of a model"))
        self.kinds = Segmented(tr("Kind"), kinds)
        self.kinds.show_choice("")
        self.kind_combo = Combo(theme, tr("Kind"))
        for value, text in kinds:
            self.kind_combo.addItem(text if value else tr("All kinds"), value)
        self.only_fits = Switch(theme, tr("Only what fits"), size=ROW_SIZE)
        self._only_fits_text = Label(tr("Only what fits"), tone="text2")
        self.table = CatalogTable(
            theme,
            tr("Models to be had"),
            find_columns(presenter.machine),
            row_height=ROW,
            fit=False,
            drop=FIND_DROP,
            open_at_least=NAME_AT_LEAST,
            selecting=True,
        )
        self.error = ErrorPanel(theme)
        self.nothing = self._make_nothing()
        self.stack = QStackedWidget()
        self.stack.addWidget(self.table)
        self.stack.addWidget(self.nothing)
        self.foot = ElidedLabel(scale="hint", tone="text3")
        self.elsewhere = Button(theme, tr("Search Hugging Face"), kind="link")
        self.elsewhere.setProperty("scale", "hint")
        self.paste_hint = ElidedLabel(tr("or paste an address above"), scale="hint", tone="text3")
        self.detail = DetailStrip(presenter, theme)
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(15, 12, 15, 8)
        top.setSpacing(8)
        top.addWidget(self.search, 1)
        top.addWidget(self.kinds)
        top.addWidget(self.kind_combo)
        top.addSpacing(2)
        top.addWidget(self.only_fits)
        top.addWidget(self._only_fits_text)
        self._only_fits_text.setBuddy(self.only_fits)
        self.body.addLayout(top)
        self._error_holder = self.add_padded(self.error, top=4, bottom=8)
        self._error_holder.hide()
        self.body.addWidget(self.stack, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(15, 6, 15, 8)
        foot.setSpacing(6)
        foot.addWidget(self.foot)
        foot.addWidget(self.elsewhere)
        foot.addStretch(1)
        foot.addWidget(self.paste_hint)
        self.body.addLayout(foot)
        self._rule = rule()
        self.body.addWidget(self._rule)
        self.body.addWidget(self.detail)
        self.body.addSpacing(1)

    def _make_nothing(self) -> QWidget:
        self._hub_instead = Button(self._theme, tr("Search Hugging Face"), kind="primary", icon="search")
        self._fits_off = Button(self._theme, tr("Show all"))
        self._nothing_state = EmptyState(self._theme, "search", "", "", [self._hub_instead, self._fits_off])
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nothing_state, 1)
        return holder

    def _connect(self) -> None:
        presenter = self._presenter
        self.search.textChanged.connect(self._type)
        self.search.down_wanted.connect(self._enter_table)
        self.search.enter_pressed.connect(self._enter)
        self.kinds.chosen.connect(self._choose_kind)
        self.kind_combo.activated.connect(lambda place: self._choose_kind(str(self.kind_combo.itemData(place))))
        self.only_fits.clicked.connect(lambda: presenter.choose_only_fits(self.only_fits.isChecked()))
        self.table.chosen.connect(presenter.choose)
        self.table.opened.connect(lambda _key: self.detail.focus_first())
        self.table.pressed.connect(self.act)
        self.table.up_wanted.connect(lambda: self.search.setFocus(Qt.FocusReason.OtherFocusReason))
        self.detail.anyway_wanted.connect(self._ask_anyway)
        self.elsewhere.clicked.connect(self._go_elsewhere)
        self._hub_instead.clicked.connect(self._go_elsewhere)
        self._fits_off.clicked.connect(self._show_all)
        self.error.dismissed.connect(self._error_holder.hide)
        presenter.found_changed.connect(self.refresh)

    # --- Shown

    def set_narrow(self, narrow: bool) -> None:
        self.kinds.setVisible(not narrow)
        self.kind_combo.setVisible(narrow)
        self.paste_hint.setVisible(not narrow)
        self.table.set_open_at_least(NAME_IN_NARROW if narrow else NAME_AT_LEAST)
        self.detail.set_narrow(narrow)

    def refresh(self) -> None:
        presenter = self._presenter
        self.table.show_columns(find_columns(presenter.machine))
        self.table.show_rows(find_rows(presenter))
        if self.table.current_key != presenter.chosen_id:
            self.table.show_choice(presenter.chosen_id)
        foot = find_foot(presenter) if presenter.loaded else tr("Looking at what this machine has…")
        self.foot.setText(tr("Asking Hugging Face…") if presenter.searching else foot)
        self._show_elsewhere()
        kind = presenter.query.kind
        self.kinds.show_choice(kind.value if kind is not None else "")
        self.kind_combo.setCurrentIndex(max(0, self.kind_combo.findData(kind.value if kind is not None else "")))
        self.only_fits.setChecked(presenter.query.only_fits)
        for widget in (self.kinds, self.kind_combo, self.only_fits):
            widget.setEnabled(presenter.shown is not Shown.ADDRESS)
        self._rule.setVisible(presenter.chosen is not None)

    def _show_elsewhere(self) -> None:
        presenter = self._presenter
        text = self._quoted()
        address = is_address(self.search.text())
        catalog = presenter.shown is Shown.CATALOG and presenter.neighbour is None
        if not catalog:
            act = tr("Back to the catalog")
        elif address:
            act = tr("Look up this address")
        elif text:
            act = tr("Search Hugging Face for “{text}”", text=text)
        else:
            act = tr("Search Hugging Face")
        self.elsewhere.setText(act)
        self.elsewhere.setAccessibleName(act)
        self.elsewhere.setEnabled(presenter.loaded and not presenter.searching)
        empty = not presenter.entries and presenter.loaded and not presenter.searching
        self.stack.setCurrentWidget(self.nothing if empty else self.table)
        if empty:
            only_fits = presenter.query.only_fits
            title, sentence = self._nothing_words(text, only_fits=only_fits)
            self._nothing_state.title.setText(title)
            self._nothing_state.sentence.setText(sentence)
            self._hub_instead.setText(act)
            self._hub_instead.setAccessibleName(act)
            self._fits_off.setVisible(only_fits)

    def _nothing_words(self, text: str, *, only_fits: bool) -> tuple[str, str]:
        if self._presenter.shown is not Shown.CATALOG:
            return tr("Nothing was found at Hugging Face"), tr("Only models with GGUF files are shown.")
        if only_fits:
            return tr("Nothing of it fits this machine"), tr("Less context may help, or a smaller model.")
        if text:
            return (
                tr("The catalog has no “{text}”", text=text),
                tr("Hugging Face has many more. It learns what you search for there."),
            )
        return tr("The catalog is empty"), ""

    def _quoted(self) -> str:
        text = self.search.text().strip()
        return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        acts = [Act(tr("Try again"), self._go_on, kind="primary")] if self._presenter.shown is Shown.HUB else []
        self.error.show_error(error, acts)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()

    # --- Acts

    def _go_on(self) -> None:
        self.clear_error()
        self._presenter.search_hub()

    def _type(self, text: str) -> None:
        """By keys, by its cross, or by assistive technology: Qt counts only the first as editing."""
        presenter = self._presenter
        if not text and not presenter.query.text and presenter.shown is Shown.CATALOG:
            return
        if not is_address(text):
            presenter.search(text)
        elif "://" in text:
            presenter.look_up(text)
        self._show_elsewhere()

    def _enter(self) -> None:
        if is_address(self.search.text()) and self._presenter.shown is Shown.CATALOG:
            self._presenter.look_up(self.search.text())
        else:
            self._enter_table()

    def _enter_table(self) -> None:
        if self._presenter.entries:
            self.table.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _choose_kind(self, value: str) -> None:
        self._presenter.choose_kind(Kind(value) if value else None)

    def _show_all(self) -> None:
        self._presenter.choose_only_fits(False)

    def _go_elsewhere(self) -> None:
        presenter = self._presenter
        if presenter.shown is not Shown.CATALOG or presenter.neighbour is not None:
            self.search.setFocus(Qt.FocusReason.OtherFocusReason)
            if is_address(self.search.text()):
                self.search.clear()
            presenter.back_to_catalog()
        elif is_address(self.search.text()):
            presenter.look_up(self.search.text())
        else:
            presenter.search_hub()

    def act(self, entry_id: str) -> None:
        """What Space and a row's button do: get it, or the act that its state has."""
        presenter = self._presenter
        entry = next((entry for entry in presenter.entries if entry.id == entry_id), None)
        if entry is None or presenter.download_of(entry) is not None:
            return
        version = presenter.version(entry)
        if presenter.here(version) is not None:
            return
        if version.fit.verdict is Verdict.TOO_LARGE:
            self._ask_anyway(entry_id)
        else:
            presenter.get_fastest(entry_id)

    def _ask_anyway(self, entry_id: str) -> None:
        presenter = self._presenter
        entry = next((entry for entry in presenter.entries if entry.id == entry_id), None)
        if entry is not None:
            ask_anyway(entry, presenter, self._theme, self)


def ask_anyway(entry: CatalogEntry, presenter: LibraryPresenter, theme: Theme, parent: QWidget) -> None:
    version = presenter.version(entry)
    sentence = tr(
        "It needs {needed} and this machine has {memory}: it will not load here. Another machine may use the file.",
        needed=words.size(version.fit.needed_bytes),
        memory=words.size(version.fit.memory_bytes),
    )
    title = tr("Get {model}, which does not fit?", model=entry.title)
    confirm(theme, title, sentence, tr("Get anyway"), lambda: presenter.get_fastest(entry.id), parent.window())


def is_address(text: str) -> bool:
    """Whether this is to be looked up rather than searched: an address, or OWNER/REPOSITORY."""
    text = text.strip()
    if "://" in text or text.startswith(("huggingface.co/", "hf.co/")):
        return True
    owner, slash, repository = text.partition("/")
    return bool(slash and owner and repository) and " " not in text and "/" not in repository
