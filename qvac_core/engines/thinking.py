"""Telling a model's thinking from its answer while both stream, for every way in which models mark it.

Marks of two kinds: text (`<think>`), which counts only where an answer begins, because an answer may quote it; and
control tokens (`[THINK]`, the channels of Harmony), which have no text of their own: the vocabulary gives each of them
as one private character, so that nothing a model writes can be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from enum import Enum, StrEnum

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"

# (open, close). The first is looked for in every model, the others where the template or the vocabulary has them.
TAGS = (
    (OPEN_TAG, CLOSE_TAG),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<think:opensource>", "</think:opensource>"),
    ("<longcat_think>", "</longcat_think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
)
CHANNEL_TAGS = ("<|channel>", "<channel|>")
CALL_TO = "<|channel|>commentary to=functions."  # in the text of an answer with tools: what begins a call
HELD_RECIPIENT = 256  # characters that a recipient's name may have
HELD_SPACE = 64  # characters of white space before an answer that are held back until its beginning is known


class Mark(StrEnum):
    """A control token as the reader sees it: one private character."""

    OPEN = "\U0010ff01"  # thinking begins
    OPEN_NAMED = "\U0010ff02"  # the same, with a name up to the end of the line
    CLOSE = "\U0010ff03"  # thinking ends
    ANSWER = "\U0010ff04"  # the answer begins
    NOTHING = "\U0010ff05"
    TURN = "\U0010ff06"  # a turn's role follows
    CHANNEL = "\U0010ff07"  # the name of a channel follows
    MESSAGE = "\U0010ff08"  # the text in the channel that was named last
    END = "\U0010ff09"  # of a turn that is not the last one


# Control tokens that calls of tools are written with, one private character each.
TOOL_MARKS = tuple(map(chr, range(0x10FE00, 0x10FE80)))
_MARKS = re.compile(f"([{''.join(Mark)}])")
_TAG_MARKS: dict[str, Mark] = {
    **{opening: Mark.OPEN for opening, _ in TAGS},
    **{closing: Mark.CLOSE for _, closing in TAGS},
    "<|START_RESPONSE|>": Mark.ANSWER,
    "<|END_RESPONSE|>": Mark.NOTHING,
    "<|START_TEXT|>": Mark.ANSWER,
    "<|END_TEXT|>": Mark.NOTHING,
    "<|begin_of_solution|>": Mark.ANSWER,
    "<|end_of_solution|>": Mark.NOTHING,
}
# Control tokens that mean this only together: other vocabularies have some of them for something else.
_CHANNELS: tuple[dict[str, Mark], ...] = (
    {"<|start|>": Mark.TURN, "<|channel|>": Mark.CHANNEL, "<|message|>": Mark.MESSAGE, "<|end|>": Mark.END},
    {CHANNEL_TAGS[0]: Mark.OPEN_NAMED, CHANNEL_TAGS[1]: Mark.CLOSE},
    {"<|begin|>": Mark.TURN, "<|think|>": Mark.OPEN, "<|content|>": Mark.ANSWER, "<|end|>": Mark.END},
)
# How a prompt ends whose next words are not the answer's yet, and what leads to them.
_LEADS = (
    ("<|start|>assistant", "<|channel|>final<|message|>"),
    ("<|begin|>assistant", "<|content|>"),
    ("<|START_THINKING|><|END_THINKING|>", "<|START_RESPONSE|>"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    thinking: bool


@dataclass(frozen=True, slots=True)
class ThinkingStyle:
    """How one model marks its thinking. tags: (open, close) as text. marks: control tokens that stand for one each.

    channels: its thinking has a channel of its own, which SDK 0.16 leaves out unless it is asked for.
    """

    tags: tuple[tuple[str, str], ...] = TAGS[:1]
    marks: Mapping[str, Mark] | None = None
    channels: bool = False

    def opened(self, prompt: str) -> str:
        """The tag with which a prompt leaves the model thinking; "" where the answer begins with the answer."""
        end = prompt.rstrip()
        return next((opening for opening, _ in TAGS if end.endswith(opening)), "")

    def answer_lead(self, prompt: str) -> str:
        """What must follow the prompt where the next words are to be the answer's, without any thinking."""
        opening = self.opened(prompt)
        closing = next((f"\n{closing}\n\n" for begin, closing in TAGS if begin == opening), "")
        if opening.startswith(("[", "<|")):
            closing = closing.strip()  # marks of their own: no lines around them
        end = prompt.rstrip() + closing.strip()
        known = self.marks or {}
        for ending, lead in _LEADS:
            if end.endswith(ending) and all(token in known for token in re.findall(r"<\|\w+\|>", lead)):
                return closing + lead
        return closing


def style_of(template: str, controls: Set[str], tokens: Collection[str]) -> ThinkingStyle:
    """The style of a model. controls: texts of its control tokens. tokens: all of its tokens that are whole marks."""
    tags = tuple(pair for pair in TAGS if pair[0] == OPEN_TAG or pair[0] in template or pair[0] in tokens)
    marks = {text: mark for text, mark in _TAG_MARKS.items() if text in controls}
    channels = next((known for known in _CHANNELS if all(text in controls for text in known)), {})
    return ThinkingStyle(tags, marks | channels, bool(channels))


class _State(Enum):
    BEGINNING = "beginning"  # nothing but white space so far
    THINKING = "thinking"
    ANSWER = "answer"
    NAME = "name"  # the rest of a line, which names a channel
    HEADER = "header"  # a channel's name
    ROLE = "role"  # whose turn it is


class ThinkingReader:
    """Feed the text of an answer in any cut, get pieces. A tag cut in two is held back until it is one or is not.

    opened: the tag with which the prompt left the model thinking (ThinkingStyle.opened), or "". begun: the prompt ends
    within the answer, so that no tag counts any more. tools: messages to a tool (Harmony's `to=functions.NAME`) are not
    thinking but text, behind CALL_TO and the tool's name.
    """

    def __init__(
        self, style: ThinkingStyle | None = None, opened: str = "", *, begun: bool = False, tools: bool = False
    ) -> None:
        self._tags = (style or ThinkingStyle()).tags
        self._state = _State.ANSWER if begun else _State.BEGINNING
        self._held = ""
        self._open_tag = ""  # of the thinking that is read now; "" when a control token began it
        self._may_repeat = False  # some models write the tag again with which the prompt ended
        self._recipients = tools and style is not None and style.channels
        self._role = ""  # what stood between the start of a turn and its channel
        self._pieces: list[Piece] = []
        if opened:
            self._think(opened)
            self._may_repeat = True

    def feed(self, text: str) -> list[Piece]:
        for part in _MARKS.split(text):
            if _MARKS.fullmatch(part):
                self._mark(Mark(part))
            elif part:
                self._text(part)
        return self._take()

    def end(self) -> list[Piece]:
        self._release()
        return self._take()

    def _take(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _add(self, text: str, *, thinking: bool) -> None:
        if text:
            self._pieces.append(Piece(text, thinking))

    def _release(self) -> None:
        """What was held back is what it looks like."""
        if self._state in (_State.BEGINNING, _State.ANSWER, _State.THINKING):
            self._add(self._held, thinking=self._state is _State.THINKING)
        self._held = ""

    def _think(self, tag: str) -> None:
        self._state, self._open_tag, self._held = _State.THINKING, tag, ""
        self._may_repeat = False

    # --- Control tokens -------------------------------------------------------------------------------------------

    def _mark(self, mark: Mark) -> None:
        header = self._held
        if self._recipients and self._state in (_State.ROLE, _State.BEGINNING) and "to=" in header:
            self._role, self._held = header, ""
        self._release()
        match mark:
            case Mark.OPEN:
                self._think("")
            case Mark.OPEN_NAMED:
                self._state = _State.NAME
            case Mark.CLOSE | Mark.ANSWER:
                self._state = _State.ANSWER
            case Mark.TURN | Mark.END:
                self._state = _State.ROLE
            case Mark.CHANNEL:
                self._state = _State.HEADER
            case Mark.MESSAGE if self._recipients and (name := _recipient(self._role + " " + header)):
                self._state, self._role = _State.ANSWER, ""
                self._add(f"{CALL_TO}{name} ", thinking=False)
            case Mark.MESSAGE if self._state is _State.HEADER and not _is_for_the_user(header):
                self._think("")
            case Mark.MESSAGE:
                self._state = _State.ANSWER
            case Mark.NOTHING:
                pass

    # --- Text -----------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        self._held += text
        match self._state:
            case _State.BEGINNING:
                self._beginning()
            case _State.THINKING:
                self._thinking()
            case _State.ANSWER:
                self._release()
            case _State.NAME if "\n" in self._held:
                rest = self._held.split("\n", 1)[1]
                self._think("")
                self._again(rest)
            case _State.ROLE if not self._recipients:
                self._held = ""

    def _again(self, rest: str) -> None:
        if rest:
            self._text(rest)

    def _beginning(self) -> None:
        begun = self._held.lstrip()
        for opening, _ in self._tags:
            if begun.startswith(opening):
                self._think(opening)
                self._again(begun[len(opening) :])
                return
        recipient = self._recipients and ("to=".startswith(begun) or begun.startswith("to="))
        undecided = recipient or any(opening.startswith(begun) for opening, _ in self._tags)
        if not undecided or len(self._held) - len(begun) > HELD_SPACE or len(begun) > HELD_RECIPIENT:
            self._state = _State.ANSWER
            self._release()

    def _thinking(self) -> None:
        if self._may_repeat:
            begun = self._held.lstrip()
            near = len(self._held) - len(begun) <= HELD_SPACE
            if near and begun != self._open_tag and self._open_tag.startswith(begun):
                return
            self._may_repeat = False
            if near and begun.startswith(self._open_tag):
                self._held = begun[len(self._open_tag) :]
        closings = [closing for opening, closing in TAGS if opening == self._open_tag]
        found = [(at, closing) for closing in closings if (at := self._held.find(closing)) >= 0]
        if found:
            at, closing = min(found)
            self._add(self._held[:at], thinking=True)
            rest = self._held[at + len(closing) :]
            self._state, self._held = _State.ANSWER, ""
            self._again(rest)
            return
        keep = max((_overlap(self._held, closing) for closing in closings), default=0)
        self._add(self._held[: len(self._held) - keep], thinking=True)
        self._held = self._held[len(self._held) - keep :]


def _is_for_the_user(header: str) -> bool:
    """Harmony: `final`, and `commentary` that is no call of a tool. `analysis` is thinking."""
    name, _, rest = header.strip().partition(" ")
    return name in ("", "final", "assistant") or (name == "commentary" and "to=" not in rest)


def _recipient(header: str) -> str:
    """Harmony: the tool that a message goes to, "" for none. Its place is behind the role, or the channel's name."""
    found = re.search(r"\bto=(?:functions\.)?([\w.:/-]+)", header)
    return found[1] if found else ""


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((length for length in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:length])), 0)


class TagWriter:
    """The other way round: pieces as one text with `<think>` tags, for who did not ask for the thinking apart.

    channels: leave the thinking out, as SDK 0.16 does with models that think in a channel of its own.
    """

    def __init__(self, *, channels: bool = False) -> None:
        self._channels = channels
        self._thinking = False

    def write(self, text: str, *, thinking: bool) -> str:
        if self._channels:
            return "" if thinking else text
        tag = "" if thinking == self._thinking else OPEN_TAG if thinking else CLOSE_TAG
        self._thinking = thinking
        return tag + text


def without_thinking(text: str) -> str:
    """The answer alone, of one that was kept as one text with tags."""
    reader = ThinkingReader()
    pieces = [*reader.feed(text), *reader.end()]
    answer = "".join(piece.text for piece in pieces if not piece.thinking)
    return answer.lstrip() if any(piece.thinking for piece in pieces) else text
