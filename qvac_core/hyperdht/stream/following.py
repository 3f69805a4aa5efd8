"""One connection's path: follows the peer to a new address, and finds out whether the peer follows us to ours.

Ours (the original never follows, and notices after 16 s); the decisions are rendezvous.path_validation's. Its messages
travel as unordered messages of the stream, sealed with a key that the original does not try: to it they are noise, and
it drops them. A relayed connection has no path of its own to follow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.stream.raw_stream import RawStream
from qvac_core.rendezvous.path_validation import PathConfirmed, PathMoved, PathValidation
from qvac_core.secret_stream import SecretStream

logger = logging.getLogger(__name__)

CONFIRM_LIMIT = 3.0
"""Seconds in which the peer must be heard after our network changed; three retransmissions fit in."""


MEET_AFTER = 0.8
"""Seconds for the peer to follow by itself, before we look for each other through the network."""
_MEET_LIMIT = 8.0
_MEET_PAUSE = 1.0
_PROOF_LIMIT = 4.0
"""Seconds for a path that was found to be proven in both directions."""


class Followed(Protocol):
    """What is needed of the connection; Connection is one."""

    @property
    def relayed(self) -> bool: ...
    @property
    def on_silent(self) -> Callable[[], bool] | None: ...
    @property
    def on_path_moved(self) -> Callable[[], None] | None: ...
    def write_keep_alive(self) -> None: ...
    def destroy(self, error: ConnectionClosed | None = None) -> None: ...


class PathFinder(Protocol):
    """One try to meet the peer anew; connect.Attempt is one."""

    async def find_path(self, limit: float) -> tuple[int, Address]: ...

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class MeetAgain:
    """How a connection may look for its peer through the network; `spawn` gives the search an owner."""

    find: Callable[[], PathFinder]
    spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


def _left_behind() -> ConnectionClosed:
    return ConnectionClosed("The network changed, and the peer does not answer on the new one.", name="ETIMEDOUT")


def _forgotten() -> ConnectionClosed:
    return ConnectionClosed("The peer is there, but this connection is not: it was restarted.", name="ETIMEDOUT")


class Following:
    """Made with a Connection, whose stream is connected. `stop` it."""

    def __init__(
        self,
        connection: Followed,
        endpoint: Endpoint,
        raw: RawStream,
        secret: SecretStream,
        meet_again: MeetAgain | None = None,
    ) -> None:
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
        self._meet_again = meet_again
        self._meeting: asyncio.Task[None] | None = None
        self._found = asyncio.Event()
        raw.follower = self

    @property
    def peer_follows(self) -> bool:
        """Whether the peer has shown that it speaks this language."""
        return self._validation.peer_follows

    @property
    def watching(self) -> bool:
        return self._deadline is not None or self._validation.confirming

    def stop(self) -> None:
        self._stopped = True
        self._raw.follower = None
        self._end_deadline()
        self._end_meeting()
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
        if source != self._raw.remote_address and not self._connection.relayed and not self._from_relay(socket, source):
            self._sync()
            self._validation.heard((socket, source), size, self._loop.time())
            self._flush()

    def _from_relay(self, socket: int, source: Address) -> bool:
        return (socket, source) == self._raw.relay_path

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
        self._end_meeting()
        patience = MEET_AFTER if self.peer_follows else CONFIRM_LIMIT
        self._deadline = self._loop.call_later(patience, self._left_behind)
        if not self._connection.relayed:
            self._sync()
            self._validation.confirm(self._loop.time())
            self._flush()

    def silent(self) -> None:
        if self.peer_follows and not self._connection.relayed and not self.watching and self._meeting is None:
            self._raw.stream.mark_path()
            self._sync()
            self._validation.confirm(self._loop.time())
            self._flush()
            self._left_behind()

    def _confirmed(self) -> None:
        self._end_deadline()
        self._end_meeting()
        self._validation.stop_confirming()

    def _left_behind(self) -> None:
        self._deadline = None
        if self._connection.on_silent is not None and self._connection.on_silent():
            return
        if not self.peer_follows or self._connection.relayed:
            logger.debug("%r did not follow us", self._connection)
            self._connection.destroy(_left_behind())
        elif self._meet_again is not None and self._meeting is None:
            # A NAT lets nobody in whom it does not know: where we are now must be made known through the network.
            self._meeting = self._meet_again.spawn(self._meet(self._meet_again.find), "meeting a peer again")
        # Else it is the peer who looks for us; the stream's own patience is the limit.

    async def _meet(self, find: Callable[[], PathFinder]) -> None:
        self._found.clear()
        while True:  # until it is found, or the stream loses its patience
            finder = find()
            try:
                path = await finder.find_path(_MEET_LIMIT)
                await self._prove(path)
                return
            except (NetworkError, TimeoutError) as error:
                logger.debug("%r is not found again: %s", self._connection, error)
            finally:
                finder.release()
            await asyncio.sleep(_MEET_PAUSE)

    async def _prove(self, path: tuple[int, Address]) -> None:
        self._sync()
        self._validation.expect(path, self._loop.time())
        self._flush()
        try:
            async with asyncio.timeout(_PROOF_LIMIT):
                await self._found.wait()
        except TimeoutError:
            # It is there, and this way leads to it, but it has nothing to say to this stream.
            self._connection.destroy(_forgotten())

    def _end_meeting(self) -> None:
        self._found.set()
        if self._meeting is not None:
            self._meeting.cancel()
            self._meeting = None

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
                self._confirmed()
                if self._connection.on_path_moved is not None:
                    self._connection.on_path_moved()
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
