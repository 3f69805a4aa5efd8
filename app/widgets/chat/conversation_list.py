"""The side list: search, new conversation, and the conversations in groups. F2 renames, Del asks to delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QHelpEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from app.announcements import announce
from app.i18n import tr, trn
from app.presenters.chat_groups import Entry, Heading, Row
from app.theme import Theme
from app.widgets.acts import ActingSelection, one_at_a_time
from app.widgets.button import Button
from app.widgets.chat.bidi import isolated
from app.widgets.empty_state import EmptyState
from app.widgets.menu import Menu
from app.widgets.own_width import keep_width
from app.widgets.search_field import SearchField
from app.words import one_line
from qvac_core.core.state import Hit

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT, HEADING_HEIGHT, HIT_HEIGHT = 34, 30, 50
INSET = 8
SEARCH_PAUSE_MS = 150
ROLE = Qt.ItemDataRole.UserRole


class ConversationModel(QAbstractListModel):
    renamed = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()

    def show_rows(self, rows: tuple[Row, ...]) -> None:
        if rows != self._rows:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()

    def row_of(self, conversation_id: str) -> int:
        for index, row in enumerate(self._rows):
            if isinstance(row, Entry) and row.conversation.id == conversation_id:
                return index
        return -1

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == ROLE:
            return row
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.text if isinstance(row, Heading) else _spoken(row)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.text if isinstance(row, Heading) else row.title
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid() or isinstance(self._rows[index.row()], Heading):
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        row = self._rows[index.row()]
        if role != Qt.ItemDataRole.EditRole or not isinstance(row, Entry) or not str(value).strip():
            return False
        self.renamed.emit(row.conversation.id, str(value))
        return True


class ConversationDelegate(QStyledItemDelegate):
    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, _option: QStyleOptionViewItem, index: Index) -> QSize:
        row = index.data(ROLE)
        heading = isinstance(row, Heading)
        if isinstance(row, Entry) and row.hit is not None and row.hit.message_id:
            lines = QFontMetrics(self._theme.font("body", 500)).height()
            lines += QFontMetrics(self._theme.font("hint")).height()
            return QSize(100, max(HIT_HEIGHT, lines + 14))
        line = QFontMetrics(self._theme.font("small" if heading else "body", 500)).height()
        return QSize(100, max(HEADING_HEIGHT, line + 14) if heading else max(ROW_HEIGHT, line + 16))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = index.data(ROLE)
        rect: QRect = option.rect
        painter.save()
        if isinstance(row, Heading):
            painter.setFont(self._theme.font("small", 600))
            painter.setPen(self._theme.colour("text3"))
            flags = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(rect.adjusted(INSET + 10, 4, -INSET, 0), int(flags), row.text)
        elif isinstance(row, Entry):
            self._paint_entry(painter, option, rect, row)
        painter.restore()

    def _paint_entry(self, painter: QPainter, option: QStyleOptionViewItem, rect: QRect, row: Entry) -> None:
        state: QStyle.StateFlag = option.state
        inner = rect.adjusted(INSET, 0, -INSET, 0)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("sel"))
            painter.drawRoundedRect(QRectF(inner), 6, 6)
        if state & QStyle.StateFlag.State_HasFocus and state & QStyle.StateFlag.State_KeyboardFocusChange:
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(inner).adjusted(1, 1, -1, -1), 6, 6)
        if row.hit is not None and row.hit.message_id:
            below = QFontMetrics(self._theme.font("hint")).height() + 2
            self._paint_hit(painter, option, inner.adjusted(10, inner.height() - below - 5, -10, -5), row.hit)
            inner = inner.adjusted(0, 0, 0, -below)
        title, when, pin = self.places(inner, row)
        direction = option.direction
        if pin is not None:
            place = QStyle.visualRect(direction, inner, pin)
            ratio = painter.device().devicePixelRatio()
            painter.drawPixmap(place.topLeft(), self._theme.pixmap("pin", "text3", 14, ratio))
        painter.setPen(self._theme.colour("text"))
        painter.setFont(self._theme.font("body", 500))
        elided = painter.fontMetrics().elidedText(one_line(row.title), Qt.TextElideMode.ElideRight, title.width())
        flags = int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QStyle.visualRect(direction, inner, title), flags, isolated(elided))
        painter.setPen(self._theme.colour("text3"))
        painter.setFont(self._theme.font("hint", tabular=True))
        trailing = int(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
        painter.drawText(QStyle.visualRect(direction, inner, when), trailing, isolated(row.when))

    def _paint_hit(self, painter: QPainter, option: QStyleOptionViewItem, place: QRect, hit: Hit) -> None:
        """What was found stands out; of what is before it no more than lets it be seen."""
        thin, bold = self._theme.font("hint"), self._theme.font("hint", 600)
        match = QFontMetrics(bold).elidedText(hit.match, Qt.TextElideMode.ElideRight, place.width())
        wide = QFontMetrics(bold).horizontalAdvance(match)
        room = max(0, place.width() - wide)
        before = QFontMetrics(thin).elidedText(hit.before, Qt.TextElideMode.ElideLeft, min(room, place.width() // 2))
        begin = QFontMetrics(thin).horizontalAdvance(before)
        after = QFontMetrics(thin).elidedText(hit.after, Qt.TextElideMode.ElideRight, max(0, room - begin))
        flags = int(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter)
        x = place.left()
        for text, font, token in ((before, thin, "text2"), (match, bold, "accent"), (after, thin, "text2")):
            if not text:
                continue
            width = QFontMetrics(font).horizontalAdvance(text)
            part = QStyle.visualRect(option.direction, place, QRect(x, place.top(), width, place.height()))
            if token == "accent":
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(self._theme.colour("accent_soft"))
                painter.drawRoundedRect(QRectF(part).adjusted(-1, 0, 1, 0), 3, 3)
            painter.setFont(font)
            painter.setPen(self._theme.colour(token))
            painter.drawText(part, flags, text)
            x += width

    def places(self, inner: QRect, row: Entry) -> tuple[QRect, QRect, QRect | None]:
        """Title, time and pin of a row, left to right."""
        width = QFontMetrics(self._theme.font("hint", tabular=True)).horizontalAdvance(row.when) + 2
        when = QRect(inner.right() - 10 - width, inner.top(), width, inner.height())
        left = inner.left() + 10
        pin = None
        if row.conversation.pinned:
            pin = QRect(left, inner.center().y() - 6, 14, 14)
            left += 19
        return QRect(left, inner.top(), when.left() - 10 - left, inner.height()), when, pin

    def helpEvent(self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: Index) -> bool:
        """The whole title where it is cut."""
        row = index.data(ROLE)
        if event.type() == QEvent.Type.ToolTip and isinstance(row, Entry):
            rect: QRect = option.rect
            title, _, _ = self.places(rect.adjusted(INSET, 0, -INSET, 0), row)
            said = one_line(row.title)
            wide = QFontMetrics(self._theme.font("body", 500)).horizontalAdvance(said)
            QToolTip.showText(event.globalPos(), said if wide > title.width() else "", view)
            return True
        return super().helpEvent(event, view, option, index)

    def createEditor(self, parent: QWidget, _option: QStyleOptionViewItem, _index: Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName(tr("Title of the conversation"))
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        if isinstance(editor, QLineEdit):
            editor.setText(str(index.data(Qt.ItemDataRole.EditRole)))
            editor.selectAll()

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        if isinstance(editor, QLineEdit):
            model.setData(index, editor.text())

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, _index: Index) -> None:
        rect: QRect = option.rect
        editor.setGeometry(rect.adjusted(INSET, 2, -INSET, -2))


class ConversationView(QListView):
    delete_wanted = Signal(str)
    menu_wanted = Signal(str, QPoint)
    list_menu_wanted = Signal(QPoint)  # beside the rows

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setObjectName("conversations")
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAccessibleName(tr("Conversations"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)

    @property
    def editing(self) -> bool:
        return self.state() is QAbstractItemView.State.EditingState

    def selectionCommand(self, _index: Index, event: QEvent | None = None) -> QItemSelectionModel.SelectionFlag:
        return one_at_a_time(event)

    def selectAll(self) -> None:
        return

    def conversation_at(self, index: Index) -> str:
        row = index.data(ROLE) if index.isValid() else None
        return row.conversation.id if isinstance(row, Entry) else ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        current = self.conversation_at(self.currentIndex())
        if event.key() == Qt.Key.Key_Delete and current:
            self.delete_wanted.emit(current)
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), self._theme.colour("side"))
        painter.end()
        super().paintEvent(event)

    def _menu(self, place: QPoint) -> None:
        if conversation_id := self.conversation_at(self.indexAt(place)):
            self.menu_wanted.emit(conversation_id, self.viewport().mapToGlobal(place))
        else:
            self.list_menu_wanted.emit(self.viewport().mapToGlobal(place))


class ConversationList(QWidget):
    """The whole side: `chosen`, `new_wanted`, `searched` and the acts on one conversation."""

    chosen = Signal(str)
    new_wanted = Signal()
    searched = Signal(str)
    renamed = Signal(str, str)
    pinned = Signal(str, bool)
    delete_wanted = Signal(str)
    menu_opening = Signal(object, str, str)  # a QMenu to add acts to, the id and title of its conversation
    list_menu_opening = Signal(object)  # a QMenu of what can be done with all of them

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._menu: QMenu | None = None
        self._held: Callable[[], None] | None = None
        self.search = SearchField(theme, tr("Search conversations"), tr("Search"))
        self.new = Button(theme, kind="flat", icon="square-pen", name=tr("New conversation"))
        self.new.clicked.connect(self.new_wanted)
        self.model = ConversationModel(self)
        self.model.renamed.connect(self.renamed)
        self.view = ConversationView(theme)
        self.view.setModel(self.model)
        acting = ActingSelection(self.model, self.view)
        acting.acted.connect(self._clicked)
        self.view.setSelectionModel(acting)
        delegate = ConversationDelegate(theme, self.view)
        # Queued: the view is still closing its editor when this is told.
        delegate.closeEditor.connect(self._show_held, Qt.ConnectionType.QueuedConnection)
        self.view.setItemDelegate(delegate)
        self.view.clicked.connect(self._clicked)
        self.view.activated.connect(self._clicked)
        self.view.delete_wanted.connect(self.delete_wanted)
        self.view.menu_wanted.connect(self._open_menu)
        self.view.list_menu_wanted.connect(self._open_list_menu)
        clear = Button(theme, tr("Clear search"))
        clear.clicked.connect(self.search.clear)
        self.nothing = EmptyState(theme, "search", tr("Nothing found"), "", [clear])
        for label in (self.nothing.title, self.nothing.sentence):
            keep_width(label, theme, 210)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.view)
        self.stack.addWidget(self.nothing)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(SEARCH_PAUSE_MS)
        self._pause.timeout.connect(lambda: self.searched.emit(self.search.text()))
        self.search.textChanged.connect(self._pause.start)
        top = QHBoxLayout()
        top.setContentsMargins(10, 12, 10, 4)
        top.setSpacing(6)
        top.addWidget(self.search, 1)
        top.addWidget(self.new)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 1, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.stack, 1)
        theme.changed.connect(self._retheme)

    def show_rows(self, rows: tuple[Row, ...], open_id: str, *, searching: str, of: int) -> None:
        if self.view.editing:
            # Other rows would close the editor, and what is typed on would go elsewhere.
            self._held = partial(self.show_rows, rows, open_id, searching=searching, of=of)
            return
        self._held = None
        self.model.show_rows(rows)
        self.select(open_id)
        nothing = bool(searching) and not rows
        self.stack.setCurrentIndex(1 if nothing else 0)
        title = tr("Nothing contains “{searching}”", searching=searching)
        if nothing and self.nothing.title.text() != title:
            announce(self, f"{title}.")
        self.nothing.title.setText(title)
        self.nothing.sentence.setText(
            trn("Searched titles and text of %n conversation.", "Searched titles and text of %n conversations.", of)
        )

    def select(self, conversation_id: str) -> None:
        row = self.model.row_of(conversation_id) if conversation_id else -1
        if row < 0:
            self.view.clearSelection()
            self.view.setCurrentIndex(QModelIndex())
        elif self.view.currentIndex().row() != row or not self.view.selectionModel().hasSelection():
            self.view.setCurrentIndex(self.model.index(row))

    def rename_current(self) -> bool:
        """Open the editor in the current row, if there is one to be seen."""
        index = self.view.currentIndex()
        if not self.view.isVisible() or not self.view.conversation_at(index):
            return False
        if not self.view.editing:
            self.view.scrollTo(index)
            self.view.edit(index)
        return True

    def _show_held(self) -> None:
        if self._held is not None:
            self._held()

    def _clicked(self, index: QModelIndex) -> None:
        if conversation_id := self.view.conversation_at(index):
            self.chosen.emit(conversation_id)

    def _open_list_menu(self, place: QPoint) -> None:
        menu = Menu(self)
        self.list_menu_opening.emit(menu)
        menu.popup(place)

    def _open_menu(self, conversation_id: str, place: QPoint) -> None:
        index = self.model.index(self.model.row_of(conversation_id))
        row = index.data(ROLE)
        if not isinstance(row, Entry):
            return
        pinned = row.conversation.pinned
        menu = Menu(self)
        menu.addAction(self._theme.icon("pencil"), tr("Rename"), lambda: self.view.edit(index))
        menu.addAction(
            self._theme.icon("pin-off" if pinned else "pin"),
            tr("Unpin") if pinned else tr("Pin"),
            lambda: self.pinned.emit(conversation_id, not pinned),
        )
        self.menu_opening.emit(menu, conversation_id, row.conversation.title)
        menu.addSeparator()
        menu.addAction(
            self._theme.icon("trash-2", "danger"), tr("Delete…"), lambda: self.delete_wanted.emit(conversation_id)
        )
        menu.popup(place)

    def _retheme(self) -> None:
        self.view.viewport().update()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("side"))
        edge = 0 if self.isRightToLeft() else self.width() - 1
        painter.fillRect(edge, 0, 1, self.height(), self._theme.colour("border"))
        painter.end()


def _spoken(row: Entry) -> str:
    if row.hit is not None and row.hit.message_id:
        said = f"{row.hit.before}{row.hit.match}{row.hit.after}"
        return tr("{title}, {when}. It says: {text}", title=row.title, when=row.when, text=said)
    if row.conversation.pinned:
        return tr("{title}, pinned, {when}", title=row.title, when=row.when)
    return f"{row.title}, {row.when}"
