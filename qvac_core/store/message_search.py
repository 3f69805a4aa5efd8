"""Finding a text in all conversations while it is typed: an index of three letters each, kept by SQLite itself.

https://sqlite.org/fts5.html#the_trigram_tokenizer. Ten thousand conversations take about 20 ms; without the index a
second. Texts of one or two letters have no index: then titles are searched, and the newest messages.
"""

from __future__ import annotations

from typing import Final

from qvac_core.store.conversations import Conversations, folding
from qvac_core.store.database import Database
from qvac_core.store.records import Conversation, Hit

INDEXED: Final = 3  # letters that a text needs for the index
# Of a text that stands nearly everywhere: the newest messages with it. All of them would take a second to collect.
MESSAGES_MOST: Final = 3000
TRIGRAMS_MOST: Final = 12
NEWEST: Final = 2000  # messages that are looked through for one or two letters
HITS_MOST: Final = 200  # conversations that are told of: nobody reads on
BEFORE, AFTER = 24, 80  # letters around what was found


class MessageSearch:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._conversations = Conversations(database)

    def hits(self, text: str) -> tuple[Hit, ...]:
        """One of each conversation that contains the text, in any case, pinned and newest first; () for no text.

        That of a message is its newest one, whichever branch it stands on; where the title has it, too, both are told.
        """
        wanted = " ".join(text.split())
        if not wanted:
            return ()
        found = self._messages(wanted)
        there = self._conversations.titled(wanted, tuple(found), HITS_MOST)
        texts = self._texts([found[c.id] for c in there if c.id in found])
        return tuple(_hit(c, found.get(c.id), texts, wanted) for c in there)

    def _messages(self, wanted: str) -> dict[str, int]:
        """The number of the newest message with it, by conversation."""
        fold, folded = folding(wanted)
        values: tuple[str | int, ...] = (NEWEST,)
        candidates = "SELECT number FROM messages ORDER BY number DESC LIMIT ?"
        if len(wanted) >= INDEXED:
            values = (_trigrams(wanted), MESSAGES_MOST)
            candidates = "SELECT rowid FROM message_index WHERE message_index MATCH ? ORDER BY rowid DESC LIMIT ?"
        rows = self._database.rows(
            f"SELECT conversation_id, max(number) FROM messages WHERE number IN ({candidates}) "
            f"AND instr({fold}(text), ?) GROUP BY conversation_id",
            (*values, folded),
        )
        return dict(tuple(row) for row in rows)

    def _texts(self, numbers: list[int]) -> dict[int, tuple[str, str]]:
        """Id and text by number."""
        texts: dict[int, tuple[str, str]] = {}
        for start in range(0, len(numbers), 500):  # a statement takes so many places at once, and more
            some = numbers[start : start + 500]
            places = ", ".join("?" * len(some))
            rows = self._database.rows(f"SELECT number, id, text FROM messages WHERE number IN ({places})", some)
            texts.update((number, (id, text)) for number, id, text in rows)
        return texts


def _trigrams(text: str) -> str:
    """The index's question: all of these three letters in a row, some of a long text."""
    starts = range(len(text) - INDEXED + 1)
    step = -(-len(starts) // TRIGRAMS_MOST)
    parts = dict.fromkeys(text[start : start + INDEXED] for start in starts[::step])
    return " AND ".join('"' + part.replace('"', '""') + '"' for part in parts)


def _hit(conversation: Conversation, number: int | None, texts: dict[int, tuple[str, str]], wanted: str) -> Hit:
    if number is None or number not in texts:
        return Hit(conversation)
    id, text = texts[number]
    at = text.lower().find(wanted.lower())
    if at < 0:  # lower case has another length in some languages, and white space may be another
        return Hit(conversation, id, _line(text[:AFTER]))
    end = at + len(wanted)
    start = max(0, at - BEFORE)
    if start:  # from a word's beginning
        start = min(at, text.find(" ", start, at) + 1 or start)
    before = ("… " if start else "") + _line(text[start:at])
    return Hit(conversation, id, before, _line(text[at:end]), _line(text[end : end + AFTER]))


def _line(text: str) -> str:
    """Without line ends; white space at the edges stays, as it stands between the parts."""
    return "".join(" " if letter.isspace() else letter for letter in text)
