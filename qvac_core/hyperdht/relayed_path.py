"""A connection that runs through a relay, and its move to a direct path while it is in use.

From wire reference sections 5.10 and 6.7 (`confirmDirectUpgrade` of hyperdht/lib/relay-connection.js 6.34.0). The
original gives the relay up on the first data that arrives directly; here something of ours must have been
acknowledged on the direct path, too, and a path that turns out to lead one way only is left again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.connection import Connection
from qvac_core.hyperdht.raw_stream import LINGER, RawStream
from qvac_core.hyperdht.relay_leg import RelayLeg

if TYPE_CHECKING:
    from qvac_core.hyperdht.dht import DHT

MOVE_LIMIT = 4.0
"""Seconds for a direct path to prove itself in both directions; three retransmissions fit in."""
_SHOW_EVERY = 0.5
_MAX_MOVES = 4
_LOST_GRACE = 1.5
"""Seconds after the relay went in which the stream may still end in order: what it carried may be on its way."""


class _State(Enum):
    RELAYED = auto()
    MOVING = auto()
    DIRECT = auto()
    OVER = auto()


class RelayedPath:
    """Takes over a stream that is connected through `leg`. `on_settled` is called once: it is direct now, or closed."""

    def __init__(
        self,
        dht: DHT,
        raw: RawStream,
        connection: Connection,
        leg: RelayLeg,
        direct_id: int,
        on_settled: Callable[[], None],
    ) -> None:
        self._loop = dht.endpoint.loop
        self._raw = raw
        self._connection = connection
        self._leg = leg
        self._direct_id = direct_id
        self._on_settled = on_settled
        self._state = _State.RELAYED
        self._target: tuple[int, Address] | None = None
        self._heard_there = False
        self._moves = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        connection.go_through(leg.relay)
        connection.when_closed(self._on_closed)
        raw.on_unexpected = None
        raw.on_heard = self._on_heard
        leg.on_lost = self._on_relay_lost
        if leg.lost:
            self._on_relay_lost()

    @property
    def settled(self) -> bool:
        return self._state in (_State.DIRECT, _State.OVER)

    def found(self, socket: int, address: Address) -> None:
        """A direct path that is believed to work: by a ping, a punch, or a packet that came that way."""
        if self._state is not _State.RELAYED or self._moves >= _MAX_MOVES or (socket, address) == self._leg.path:
            return
        self._moves += 1
        self._state = _State.MOVING
        self._target = (socket, address)
        self._heard_there = False
        self._deadline = self._loop.time() + MOVE_LIMIT
        self._raw.move(socket, address, self._direct_id)
        # Something to be acknowledged; a JavaScript peer lets the relay go when data comes directly.
        self._connection.write_keep_alive()
        self._set_timer(_SHOW_EVERY)

    def _on_heard(self, socket: int, source: Address) -> None:
        if (socket, source) == self._leg.path:
            return
        if self._state is _State.RELAYED:
            self.found(socket, source)
        elif self._state is _State.MOVING:
            self._heard_there = self._heard_there or (socket, source) == self._target
            if self._heard_there and self._raw.stream.remote_confirmed:
                self._settle()

    def _settle(self) -> None:
        self._state = _State.DIRECT
        self._connection.go_through(None)
        self._raw.on_heard = None
        self._stop_timer()
        self._raw.show_path()  # the peer may be waiting for a word on this path
        self._leg.close()
        self._loop.call_soon(self._on_settled)

    def _on_timer(self) -> None:
        self._timer = None
        if self._state is not _State.MOVING:
            return
        if self._loop.time() < self._deadline or self._leg.lost:
            self._raw.show_path()
            self._set_timer(_SHOW_EVERY)
        else:
            self._state = _State.RELAYED
            self._raw.move(*self._leg.path, self._leg.remote_id)

    def _on_relay_lost(self) -> None:
        if self._state is _State.RELAYED:
            self._set_timer(_LOST_GRACE, self._give_up)

    def _give_up(self) -> None:
        if self._state is _State.RELAYED:
            self._connection.destroy(
                ConnectionClosed("The relay between us and the peer went away.", name="ECONNRESET")
            )

    def _on_closed(self, connection: Connection) -> None:
        was_settled = self.settled
        self._state = _State.OVER
        self._stop_timer()
        if not was_settled:
            if connection.error is None:
                # The peer may not have our last acknowledgement yet.
                self._set_timer(LINGER, self._leg.close)
            else:
                self._leg.close()
            self._on_settled()

    def _set_timer(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, then or self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
