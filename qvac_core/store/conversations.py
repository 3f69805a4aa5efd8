"""The chats: conversations and their messages, each change on the disk before the call returns.

PRODUCT.md "Chat (guest)".
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec

from qvac_core.errors import StoreError
from qvac_core.store.database import Database, Value
from qvac_core.store.records import AnswerStats, Conversation, Draft, ErrorInfo, Message, Picture, Target

_CONVERSATION: Final = "id, title, created_at, updated_at, pinned, provider_key, model"
_MESSAGE: Final = "id, role, text, created_at, status, stats, error, seams, thinking, model_sha256, pictures"
_ORDER: Final = "ORDER BY pinned DESC, updated_at DESC, rowid DESC"


def new_id() -> str:
    """An id for a conversation or a message that nobody has used."""
    return uuid.uuid4().hex


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, target: Target, now: float, *, title: str = "") -> Conversation:
        conversation = Conversation(new_id(), title, now, now, False, target)
        self._database.execute(
            f"INSERT INTO conversations ({_CONVERSATION}) VALUES (?, ?, ?, ?, 0, ?, ?)",
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
        """In the order in which they were appended."""
        rows = self._database.rows(
            f"SELECT {_MESSAGE} FROM messages WHERE conversation_id = ? ORDER BY number", (conversation_id,)
        )
        return tuple(map(_message, rows))

    def append(self, conversation_id: str, message: Message, now: float, *, in_place_of: Sequence[str] = ()) -> None:
        """in_place_of: ids of messages that go when this one is there. Raises StoreError NO_SUCH_CONVERSATION."""
        with self._database.transaction() as connection:
            touched = connection.execute(
                "UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation_id)
            ).rowcount
            if not touched:
                raise _missing()
            connection.execute(
                f"INSERT INTO messages (conversation_id, {_MESSAGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation_id, *_values(message)),
            )
            connection.executemany("DELETE FROM messages WHERE id = ?", [(id,) for id in in_place_of])

    def update(self, message: Message) -> None:
        """Replace the message of that id, in its place; one whose conversation was deleted meanwhile is fine."""
        id, *values = _values(message)
        self._database.execute(
            "UPDATE messages SET role = ?, text = ?, created_at = ?, status = ?, stats = ?, error = ?, seams = ?, "
            "thinking = ?, model_sha256 = ?, pictures = ? WHERE id = ?",
            (*values, id),
        )

    def pictures(self) -> frozenset[str]:
        """The hashes of all pictures that a message has."""
        rows = self._database.rows("SELECT pictures FROM messages WHERE pictures != '[]'")
        lists = (msgspec.json.decode(pictures, type=tuple[Picture, ...]) for (pictures,) in rows)
        return frozenset(picture.sha256 for each in lists for picture in each)

    def drafts(self) -> dict[str, Draft]:
        """What is written and not sent, by conversation; "" for the one that is not there yet."""
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
                    "WHERE ?1 = '' OR EXISTS (SELECT 1 FROM conversations WHERE id = ?1)",
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


def _missing() -> StoreError:
    return StoreError("This conversation does not exist any more.", name="NO_SUCH_CONVERSATION")


def _conversation(row: sqlite3.Row) -> Conversation:
    id, title, created_at, updated_at, pinned, provider_key, model = row
    return Conversation(id, title, created_at, updated_at, bool(pinned), Target(provider_key, model))


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
    )


def _message(row: sqlite3.Row) -> Message:
    id, role, text, created_at, status, stats, error, seams, thinking, model_sha256, pictures = row
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
    )
