"""A connection that runs through a relay: its move to a direct path while it is in use, and to another relay.

From docs/wire/hyperdht.md sections 5.10 and 6.7 (`confirmDirectUpgrade` of hyperdht/lib/relay-connection.js 6.34.0).
The original gives the relay up on the first data that arrives directly; here something of ours must have been
acknowledged on the direct path, too, and a path that turns out to lead one way only is left again. The original's
connection ends with its relay; two of ours meet again (client.path_keeper).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.relay.leg import RelayLeg
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.raw_stream import LINGER, RawStream

MOVE_LIMIT = 4.0
"""Seconds for a direct path to prove itself in both directions; three retransmissions fit in."""
ASK_AFTER, SILENT_AFTER, HOPELESS_AFTER = 1.5, 4.0, 8.0
"""Seconds in which nothing comes through the relay: then the peer is asked for a sign of life; two of ours look for
another way; towards the original the connection is given up, which takes UDX alone 13 to 18."""
WAIT_LIMIT = 12.0
"""Seconds that a connection waits for another path. UDX gives up 13 after it sent what nobody acknowledges."""
_CHECK_EVERY = 0.5
_SHOW_EVERY = 0.5
_MAX_MOVES = 4
_LOST_GRACE, _SHORT_GRACE = 1.5, 0.3
"""Seconds after the relay went in which the stream may still end in order: what it carried may be on its way."""

Path = tuple[int, Address]


class _State(Enum):
    RELAYED = auto()
    LOST = auto()
    """The relay is gone, and nothing else is there yet."""
    MOVING = auto()
    DIRECT = auto()
    OVER = auto()


class RelayedPath:
    """Takes over a stream that is connected through `leg`. `on_settled` is called once: it is direct now, or closed.

    `resumable`: the peer can meet us again for this connection.
    """

    def __init__(
        self,
        node: LocalNode,
        raw: RawStream,
        connection: Connection,
        leg: RelayLeg,
        direct_id: int,
        on_settled: Callable[[], None],
        *,
        resumable: bool,
    ) -> None:
        self.direct_id = direct_id
        self.raw = raw
        self.connection = connection
        self.resumable = resumable
        self._loop = node.endpoint.loop
        self._leg = leg
        self._on_settled = on_settled
        self._relays: set[Path] = {leg.path}
        self._state = _State.RELAYED
        self._changed = asyncio.Event()
        self._target: Path | None = None
        self._heard_there = False
        self._moves = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._heard_at = self._loop.time()
        self._check_timer = self._loop.call_later(_CHECK_EVERY, self._check)
        connection.go_through(leg.relay)
        connection.when_closed(self._on_closed)
        raw.on_unexpected = None
        raw.on_heard = self._on_heard
        connection.on_silent = self._on_silent
        leg.on_lost = self._on_relay_lost
        if leg.lost:
            self._on_relay_lost()

    @property
    def settled(self) -> bool:
        return self._state in (_State.DIRECT, _State.OVER)

    @property
    def lost(self) -> bool:
        return self._state is _State.LOST

    @property
    def relay(self) -> bytes:
        return self._leg.relay

    async def wait_while_relayed(self) -> None:
        """Until something is to be done: it is lost, direct or closed."""
        await self._wait_while(_State.RELAYED, _State.MOVING)

    async def wait_while_moving(self) -> None:
        await self._wait_while(_State.MOVING)

    async def _wait_while(self, *states: _State) -> None:
        while self._state in states:
            self._changed.clear()
            await self._changed.wait()

    def _enter(self, state: _State) -> None:
        self._state = state
        self._changed.set()

    # Paths that others found

    def expect_relay(self, path: Path) -> None:
        """What comes from there comes through a relay: its word that our partner is there may be overtaken."""
        self._relays.add(path)
        self.raw.relay_path = path

    def found(self, socket: int, address: Address) -> None:
        """A direct path that is believed to work: by a ping, a punch, or a packet that came that way."""
        if self._state not in (_State.RELAYED, _State.LOST) or (socket, address) in self._relays:
            return
        if self._moves >= _MAX_MOVES:
            return
        self._moves += 1
        self._enter(_State.MOVING)
        self._target = (socket, address)
        self._heard_there = False
        self._deadline = self._loop.time() + MOVE_LIMIT
        self.raw.move(socket, address, self.direct_id)
        # Something to be acknowledged; a JavaScript peer lets the relay go when data comes directly.
        self.connection.write_keep_alive()
        self._set_timer(_SHOW_EVERY)

    def try_again(self) -> None:
        """Direct paths that failed before may be tried once more."""
        self._moves = 0

    def take(self, leg: RelayLeg) -> None:
        """The two have met at another relay: go on there."""
        if self.settled:
            leg.close()
            return
        old, self._leg = self._leg, leg
        old.on_lost = None
        old.close()
        self.expect_relay(leg.path)
        leg.on_lost = self._on_relay_lost
        if self._state is not _State.MOVING:
            self._stop_timer()
            self._through_relay()
        if leg.lost:
            self._on_relay_lost()

    def _through_relay(self) -> None:
        self._heard_at = self._loop.time()
        self._enter(_State.RELAYED)
        self.raw.move(*self._leg.path, self._leg.remote_id)
        self.connection.go_through(self._leg.relay)
        self.connection.write_keep_alive()

    # What happens on the path in use

    def _on_heard(self, socket: int, source: Address) -> None:
        if (socket, source) in self._relays:
            return
        if self._state in (_State.RELAYED, _State.LOST):
            self.found(socket, source)
        elif self._state is _State.MOVING:
            self._heard_there = self._heard_there or (socket, source) == self._target
            if self._heard_there and self.raw.stream.remote_confirmed:
                self._settle()

    def _settle(self) -> None:
        self._enter(_State.DIRECT)
        self.connection.go_through(None)
        self.raw.on_heard = None
        self.connection.on_silent = None
        self._stop_timer()
        self._check_timer.cancel()
        self.raw.show_path()  # the peer may be waiting for a word on this path
        self._leg.close()
        self._loop.call_soon(self._on_settled)

    def _on_timer(self) -> None:
        self._timer = None
        if self._state is not _State.MOVING:
            return
        if self._loop.time() < self._deadline or (self._leg.lost and not self.resumable):
            self.raw.show_path()
            self._set_timer(_SHOW_EVERY)
        elif self._leg.lost:
            self._enter(_State.RELAYED)
            self._lose()
        else:
            self._through_relay()

    def _check(self) -> None:
        """Whether anything comes through the relay. Its own connection would tell much later, or never."""
        now = self._loop.time()
        self._check_timer = self._loop.call_later(_CHECK_EVERY, self._check)
        received = self.raw.stream.stats.packets_received
        if received != self._received:
            self._received, self._heard_at = received, now
        if self._state is not _State.RELAYED:
            return
        silent = now - self._heard_at
        if silent >= ASK_AFTER and self.raw.stream.bytes_unacked == 0:
            self.connection.write_keep_alive()
        if self.raw.stream.bytes_unacked and silent >= (SILENT_AFTER if self.resumable else HOPELESS_AFTER):
            self._lose()

    def _on_silent(self) -> bool:
        """Our network changed, and the relay does not follow us."""
        if not self.resumable:
            return False
        self._lose()
        return True

    def _on_relay_lost(self) -> None:
        if self._state is _State.RELAYED:
            self._set_timer(_SHORT_GRACE if self.resumable else _LOST_GRACE, self._lose)
            if self.resumable:
                self._leg.close()  # so that a relay which closes need not end the stream for us

    def _lose(self) -> None:
        if self._state is not _State.RELAYED:
            return
        if self.resumable:
            self._enter(_State.LOST)
            self._set_timer(WAIT_LIMIT, self.give_up)
        else:
            self.give_up()

    def give_up(self) -> None:
        if not self.settled:
            message = "The relay between us and the peer went away, and no other way was found."
            self.connection.destroy(ConnectionClosed(message, name="RELAY_LOST"))

    def _on_closed(self, connection: Connection) -> None:
        was_settled = self.settled
        self._enter(_State.OVER)
        self._stop_timer()
        self._check_timer.cancel()
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
