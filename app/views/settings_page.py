"""The Settings page: sections at the side, rows that act at once in the middle, and a search through all of them.

Nothing of it is made before it is opened: a start has no use for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import tr, trn
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import SECTIONS, Group, Row, Section, Special
from app.theme import Theme
from app.update_source import update_source
from app.views.settings_row import Options, SettingRow, SettingsEntry
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.label import Label
from app.widgets.search_field import SearchField
from app.widgets.section_list import SectionList
from qvac_core.core.newer import SETTING

SIDE_WIDTH = 252
SIDE_MOST = 320
COLUMN = 736
NARROW_BELOW = 840
MARGIN = 24
TOP = 22
ABOVE_GROUP = 17

Maker = Callable[[str, Row], Sequence[SettingsEntry]]
"""What a `Special` row is made of, by its name: one entry, several that stand in the same card, or none."""


class GroupView(QWidget):
    """A title and its card."""

    def __init__(self, theme: Theme, group: Group, entries: Sequence[SettingsEntry]) -> None:
        super().__init__()
        self._entries = list(entries)
        self.title = Label(tr(group.title), weight=600)
        self.hint = Label(tr(group.hint) if group.hint else "", scale="hint", tone="text3")
        titles = QHBoxLayout()
        titles.setSpacing(8)
        titles.addWidget(self.title)
        titles.addWidget(self.hint, 1)
        self.card = QFrame()
        self.card.setObjectName("card")
        self.card.setAccessibleName(tr(group.title))
        self._rows = QVBoxLayout(self.card)
        self._rows.setContentsMargins(1, 1, 1, 1)
        self._rows.setSpacing(0)
        for entry in entries:
            self._rows.addWidget(entry)
        self._titles = QWidget()
        self._titles.setLayout(titles)
        titles.setContentsMargins(0, 0, 0, 0)
        self._layout = QVBoxLayout(self)
        self._layout.setSpacing(8)
        self._layout.addWidget(self._titles)
        self._layout.addWidget(self.card)

    @property
    def entries(self) -> tuple[SettingsEntry, ...]:
        return tuple(self._entries)

    def show_entries(self, shown: Sequence[SettingsEntry], *, titled: bool) -> None:
        first = True
        for entry in self._entries:
            wanted = entry in shown and not entry.property("absent")
            entry.setVisible(wanted)
            if wanted:
                entry.show_first(first)
                first = False
        self._titles.setVisible(titled)
        # Its own: a group that is hidden takes its room along.
        self._layout.setContentsMargins(0, ABOVE_GROUP if titled else 2, 0, 0)
        self.setVisible(not first)


class SectionView(QWidget):
    """Alone: title, sentence, its groups. As part of what was found: a link to it, and the rows that were found."""

    link_wanted = Signal()

    def __init__(self, theme: Theme, section: Section, groups: Sequence[GroupView]) -> None:
        super().__init__()
        self.section = section
        self.groups = tuple(groups)
        self._found: list[SettingsEntry] = []
        self._words: tuple[str, ...] = ()
        self._next: list[GroupView] = []  # with something that was found, and not shown yet
        self.title = Label(tr(section.title), scale="state", weight=600)
        self.sentence = Label(tr(section.sentence), tone="text2", wrap=True)
        self.link = Button(theme, tr(section.title), kind="link")
        self.link.clicked.connect(self.link_wanted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.sentence)
        linked = QHBoxLayout()
        linked.setContentsMargins(-6, 0, 0, 0)  # its text begins where the titles do
        linked.addWidget(self.link)
        linked.addStretch(1)
        layout.addLayout(linked)
        for group in groups:
            layout.addWidget(group)
        self.link.hide()

    @property
    def entries(self) -> tuple[SettingsEntry, ...]:
        return tuple(entry for group in self.groups for entry in group.entries)

    def show_whole(self) -> None:
        self._next = []
        self.title.show()
        self.sentence.show()
        self.link.hide()
        for group in self.groups:
            group.show_entries(group.entries, titled=True)
        self.unmark()

    def unmark(self) -> None:
        for entry in self.entries:
            entry.mark(())

    def show_found(self, words: Sequence[str]) -> int:
        """How many rows say all of `words`; all rows where the section is called so and none says them.

        The first group with such rows is shown, each further one by `show_next`.
        """
        there = [entry for entry in self.entries if not entry.property("absent")]
        found = [entry for entry in there if _says(entry.texts(), words)]
        if not found and _says((tr(self.section.title),), words):
            found = there
        self.title.hide()
        self.sentence.hide()
        self.link.show()
        self._found, self._words = found, tuple(words)
        self._next = [group for group in self.groups if any(entry in found for entry in group.entries)]
        for group in self.groups:
            group.hide()
        self.show_next()
        self.setVisible(bool(found))
        return len(found)

    @property
    def has_next(self) -> bool:
        """Groups of what was found that are not shown yet."""
        return bool(self._next)

    def show_next(self) -> None:
        """One more group of what was found."""
        if self._next:
            group = self._next.pop(0)
            for entry in group.entries:
                if entry in self._found:
                    entry.mark(self._words)
            group.show_entries(self._found, titled=False)


class Content(QWidget):
    """As tall as its texts are at the width it has; Qt's least size has them wrapped far narrower."""

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), 0)


class SettingsSearch(SearchField):
    """Esc empties it; empty, Esc leaves the page."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)


class SettingsPage(QWidget):
    """`make`: what the `Special` rows are made of. `options`: what a `Choice.source` holds now."""

    restart_wanted = Signal()
    shown = Signal()
    built_ahead = Signal()

    def __init__(
        self,
        presenter: SettingsPresenter,
        theme: Theme,
        make: Maker,
        options: Callable[[str], Options],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._presenter, self._theme = presenter, theme
        self._make, self._options = make, options
        self._built = False
        self._narrow = False
        self._words: Sequence[str] = ()
        self._waiting: list[str] = []  # sections that the search has not come to
        self._showing: SectionView | None = None  # one whose groups are shown one after another
        self._ready: dict[str, list[GroupView]] = {}  # of sections that are not made yet, the first groups
        self._hits: dict[str, int] = {}
        self._ahead = QTimer(self)
        self._ahead.setInterval(0)
        self._ahead.timeout.connect(self._build_ahead)
        self.sections: dict[str, SectionView] = {}
        self.rows: dict[str, SettingRow] = {}
        self.search = SettingsSearch(theme, tr("Search settings"), tr("Search settings"))
        self.list = SectionList(theme, tr("Sections"))
        self.picker = Combo(theme, tr("Section"))
        self.area = QScrollArea()
        self._build_frame()
        self.search.textChanged.connect(self._search)
        self.list.chosen.connect(self.show_section)
        self.list.typed.connect(self._type)
        self.picker.activated.connect(lambda place: self.show_section(str(self.picker.itemData(place))))
        QShortcut(
            QKeySequence("Ctrl+F"), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut
        ).activated.connect(self._start_search)

    def regions(self) -> list[QWidget]:
        """Where F6 stops: search, sections, the first control of what is shown."""
        self._ensure_built()
        where: list[QWidget] = [self.search]
        where.append(self.picker if self._narrow else self.list.buttons[self.list.current])
        where += [first] if (first := self._first_control()) is not None else []
        return where

    # --- Build

    def _build_frame(self) -> None:
        self._side = QFrame()
        self._side.setObjectName("settingsSide")
        self._side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._side_layout = QVBoxLayout(self._side)
        self._side_layout.setContentsMargins(8, 12, 8, 8)
        self._side_layout.setSpacing(8)
        self._side_layout.addWidget(self.search)
        side_area = QScrollArea()
        side_area.setObjectName("page")
        side_area.setWidgetResizable(True)
        side_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        side_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        held = QWidget()
        held_layout = QVBoxLayout(held)
        held_layout.setContentsMargins(0, 0, 0, 0)
        held_layout.addWidget(self.list)
        held_layout.addStretch(1)
        side_area.setWidget(held)
        self._side_area = side_area
        self._side_layout.addWidget(side_area, 1)
        self._top = QWidget()
        self._top_layout = QHBoxLayout(self._top)
        self._top_layout.setContentsMargins(MARGIN, 12, MARGIN, 0)
        self._top_layout.setSpacing(8)
        self._top.hide()
        self._found = QWidget()
        found = QVBoxLayout(self._found)
        found.setContentsMargins(0, 0, 0, 0)
        found.setSpacing(4)
        self.found_title = Label("", scale="state", weight=600, wrap=True)
        found.addWidget(self.found_title)
        self.found_sentence = Label(
            tr("They can be changed here. A heading opens its section."), tone="text2", wrap=True
        )
        found.addWidget(self.found_sentence)
        self._found.hide()
        self._column = QWidget()
        self._column_layout = QVBoxLayout(self._column)
        self._column_layout.setContentsMargins(0, TOP, 0, MARGIN)
        self._column_layout.setSpacing(18)
        self._column_layout.addWidget(self._found)
        self._column_layout.addStretch(1)
        content = Content()
        centred = QHBoxLayout(content)
        centred.setContentsMargins(MARGIN, 0, MARGIN, 0)
        centred.addStretch(1)
        centred.addWidget(self._column, 1000)
        centred.addStretch(1)
        self.area.setObjectName("page")
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(content)
        main = QVBoxLayout()
        main.setSpacing(0)
        main.addWidget(self._top)
        main.addWidget(self.area, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._side)
        row.addLayout(main, 1)
        self._fit_to_font()
        self._theme.changed.connect(self._fit_to_font)

    def _fit_to_font(self) -> None:
        breadth = self._theme.breadth
        # A language with longer names of sections gets the room they need, within reason.
        margins = self._side_layout.contentsMargins()
        names = max((button.sizeHint().width() for button in self.list.buttons.values()), default=0)
        names += margins.left() + margins.right() + 1
        self._side.setFixedWidth(max(round(SIDE_WIDTH * min(breadth, 1.4)), min(names, round(SIDE_MOST * breadth))))
        self._column.setMaximumWidth(round(COLUMN * breadth))

    def _ensure_built(self) -> None:
        """The list of sections; they themselves when they are asked for, or while nothing else happens."""
        if self._built:
            return
        self._built = True
        for section in SECTIONS:
            self.list.add(section.name, tr(section.title), section.icon)
            self.picker.addItem(tr(section.title), section.name)
        self._fit_to_font()
        self.list.show_current(SECTIONS[0].name)
        self._ahead.start()

    def section(self, name: str) -> SectionView:
        """Made where it was not yet."""
        if name not in self.sections:
            section = next(one for one in SECTIONS if one.name == name)
            ready = self._ready.pop(name, [])
            rest = [self._group(group) for group in section.groups[len(ready) :]]
            view = SectionView(self._theme, section, [*ready, *rest])
            view.hide()
            view.link_wanted.connect(lambda: self.show_section(name))
            self.sections[name] = view
            before = [one.name for one in SECTIONS[: SECTIONS.index(section)]]
            place = 1 + sum(1 for one in before if one in self.sections)  # after what heads a search
            self._column_layout.insertWidget(place, view)
        return self.sections[name]

    def row(self, key: str) -> SettingRow:
        """Of a setting, wherever it stands."""
        for section in SECTIONS:
            if any(row.key == key for group in section.groups for row in group.rows):
                self.section(section.name)
        return self.rows[key]

    def _build_ahead(self) -> None:
        missing = [section.name for section in SECTIONS if section.name not in self.sections]
        if self._waiting or self._showing is not None:
            self._search_on()
            self.built_ahead.emit()
        elif missing and self.isVisible():
            self._build_on(missing[0])
            self.built_ahead.emit()
        else:
            self._ahead.stop()

    def _build_on(self, name: str) -> None:
        """One group of a section; the section itself once it has all of them."""
        groups = next(one for one in SECTIONS if one.name == name).groups
        ready = self._ready.setdefault(name, [])
        if len(ready) < len(groups):
            ready.append(self._group(groups[len(ready)]))
        else:
            self.section(name)

    def _group(self, group: Group) -> GroupView:
        entries: list[SettingsEntry] = []
        for row in group.rows:
            if isinstance(row.control, Special):
                entries += self._make(row.control.name, row)
            else:
                entry = SettingRow(self._theme, row, self._presenter, self._options)
                entry.restart_wanted.connect(self.restart_wanted)
                if row.key == SETTING and update_source() is None:
                    entry.setEnabled(False)
                    entry.set_note(tr("This copy is no release: there is nobody whom it could ask."))
                self.rows[row.key] = entry
                entries.append(entry)
        return GroupView(self._theme, group, entries)

    # --- What is shown

    def show_section(self, name: str) -> None:
        """One section, from its top; a search ends."""
        self._ensure_built()
        shown = self.section(name)
        self._waiting, self._showing = [], None
        if self.search.text():
            self.search.blockSignals(True)
            self.search.clear()
            self.search.blockSignals(False)
        self.list.show_current(name)
        self.list.show_hits(None)
        self.picker.setCurrentIndex(self.picker.findData(name))
        self._found.hide()
        for view in self.sections.values():
            if view is shown:
                view.show_whole()
            else:
                view.unmark()
            view.setVisible(view is shown)
        self.area.verticalScrollBar().setValue(0)

    def _search(self, text: str) -> None:
        """The first hits at once, the others in slices: a section takes a moment to be made, and to be shown."""
        self._words = words = text.casefold().split()
        self._waiting, self._showing, self._hits = [], None, {}
        if not words:
            self.show_section(self.list.current)
            return
        for view in self.sections.values():
            view.hide()
        # Those first of which it is known already that they have something: the rest is made to be looked at.
        self._waiting = sorted((section.name for section in SECTIONS), key=lambda name: not self._may_say(name, words))
        self.area.verticalScrollBar().setValue(0)
        self._search_on()
        self._ahead.start()

    def finish_search(self) -> None:
        """Without waiting for the slices."""
        while self._waiting or self._showing is not None:
            self._search_on()

    def _search_on(self) -> None:
        """One slice: up to the next group that is shown, or section that is made."""
        if (showing := self._showing) is not None:
            showing.show_next()
            if not showing.has_next:
                self._showing = None
            self._show_count()
            return
        while self._waiting:
            name = self._waiting.pop(0)
            new = name not in self.sections
            view = self.section(name)
            self._hits[name] = view.show_found(self._words)
            self._showing = view if view.has_next else None
            if new or self._hits[name]:
                break
        self._show_count()

    def _may_say(self, name: str, words: Sequence[str]) -> bool:
        """What there is tells by itself; of others what they will be made of does."""
        section = next(one for one in SECTIONS if one.name == name)
        if _says((tr(section.title),), words):
            return True
        if name in self.sections:
            return any(_says(entry.texts(), words) for entry in self.sections[name].entries)
        rows = (row for group in section.groups for row in group.rows)
        return any(_says((tr(row.label), tr(row.hint) if row.hint else "", *row.words, row.key), words) for row in rows)

    def _show_count(self) -> None:
        hits, ended = self._hits, not self._waiting and self._showing is None
        count = sum(hits.values())
        said = {name: trn("%n setting found", "%n settings found", hit) for name, hit in hits.items()}
        self.list.show_hits(hits, said)
        asked = self.search.text().strip()
        self.found_title.setText(
            trn("%n setting contains “{text}”", "%n settings contain “{text}”", count, text=asked)
            if count
            else tr("No setting contains “{text}”", text=asked)
        )
        self.found_sentence.setText(
            tr("They can be changed here. A heading opens its section.")
            if count
            else tr("Words of the command line are found too, such as --port.")
        )
        self._found.setVisible(bool(count) or ended)  # that nothing was found is said when all was looked at
        if ended:
            announce(self, self.found_title.text())

    def _start_search(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _type(self, text: str) -> None:
        self.search.setFocus(Qt.FocusReason.OtherFocusReason)
        self.search.insert(text)

    def _first_control(self) -> QWidget | None:
        for view in self.sections.values():
            if view.isVisible():
                for entry in view.entries:
                    for widget in entry.findChildren(QWidget):
                        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                            return widget
        return None

    def refresh_options(self) -> None:
        """Of the rows that there are; those to come ask by themselves."""
        for row in self.rows.values():
            row.refresh_options()

    def refresh_rows(self) -> None:
        """Other rows than before are to be seen."""
        if self.search.text().strip():
            self._search(self.search.text())
        else:
            self.sections[self.list.current].show_whole()

    # --- Events

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What nothing here has a use for is typed into the search."""
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
        if plain and event.text().isalnum():
            self._type(event.text())
        else:
            super().keyPressEvent(event)

    def setVisible(self, visible: bool) -> None:
        """What is made before it is shown is there at once."""
        if visible:
            self._ensure_built()
            if not any(not view.isHidden() for view in self.sections.values()):
                self.show_section(self.list.current)
            self._ahead.start()
        super().setVisible(visible)

    def showEvent(self, event: QShowEvent) -> None:
        self.refresh_options()
        super().showEvent(event)
        self.shown.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = self.width() < NARROW_BELOW * min(1.4, self._theme.breadth)
        if narrow != self._narrow:
            self._narrow = narrow
            self._side.setVisible(not narrow)
            self._top.setVisible(narrow)
            if narrow:
                self._top_layout.addWidget(self.search, 1)
                self._top_layout.addWidget(self.picker)
            else:
                self._side_layout.insertWidget(0, self.search)


def _says(texts: Sequence[str], words: Sequence[str]) -> bool:
    text = "\n".join(texts).casefold()
    return all(word in text for word in words)
