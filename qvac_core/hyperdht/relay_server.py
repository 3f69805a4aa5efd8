"""A blind relay that anybody can start: it forwards between two peers who name the same token, and sees nothing else.

From docs/wire/hyperdht.md sections 5.10 and 6.7 (blind-relay/index.js 1.6.1), with what a public service needs and the
original lacks: who may use it, how much, how fast, and an end for what nobody uses any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from qvac_core.blind_relay import (
    Matched,
    PairingCancelled,
    PairingRequested,
    RelayLimits,
    RelaySession,
    RelayState,
)
from qvac_core.errors import ConnectionClosed, RemoteProtocolError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.relay.link import RelayAccount, RelayLink
from qvac_core.hyperdht.server.limits import Refusal, ServerLimits, Verdict
from qvac_core.hyperdht.server.server import Server
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.messages import NoisePayload

logger = logging.getLogger(__name__)

IDLE_LIMIT = 60.0
"""Seconds without a packet after which a relayed pair is dropped; peers write every 5. A connection on which nothing
is asked or relayed lives as long."""
NOTICE = 1.0
"""Seconds that peers have to leave a relay that closes."""
_CHECK_EVERY = 15.0
_MAX_ACCOUNTS = 65536
_HOSTS_AT_LEAST = 4
"""One public host gets a quarter of the sessions at most; when all are taken, the one with most gives way."""


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """What a relay gives; None is no limit. The bytes of a relayed pair count for the keys of both peers."""

    admitted: Container[bytes] | None = None
    """Public keys that may use it."""
    bytes_per_second: float | None = 4_000_000.0
    bytes_in_all: int | None = None
    """Of one key, while the relay runs."""
    whole_bytes_per_second: float | None = None
    whole_bytes: int | None = None
    """Of all keys together, counted once, beyond what was forwarded before (`RelayServer.begin_count`)."""
    sessions: int = 1024
    sessions_per_key: int = 64
    pairings: RelayLimits = field(default_factory=RelayLimits)


@dataclass(frozen=True, slots=True)
class RelayPairing:
    """A peer asks for its partner."""

    remote_public_key: bytes


@dataclass(frozen=True, slots=True)
class RelayPaired:
    id: int
    initiator: bytes
    responder: bytes


@dataclass(frozen=True, slots=True)
class RelayUnpaired:
    """`bytes` of datagrams were forwarded, in both directions together."""

    id: int
    bytes: int
    seconds: float


RelayEvent = RelayPairing | RelayPaired | RelayUnpaired


class RelayServer:
    """Made by `DHT.create_relay_server`; `await relay.listen()`, `await relay.close()`."""

    def __init__(
        self,
        node: LocalNode,
        create_server: Callable[..., Server],
        policy: RelayPolicy | None = None,
        on_event: Callable[[RelayEvent], None] | None = None,
    ) -> None:
        """`create_server` is DHT.create_server."""
        self.policy = policy or RelayPolicy()
        self._node = node
        self._on_event = on_event
        limits = ServerLimits(
            self.policy.sessions, self.policy.sessions_per_key, max(1, self.policy.sessions // _HOSTS_AT_LEAST)
        )
        self._server = create_server(self._serve, firewall=self._admit, limits=limits)
        self._server.on_seen = lambda: self.on_seen()
        self.on_seen: Callable[[], None] = lambda: None
        """Called when `found` has changed."""
        self._state = RelayState(self.policy.pairings)
        self._connections: dict[RelaySession, Connection] = {}
        self._idle_since: dict[RelaySession, float] = {}
        self._links: dict[bytes, RelayLink] = {}
        self._sides: dict[RelayLink, tuple[Connection, Connection]] = {}
        self._accounts: dict[bytes, RelayAccount] = {}
        self._whole = RelayAccount(b"", self.policy.whole_bytes_per_second, self.policy.whole_bytes, 0.0)
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._no_links = asyncio.Event()

    async def __aenter__(self) -> RelayServer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def public_key(self) -> bytes | None:
        """What peers give as `relay_through`; None before `listen`."""
        return self._server.public_key

    @property
    def sessions(self) -> int:
        return len(self._connections)

    @property
    def links(self) -> int:
        return len(self._links)

    @property
    def forwarded(self) -> int:
        """Bytes of datagrams since `begin_count`."""
        return self._whole.used

    @property
    def exhausted(self) -> bool:
        """The whole may forward no more."""
        return self._whole.exhausted

    @property
    def found(self) -> bool | None:
        """As of a server."""
        return self._server.found

    def begin_count(self, forwarded: int = 0) -> None:
        """Count what is forwarded from here on: for a new day, or going on with an earlier run."""
        self._whole.used = forwarded

    def use(self, policy: RelayPolicy) -> None:
        """Another policy, also for those who are here: who may not use it any more is cut off. How many sessions there
        may be is settled when it is made.
        """
        self.policy = policy
        self._whole.use(policy.whole_bytes_per_second, policy.whole_bytes)
        for account in self._accounts.values():
            account.use(policy.bytes_per_second, policy.bytes_in_all)
        for connection in list(self._connections.values()):
            if policy.admitted is not None and connection.remote_public_key not in policy.admitted:
                connection.destroy()

    async def listen(self, key_pair: KeyPair | None = None, *, alone: bool = False) -> RelayServer:
        """`alone` and errors (NetworkError) as of `Server.listen`."""
        await self._server.listen(key_pair, alone=alone)
        if not self._server.listening:
            return self
        self._timer = self._node.endpoint.loop.call_later(_CHECK_EVERY, self._check)
        return self

    async def close(self) -> None:
        """Stop, and end what is relayed: the peers notice at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._warn()
        for token in list(self._links):
            self._unlink(token)
        for connection in list(self._connections.values()):
            connection.destroy()
        await self._server.close()

    async def _warn(self) -> None:
        """Peers of ours can take their pair somewhere else; ended at once it would be over."""
        self._state.warn()
        self._flush(tuple(self._connections))
        self._no_links.clear()
        if self._links:
            with suppress(TimeoutError):  # the rest cannot, and is ended
                async with asyncio.timeout(NOTICE):
                    await self._no_links.wait()

    def _admit(self, remote_public_key: bytes, payload: NoisePayload) -> Verdict:
        policy = self.policy
        if self._whole.exhausted or (policy.admitted is not None and remote_public_key not in policy.admitted):
            return Refusal()
        account = self._accounts.get(remote_public_key)
        if account is not None and account.exhausted:
            return Refusal()
        own = sum(session.public_key == remote_public_key for session in self._connections)
        return Refusal() if own >= policy.sessions_per_key else False

    # One connection

    async def _serve(self, connection: Connection) -> None:
        session = self._state.accept(connection.remote_public_key)
        self._connections[session] = connection
        self._idle_since[session] = self._node.now()
        connection.when_path_changes(self._follow, addresses=True)
        try:
            await self._converse(session, connection)
            await connection.close()
        except ConnectionClosed as error:
            logger.debug("a relay session ended: %s", error)
        except RemoteProtocolError as error:
            logger.debug("a relay session broke the rules: %s", error)
        finally:
            del self._connections[session], self._idle_since[session]
            connection.destroy()
            session.close()
            if not self._node.closed:
                self._settle()

    async def _converse(self, session: RelaySession, connection: Connection) -> None:
        while True:
            for frame in session.frames_to_send():
                await connection.write(frame)  # who does not read our answers is not read, either
            if session.closed:
                return
            message = await connection.read()
            if message is None:
                return
            session.receive(message, self._node.now())
            self._settle()

    def _settle(self) -> None:
        """Do what the state says."""
        while (event := self._state.next_event()) is not None:
            if isinstance(event, PairingRequested):
                self._tell(RelayPairing(event.session.public_key))
            elif isinstance(event, Matched):
                self._link(event)
            elif isinstance(event, PairingCancelled):
                self._cut(event.token, abort=False)
                self._flush(event.sessions)

    def _flush(self, sessions: tuple[RelaySession, ...]) -> None:
        """Few and small: what was paired bounds them."""
        for session in sessions:
            connection = self._connections.get(session)
            if connection is None or connection.closed:
                continue
            try:
                for frame in session.frames_to_send():
                    connection.write_nowait(frame)
            except ConnectionClosed:
                logger.debug("a relay session is ending while its pair changes")

    # Links

    def _link(self, matched: Matched) -> None:
        sides = (matched.initiator, matched.responder)
        connections = [self._connections.get(side.session) for side in sides]
        first, second = connections
        if first is None or second is None or first.closed or second.closed:
            self._state.unlink(matched.token)
            return
        initiator, responder = (side.session.public_key for side in sides)
        self._numbers += 1
        link = RelayLink(
            self._numbers,
            self._node.endpoint,
            ((sides[0], first.socket_and_address), (sides[1], second.socket_and_address)),
            (self._account(initiator), self._account(responder), self._whole),
            lambda: self._unlink(matched.token),
        )
        self._links[matched.token] = link
        self._sides[link] = (first, second)
        for side, stream_id in zip(sides, link.stream_ids, strict=True):
            side.session.answer(side, matched.token, stream_id)
        self._flush((matched.initiator.session, matched.responder.session))
        self._tell(RelayPaired(link.id, initiator, responder))

    def _follow(self, moved: Connection) -> None:
        """Its relayed streams come from where it is itself."""
        for link, connections in self._sides.items():
            for side, connection in enumerate(connections):
                if connection is moved:
                    link.move(side, moved.socket_and_address)

    def _unlink(self, token: bytes) -> None:
        """End a pair because we want it so; the peers are told."""
        if token in self._links and not self._node.closed:
            self._cut(token, abort=True)
            self._state.unlink(token)
            self._settle()

    def _cut(self, token: bytes, *, abort: bool) -> None:
        link = self._links.pop(token, None)
        if link is None:
            return
        del self._sides[link]
        link.close(abort=abort)
        if not self._links:
            self._no_links.set()
        for account in link.accounts:
            if account is not self._whole and account.forgettable:
                self._accounts.pop(account.key, None)
        self._tell(RelayUnpaired(link.id, link.forwarded, self._node.now() - link.since))

    def _account(self, key: bytes) -> RelayAccount:
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= _MAX_ACCOUNTS:
                oldest = next((old for old, found in self._accounts.items() if not found.links), None)
                if oldest is not None:
                    del self._accounts[oldest]
            policy = self.policy
            account = RelayAccount(key, policy.bytes_per_second, policy.bytes_in_all, self._node.now())
            self._accounts[key] = account
        return account

    def _tell(self, event: RelayEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    # Time

    def _check(self) -> None:
        if self._server.closed or self._node.closed:
            return
        now = self._node.now()
        self._timer = self._node.endpoint.loop.call_later(_CHECK_EVERY, self._check)
        self._state.handle_timer(now)
        for token, link in list(self._links.items()):
            if now - link.heard > IDLE_LIMIT:
                self._unlink(token)
        for session, connection in list(self._connections.items()):
            if session.pending or session.links:
                self._idle_since[session] = now
            elif now - self._idle_since[session] > IDLE_LIMIT:
                connection.destroy()
        self._settle()
