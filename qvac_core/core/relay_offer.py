"""The relay that this machine offers to others: on and off, for whom, how fast, how much a day, by the settings.

It listens under a key of its own, made from this machine's seed: under one key a node serves one thing. How it forwards
is `qvac_core/hyperdht/relay_server.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from datetime import date

from qvac_core.core.event_hub import EventHub
from qvac_core.core.network import NetworkNode
from qvac_core.core.relay_offer_state import RelayOffer, RelayOfferChanged, RelayPhase
from qvac_core.core.state import AccessChanged, AccessKey, CoreEvent
from qvac_core.errors import NetworkError, StoreError
from qvac_core.hyperdht import KeyPair, RelayEvent, RelayPolicy, RelayServer
from qvac_core.store.settings import RelayUsers
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

LOOK_EVERY = 30.0  # seconds
AGAIN_AFTER = 5.0  # seconds, where it could not listen
MACHINES = 256  # at once
KEPT = "relay_used.today"  # of the settings: the day and the bytes that were forwarded on it
_MEGA, _GIGA = 1_000_000, 1_000_000_000


def relay_key_pair(seed: bytes) -> KeyPair:
    """Of the relay of the machine with this seed: always the same, and nobody can tell from it whose it is."""
    return KeyPair.from_seed(hashlib.blake2b(seed, digest_size=32, person=b"qvac relay").digest())


@dataclass(frozen=True, slots=True)
class _AllBut(Container[bytes]):
    blocked: frozenset[bytes]

    def __contains__(self, key: object) -> bool:
        return key not in self.blocked


class RelayOfferRoom:
    """keys: those of the owner's list now. `settings_changed` after a change of "relay.…"; `close` ends it."""

    def __init__(
        self,
        store: Store,
        hub: EventHub,
        network: NetworkNode,
        seed: bytes,
        keys: Callable[[], Awaitable[tuple[AccessKey, ...]]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._hub, self._network, self._keys, self._clock = store, hub, network, keys, clock
        self._key_pair = relay_key_pair(seed)
        self._server: RelayServer | None = None
        self._tasks = TaskOwner()
        self._switch = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._day, self._before = self._kept()
        self._told: RelayOffer | None = None
        self._closed = False
        self._unsubscribe = hub.subscribe(self._take)

    @property
    def public_key(self) -> str:
        return self._key_pair.public_key.hex()

    def now(self) -> RelayOffer:
        server = self._server
        if server is None:
            return RelayOffer(RelayPhase.OFF, self.public_key, bytes_today=self._before)
        phase = RelayPhase.STARTING
        if server.exhausted:
            phase = RelayPhase.USED_UP
        elif server.found is not None:
            phase = RelayPhase.ON if server.found else RelayPhase.NOT_FOUND
        return RelayOffer(phase, self.public_key, server.sessions, server.links, server.forwarded)

    async def settings_changed(self) -> None:
        """Also at the start: as it was left."""
        async with self._switch:
            wanted = self._store.settings.settings.relay.on and not self._closed
            if wanted and self._server is None:
                await self._begin()
            elif not wanted and self._server is not None:
                await self._end()
            elif self._server is not None:
                self._server.use(await self._policy())
        self._tell()

    async def close(self) -> None:
        self._closed = True
        self._unsubscribe()
        async with self._switch:
            if self._server is not None:
                await self._end()
        await self._tasks.close()

    # --- Its life

    async def _begin(self) -> None:
        server = self._network.dht.create_relay_server(await self._policy(), self._on_relayed)
        self._turn_day()
        server.begin_count(self._before)
        server.on_seen = self._tell
        self._server = server
        self._watch = self._tasks.start(self._run(server), "relay for others")

    async def _end(self) -> None:
        server, self._server = self._server, None
        assert server is not None and self._watch is not None
        await self._tasks.end(self._watch)
        await server.close()
        self._before = server.forwarded
        await self._keep()

    async def _run(self, server: RelayServer) -> None:
        while True:
            try:
                # Also while there is no network: it is announced as soon as there is one.
                await server.listen(self._key_pair, alone=True)
                break
            except NetworkError as error:  # of a machine that goes to sleep
                logger.info("the relay does not listen yet: %s", error)
                await asyncio.sleep(AGAIN_AFTER)
        while True:
            # Whose time is over, and what day it is: neither comes with an event.
            await asyncio.sleep(LOOK_EVERY)
            self._turn_day()
            await self._admit()
            self._tell()
            if server.forwarded != self._before:
                self._before = server.forwarded
                await self._keep()

    async def _admit(self) -> None:
        try:
            policy = await self._policy()
        except StoreError as error:
            logger.warning("who may use the relay could not be read: %s", error)
            return
        if self._server is not None:
            self._server.use(policy)

    async def _policy(self) -> RelayPolicy:
        settings = self._store.settings.settings.relay
        keys, now = await self._keys(), self._clock()
        blocked = frozenset(bytes.fromhex(key.public_key) for key in keys if key.blocked)
        allowed = frozenset(
            bytes.fromhex(key.public_key)
            for key in keys
            if not key.blocked and (key.expires_at is None or key.expires_at > now)
        )
        return RelayPolicy(
            admitted=allowed if settings.who is RelayUsers.ALLOWED else _AllBut(blocked),
            bytes_per_second=None,
            sessions=MACHINES,
            whole_bytes_per_second=settings.mb_per_second * _MEGA or None,
            whole_bytes=settings.gb_per_day * _GIGA or None,
        )

    # --- What it tells

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, AccessChanged) and self._server is not None and not self._closed:
            self._tasks.start(self._admit(), "who may use the relay")

    def _on_relayed(self, _event: RelayEvent) -> None:
        self._tell()

    def _tell(self) -> None:
        offer = self.now()
        told, self._told = self._told, offer
        if told is None or (told.phase, told.machines, told.pairs) != (offer.phase, offer.machines, offer.pairs):
            self._hub.emit(RelayOfferChanged(offer))

    # --- The day

    def _today(self) -> str:
        return date.fromtimestamp(self._clock()).isoformat()

    def _turn_day(self) -> None:
        if (today := self._today()) != self._day:
            self._day, self._before = today, 0
            if self._server is not None:
                self._server.begin_count()

    def _kept(self) -> tuple[str, int]:
        """A person may edit the settings: what is no count is none."""
        day, _, count = self._store.settings.text(KEPT).partition(" ")
        today = self._today()
        return today, int(count) if day == today and count.isascii() and count.isdigit() and len(count) < 20 else 0

    async def _keep(self) -> None:
        try:
            await self._store.database.run(self._store.settings.set_text, KEPT, f"{self._day} {self._before}")
        except StoreError as error:
            logger.warning("what the relay forwarded today was not kept: %s", error)
