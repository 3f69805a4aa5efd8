"""A call of a tool in an answer: a folded card; while it asks, what exactly is asked, and the answers to it.

Nothing a model or a server wrote is laid out as rich text.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAccessible, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app import tool_words
from app.announcements import announce
from app.i18n import tr, trn
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.answer_text import ToolMark
from app.widgets.chat.bidi import isolated
from app.widgets.chat.code_block import CodeText
from app.widgets.chat.long_text import Most, cut
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.focus import KeyboardFocusButton
from app.widgets.icon_label import IconLabel
from app.widgets.label import ElidedLabel, Label, restyle
from app.widgets.menu import Menu
from app.widgets.own_font import keep_font
from qvac_core.core.state import ToolUse, UseState
from qvac_core.core.tools_state import Decision

HEADER = 34
PADDING = 12
RADIUS = 8
FOLDED = Most(4_000, 8)  # of a result
ASKED = Most(16_000, 200)  # of what is asked: all of it, but for what nobody reads on one screen


class ToolCard(QFrame):
    accessible_role = QAccessible.Role.Grouping

    decided = Signal(str, object)  # id of the call, Decision

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._mark: ToolMark | None = None
        self._open = False
        self._asked_open = False
        self._width = 0
        self.setObjectName("toolCard")
        self._make_header()
        self.text = CodeText(theme)
        self.text.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.whole = Button(theme, "", kind="link", size="small")
        self.whole.clicked.connect(self._open_whole)
        self.asked = Button(theme, tr("What was asked"), kind="link", size="small")
        self.asked.clicked.connect(self._toggle_asked)
        self.where = Label(scale="hint", tone="text3", wrap=True)
        self._make_answers()
        foot = QHBoxLayout()
        foot.setContentsMargins(PADDING, 4, PADDING, 6)
        foot.setSpacing(8)
        foot.addWidget(self.asked)
        foot.addWidget(self.whole)
        foot.addWidget(self.where, 1)
        self._foot = QWidget()
        self._foot.setLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.text)
        layout.addWidget(self._answers)
        layout.addWidget(self._foot)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _make_header(self) -> None:
        theme = self._theme
        self.header = CardHeader()
        self.header.clicked.connect(self._toggle)
        self._icon = IconLabel(theme, "wrench", "text2")
        self.server = Label(weight=600)
        self.tool = ElidedLabel(scale="hint")
        keep_font(self.tool, theme, lambda: theme.fixed_font("hint"))
        self.summary = ElidedLabel(scale="hint", tone="text2")
        self._state_icon = IconLabel(theme, "check", "live")
        self.state = Label(scale="hint", tone="text2")
        self._chevron = IconLabel(theme, "chevron-down", "text3")
        row = QHBoxLayout(self.header)
        row.setContentsMargins(PADDING, 0, PADDING, 0)
        row.setSpacing(8)
        for widget in (self._icon, self.server, self.tool):
            row.addWidget(widget)
        row.addWidget(self.summary, 1)
        for widget in (self._state_icon, self.state, self._chevron):
            row.addWidget(widget)
        self.header.setMinimumHeight(HEADER)

    def _make_answers(self) -> None:
        theme = self._theme
        self.once = Button(theme, tr("Allow once"), kind="primary")
        self.here = Button(theme, tr("Allow in this conversation"))
        self.deny = Button(theme, tr("Deny"))
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More answers to this call"))
        self.once.clicked.connect(lambda: self._decide(Decision.ONCE))
        self.here.clicked.connect(lambda: self._decide(Decision.CONVERSATION))
        self.deny.clicked.connect(lambda: self._decide(Decision.DENY))
        self.more.clicked.connect(self._open_more)
        row = QHBoxLayout()
        row.setContentsMargins(PADDING, 4, PADDING, 4)
        row.setSpacing(8)
        for button in (self.once, self.here, self.deny, self.more):
            row.addWidget(button)
        row.addStretch(1)
        self._answers = QWidget()
        self._answers.setLayout(row)

    # --- Shown

    @property
    def use(self) -> ToolUse | None:
        return self._mark.use if self._mark is not None else None

    @property
    def is_open(self) -> bool:
        return self._open

    def show_mark(self, mark: ToolMark) -> None:
        before = self._mark
        if mark == before:
            return
        self._mark = mark
        use = mark.use
        asks = use.state is UseState.ASKS
        if asks and (before is None or before.use.state is not UseState.ASKS):
            announce(self, tr("{server} asks to use {tool}.", server=use.server, tool=use.tool), assertive=True)
        if before is not None and before.use.state is UseState.ASKS and not asks:
            self._open = False
        self._show()

    def _show(self) -> None:
        assert self._mark is not None
        use = self._mark.use
        asks = use.state is UseState.ASKS
        wanted = "true" if asks else "false"
        if self.property("asks") != wanted:
            self.setProperty("asks", wanted)
            restyle(self)
        name = tr("{server} wants to use a tool", server=use.server) if asks else tool_words.title(use)
        self.server.setText(name)
        self.tool.setText(use.tool)
        self.tool.setVisible(bool(use.tool))
        self.summary.setText("" if asks else isolated(tool_words.summary(use)))
        icon, tone = tool_words.state_icon(use)
        self._state_icon.set_icon(icon, tone)
        self._state_icon.setVisible(not asks)
        self.state.setText(tool_words.state_words(use))
        self.state.setVisible(not asks)
        can_open = not asks and use.state is not UseState.RUNNING
        self.header.set_inert(not can_open)
        self._chevron.setVisible(can_open)
        self._chevron.set_icon("chevron-up" if self._open else "chevron-down", "text3")
        self._icon.set_icon("wrench", "warn" if asks else "text2")
        spoken = tool_words.spoken(use)
        if can_open:
            folded = tr("open") if self._open else tr("folded")
            spoken = f"{spoken}, {folded}"
        self.header.setAccessibleName(spoken)
        self.setAccessibleName(tool_words.spoken(use))
        self._answers.setVisible(asks)
        self._show_text(use, asks=asks)
        self._fit()

    def _show_text(self, use: ToolUse, *, asks: bool) -> None:
        assert self._mark is not None
        shown = self._open or asks
        asked = asks or self._asked_open
        text = tool_words.in_full(use) if asked else tool_words.result_words(use)
        head = cut(text, ASKED if asked else FOLDED)
        self.text.setVisible(shown and bool(text))
        if shown and text:
            self.text.show_code(head, "", growing=False)
            self.text.setAccessibleName(tr("What is asked") if asked else tr("What the tool gave back"))
        self.whole.setVisible(shown and head is not text)
        lines = text.count("\n") + 1
        self.whole.setText(trn("Show the whole line", "Show all %n lines", lines))
        self.asked.setVisible(self._open and not asks and bool(use.tool))
        self.asked.setText(tr("What it gave back") if self._asked_open else tr("What was asked"))
        self.asked.setAccessibleName(self.asked.text())
        words = tool_words.where_words(use, self._mark.who, local=self._mark.local)
        self.where.setText(words)
        self.where.setVisible(bool(words))
        self._foot.setVisible(shown)

    @property
    def plain_text(self) -> str:
        return tool_words.spoken(self._mark.use) if self._mark is not None else ""

    def stops(self) -> tuple[QWidget, ...]:
        """What Enter walks."""
        assert self._mark is not None
        if self._mark.use.state is UseState.ASKS:
            return (self.text, self.once, self.here, self.deny, self.more)
        return (self.header, *((self.text, self.asked) if self._open else ()))

    def fit(self, width: int) -> int:
        self._width = width
        return self._fit()

    def _fit(self) -> int:
        if not self._width:
            return 0
        if self.text.isVisibleTo(self):
            self.text.fit(self._width - 2)
        layout = self.layout()
        assert layout is not None
        for inner in (self._foot, self._answers, self.header):
            if (own := inner.layout()) is not None:
                own.activate()
        layout.activate()
        height = layout.heightForWidth(self._width) if layout.hasHeightForWidth() else layout.sizeHint().height()
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)
        return height

    def retheme(self) -> None:
        self.text.retheme()
        self.update()

    # --- Done

    def _toggle(self) -> None:
        if self._mark is not None and self._mark.use.state not in (UseState.ASKS, UseState.RUNNING):
            self._open = not self._open
            self._asked_open = False
            self._show()

    def _toggle_asked(self) -> None:
        self._asked_open = not self._asked_open
        self._show()

    def _open_whole(self) -> None:
        if self._mark is None:
            return
        use = self._mark.use
        asked = self._asked_open or use.state is UseState.ASKS
        text = tool_words.in_full(use) if asked else tool_words.result_words(use)
        open_long_text(self._theme, use.tool or tool_words.title(use), text, self.window())

    def _open_more(self) -> None:
        if self._mark is None:
            return
        use = self._mark.use
        menu = Menu(self)
        always = tr("Always allow {tool} of {server}", tool=use.tool, server=use.server)
        menu.addAction(always.replace("&", "&&"), lambda: self._decide(Decision.ALWAYS))
        menu.open_below(self.more)

    def _decide(self, decision: Decision) -> None:
        if self._mark is not None:
            for button in (self.once, self.here, self.deny, self.more):
                button.setEnabled(False)  # it is on its way; the card says what became of it
            self.decided.emit(self._mark.use.id, decision)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        asks = self._mark is not None and self._mark.use.state is UseState.ASKS
        painter.setPen(QPen(self._theme.colour("warn" if asks else "border"), 1))
        fill = self._theme.colour("warn_soft") if asks else QColor(self._theme.tokens.code.background)
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        if not asks and self._open and self.text.isVisibleTo(self):
            line = self._theme.colour("border")
            painter.fillRect(QRectF(1, self.text.y(), self.width() - 2, 1), line)
            painter.fillRect(QRectF(1, self._foot.y(), self.width() - 2, 1), line)
        painter.end()


class CardHeader(KeyboardFocusButton):
    """One button over the whole line, with labels on it."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "flat")
        self.setProperty("measure", "large")
        self.setAutoDefault(False)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_inert(self, inert: bool) -> None:
        """Nothing opens."""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, inert)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if inert else Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:
        layout = self.layout()
        return super().sizeHint() if layout is None else layout.sizeHint().expandedTo(self.minimumSize())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())
