"""A list of languages to choose one from: type to find it, arrows, Enter, Esc."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from app.i18n import tr
from app.languages import Choice
from app.theme import Theme
from app.widgets.label import Label
from app.widgets.own_width import keep_width
from app.widgets.popup import Popup
from app.widgets.search_field import SearchField
from qvac_core.engines.language_names import language_name

WIDTH = 280
ROWS = 9  # seen at once


class LanguagePopup(Popup):
    """`chosen` is called with the code. A language is found by its name here, its English name and its code."""

    def __init__(
        self, theme: Theme, title: str, choices: Sequence[Choice], chosen: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(theme, title, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._chosen = chosen
        keep_width(self.frame, theme, WIDTH)
        self.search = SearchField(theme, tr("Find a language"), tr("Find a language"))
        self.list = QListWidget()
        self.list.setObjectName("languages")  # its rows are as high as those of a menu
        self.list.setAccessibleName(title)
        self.list.setUniformItemSizes(True)
        self.nothing = Label(tone="text3", wrap=True)
        self.nothing.hide()
        for choice in choices:
            item = QListWidgetItem(choice.name)
            item.setData(Qt.ItemDataRole.UserRole, choice.code)
            self.list.addItem(item)
        for widget in (self.search, self.list, self.nothing):
            self.body.addWidget(widget)
        self.list.setCurrentRow(0)
        self.list.ensurePolished()  # the style says how high a row is
        self.list.setFixedHeight(ROWS * self.list.sizeHintForRow(0) + 2 * self.list.frameWidth())
        self.search.textChanged.connect(self._filter)
        self.list.itemClicked.connect(self._take)
        self.search.installEventFilter(self)
        self.list.installEventFilter(self)

    def open_at(self, place: QPoint) -> None:
        """place: on the screen, where its first corner is to be."""
        self.open_at_point(place)
        self.search.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                if (item := self.list.currentItem()) is not None and not item.isHidden():
                    self._take(item)
                return True
            if watched is self.search and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self._step(-1 if event.key() == Qt.Key.Key_Up else 1)
                return True
        return super().eventFilter(watched, event)

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(row) for row in range(self.list.count())]

    def _filter(self, text: str) -> None:
        wanted = text.strip().casefold()
        for item in self._items():
            code = item.data(Qt.ItemDataRole.UserRole)
            found = (item.text().casefold(), language_name(code).casefold())
            item.setHidden(not (any(wanted in name for name in found) or code == wanted))
        seen = [item for item in self._items() if not item.isHidden()]
        self.nothing.setText(tr("No language here is called “{text}”.", text=text.strip()))
        self.nothing.setVisible(not seen)
        self.list.setVisible(bool(seen))
        self.list.setCurrentRow(self.list.row(seen[0]) if seen else -1)
        self.adjustSize()

    def _step(self, step: int) -> None:
        seen = [item for item in self._items() if not item.isHidden()]
        current = self.list.currentItem()
        if seen:
            place = seen.index(current) + step if current in seen else 0
            self.list.setCurrentItem(seen[max(0, min(len(seen) - 1, place))])

    def _take(self, item: QListWidgetItem) -> None:
        code = item.data(Qt.ItemDataRole.UserRole)
        self.close()
        self._chosen(code)
