"""The model picker: a button that says who answers, and a popup with this machine and every provider by name."""

from __future__ import annotations

from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QTreeView, QVBoxLayout, QWidget

from app.i18n import listed, tr
from app.presenters.picker_rows import Group, RowKind
from app.theme import Theme
from app.widgets.acts import ActingSelection, one_at_a_time
from app.widgets.badge import Badge
from app.widgets.card import rule
from app.widgets.chat.picker_rows import PickerDelegate, PickerModel
from app.widgets.focus import KeyboardFocusButton
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.own_width import keep_width
from app.widgets.popup import Popup
from app.widgets.search_field import SearchField
from qvac_core.core.state import Target

WIDTH = 420
TALLEST = 420
BUTTON_HEIGHT = 34


class Dot(QWidget):
    """The live dot: filled while reachable, a ring while not; violet for this machine."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._token, self._filled = "ctl", False
        self.setFixedSize(10, 10)

    def show_state(self, token: str, *, filled: bool) -> None:
        self._token, self._filled = token, filled
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_dot(painter, self._theme, QRectF(1, 1, 8, 8), self._token, filled=self._filled)
        painter.end()


def paint_dot(painter: QPainter, theme: Theme, rect: QRectF, token: str, *, filled: bool) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if filled:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(token))
        painter.drawEllipse(rect)
    else:
        painter.setPen(theme.colour("ctl"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(rect.adjusted(0.5, 0.5, -0.5, -0.5))
    painter.restore()


class Divider(QWidget):
    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setFixedSize(1, 18)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("border"))
        painter.end()


class PickerButton(KeyboardFocusButton):
    """Dot, name, distance, model, context. Its accessible name is the whole sentence."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAutoDefault(False)
        self.dot = Dot(theme)
        self.who = Label(weight=600)
        self.distance = Label(scale="hint", tone="text3")
        self.line = Divider(theme)
        self.model = Label()
        self.context = Badge(tone="text2")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 10, 0)
        layout.setSpacing(8)
        for widget in (self.dot, self.who, self.distance, self.line, self.model, self.context):
            layout.addWidget(widget)
            widget.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        chevron = IconLabel(theme, "chevron-down", "text2")
        chevron.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        layout.addWidget(chevron)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(BUTTON_HEIGHT)

    def show_target(
        self, who: str, *, state: str, distance: str, model: str, context: str, local: bool, online: bool
    ) -> None:
        token = "local" if local else "live"
        self.dot.show_state(token, filled=local or online)
        self.who.setText(who)
        self.distance.setText(distance)
        self.distance.setVisible(bool(distance))
        self.model.setText(model)
        self.line.setVisible(bool(model))
        self.model.setVisible(bool(model))
        self.context.setText(context)
        self.context.setVisible(bool(context))
        said = [who if local else tr("Provider {name}", name=who), state, model]
        self.setAccessibleName(tr("Answering: {who}", who=listed(said)))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        layout = self.layout()
        width = layout.sizeHint().width() if layout is not None else 0
        return QSize(width, BUTTON_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, BUTTON_HEIGHT)


class PickerTree(QTreeView):
    def __init__(self) -> None:
        super().__init__()
        self.setSelectionMode(QTreeView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QTreeView.SelectionBehavior.SelectItems)

    def selectionCommand(
        self, _index: QModelIndex | QPersistentModelIndex, event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        return one_at_a_time(event)

    def selectAll(self) -> None:
        return


class PickerPopup(Popup):
    """Type to filter, arrows, Enter, Esc. `chosen` with a target, the others with a provider's key.

    `menu_wanted`: a right click, or the menu key, on any row of a provider, with its key and the place. In the list F2
    and Del are short for the acts in that menu.
    """

    chosen = Signal(object)  # Target
    connect_wanted = Signal(str)
    menu_wanted = Signal(str, QPoint)
    rename_wanted = Signal(str)
    remove_wanted = Signal(str)
    download_wanted = Signal()
    add_wanted = Signal()
    library_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(theme, tr("Choose who answers"), parent)
        self.body.setContentsMargins(1, 8, 1, 1)
        self.body.setSpacing(0)
        keep_width(self.frame, theme, WIDTH)
        self.search = SearchField(
            theme, tr("Find a provider or a model"), tr("Find a provider or a model"), clearable=False
        )
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.model = PickerModel(self)
        self.tree = PickerTree()
        self.tree.setModel(self.model)
        acting = ActingSelection(self.model, self.tree)
        acting.acted.connect(self._take)
        self.tree.setSelectionModel(acting)
        self.tree.setItemDelegate(PickerDelegate(theme, paint_dot, self.tree))
        self.tree.setHeaderHidden(True)
        self.tree.setRootIsDecorated(False)
        self.tree.setIndentation(0)
        self.tree.setItemsExpandable(False)
        self.tree.setExpandsOnDoubleClick(False)
        self.tree.setMouseTracking(True)
        self.tree.setUniformRowHeights(False)
        self.tree.setAccessibleName(tr("Providers and models"))
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.clicked.connect(self._take)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._open_menu)
        self.tree.installEventFilter(self)
        self.add = FootRow(theme, "plus", tr("Add a provider…"), tr("Add a provider"), "Ctrl+Shift+A")
        self.add.clicked.connect(self._add)
        self.library = FootRow(theme, "hard-drive", tr("Library…"), tr("Models to be had, in the library"), "Ctrl+L")
        self.library.clicked.connect(self._open_library)
        self.nothing = Label("", tone="text3", wrap=True)
        top = QVBoxLayout()
        top.setContentsMargins(8, 0, 8, 6)
        top.addWidget(self.search)
        self.body.addLayout(top)
        self.body.addWidget(self.tree)
        nothing = QVBoxLayout()
        nothing.setContentsMargins(16, 0, 16, 0)
        nothing.addWidget(self.nothing)
        self.body.addLayout(nothing)
        self.body.addWidget(rule())
        self.body.addWidget(self.add)
        self.body.addWidget(self.library)

    def show_groups(self, groups: tuple[Group, ...], current: Target) -> None:
        self.model.show_groups(groups, current, self.search.text())
        self.tree.expandAll()
        self._select_something()
        self._resize()

    def open_at(self, anchor: QWidget) -> None:
        self.search.clear()
        self._select_something()
        self._resize()
        self.open_below(anchor)
        self.search.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        acts = {Qt.Key.Key_F2: self.rename_wanted, Qt.Key.Key_Delete: self.remove_wanted}
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            if watched is self.tree and event.key() in acts:
                event.accept()  # F2 on the page means the conversation
                return True
        elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            key = event.key()
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._take(self.tree.currentIndex())
                return True
            current = self.model.row(self.tree.currentIndex())
            if watched is self.tree and key in acts and current is not None and current.public_key:
                self.close()
                acts[Qt.Key(key)].emit(current.public_key)
                return True
            if watched is self.search and key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self._step(-1 if key == Qt.Key.Key_Up else 1)
                return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        self.model.filter(text)
        self.tree.expandAll()
        self.nothing.setText(tr("No provider and no model is called “{text}”.", text=text.strip()))
        self._select_something()
        self._resize()

    def _select_something(self) -> None:
        index = self.model.current_index()
        if not index.isValid():
            selectable = self.model.selectable()
            index = selectable[0] if selectable else QModelIndex()
        self.tree.setCurrentIndex(index)

    def _step(self, step: int) -> None:
        selectable = self.model.selectable()
        if not selectable:
            return
        current = self.tree.currentIndex()
        place = selectable.index(current) + step if current in selectable else 0
        index = selectable[max(0, min(len(selectable) - 1, place))]
        self.tree.setCurrentIndex(index)
        self.tree.scrollTo(index)

    def _resize(self) -> None:
        height = sum(self.tree.sizeHintForIndex(index).height() for index in self.model.all_indexes()) + 4
        self.tree.setFixedHeight(min(TALLEST, height))
        self.tree.setVisible(self.model.rowCount() > 0)
        self.nothing.setVisible(self.model.rowCount() == 0)
        if self.isVisible():
            self.adjustSize()

    def _take(self, index: QModelIndex) -> None:
        row = self.model.row(index)
        if row is None:
            return
        if row.kind is RowKind.MODEL and row.target is not None:
            self.chosen.emit(row.target)
            self.close()
        elif row.kind is RowKind.CONNECT:
            self.connect_wanted.emit(row.public_key)
        elif row.kind is RowKind.DOWNLOAD:
            self.download_wanted.emit()
            self.close()

    def _open_menu(self, place: QPoint) -> None:
        row = self.model.row(self.tree.indexAt(place))
        if row is not None and row.public_key:
            self.menu_wanted.emit(row.public_key, self.tree.viewport().mapToGlobal(place))

    def _add(self) -> None:
        self.close()
        self.add_wanted.emit()

    def _open_library(self) -> None:
        self.close()
        self.library_wanted.emit()


class FootRow(KeyboardFocusButton):
    """A line at the foot of the popup, with its shortcut at the end."""

    def __init__(self, theme: Theme, icon: str, text: str, name: str, keys: str) -> None:
        super().__init__()
        self.setProperty("kind", "flat")
        self.setAutoDefault(False)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        shortcut = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 12, 0)
        layout.setSpacing(8)
        layout.addWidget(IconLabel(theme, icon, "accent"))
        layout.addWidget(Label(text, tone="accent", weight=600), 1)
        layout.addWidget(Label(shortcut, scale="hint", tone="text3"))
        for child in self.findChildren(QWidget):
            child.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedHeight(40)
