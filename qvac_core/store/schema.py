"""The database's schema as data: entry N of MIGRATIONS turns version N into version N + 1.

Ours. A released entry is never edited: a change is one more entry, with its test in tests/unit/test_store_database.py.
"""

from __future__ import annotations

from typing import Final

# One migration: statements that run in one transaction together with the new version number.
Migration = tuple[str, ...]

_VERSION_1: Final[Migration] = (
    """CREATE TABLE requests (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        remote_public_key TEXT NOT NULL,
        method TEXT NOT NULL,
        model TEXT NOT NULL,
        started_at REAL NOT NULL,
        ms REAL NOT NULL DEFAULT 0,
        prompt_tokens INTEGER NOT NULL DEFAULT 0,
        generated_tokens INTEGER NOT NULL DEFAULT 0,
        outcome TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT ''
    )""",
    "CREATE INDEX requests_by_time ON requests (started_at)",
    "CREATE INDEX requests_by_id ON requests (id)",
    # Apart from the log: clearing or pruning the log must not refill anybody's quota.
    """CREATE TABLE token_usage (
        remote_public_key TEXT NOT NULL,
        day TEXT NOT NULL,
        tokens INTEGER NOT NULL,
        PRIMARY KEY (remote_public_key, day)
    ) WITHOUT ROWID""",
    """CREATE TABLE access_keys (
        public_key TEXT PRIMARY KEY CHECK (length(public_key) = 64),
        name TEXT NOT NULL,
        blocked INTEGER NOT NULL,
        added_at REAL NOT NULL,
        expires_at REAL,
        last_seen REAL,
        tokens_per_day INTEGER,
        parallel INTEGER
    )""",
    """CREATE TABLE providers (
        public_key TEXT PRIMARY KEY CHECK (length(public_key) = 64),
        name TEXT NOT NULL,
        added_at REAL NOT NULL,
        last_connected REAL,
        last_model TEXT NOT NULL DEFAULT '',
        relays TEXT NOT NULL DEFAULT '[]'
    )""",
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        pinned INTEGER NOT NULL DEFAULT 0,
        provider_key TEXT NOT NULL DEFAULT '',
        model TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE messages (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        role TEXT NOT NULL,
        text TEXT NOT NULL,
        created_at REAL NOT NULL,
        status TEXT NOT NULL,
        stats TEXT,
        error TEXT,
        seams TEXT NOT NULL DEFAULT '[]'
    )""",
    "CREATE INDEX messages_by_conversation ON messages (conversation_id, number)",
)

# What a model thought before its answer is kept apart from it: a kept conversation does not send it back.
_VERSION_2: Final[Migration] = ("ALTER TABLE messages ADD COLUMN thinking TEXT NOT NULL DEFAULT ''",)

# An answer that broke off can go on only in the model file that began it.
_VERSION_3: Final[Migration] = ("ALTER TABLE messages ADD COLUMN model_sha256 TEXT NOT NULL DEFAULT ''",)

# The conversation "" is the one that nobody has written in yet.
_VERSION_4: Final[Migration] = (
    """CREATE TABLE drafts (
        conversation_id TEXT PRIMARY KEY,
        text TEXT NOT NULL,
        pasted TEXT NOT NULL,
        waiting INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

# Who knocked waits for the owner's word, over a restart too.
_VERSION_5: Final[Migration] = (
    """CREATE TABLE knocks (
        public_key TEXT PRIMARY KEY CHECK (length(public_key) = 64),
        at REAL NOT NULL
    ) WITHOUT ROWID""",
)

# Not every request is a chat: seconds of audio, texts.
_VERSION_6: Final[Migration] = (
    "ALTER TABLE requests ADD COLUMN amount REAL NOT NULL DEFAULT 0",
    "ALTER TABLE requests ADD COLUMN unit TEXT NOT NULL DEFAULT ''",
)

# Pictures beside a question: their hashes, types and names. The files lie beside the database.
_VERSION_7: Final[Migration] = ("ALTER TABLE messages ADD COLUMN pictures TEXT NOT NULL DEFAULT '[]'",)

# What was asked and answered goes with its request, whichever way that goes. Only of guests who were told.
_VERSION_8: Final[Migration] = (
    """CREATE TABLE request_contents (
        number INTEGER PRIMARY KEY REFERENCES requests (number) ON DELETE CASCADE,
        question TEXT NOT NULL,
        answer TEXT NOT NULL
    )""",
    "CREATE INDEX requests_by_key ON requests (remote_public_key, started_at)",
)

# A conversation is a tree: each message knows the one before it, and which of those behind it is shown; `first` is the
# shown one of those that begin. Until here it was one path, in the order of the messages. And what a conversation asks
# for: parameters and who answers when the first is away, as JSON of records.Parameters and of a list of records.Target.
_VERSION_9: Final[Migration] = (
    "ALTER TABLE conversations ADD COLUMN first TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE conversations ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE conversations ADD COLUMN preset TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE conversations ADD COLUMN others TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE messages ADD COLUMN parent TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE messages ADD COLUMN next TEXT NOT NULL DEFAULT ''",
    """UPDATE messages SET
        parent = coalesce((SELECT id FROM messages AS m WHERE m.conversation_id = messages.conversation_id
            AND m.number < messages.number ORDER BY m.number DESC LIMIT 1), ''),
        next = coalesce((SELECT id FROM messages AS m WHERE m.conversation_id = messages.conversation_id
            AND m.number > messages.number ORDER BY m.number LIMIT 1), '')""",
    """UPDATE conversations SET first = coalesce(
        (SELECT id FROM messages WHERE conversation_id = conversations.id ORDER BY number LIMIT 1), '')""",
    "CREATE TABLE presets (name TEXT PRIMARY KEY, parameters TEXT NOT NULL) WITHOUT ROWID",
)

# Downloads that are not done, and when each model was used last.
_VERSION_10: Final[Migration] = (
    """CREATE TABLE downloads (
        model TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        state TEXT NOT NULL,
        asked_at REAL NOT NULL,
        total INTEGER NOT NULL,
        source TEXT NOT NULL,
        source_name TEXT NOT NULL,
        share INTEGER NOT NULL,
        error TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE model_uses (
        sha256 TEXT PRIMARY KEY,
        at REAL NOT NULL
    ) WITHOUT ROWID""",
)

# What is said in all conversations can be found while it is typed. The index knows which messages
# have three letters in a row, not where: a third of the size, and the few candidates are looked at.
_VERSION_11: Final[Migration] = (
    "CREATE VIRTUAL TABLE message_index USING fts5(text, content='messages', content_rowid='number', "
    "tokenize='trigram', detail='none')",
    """CREATE TRIGGER message_index_added AFTER INSERT ON messages BEGIN
        INSERT INTO message_index (rowid, text) VALUES (new.number, new.text);
    END""",
    """CREATE TRIGGER message_index_removed AFTER DELETE ON messages BEGIN
        INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.number, old.text);
    END""",
    """CREATE TRIGGER message_index_changed AFTER UPDATE OF text ON messages WHEN old.text IS NOT new.text BEGIN
        INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.number, old.text);
        INSERT INTO message_index (rowid, text) VALUES (new.number, new.text);
    END""",
    "INSERT INTO message_index (message_index) VALUES ('rebuild')",
)

# What a key may do beyond what it could be told before; invites, and who came with them; knocks that were denied.
# models: a JSON list of names, NULL = all that are shared. hours: "08:00-20:00", "" = at any.
_VERSION_12: Final[Migration] = (
    "ALTER TABLE access_keys ADD COLUMN context_tokens INTEGER",
    "ALTER TABLE access_keys ADD COLUMN answer_tokens INTEGER",
    "ALTER TABLE access_keys ADD COLUMN models TEXT",
    "ALTER TABLE access_keys ADD COLUMN hours TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE access_keys ADD COLUMN mine INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE access_keys ADD COLUMN invite TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE access_keys ADD COLUMN extra_day TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE access_keys ADD COLUMN extra_tokens INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE invites (
        id TEXT PRIMARY KEY CHECK (length(id) = 32),
        name TEXT NOT NULL,
        made_at REAL NOT NULL,
        opens_until REAL,
        places INTEGER NOT NULL,
        access_seconds REAL,
        tokens_per_day INTEGER,
        parallel INTEGER,
        context_tokens INTEGER,
        answer_tokens INTEGER,
        models TEXT,
        hours TEXT NOT NULL DEFAULT '',
        grant_text TEXT NOT NULL,
        taken_back_at REAL,
        turned_away_at REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE invite_claims (
        invite TEXT NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
        public_key TEXT NOT NULL CHECK (length(public_key) = 64),
        at REAL NOT NULL,
        PRIMARY KEY (invite, public_key)
    ) WITHOUT ROWID""",
    """CREATE TABLE denials (
        public_key TEXT PRIMARY KEY CHECK (length(public_key) = 64),
        until REAL NOT NULL
    ) WITHOUT ROWID""",
)

# Tools of a conversation: servers by their names (the file is its owner's alone, as secrets may be among what they are
# started with), what each conversation may use, and the calls of each answer, as JSON of records.ToolServer,
# ConversationTools and a list of ToolUse.
_VERSION_13: Final[Migration] = (
    "CREATE TABLE tool_servers (name TEXT PRIMARY KEY, kept TEXT NOT NULL) WITHOUT ROWID",
    "ALTER TABLE conversations ADD COLUMN tools TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE messages ADD COLUMN tools TEXT NOT NULL DEFAULT '[]'",
)

# What was served, signed by both sides (store/receipts.py).
_VERSION_14: Final[Migration] = (
    """CREATE TABLE receipts (
        number INTEGER PRIMARY KEY,
        side TEXT NOT NULL,
        peer TEXT NOT NULL,
        request_id TEXT NOT NULL,
        id TEXT NOT NULL,
        method TEXT NOT NULL,
        model TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        generated_tokens INTEGER NOT NULL,
        amount REAL NOT NULL,
        unit TEXT NOT NULL,
        outcome TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        body BLOB NOT NULL,
        provider_signature BLOB NOT NULL,
        guest_signature BLOB NOT NULL,
        seen TEXT NOT NULL
    )""",
    "CREATE INDEX receipts_by_time ON receipts (started_at)",
    "CREATE INDEX receipts_by_peer ON receipts (side, peer, state, started_at)",
    "CREATE INDEX receipts_by_request ON receipts (request_id)",
    "CREATE INDEX receipts_by_id ON receipts (id)",
)

# Servers of other programs whose models this machine offers, as JSON of records.ModelServer. No key is in it.
_VERSION_15: Final[Migration] = (
    "CREATE TABLE model_servers (id TEXT PRIMARY KEY CHECK (length(id) = 32), kept TEXT NOT NULL) WITHOUT ROWID",
)

MIGRATIONS: Final[tuple[Migration, ...]] = (
    *(_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6),
    *(_VERSION_7, _VERSION_8, _VERSION_9, _VERSION_10, _VERSION_11, _VERSION_12),
    *(_VERSION_13, _VERSION_14, _VERSION_15),
)
