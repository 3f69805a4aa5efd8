"""The driver of one UDX stream: its path (socket and address), its timer, its events.

Ours, in the place of udx-native's `UDXStream`. Packets that came another way than the stream goes are shown to
`watcher` first, which may connect the stream there (docs/wire/hyperdht.md 5.3 item 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.udx import Closed, Event, Stream, is_farewell_of_relay

LINGER = 3.0
"""Seconds for which an ended stream still answers a peer whose last ACK from us was lost: else it fails after 13 s."""

_MAX_SOURCES = 8
"""Addresses of one peer that are believed: where it has been, and where else it speaks from."""

# A stream that waits for its path keeps what comes before; a stranger must not be able to fill it.
_MAX_EARLY_DATAGRAMS = 64


class Watcher(Protocol):
    """Decides where the stream goes; PathDriver is one."""

    @property
    def watching(self) -> bool:
        """Whether it wants to hear of packets from the usual address, too."""
        ...

    @property
    def moving(self) -> bool:
        """Whether packets from elsewhere are to be taken without care: the stream may be about to go there."""
        ...

    def arriving(self, path: tuple[int, Address]) -> bool:
        """Packets are there that came another way than ours goes; True: from a relay that may carry the stream.

        What a relay says of itself ends no stream that went another way.
        """
        ...

    def heard(self, path: tuple[int, Address], size: int) -> None:
        """Packets were taken in."""
        ...

    def silent(self) -> None:
        """Nothing comes any more, though something should; told more than once."""
        ...


class RawStream:
    """Owned by a connection, or by an attempt at one. After Closed it is forgotten by the endpoint."""

    __slots__ = (
        "_ack_waits",
        "_early",
        "_endpoint",
        "_flushing",
        "_lingering",
        "_removed",
        "_sources",
        "_timer",
        "_timer_at",
        "heard_at",
        "heard_from",
        "id",
        "on_event",
        "remote_address",
        "socket",
        "stream",
        "watcher",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.id = endpoint.new_stream_id()
        self.stream = Stream(self.id, now=endpoint.loop.time(), random=endpoint.chance)
        self.socket: int | None = None
        self.remote_address: Address | None = None
        self.on_event: Callable[[Event], None] | None = None
        self.watcher: Watcher | None = None
        self._sources: dict[Address, None] = {}
        self.heard_from: tuple[int, Address] | None = None
        """The path of the train whose events are being handed out."""
        self.heard_at = endpoint.loop.time()
        """When anything of the peer came, be it an acknowledgement, in seconds of the loop."""
        self._ack_waits = False
        self._early = 0
        self._removed = False
        self._lingering = False
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        endpoint.add_stream(self.id, self)

    @property
    def connected(self) -> bool:
        return self.stream.connected

    @property
    def closed(self) -> bool:
        return self.stream.closed

    def connect(self, socket: int, address: Address, remote_id: int) -> None:
        """Raises ConnectionClosed when the peer has destroyed the stream already."""
        if self.stream.closed:
            raise ConnectionClosed("The peer dropped the connection at once.")
        self.socket, self.remote_address = socket, address
        self._endpoint.hold_socket(socket)
        self.stream.connect(remote_id, self._endpoint.loop.time())
        self._endpoint.flush_soon(self)

    def feed(self, datagrams: list[bytes], socket: int, source: Address, now: float) -> None:
        self.heard_at = now
        if self._lingering:
            self.stream.receive_datagrams(datagrams, now)
            self._send(now)
        if self._removed:
            return
        watcher = self.watcher
        elsewhere = source != self.remote_address or socket != self.socket
        if elsewhere and watcher is not None and watcher.arriving((socket, source)):
            datagrams = [datagram for datagram in datagrams if not is_farewell_of_relay(datagram)]
        if not self.stream.connected:
            datagrams = datagrams[: _MAX_EARLY_DATAGRAMS - self._early]
            self._early += len(datagrams)
        if self._is_foreign(source):
            self.stream.receive_foreign(datagrams, now)
        else:
            self.stream.receive_datagrams(datagrams, now)
        if watcher is not None and (source != self.remote_address or watcher.watching):
            watcher.heard((socket, source), sum(map(len, datagrams)))
        self.heard_from = (socket, source)
        self.flush(now)
        self.heard_from = None

    def believe_source(self) -> None:
        """While an event is handed out: what came with it was the peer's, so it is where that came from.

        That need not be where we send to: machines with several addresses answer from another one. From the first time
        on, packets from elsewhere are taken with care.
        """
        if self.heard_from is not None and self.heard_from[1] not in self._sources:
            self._sources[self.heard_from[1]] = None
            if len(self._sources) > _MAX_SOURCES:
                del self._sources[next(iter(self._sources))]

    def _is_foreign(self, source: Address) -> bool:
        if not self._sources or source == self.remote_address or source in self._sources:
            return False
        return self.watcher is None or not self.watcher.moving

    def path_changed(self) -> None:
        """The way to the peer is another one, though its address may be the same."""
        if not self._removed:
            self.stream.change_path(self._endpoint.loop.time())
            self._endpoint.flush_soon(self)

    def send_message_to(self, socket: int, address: Address, data: bytes) -> None:
        """An unordered message to a place where the stream does not go, or not yet."""
        if not self._removed and self.stream.connected and not self.stream.closed:
            self._endpoint.send_train(socket, [self.stream.message_packet(data)], address)

    def move(self, socket: int, address: Address, remote_id: int | None) -> None:
        """Send to another place from now on. For its driver.

        `remote_id` is the stream's number there (docs/wire/hyperdht.md 5.10), which we say with an empty message; None:
        it is the peer that is at another place, and what is under way goes again.
        """
        if self._removed or not self.stream.connected or self.stream.closed or self.socket is None:
            return
        self._endpoint.hold_socket(socket)
        self._endpoint.let_go_socket(self.socket)
        self.socket, self.remote_address = socket, address
        if remote_id is None:
            self.path_changed()
        else:
            self.stream.change_remote(remote_id, self._endpoint.loop.time())
            self.show_path()

    def show_path(self) -> None:
        """An empty unordered message: the peer sees where we are."""
        self.send_message(b"")

    def send_message(self, data: bytes) -> None:
        """An unordered message, in one packet. Raises LocalProtocolError when it does not fit into one."""
        if not self._removed and self.stream.connected and not self.stream.closed:
            self.stream.send_message(data, self._endpoint.loop.time())
            self._endpoint.flush_soon(self)

    def write(self, data: bytes) -> bool:
        """False: above the watermark, wait for Drained. Raises ConnectionClosed."""
        if self._removed:
            raise ConnectionClosed("The connection is closed.", name="ECLOSED")
        room = self.stream.write(data, self._endpoint.loop.time())
        self._endpoint.flush_soon(self)
        return room

    def consumed(self, size: int) -> None:
        """Give the peer room for what the reader has taken."""
        if not self._removed and self.stream.consumed(size):
            self._endpoint.flush_soon(self)

    def end(self) -> None:
        if not self._removed:
            self.stream.end(self._endpoint.loop.time())
            self._endpoint.flush_soon(self)

    def destroy(self) -> None:
        """Drop the stream at once; a connected peer is told with one packet."""
        if not self._removed:
            now = self._endpoint.loop.time()
            self.stream.destroy(now)
            self._send(now)
            self._remove()

    def flush(self, now: float) -> None:
        """Send, hand out events, set the timer.

        A mere acknowledgement waits until the end of this turn of the loop: a reader that answers at once sends both in
        one packet, and a round trip takes two packets instead of four.
        """
        if self._removed or self._flushing:
            return
        self._flushing = True
        self._ack_waits = not self._ack_waits and self.stream.only_ack_due
        try:
            if not self._ack_waits:
                self._send(now)
            if self._hand_out_events():
                self._send(now)
                self._remove()
            elif self._ack_waits:
                self._endpoint.flush_soon(self)
            elif not self._removed:
                self._set_timer()
        finally:
            self._flushing = False

    def _send(self, now: float) -> None:
        datagrams = self.stream.datagrams_to_send(now)
        if datagrams and self.socket is not None and self.remote_address is not None:
            self._endpoint.send_train(self.socket, datagrams, self.remote_address)

    def _hand_out_events(self) -> bool:
        if self.on_event is None and not self.stream.closed:
            return False  # what came before the connection was made waits for it
        while (event := self.stream.next_event()) is not None:
            if self.on_event is not None:
                self.on_event(event)
            if isinstance(event, Closed):
                self._lingering = event.error is None and not self._removed
                return True
        return False

    def _set_timer(self) -> None:
        when = self.stream.get_timer()
        if when is None:
            return
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._endpoint.loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._removed:
            return
        now = self._endpoint.loop.time()
        self.stream.handle_timer(now)
        if self.watcher is not None and self.stream.silent:
            self.watcher.silent()
        self.flush(now)

    def _remove(self) -> None:
        if self._removed:
            return
        self._removed = True
        self.watcher = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lingering:
            self._endpoint.loop.call_later(LINGER, self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        self._endpoint.remove_stream(self.id)
        if self.socket is not None:
            self._endpoint.let_go_socket(self.socket)
