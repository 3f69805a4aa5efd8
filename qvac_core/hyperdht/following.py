"""One connection's path: follows the peer to a new address, and finds out whether the peer follows us to ours.

Ours (the original never follows, and notices after 16 s); the decisions are rendezvous.path_validation's. Its messages
travel as unordered messages of the stream, sealed with a key that the original does not try: to it they are noise, and
it drops them. A relayed connection has no path of its own to follow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.endpoint import Endpoint
from qvac_core.hyperdht.raw_stream import RawStream
from qvac_core.rendezvous.path_validation import PathConfirmed, PathMoved, PathValidation
from qvac_core.secret_stream import SecretStream

if TYPE_CHECKING:
    from qvac_core.hyperdht.connection import Connection

logger = logging.getLogger(__name__)

CONFIRM_LIMIT = 3.0
"""Seconds in which the peer must be heard after our network changed; three retransmissions fit in."""


def _left_behind() -> ConnectionClosed:
    return ConnectionClosed("The network changed, and the peer does not answer on the new one.", name="ETIMEDOUT")


class Following:
    """Made with a Connection, whose stream is connected. `stop` it."""

    def __init__(self, connection: Connection, endpoint: Endpoint, raw: RawStream, secret: SecretStream) -> None:
        assert raw.socket is not None and raw.remote_address is not None
        self._connection = connection
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self._raw = raw
        self._secret = secret
        self._validation = PathValidation((raw.socket, raw.remote_address), endpoint.chance)
        self._source = endpoint.network.source_host(raw.remote_address[0])
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._stopped = False
        raw.follower = self

    @property
    def peer_follows(self) -> bool:
        """Whether the peer has shown that it speaks this language."""
        return self._validation.peer_follows

    @property
    def watching(self) -> bool:
        return self._deadline is not None

    def stop(self) -> None:
        self._stopped = True
        self._raw.follower = None
        self._end_deadline()
        if self._timer is not None:
            self._timer.cancel()

    def introduce(self) -> None:
        """Once, when the connection is open and direct."""
        if not self._connection.relayed and not self._stopped:
            self._sync()
            self._validation.hello()
            self._flush()

    # From the stream

    def heard(self, socket: int, source: Address, size: int) -> None:
        if self.watching and self._raw.stream.remote_confirmed:
            self._confirmed()
        if source != self._raw.remote_address and not self._connection.relayed:
            self._sync()
            self._validation.heard((socket, source), size, self._loop.time())
            self._flush()

    def receive(self, data: bytes) -> None:
        """An unordered message of the stream, whoever made it."""
        path = self._raw.heard_from
        if path is None or not data or self._connection.relayed or self._stopped:
            return
        message = self._secret.open_path(data)
        if message is not None:
            self._sync()
            self._validation.receive(message, path, self._loop.time())
            self._flush()

    # From the owner

    def network_changed(self, rebound: frozenset[int] = frozenset()) -> None:
        """Our own addresses changed, or the machine slept. `rebound`: sockets that were bound anew."""
        raw = self._raw
        if self._stopped or raw.remote_address is None or not raw.connected or raw.closed:
            return
        source = self._endpoint.network.source_host(raw.remote_address[0])
        if source is None:
            return  # no network: it may come back, and the stream has its own patience
        moved = source != self._source or raw.socket in rebound
        self._source = source
        if moved:
            raw.path_changed()
        else:
            raw.stream.mark_path()
        # The original acknowledges this, if it can be reached and reaches us.
        self._connection.write_keep_alive()
        self._end_deadline()
        self._deadline = self._loop.call_later(CONFIRM_LIMIT, self._silent)
        if not self._connection.relayed:
            self._sync()
            self._validation.confirm(self._loop.time())
            self._flush()

    def _confirmed(self) -> None:
        self._end_deadline()
        self._validation.stop_confirming()

    def _silent(self) -> None:
        self._deadline = None
        if self._connection.on_silent is not None and self._connection.on_silent():
            return
        logger.debug("%r did not follow us", self._connection)
        self._connection.destroy(_left_behind())

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # The decisions

    def _sync(self) -> None:
        """The stream may have been moved by others: from a relay to a direct path."""
        raw = self._raw
        if raw.socket is not None and raw.remote_address is not None:
            path = (raw.socket, raw.remote_address)
            if path != self._validation.path:
                self._validation.set_path(path)

    def _flush(self) -> None:
        if self._stopped:
            return
        for (socket, address), message in self._validation.transmissions():
            self._raw.send_message_to(socket, address, self._secret.seal_path(message))
        while (event := self._validation.next_event()) is not None:
            if isinstance(event, PathMoved):
                logger.debug("%r is at %s now", self._connection, event.path[1])
                self._source = self._endpoint.network.source_host(event.path[1][0])
                self._raw.follow(*event.path)
            elif isinstance(event, PathConfirmed):
                self._confirmed()
        self._set_timer()

    def _set_timer(self) -> None:
        when = self._validation.get_timer()
        if when is None or self._stopped:
            return
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._stopped:
            self._sync()
            self._validation.handle_timer(self._loop.time())
            self._flush()
