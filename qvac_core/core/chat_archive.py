"""Conversations as files: JSON that holds all of them and comes back whole, Markdown to be read.

The JSON is ours: `{"format": FORMAT, "version": 1, "conversations": […]}`, each with all branches of its messages, the
path that is shown, what it asked for, who answered, and its pictures.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from typing import Final

import msgspec

from qvac_core.core.chat_parameters import checked
from qvac_core.core.seams import start_of
from qvac_core.core.state import TRANSCRIPT, Conversation, Message, Parameters, Target, ToolUse
from qvac_core.core.tool_turns import settled
from qvac_core.core.transcript import read, without_path
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.conversations import new_id

FORMAT: Final = "qvac-desktop-conversations"
VERSION: Final = 1
MESSAGES_MOST: Final = 500_000  # of one file
TITLE_MOST: Final = 400
ID_MOST: Final = 100  # letters
LATEST: Final = 253_402_214_400.0  # Unix seconds: a day before the year 10000, behind which no calendar goes
_KEY: Final = re.compile(r"[0-9a-f]{64}")
ROLES: Final = ("user", "assistant", TRANSCRIPT)
STATES: Final = ("done", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Branched:
    """A message and the id of the one before it, "" where it begins."""

    message: Message
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Archived:
    """A conversation whole. messages: each behind its parent. shown: ids, the first one first.

    pictures: base64 by hash.
    """

    conversation: Conversation
    messages: tuple[Branched, ...] = ()
    shown: tuple[str, ...] = ()
    pictures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File:
    format: str
    version: int
    conversations: tuple[Archived, ...]


def to_json(conversations: Sequence[Archived]) -> bytes:
    bare = [replace(each, messages=tuple(map(_bare, each.messages))) for each in conversations]
    return msgspec.json.format(msgspec.json.encode(_File(FORMAT, VERSION, tuple(bare))), indent=1)


def _bare(each: Branched) -> Branched:
    return replace(each, message=replace(_without_path(each.message), branches=()))


def _without_path(message: Message) -> Message:
    return replace(message, text=without_path(message.text)) if message.role == TRANSCRIPT else message


def from_json(data: bytes) -> tuple[Archived, ...]:
    """With new ids for the messages. Raises StoreError for what is not such a file, or not whole."""
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StoreError(f"It is not whole: {str(error)[:200]}.", name="NOT_WHOLE") from error
    if file.version != VERSION:
        raise StoreError("It was made by a newer QVAC Desktop. Update this one.", name="NEWER_FILE")
    if sum(len(each.messages) for each in file.conversations) > MESSAGES_MOST:
        raise StoreError(f"It has more than {MESSAGES_MOST:,} messages.", name="TOO_LARGE")
    return tuple(map(_checked, file.conversations))


def parents_first(messages: Sequence[Branched]) -> tuple[Branched, ...]:
    """Each behind its parent, which may be younger; else in their order. What hangs nowhere is left out."""
    known = {""}
    waiting: dict[str, list[Branched]] = {}
    ordered: list[Branched] = []
    for each in messages:
        if each.parent not in known:
            waiting.setdefault(each.parent, []).append(each)
            continue
        ready = [each]
        while ready:
            here = ready.pop()
            ordered.append(here)
            known.add(here.message.id)
            ready.extend(reversed(waiting.pop(here.message.id, [])))
    return tuple(ordered)


def renewed(archived: Archived) -> Archived:
    """With ids of messages that nobody has used, each behind its parent. Raises StoreError where one hangs nowhere."""
    ids = {"": ""}
    messages = []
    ordered = parents_first(archived.messages)
    if len(ordered) != len(archived.messages):
        raise StoreError("It is not whole: its messages do not hang together.", name="NOT_WHOLE")
    for each in ordered:
        if each.message.id in ids or each.parent not in ids:
            raise StoreError("It is not whole: its messages do not hang together.", name="NOT_WHOLE")
        ids[each.message.id] = new = new_id()
        messages.append(Branched(replace(each.message, id=new, branches=()), ids[each.parent]))
    shown: list[str] = []
    behind = {(each.parent, each.message.id) for each in messages}
    for id in archived.shown:  # as far as it is a path: one that comes back to itself would be shown for ever
        step = (shown[-1] if shown else "", ids.get(id, ""))
        if step not in behind:
            break
        shown.append(step[1])
    return replace(archived, messages=tuple(messages), shown=tuple(shown))


def _checked(archived: Archived) -> Archived:
    conversation = archived.conversation
    for each in archived.messages:
        if each.message.role not in ROLES or not math.isfinite(each.message.created_at):
            raise StoreError("It is not whole: a message is of no kind that is known.", name="NOT_WHOLE")
    if not all(map(math.isfinite, (conversation.created_at, conversation.updated_at))):
        raise StoreError("It is not whole: a conversation has no time.", name="NOT_WHOLE")
    try:
        checked(conversation.parameters)
    except QvacError as error:
        raise StoreError(f"It is not whole: {error.message}", name="NOT_WHOLE") from error
    if not 0 < len(conversation.id) <= ID_MOST:
        raise StoreError("It is not whole: a conversation has no number.", name="NOT_WHOLE")
    messages = tuple(replace(each, message=_usable(each.message)) for each in archived.messages)
    known = replace(
        conversation,
        title=conversation.title[:TITLE_MOST],
        created_at=_moment(conversation.created_at),
        updated_at=_moment(conversation.updated_at),
        target=_asked(conversation.target),
        others=tuple(target for target in map(_asked, conversation.others) if target.provider_key),
    )
    return renewed(replace(archived, conversation=known, messages=messages))


def _usable(message: Message) -> Message:
    """With a time of the calendar, and seams that lie in its text, the first one first."""
    message = _without_path(message)
    length = len(message.text)
    seams = tuple(sorted((min(max(0, offset), length), sentence) for offset, sentence in message.seams))
    tools = tuple(replace(use, offset=min(max(0, use.offset), length)) for use in message.tools)
    tools = tuple(sorted(tools, key=lambda use: use.offset))
    ended = replace(message, status=_ended(message.status), created_at=_moment(message.created_at))
    return settled(replace(ended, seams=seams, tools=tools))


def _moment(at: float) -> float:
    """0 for what no calendar has: milliseconds, say, that were taken for seconds."""
    return at if 0 <= at < LATEST else 0.0


def _asked(target: Target) -> Target:
    """The first model of this machine, where what is named is no key."""
    return target if not target.provider_key or _KEY.fullmatch(target.provider_key) else Target()


def _ended(status: str) -> str:
    return status if status in STATES else "stopped"


def pictures_of(archived: Archived) -> Mapping[str, bytes]:
    """By the hash they are said to have. Raises StoreError for what is no base64."""
    try:
        return {sha256: base64.b64decode(text, validate=True) for sha256, text in archived.pictures.items()}
    except (binascii.Error, ValueError) as error:
        raise StoreError("It is not whole: a picture cannot be read.", name="NOT_WHOLE") from error


# --- Markdown -----------------------------------------------------------------------------------------------------


def to_markdown(conversations: Sequence[Archived]) -> str:
    """The path that is shown first, then each other branch with where it turns away."""
    return "\n\n---\n\n".join(map(_markdown, conversations)) + "\n"


def _markdown(archived: Archived) -> str:
    conversation = archived.conversation
    parts = [f"# {_one_line(conversation.title) or 'Conversation'}", f"*{_when(conversation.updated_at)}*"]
    asked = _parameters(conversation.parameters)
    if asked:
        parts.append(asked)
    messages = {each.message.id: each for each in archived.messages}
    shown = [messages[id].message for id in archived.shown if id in messages]
    parts.extend(map(_said, shown))
    for title, path in _other_branches(archived):
        parts.append(f"## {title}")
        parts.extend(map(_said, path))
    return "\n\n".join(parts)


def _other_branches(archived: Archived) -> Iterable[tuple[str, list[Message]]]:
    children: dict[str, list[Branched]] = {}
    for each in archived.messages:
        children.setdefault(each.parent, []).append(each)
    done = set(archived.shown)
    number = 1
    for each in archived.messages:
        if each.message.id in done:
            continue
        path, here = [], each
        while True:  # down the first of what is behind it; the others begin a branch of their own
            path.append(here.message)
            done.add(here.message.id)
            behind = [child for child in children.get(here.message.id, ()) if child.message.id not in done]
            if not behind:
                break
            here = behind[0]
        number += 1
        before = archived_text(archived, each.parent)
        where = f", behind “{_one_line(before)[:60]}”" if before else ""
        yield f"Another version, {number}{where}", path


def archived_text(archived: Archived, message_id: str) -> str:
    return next((each.message.text for each in archived.messages if each.message.id == message_id), "")


def _said(message: Message) -> str:
    who = {"user": "I", TRANSCRIPT: "Transcript"}.get(message.role) or _answered_by(message)
    lines = [f"**{who}**, {_when(message.created_at)}"]
    lines.extend(f"*Picture: {_one_line(picture.name) or picture.sha256[:8]}*" for picture in message.pictures)
    if message.thinking.strip():
        lines.append("<details><summary>Thought</summary>\n\n" + message.thinking.strip() + "\n\n</details>")
    said = _lines_with_times(message.text) if message.role == TRANSCRIPT else _with_seams(message)
    lines.append(said.strip() or "*(without a word)*")
    if message.status == "stopped":
        lines.append("*Stopped.*")
    if message.error is not None:
        lines.append(f"*{_one_line(message.error.title)}*")
    return "\n\n".join(lines)


def _lines_with_times(text: str) -> str:
    transcript = read(text)
    lines = [f"{line.start_ms // 60_000}:{line.start_ms // 1000 % 60:02}  {line.text}" for line in transcript.lines]
    return "\n\n".join([f"*{_one_line(transcript.file)}*", *lines])


def _answered_by(message: Message) -> str:
    stats = message.stats
    if stats is None:
        return "Answer"
    return ", ".join(part for part in (_one_line(stats.who), _one_line(stats.model), stats.path) if part)


def _with_seams(message: Message) -> str:
    text, parts, at = message.text, [], 0
    marks = [(offset, f"*— {_one_line(sentence)}*") for offset, sentence in message.seams]
    marks += [(use.offset, _use(use)) for use in message.tools]
    for offset, mark in sorted(marks, key=lambda mark: mark[0]):
        parts.append(text[at:offset].strip("\n") if at else text[at:offset].rstrip())
        parts.append(mark)
        at = offset
    parts.append(text[at:].lstrip() if message.seams and start_of(message.seams) == at else text[at:])
    return "\n\n".join(part for part in parts if part.strip())


def _use(use: ToolUse) -> str:
    """Folded, as what a model thought: what was asked, and what came back."""
    name = " ".join(part for part in (_one_line(use.server), f"`{_one_line(use.tool)}`" if use.tool else "") if part)
    head = f"<details><summary>{escape(name or 'Not a call of a tool')}, {use.state.value}</summary>"
    asked, result = _fenced(use.arguments), _fenced(use.result)
    return "\n\n".join(part for part in (head, asked, result, "</details>") if part)


def _fenced(text: str) -> str:
    """A block of code, whatever stands in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}" if text else ""


def _parameters(wanted: Parameters) -> str:
    named = (
        ("Temperature", wanted.temperature),
        ("Top-p", wanted.top_p),
        ("Longest answer", wanted.max_tokens),
        ("Seed", wanted.seed),
        ("JSON schema", "yes" if wanted.schema else None),
    )
    numbers = ", ".join(f"{name}: {value}" for name, value in named if value is not None)
    quoted = "\n".join(f"> {line}" for line in wanted.instructions.strip().splitlines())
    return "\n\n".join(part for part in (quoted, numbers) if part)


def _when(at: float) -> str:
    try:
        return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "no date"


def _one_line(text: str) -> str:
    return " ".join(text.split())
