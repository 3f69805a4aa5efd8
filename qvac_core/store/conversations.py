"""The chats: conversations and their messages, each change on the disk before the call returns."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from qvac_core.errors import StoreError
from qvac_core.store.database import Database, Value
from qvac_core.store.records import (
    AnswerStats,
    Conversation,
    ConversationTools,
    Draft,
    ErrorInfo,
    Message,
    Parameters,
    Picture,
    Preset,
    Target,
    ToolUse,
)

_CONVERSATION: Final = (
    "id, title, created_at, updated_at, pinned, provider_key, model, parameters, preset, others, tools"
)
_MESSAGE: Final = "id, role, text, created_at, status, stats, error, seams, thinking, model_sha256, pictures, tools"
Ids = list[str]  # the class has a method of the type's name
_PLACES: Final = ", ".join("?" * len(_MESSAGE.split(",")))
# The messages that are shown, from the first on.
_PATH: Final = (
    "WITH RECURSIVE path(at, depth) AS (SELECT first, 0 FROM conversations WHERE id = ? UNION ALL "
    "SELECT messages.next, depth + 1 FROM path JOIN messages ON messages.id = path.at WHERE messages.next != '')"
)
_ORDER: Final = "ORDER BY pinned DESC, updated_at DESC, rowid DESC"


def folding(text: str) -> tuple[str, str]:
    """The SQL function under which texts are compared in any case, and this text under it.

    SQLite's own knows A to Z alone and is ten times as fast as ours; for a text of those letters it is enough.
    """
    return ("lower", text.lower()) if text.isascii() else ("casefolded", text.casefold())


def new_id() -> str:
    """An id for a conversation or a message that nobody has used."""
    return uuid.uuid4().hex


class Conversations:
    """Messages form a tree, of which one path is shown. Times are seconds since 1970, ids of 32 hexadecimal digits.

    Called in the database's thread (`Database.run`). StoreError where a conversation or message is not there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, target: Target, now: float, *, title: str = "") -> Conversation:
        conversation = Conversation(new_id(), title, now, now, False, target)
        self._database.execute(
            f"INSERT INTO conversations ({_CONVERSATION}) VALUES (?, ?, ?, ?, 0, ?, ?, '{{}}', '', '[]', '{{}}')",
            (conversation.id, title, now, now, target.provider_key, target.model),
        )
        return conversation

    def list(self) -> tuple[Conversation, ...]:
        """Pinned ones first, then the most recently changed."""
        return tuple(map(_conversation, self._database.rows(f"SELECT {_CONVERSATION} FROM conversations {_ORDER}")))

    def get(self, conversation_id: str) -> Conversation:
        """Raises StoreError NO_SUCH_CONVERSATION."""
        rows = self._database.rows(f"SELECT {_CONVERSATION} FROM conversations WHERE id = ?", (conversation_id,))
        if not rows:
            raise _missing()
        return _conversation(rows[0])

    def search(self, text: str) -> tuple[Conversation, ...]:
        """Those whose title or messages contain the text, in any case; all of them for no text."""
        needle = text.strip().casefold()
        rows = self._database.rows(
            f"SELECT {_CONVERSATION} FROM conversations AS c WHERE instr(casefolded(title), ?) OR EXISTS "
            f"(SELECT 1 FROM messages WHERE conversation_id = c.id AND instr(casefolded(text), ?)) {_ORDER}",
            (needle, needle),
        )
        return tuple(map(_conversation, rows))

    def titled(self, text: str, others: Sequence[str], most: int) -> tuple[Conversation, ...]:
        """So many of those whose title contains the text, in any case, or whose id is one of `others`, in order."""
        fold, folded = folding(text)
        rows = self._database.rows(
            f"SELECT {_CONVERSATION} FROM conversations WHERE instr({fold}(title), ?) "
            f"OR id IN (SELECT value FROM json_each(?)) {_ORDER} LIMIT ?",
            (folded, msgspec.json.encode(others).decode(), most),
        )
        return tuple(map(_conversation, rows))

    def rename(self, conversation_id: str, title: str) -> None:
        self._change(conversation_id, "title = ?", title)

    def pin(self, conversation_id: str, pinned: bool) -> None:
        self._change(conversation_id, "pinned = ?", int(pinned))

    def set_target(self, conversation_id: str, target: Target) -> None:
        self._change(conversation_id, "provider_key = ?, model = ?", target.provider_key, target.model)

    def delete(self, conversation_id: str) -> None:
        """The conversation and all its messages; one that is gone already is fine."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))
            connection.execute("DELETE FROM drafts WHERE conversation_id = ?", (conversation_id,))

    def messages(self, conversation_id: str) -> tuple[Message, ...]:
        """The path that is shown, from its first message on."""
        rows = self._database.rows(
            f"{_PATH} SELECT {_MESSAGE} FROM path JOIN messages ON messages.id = path.at ORDER BY depth",
            (conversation_id,),
        )
        branches = self._branches(conversation_id)
        return tuple(_message(row, branches.get(row[0], ())) for row in rows)

    def tree(self, conversation_id: str) -> tuple[tuple[Message, str], ...]:
        """All messages of all branches, each with the id of the one before it ("" = it begins), oldest first."""
        rows = self._database.rows(
            f"SELECT {_MESSAGE}, parent FROM messages WHERE conversation_id = ? ORDER BY number", (conversation_id,)
        )
        branches = self._branches(conversation_id)
        return tuple((_message(row[:-1], branches.get(row[0], ())), row[-1]) for row in rows)

    def _branches(self, conversation_id: str) -> dict[str, tuple[str, ...]]:
        """Of every message that is not alone in its place, all that stand there."""
        places: dict[str, Ids] = {}
        for id, parent in self._database.rows(
            "SELECT id, parent FROM messages WHERE conversation_id = ? ORDER BY number", (conversation_id,)
        ):
            places.setdefault(parent, []).append(id)
        return {id: tuple(ids) for ids in places.values() if len(ids) > 1 for id in ids}

    def append(
        self, conversation_id: str, message: Message, now: float, *, after: str | None = None, drop: Sequence[str] = ()
    ) -> None:
        """Behind the path that is shown, or as one more branch behind another message; it is shown from now on.

        after: that message's id, "" = one more that begins. drop: ids of messages that go when this one is there; one
        with something behind it stays. Raises StoreError NO_SUCH_CONVERSATION, NO_SUCH_MESSAGE.
        """
        with self._database.transaction() as connection:
            touched = connection.execute(
                "UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation_id)
            ).rowcount
            if not touched:
                raise _missing()
            parent = _last_shown(connection, conversation_id) if after is None else after
            _require_message(connection, conversation_id, parent)
            connection.execute(
                f"INSERT INTO messages (conversation_id, parent, {_MESSAGE}) VALUES (?, ?, {_PLACES})",
                (conversation_id, parent, *_values(message)),
            )
            connection.executemany(
                "DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.parent = ?1 "
                "AND m.conversation_id = ?2)",
                [(id, conversation_id) for id in drop],
            )
            _show(connection, conversation_id, parent, message.id)

    def take_in(self, given: Sequence[tuple[Conversation, Sequence[tuple[Message, str]], Sequence[str]]]) -> None:
        """Conversations from elsewhere, all or none: (it, each message with the id before it, ids that are shown).

        Raises StoreError.
        """
        with self._database.transaction() as connection:
            for conversation, messages, shown in given:
                target, others = conversation.target, msgspec.json.encode(conversation.others).decode()
                parameters = msgspec.json.encode(conversation.parameters).decode()
                times = (conversation.created_at, conversation.updated_at, int(conversation.pinned))
                asked = (target.provider_key, target.model, parameters, conversation.preset, others)
                connection.execute(
                    f"INSERT INTO conversations ({_CONVERSATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{{}}')",
                    (conversation.id, conversation.title, *times, *asked),
                )
                connection.executemany(
                    f"INSERT INTO messages (conversation_id, parent, {_MESSAGE}) VALUES (?, ?, {_PLACES})",
                    [(conversation.id, parent, *_values(message)) for message, parent in messages],
                )
                for message, parent in messages:  # where nothing else is said, the newest of each place
                    _show(connection, conversation.id, parent, message.id)
                for parent, id in zip(("", *shown), shown, strict=False):
                    _show(connection, conversation.id, parent, id)

    def show(self, conversation_id: str, message_id: str) -> None:
        """That branch, with what was last shown behind it. Raises StoreError NO_SUCH_MESSAGE."""
        with self._database.transaction() as connection:
            parent = _require_message(connection, conversation_id, message_id)
            _show(connection, conversation_id, parent, message_id)

    def show_to(self, conversation_id: str, message_id: str) -> None:
        """The path on which that message is. Raises StoreError NO_SUCH_MESSAGE."""
        with self._database.transaction() as connection:
            at = message_id
            while at:
                parent = _require_message(connection, conversation_id, at)
                _show(connection, conversation_id, parent, at)
                at = parent

    def hang(self, conversation_id: str, message_id: str, behind: str) -> None:
        """Move a message, with all that is behind it, to another place. Raises StoreError NO_SUCH_MESSAGE."""
        with self._database.transaction() as connection:
            parent = _require_message(connection, conversation_id, message_id)
            connection.execute("UPDATE messages SET next = '' WHERE id = ? AND next = ?", (parent, message_id))
            connection.execute("UPDATE messages SET parent = ? WHERE id = ?", (behind, message_id))
            _show(connection, conversation_id, behind, message_id)

    def parent(self, conversation_id: str, message_id: str) -> str:
        """The id of the message before it, "" where it begins. Raises StoreError NO_SUCH_MESSAGE."""
        rows = self._database.rows(
            "SELECT parent FROM messages WHERE id = ? AND conversation_id = ?", (message_id, conversation_id)
        )
        if not rows:
            raise _no_message()
        return str(rows[0][0])

    def message(self, conversation_id: str, message_id: str) -> Message:
        """Raises StoreError NO_SUCH_MESSAGE."""
        rows = self._database.rows(
            f"SELECT {_MESSAGE} FROM messages WHERE id = ? AND conversation_id = ?", (message_id, conversation_id)
        )
        if not rows:
            raise _no_message()
        return _message(rows[0])

    def set_parameters(self, conversation_id: str, parameters: Parameters, preset: str) -> None:
        kept = msgspec.json.encode(parameters).decode()
        self._change(conversation_id, "parameters = ?, preset = ?", kept, preset)

    def set_others(self, conversation_id: str, others: Sequence[Target]) -> None:
        self._change(conversation_id, "others = ?", msgspec.json.encode(tuple(others)).decode())

    def set_tools(self, conversation_id: str, tools: ConversationTools) -> None:
        self._change(conversation_id, "tools = ?", msgspec.json.encode(tools).decode())

    def presets(self) -> tuple[Preset, ...]:
        """By name."""
        rows = self._database.rows("SELECT name, parameters FROM presets ORDER BY casefolded(name), name")
        return tuple(Preset(name, msgspec.json.decode(kept, type=Parameters)) for name, kept in rows)

    def keep_preset(self, preset: Preset) -> None:
        """In the place of one of that name."""
        kept = msgspec.json.encode(preset.parameters).decode()
        self._database.execute("INSERT OR REPLACE INTO presets VALUES (?, ?)", (preset.name, kept))

    def remove_preset(self, name: str) -> None:
        self._database.execute("DELETE FROM presets WHERE name = ?", (name,))

    def update(self, message: Message) -> None:
        """Replace the message of that id, in its place; one whose conversation was deleted meanwhile is fine."""
        id, *values = _values(message)
        self._database.execute(
            "UPDATE messages SET role = ?, text = ?, created_at = ?, status = ?, stats = ?, error = ?, seams = ?, "
            "thinking = ?, model_sha256 = ?, pictures = ?, tools = ? WHERE id = ?",
            (*values, id),
        )

    def pictures(self) -> frozenset[str]:
        """The hashes of all pictures that a message has."""
        rows = self._database.rows("SELECT pictures FROM messages WHERE pictures != '[]'")
        lists = (msgspec.json.decode(pictures, type=tuple[Picture, ...]) for (pictures,) in rows)
        return frozenset(picture.sha256 for each in lists for picture in each)

    def drafts(self) -> dict[str, Draft]:
        """What is written and not sent, by conversation; "" and what begins with "+" for those not there yet."""
        rows = self._database.rows("SELECT conversation_id, text, pasted, waiting FROM drafts")
        return {
            id: Draft(text, msgspec.json.decode(pasted, type=tuple[str, ...]), bool(waiting))
            for id, text, pasted, waiting in rows
        }

    def keep_draft(self, conversation_id: str, draft: Draft) -> None:
        """In the place of the one before; an empty one is none. One of a conversation that is gone is not kept."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM drafts WHERE conversation_id = ?", (conversation_id,))
            if draft.message:
                pasted = msgspec.json.encode(draft.pasted).decode()
                connection.execute(
                    "INSERT INTO drafts SELECT ?1, ?2, ?3, ?4 "
                    "WHERE ?1 = '' OR ?1 LIKE '+%' OR EXISTS (SELECT 1 FROM conversations WHERE id = ?1)",
                    (conversation_id, draft.text, pasted, int(draft.waiting)),
                )

    def close_unfinished(self) -> int:
        """At start: answers that a crash or a power cut interrupted keep their text as "stopped"; how many."""
        return self._database.execute("UPDATE messages SET status = 'stopped' WHERE status = 'streaming'")

    def _change(self, conversation_id: str, assignment: str, *values: Value) -> None:
        if not self._database.execute(
            f"UPDATE conversations SET {assignment} WHERE id = ?", (*values, conversation_id)
        ):
            raise _missing()


def _no_message() -> StoreError:
    return StoreError("This message does not exist any more.", name="NO_SUCH_MESSAGE")


def _missing() -> StoreError:
    return StoreError("This conversation does not exist any more.", name="NO_SUCH_CONVERSATION")


def _conversation(row: sqlite3.Row) -> Conversation:
    id, title, created_at, updated_at, pinned, provider_key, model, parameters, preset, others, tools = row
    return Conversation(
        id,
        title,
        created_at,
        updated_at,
        bool(pinned),
        Target(provider_key, model),
        Parameters() if parameters == "{}" else msgspec.json.decode(parameters, type=Parameters),
        preset,
        () if others == "[]" else msgspec.json.decode(others, type=tuple[Target, ...]),
        ConversationTools() if tools == "{}" else msgspec.json.decode(tools, type=ConversationTools),
    )


def _last_shown(connection: sqlite3.Connection, conversation_id: str) -> str:
    """The id of the last message of the path that is shown, "" for none."""
    row = connection.execute(
        f"{_PATH} SELECT at FROM path ORDER BY depth DESC LIMIT 1",
        (conversation_id,),
    ).fetchone()
    return str(row[0])


def _require_message(connection: sqlite3.Connection, conversation_id: str, message_id: str) -> str:
    """The id before it; of "", which is before all, "". Raises StoreError NO_SUCH_MESSAGE."""
    if not message_id:
        return ""
    row = connection.execute(
        "SELECT parent FROM messages WHERE id = ? AND conversation_id = ?", (message_id, conversation_id)
    ).fetchone()
    if row is None:
        raise _no_message()
    return str(row[0])


def _show(connection: sqlite3.Connection, conversation_id: str, parent: str, message_id: str) -> None:
    if parent:
        connection.execute("UPDATE messages SET next = ? WHERE id = ?", (message_id, parent))
    else:
        connection.execute("UPDATE conversations SET first = ? WHERE id = ?", (message_id, conversation_id))


def _values(message: Message) -> tuple[Value, ...]:
    return (
        message.id,
        message.role,
        message.text,
        message.created_at,
        message.status,
        None if message.stats is None else msgspec.json.encode(message.stats).decode(),
        None if message.error is None else msgspec.json.encode(message.error).decode(),
        msgspec.json.encode(message.seams).decode(),
        message.thinking,
        message.model_sha256,
        msgspec.json.encode(message.pictures).decode(),
        msgspec.json.encode(message.tools).decode(),
    )


def _message(row: Sequence[Any], branches: tuple[str, ...] = ()) -> Message:
    id, role, text, created_at, status, stats, error, seams, thinking, model_sha256, pictures, tools = row
    return Message(
        id,
        role,
        text,
        created_at,
        status,
        None if stats is None else msgspec.json.decode(stats, type=AnswerStats),
        None if error is None else msgspec.json.decode(error, type=ErrorInfo),
        msgspec.json.decode(seams, type=tuple[tuple[int, str], ...]),
        thinking,
        model_sha256,
        msgspec.json.decode(pictures, type=tuple[Picture, ...]),
        branches,
        () if tools == "[]" else msgspec.json.decode(tools, type=tuple[ToolUse, ...]),
    )
