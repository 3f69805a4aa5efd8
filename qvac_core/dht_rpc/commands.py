"""Numbers that every dht-rpc node agrees on: internal commands, errors, timings, sizes.

docs/wire/hyperdht.md section 1; dht-rpc 6.27.0 `lib/commands.js`, `lib/errors.js`, `index.js`.
"""

from __future__ import annotations

from enum import IntEnum


class SocketId(IntEnum):
    """Where a datagram came in or goes out. Sockets of the pool have numbers from 2 on."""

    SERVER = 0
    CLIENT = 1


class Internal(IntEnum):
    """Commands of dht-rpc itself (flag 4 of a request); all others are the user's."""

    PING = 0
    PING_NAT = 1
    FIND_NODE = 2
    DOWN_HINT = 3
    DELAYED_PING = 4


class ReplyError(IntEnum):
    """What the `error` field of a response says; users add numbers from 16 on."""

    NONE = 0
    UNKNOWN_COMMAND = 1
    INVALID_TOKEN = 2


K = 20
"""Nodes per table row, closest replies per query, closer nodes per response."""

DEFAULT_RETRIES = 3
QUERY_RETRIES = 5
DEFAULT_CONCURRENCY = 10
BACKGROUND_CONCURRENCY = 2
SLOWED_CONCURRENCY = 3

ATTEMPT_TIMEOUT = 1.0
"""Seconds until a request is sent again."""

TICK = 5.0
SLEEP_GAP = 3 * TICK
"""A tick that comes later than this (seconds) means that the machine slept."""

STABLE_TICKS = 240
MORE_STABLE_TICKS = 3 * STABLE_TICKS
REFRESH_TICKS = 60
RECENT_NODE = 12
"""Ticks: heard of within the last minute."""

OLD_NODE = 360
"""Ticks: known for half an hour."""

MAX_DELAYED_PING = 10_000
"""Milliseconds, as they travel in the request."""
