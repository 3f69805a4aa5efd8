"""The driver of one stream's paths: what the set decides is done here, and nobody else moves the stream.

Ours; the decisions are rendezvous.path_set's. Its messages travel as unordered messages of the stream, sealed with a
key that the original does not try: to it they are noise, and it drops them.
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
from qvac_core.hyperdht.stream.raw_stream import LINGER, RawStream
from qvac_core.rendezvous import path_set
from qvac_core.rendezvous.path_set import Kind, PathSet, Phase, Relayed, Why, kind_of
from qvac_core.rendezvous.path_validation import Path
from qvac_core.secret_stream import SecretStream

logger = logging.getLogger(__name__)

_MEET_LIMIT = 8.0
_MEET_PAUSE = 1.0
_PROOF_LIMIT = 4.0
"""Seconds for a path that was found to be proven in both directions."""

_SENTENCES = {
    Why.LEFT_BEHIND: ("The network changed, and the peer does not answer on the new one.", "ETIMEDOUT"),
    Why.RELAY_LOST: ("The relay between us and the peer went away, and no other way was found.", "RELAY_LOST"),
}


class Leg(Protocol):
    """What carries a stream through a relay; relay.leg.RelayLeg is one."""

    relay: bytes
    remote_id: int
    lost: bool
    on_lost: Callable[[], None] | None

    @property
    def path(self) -> Path: ...
    def close(self) -> None: ...


class Owner(Protocol):
    """What is needed of the connection; Connection is one."""

    @property
    def error(self) -> ConnectionClosed | None: ...
    def write_keep_alive(self) -> None: ...
    def destroy(self, error: ConnectionClosed | None = None) -> None: ...
    def path_changed(self, *, address_only: bool) -> None: ...


class PathFinder(Protocol):
    """One try to meet the peer anew; connect.Attempt is one."""

    async def find_path(self, limit: float) -> Path: ...

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class MeetAgain:
    """How a connection may look for its peer through the network; `spawn` gives the search an owner."""

    find: Callable[[], PathFinder]
    spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


def _forgotten() -> ConnectionClosed:
    return ConnectionClosed("The peer is there, but this connection is not: it was restarted.", name="ETIMEDOUT")


class PathDriver:
    """Makes a stream, connects it by its first path (`begin`, `begin_through`), and moves it for as long as it lives.

    `on_arrival` hears where the peer's packets come from before there is a path.
    """

    def __init__(self, endpoint: Endpoint, on_arrival: Callable[[int, Address], None] | None = None) -> None:
        self.raw = RawStream(endpoint)
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self._on_arrival = on_arrival
        self._early_relays: set[Path] = set()
        self._set: PathSet | None = None
        self._owner: Owner | None = None
        self._secret: SecretStream | None = None
        self._source: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = False
        self._leg: Leg | None = None
        self._on_settled: Callable[[], None] | None = None
        self._changed = asyncio.Event()
        self._awaited: asyncio.Event | None = None
        self._meet_again: MeetAgain | None = None
        self._meeting: asyncio.Task[None] | None = None
        self._found = asyncio.Event()
        self.raw.watcher = self

    # The first path

    def begin(self, path: Path, remote_id: int, *, local: bool = False) -> None:
        """Raises ConnectionClosed when the peer has destroyed the stream already."""
        kind = Kind.LAN if local else kind_of(path)
        self._begin(PathSet(path, kind, remote_id, self._endpoint.chance, self._loop.time()))

    def begin_through(
        self, leg: Leg, direct_id: int, on_settled: Callable[[], None] | None = None, *, resumable: bool
    ) -> None:
        """Begin on a relay. `on_settled` is called once: the stream is direct now, or closed.

        `resumable`: the peer can meet us again for this stream. Raises ConnectionClosed as `begin`.
        """
        self._leg, self._on_settled = leg, on_settled
        relayed = Relayed(direct_id, resumable)
        now = self._loop.time()
        self._begin(PathSet(leg.path, Kind.RELAY, leg.remote_id, self._endpoint.chance, now, relayed))
        self._watch(leg)

    def _begin(self, paths: PathSet) -> None:
        (first,) = paths.commands()
        assert isinstance(first, path_set.MoveTo) and first.remote_id is not None
        self._on_arrival = None
        self.raw.connect(*first.path, first.remote_id)
        paths.relays |= self._early_relays
        self._source = self._endpoint.network.source_host(first.path[1][0])
        self._set = paths

    def belong_to(self, owner: Owner, secret: SecretStream, meet_again: MeetAgain | None) -> None:
        """The stream has its connection now."""
        self._owner, self._secret, self._meet_again = owner, secret, meet_again
        self._set_timer()

    @property
    def set(self) -> PathSet:
        assert self._set is not None
        return self._set

    def stop(self) -> None:
        """The connection is over. A relay that carries it is left when the peer can have our last acknowledgement."""
        if self._stopped:
            return
        self._stopped = True
        self.raw.watcher = None
        self._end_meeting()
        if self._timer is not None:
            self._timer.cancel()
        if self._awaited is not None:
            self._awaited.set()
        self._loop.call_soon(self._end)

    def _end(self) -> None:
        settled, error = self.set.settled, self._owner.error if self._owner is not None else None
        self.set.over()
        self._changed.set()
        if not settled:
            if self._leg is not None and error is None:
                self._loop.call_later(LINGER, self._leg.close)
            elif self._leg is not None:
                self._leg.close()
            self._tell_settled()

    def _tell_settled(self) -> None:
        on_settled, self._on_settled = self._on_settled, None
        if on_settled is not None:
            on_settled()

    # What users of the connection see

    @property
    def relay(self) -> bytes | None:
        """The key of the relay in use now; None on a direct path."""
        return self._leg.relay if self._leg is not None and self.set.through_relay else None

    @property
    def path(self) -> str:
        if self.set.through_relay:
            return Kind.RELAY.value
        return (Kind.LAN if self.set.kind is Kind.LAN else Kind.DIRECT).value

    # From the stream

    @property
    def watching(self) -> bool:
        return self._awaited is not None or (self._set is not None and self._set.watching)

    @property
    def moving(self) -> bool:
        return self._awaited is not None or (self._set is not None and not self._set.settled)

    def arriving(self, path: Path) -> bool:
        if self._set is None:
            from_relay = path in self._early_relays
            if self._on_arrival is not None:
                self._on_arrival(*path)
            return from_relay
        return path in self._set.relays

    def heard(self, path: Path, size: int) -> None:
        if self._set is None or self._owner is None or self.raw.closed:
            return
        confirmed = self.raw.stream.remote_confirmed
        if self._awaited is not None and confirmed:
            self._awaited.set()
        self._set.heard(path, size, self._loop.time(), acknowledged=confirmed)
        self._obey()

    def silent(self) -> None:
        if self._owner is not None and self._meeting is None:
            self.set.silent(self._loop.time())
            self._obey()

    def receive(self, data: bytes) -> None:
        """An unordered message of the stream, whoever made it."""
        path = self.raw.heard_from
        if path is None or not data or self._stopped or self._secret is None or self.set.through_relay:
            return
        message = self._secret.open_path(data)
        if message is not None:
            self.set.receive(message, path, self._loop.time())
            self._obey()

    # From the owner

    def introduce(self) -> None:
        """Once, when the connection is open."""
        if not self._stopped:
            self.set.hello()
            self._obey()

    def network_changed(self, rebound: frozenset[int] = frozenset()) -> None:
        """Our own addresses changed, or the machine slept. `rebound`: sockets that were bound anew."""
        raw = self.raw
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
        self.set.network_changed(self._loop.time())
        self._obey()

    # Relays, and those who look for other paths

    @property
    def settled(self) -> bool:
        """Direct, or over."""
        return self.set.settled

    @property
    def lost(self) -> bool:
        return self.set.phase is Phase.LOST

    async def wait_while_relayed(self) -> None:
        """Until something is to be done: it is lost, direct or closed."""
        await self._wait_while(Phase.RELAYED, Phase.MOVING)

    async def wait_while_moving(self) -> None:
        await self._wait_while(Phase.MOVING)

    async def _wait_while(self, *phases: Phase) -> None:
        while self.set.phase in phases:
            self._changed.clear()
            await self._changed.wait()

    async def wait_until_acknowledged(self, limit: float, stay: float) -> None:
        """Until the peer has acknowledged something on a direct path, and `stay` seconds more; at most `limit`."""
        if self.raw.stream.remote_confirmed or self.raw.closed or self.moving:
            return
        self._awaited = asyncio.Event()
        try:
            async with asyncio.timeout(limit):
                await self._awaited.wait()
            await asyncio.sleep(stay)
        except TimeoutError:
            return
        finally:
            self._awaited = None

    def expect_relay(self, path: Path) -> None:
        """What comes from there comes through a relay: its word that our partner is there may be overtaken."""
        self._early_relays.add(path)
        if self._set is not None:
            self._set.expect_relay(path)

    def found(self, path: Path) -> None:
        """A direct path that is believed to work: by a ping, a punch, or a packet that came that way."""
        self.set.found(path, kind_of(path), self._loop.time())
        self._obey()

    def take(self, leg: Leg) -> None:
        """The two have met at another relay: go on there."""
        if self.set.settled:
            leg.close()
            return
        old, self._leg = self._leg, leg
        if old is not None:
            old.on_lost = None
            old.close()
        self.set.found(leg.path, Kind.RELAY, self._loop.time(), leg.remote_id)
        self._obey()
        self._watch(leg)
        if self._owner is not None:
            self._owner.path_changed(address_only=old is not None and old.relay == leg.relay)

    def _watch(self, leg: Leg) -> None:
        leg.on_lost = self._on_relay_lost
        if leg.lost:
            self._on_relay_lost()

    def _on_relay_lost(self) -> None:
        if self._leg is not None and not self._stopped:
            self.set.lost(self._leg.path, self._loop.time())
            self._obey()

    def try_again(self) -> None:
        """Direct paths that failed before may be tried once more."""
        self.set.try_again()

    def give_up(self) -> None:
        self.set.give_up()
        self._obey()

    # A peer that has to be met anew

    async def _meet(self, find: Callable[[], PathFinder]) -> None:
        self._found.clear()
        while True:  # until it is found, or the stream loses its patience
            finder = find()
            try:
                path = await finder.find_path(_MEET_LIMIT)
                await self._prove(path)
                return
            except (NetworkError, TimeoutError) as error:
                logger.debug("%r is not found again: %s", self._owner, error)
            finally:
                finder.release()
            await asyncio.sleep(_MEET_PAUSE)

    async def _prove(self, path: Path) -> None:
        self.set.expect(path, self._loop.time())
        self._obey()
        try:
            async with asyncio.timeout(_PROOF_LIMIT):
                await self._found.wait()
        except TimeoutError:
            # It is there, and this way leads to it, but it has nothing to say to this stream.
            if self._owner is not None:
                self._owner.destroy(_forgotten())

    def _end_meeting(self) -> None:
        self._found.set()
        if self._meeting is not None:
            self._meeting.cancel()
            self._meeting = None

    # The decisions

    def _obey(self) -> None:
        owner = self._owner
        if self._stopped or owner is None:
            return
        for command in self.set.commands():
            if not self._stopped:  # to give up ends the connection
                self._do(command, owner)
        self._changed.set()
        self._set_timer()

    def _do(self, command: path_set.Command, owner: Owner) -> None:
        match command:
            case path_set.MoveTo():
                self._move(command, owner)
            case path_set.Send():
                if self._secret is not None:
                    self.raw.send_message_to(*command.path, self._secret.seal_path(command.message))
            case path_set.Show():
                self.raw.show_path()
            case path_set.Ask():
                owner.write_keep_alive()
            case path_set.Doubt():
                self.raw.stream.mark_path()
            case path_set.Heard():
                self._end_meeting()
            case path_set.LeaveRelay():
                if self._leg is not None:
                    self._leg.close()
            case path_set.Settled():
                owner.path_changed(address_only=False)
                self._loop.call_soon(self._tell_settled)
            case path_set.WantDirect():
                # Without `meet_again` it is the peer who looks for us; the stream's own patience is the limit.
                if self._meet_again is not None and self._meeting is None:
                    self._meeting = self._meet_again.spawn(self._meet(self._meet_again.find), "meeting a peer again")
            case path_set.GiveUp(why):
                logger.debug("%r is given up: %s", owner, why)
                sentence, name = _SENTENCES[why]
                owner.destroy(ConnectionClosed(sentence, name=name))

    def _move(self, command: path_set.MoveTo, owner: Owner) -> None:
        logger.debug("%r is at %s now", owner, command.path[1])
        self._source = self._endpoint.network.source_host(command.path[1][0])
        self.raw.move(*command.path, command.remote_id)
        if command.remote_id is None:
            owner.path_changed(address_only=self.set.kind is command.kind)

    def _set_timer(self) -> None:
        when = self.set.get_timer()
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
            stream = self.raw.stream
            received, unacked = stream.stats.packets_received, stream.bytes_unacked
            self.set.handle_timer(self._loop.time(), received=received, unacked=unacked)
            self._obey()
