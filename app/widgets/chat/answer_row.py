"""An answer: the face of who computes it, its Markdown, why it failed if it did, and the line of facts."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import tool_words
from app.core_words import told
from app.i18n import later, tr
from app.languages import Choice
from app.theme import Theme
from app.widgets.avatar import Avatar
from app.widgets.button import Button
from app.widgets.chat.answer_speech import AnswerSpeech
from app.widgets.chat.answer_text import AnswerText, ToolMark
from app.widgets.chat.long_text import ANSWER, amount, cut
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.chat.markdown_view import MarkdownView
from app.widgets.chat.stats_line import StatsLine
from app.widgets.chat.thought import Thought
from app.widgets.chat.tool_card import ToolCard
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from qvac_core.core.seams import can_go_on
from qvac_core.core.state import Message
from qvac_core.core.tool_turns import is_open
from qvac_core.late_dataclass import dataclass

FACE = 26
ENDINGS = {"done": later("The answer is complete."), "stopped": later("The answer was stopped.")}
"""What is said when an answer has ended; one that failed has its panel, which says why."""
GAP = 12


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What a row says beside the text. `public_key`: the face; "" and not `local`: a provider without a known key."""

    who: str
    public_key: str
    local: bool
    words: tuple[str, ...] = ()
    waiting: str = ""  # while nothing has come of whoever answers now: what is being done
    remedies: tuple[Act, ...] = ()
    last: bool = False
    doing: str = ""  # while it streams
    languages: tuple[Choice, ...] = ()  # to translate into


def nothing_yet(message: Message) -> bool:
    """Whether whoever answers now has said nothing since they began, or since the last result of a tool.

    While a tool asks or runs, nobody is waited for who answers.
    """
    if any(map(is_open, message.tools)):
        return False
    last = max([offset for offset, _ in message.seams[-1:]] + [use.offset for use in message.tools[-1:]], default=0)
    return len(message.text) <= last


class AnswerRow(QWidget):
    accessible_role = QAccessible.Role.ListItem

    link_activated = Signal(str)
    regenerate = Signal()
    translate = Signal(str)  # the code of a language
    go_on = Signal()
    receipt_wanted = Signal()
    branch_wanted = Signal(str)  # the id of another answer of this place
    tool_decided = Signal(str, object)  # id of a call of a tool, Decision
    unfolding = Signal()  # before more of it is shown

    def __init__(self, theme: Theme, message: Message, facts: AnswerFacts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._message = message
        self._facts = facts
        self._busy = False
        self._text = AnswerText()
        self._face = Face(theme, facts)
        self.thought = Thought(theme)
        self.thought.unfolding.connect(self.unfolding)
        self.view = MarkdownView(theme)
        self.view.link_activated.connect(self.link_activated)
        self.view.decided.connect(self.tool_decided)
        self._speech = AnswerSpeech(self, lambda: self.view.plain_text)
        self.waiting = Label(scale="answer", tone="text3")
        self.whole = Button(theme, "", kind="link", size="small")
        self.whole.clicked.connect(self._open_whole)
        self.error = ErrorPanel(theme, dismissable=False)
        self.stats = StatsLine(theme)
        self.stats.regenerate.connect(self.regenerate)
        self.stats.translate.connect(self.translate)
        self.stats.go_on_wanted.connect(self.go_on)
        self.stats.receipt_wanted.connect(self.receipt_wanted)
        self.stats.branches.wanted.connect(self.branch_wanted)
        column = QVBoxLayout()
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(8)
        for widget in (self.thought, self.view, self.waiting, self.whole, self.error, self.stats):
            column.addWidget(widget)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(GAP)
        self._layout.addWidget(self._face, 0, Qt.AlignmentFlag.AlignTop)
        self._layout.addLayout(column, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._show()

    @property
    def message(self) -> Message:
        return self._message

    def show_message(self, message: Message, facts: AnswerFacts) -> None:
        before = self._message
        self._message, self._facts = message, facts
        self._show()
        if message.status == "streaming":
            self.speak()
        elif before.status == "streaming":
            self._speech.end(tr(ENDINGS[message.status]) if message.status in ENDINGS else "")

    def speak(self) -> None:
        """Say what is new of an answer that is on its way."""
        if self._message.text:
            self._speech.grow()
        else:
            self._speech.wait(self._facts.waiting or tr("{who} answers.", who=self._facts.who))

    def name_for_reading(self) -> None:
        """Be called by the text as it stands, for whoever comes here by keyboard."""
        name = self._spoken(cut(self._message.text, ANSWER))
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def set_busy(self, busy: bool) -> None:
        """The conversation is being answered: it has one answer at a time."""
        self._busy = busy
        self._show_busy()

    def _show_busy(self) -> None:
        # Each change goes over the accessibility bus: only of what is there to be pressed.
        for widget in (self.stats.again, self.stats.branches, self.stats.go_on):
            if widget.isVisibleTo(self):
                widget.setEnabled(not self._busy)

    def fit(self, column: int, *, narrow: bool) -> None:
        self.thought.fit(max(80, column - FACE - GAP))
        self.view.fit(max(80, column - FACE - GAP))
        self.stats.set_narrow(narrow)

    def settle(self) -> None:
        """Lay out from the inside out: an outer layout does not see that an inner one has changed."""
        self.thought.settle()
        self.view.settle()
        self._layout.activate()

    def retheme(self) -> None:
        self.thought.retheme()
        self.view.retheme()
        self._face.update()

    def anchors(self) -> tuple[QWidget, ...]:
        """What can be kept in place while widths change, from the top down."""
        return tuple(w for w in (self.thought, *self.view.widgets, self.error, self.stats) if w.isVisibleTo(self))

    def blocks(self) -> tuple[QWidget, ...]:
        """What Enter walks: the blocks of text, then the acts."""
        line = self.stats
        acts = (self.whole, line.go_on, *line.branches.stops, line.copy, line.again, line.more)
        inner = [stop for w in self.view.widgets for stop in (w.stops() if isinstance(w, ToolCard) else (w,))]
        before = (self.thought.line, self.thought.text, *inner)
        return (*(w for w in before if w.isVisible()), *(act for act in acts if act.isVisible()))

    def _show(self) -> None:
        message, facts = self._message, self._facts
        streaming = message.status == "streaming"
        caret = ("local" if facts.local else "accent") if streaming else ""
        shown = cut(message.text, ANSWER)
        marks = [ToolMark(use, facts.who, facts.local) for use in message.tools]
        if any(map(is_open, message.tools)):
            caret = ""
        self.view.show_parts(self._text.update(shown, message.seams, marks, streaming=streaming), caret=caret)
        self.whole.setVisible(shown is not message.text)
        if shown is not message.text:
            self.whole.setText(tr("Open all of it ({amount})", amount=amount(message.text)))
            self.whole.setAccessibleName(tr("Open all of the answer, {amount}", amount=amount(message.text)))
        self.view.setVisible(bool(message.text or message.seams or message.tools))
        wordless = message.status == "stopped" and not (message.text or message.thinking or message.tools)
        self.waiting.setText(tr("Stopped before the first word.") if wordless else facts.waiting)
        thinking = streaming and nothing_yet(message)
        self.thought.show_thinking(message.thinking, running=thinking)
        self.waiting.setVisible(wordless or (thinking and (not message.thinking or bool(message.tools))))
        if message.error is None or streaming:
            self.error.clear()
        elif not self.error.isVisibleTo(self):
            self.error.show_error(message.error, facts.remedies)
        self._face.show_facts(facts)
        self._show_stats(streaming)
        if not streaming:
            self.name_for_reading()
        elif not message.text and not self.accessibleName():
            # Every new name goes over the accessibility bus in full: it does not follow an answer that grows.
            self.setAccessibleName(tr("{who} is answering", who=facts.who))

    def _show_stats(self, streaming: bool) -> None:
        message, facts = self._message, self._facts
        failed = message.status == "failed"
        words = list(facts.words)
        if streaming:
            words.append(facts.doing or tr("answering…"))
        elif message.status == "stopped" and (message.stats is None or message.stats.ending != "stopped"):
            words.append(tr("stopped"))
        self.stats.show_facts(facts.who, words, local=facts.local)
        self.stats.copy.value = message.text
        self.stats.languages = facts.languages
        self.stats.set_acts(
            copyable=bool(message.text) and not streaming,
            regenerable=not streaming and not (failed and facts.last),
            continuable=facts.last and can_go_on(message) and not failed,
            receipted=message.stats is not None and bool(message.stats.provider_key) and not streaming,
        )
        self.stats.show_branches(message)
        self._show_busy()
        several = self.stats.branches.isVisibleTo(self.stats)
        self.stats.setVisible(bool(message.text) or several or not (streaming or failed))

    def _open_whole(self) -> None:
        open_long_text(self._theme, tr("Answer"), self._message.text, self.window())

    def _spoken(self, shown: str) -> str:
        message = self._message
        seams = " ".join(told(sentence) for _, sentence in message.seams)
        error = f" {told(message.error.title)}" if message.error is not None else ""
        uses = " ".join(tool_words.spoken(use) for use in message.tools)
        text = " ".join(part for part in (shown, uses, seams) if part)
        return tr("{who} answered: {text}", who=self._facts.who, text=text).rstrip() + error


class Face(QWidget):
    """The avatar of a key; a tile with a laptop for this machine."""

    def __init__(self, theme: Theme, facts: AnswerFacts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._avatar = Avatar(facts.public_key, FACE, self)
        self._tile = IconLabel(theme, "laptop", "local", 16, self)
        self._tile.setObjectName("iconTile")
        self._tile.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._tile.setFixedSize(FACE, FACE)
        self.setFixedSize(FACE, FACE)
        self.show_facts(facts)

    def show_facts(self, facts: AnswerFacts) -> None:
        self._avatar.setVisible(bool(facts.public_key))
        self._tile.setVisible(not facts.public_key)
        if facts.public_key:
            self._avatar.set_key(facts.public_key)
        else:
            tone = "local" if facts.local else "accent"
            self._tile.set_icon("laptop" if facts.local else "waypoints", tone)
            _set_tone(self._tile, tone)


def _set_tone(tile: QLabel, tone: str) -> None:
    if tile.property("tone") != tone:
        tile.setProperty("tone", tone)
        tile.style().unpolish(tile)
        tile.style().polish(tile)


Describe = Callable[[Message], AnswerFacts]
