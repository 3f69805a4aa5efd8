"""Keeping a server findable: the walk, the announces, the pings that keep NAT mappings open, the next walk.

From docs/wire/hyperdht.md section 7 (hyperdht/lib/announcer.js 6.34.0); the decisions are rendezvous.Announcer's. Ours
also looks every quarter of a minute whether the relays still lead to us, in place of that round's pings: one answers
pings for long after somebody with the same key has closed and taken the record away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from qvac_core.codec import Address
from qvac_core.dht_rpc import Reply
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.hyperdht.records import withdraw
from qvac_core.hyperdht.server.self_check import SelfCheck, Sighting
from qvac_core.rendezvous.announcer import MIN_UPDATE_INTERVAL, PING_INTERVAL, PINGS_PER_CYCLE, Announcer
from qvac_core.rendezvous.constants import Command

logger = logging.getLogger(__name__)

UPDATE_LIMIT = 60.0
"""Seconds for one walk with its announces; a walk that hangs must not end the announcing for good."""
WITHDRAW_LIMIT = 2.0
_RETRY_FIRST, _RETRY_LAST = 3.0, 30.0
LOOK_EVERY = 5
"""Rounds of pings: 15 seconds. It costs one datagram more for each of the three relays than the pings it replaces."""
PARTLY_MISSED_PAUSE = 60.0
"""Seconds between two updates because some relays do not lead to us, while others do: they may never."""
UNSEEN_PAUSE = 60.0
"""Seconds, at most, between two updates after which no relay leads to us; the first come quickly."""
SECOND_LOOK_PAUSE = 2.0
"""Seconds after a look that found nothing where the last one did: one may be lost to a busy machine or line."""
ANOTHER_FOR = 60.0
"""Seconds for which we believe that a machine with our key is there that was heard of; it looks four times in that."""


class Announcing:
    """`on_seen` is called when `found` or `another` have changed."""

    def __init__(
        self,
        endpoint: Endpoint,
        requests: Requests,
        announcer: Announcer,
        check: SelfCheck,
        on_seen: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoint = endpoint
        self._requests = requests
        self._announcer = announcer
        self._check = check
        self._on_seen = on_seen
        self.found: bool | None = None
        """Whether a handshake through a relay came back to us at the last look; None before the first."""
        self._another_at: float | None = None
        self._missed_at = float("-inf")
        self._unseen = 0
        self._refresh = asyncio.Event()
        self._asked: set[Address] = set()
        """Nodes whose answer to an announce is awaited: they may have it already."""

    def refresh(self) -> None:
        """Announce again soon: the network changed."""
        self._refresh.set()

    @property
    def another(self) -> bool:
        """Whether another machine with our key has shown itself lately."""
        return self._another_at is not None and self._endpoint.loop.time() - self._another_at < ANOTHER_FOR

    def met_another(self) -> None:
        was, self._another_at = self.another, self._endpoint.loop.time()
        if not was:
            self._on_seen()

    async def update(self) -> int:
        """One walk and its announces; how many nodes relay to us now."""
        announcer = self._announcer
        announcer.begin()
        result = await self._requests.query(announcer.target, Command.FIND_PEER, nodes=announcer.closest_nodes)
        replies = result.closest_replies if result is not None else ()
        await asyncio.gather(*(self._announce_at(reply) for reply in announcer.pick(replies)))
        announcer.publish([reply.from_ for reply in replies], self._endpoint.node.remote_address())
        await withdraw(self._requests, announcer.target, announcer.key_pair, announcer.dropped())
        return len(announcer.relays)

    async def try_update(self) -> int:
        """0 as well when the walk failed."""
        try:
            async with asyncio.timeout(UPDATE_LIMIT):
                return await self.update()
        except (TimeoutError, NetworkError) as error:
            logger.warning("announcing failed: %s", error)
            return 0

    async def _announce_at(self, reply: Reply) -> None:
        assert reply.id is not None and reply.token is not None
        announcer = self._announcer
        message = announcer.announce(reply.id, reply.token)
        self._asked.add(reply.from_)
        try:
            stored = await self._requests.request(
                Command.ANNOUNCE, reply.from_, target=announcer.target, value=message.encode(), token=reply.token
            )
        except NetworkError:
            return
        if stored.error == 0:
            announcer.committed(reply.from_, stored.to)
        self._asked.discard(reply.from_)

    async def run(self) -> None:
        """Until cancelled, after a first `update`."""
        retry = _RETRY_FIRST
        while True:
            await self._keep_alive()  # begins with a look
            self._refresh.clear()
            if await self.try_update():
                retry = _RETRY_FIRST
                continue
            await self._pause(retry)
            retry = min(2 * retry, _RETRY_LAST)

    async def _keep_alive(self) -> None:
        """Ping the relays until it is time to announce again, or there is reason to."""
        is_lost = await self._look()
        self._unseen = self._unseen + 1 if is_lost and not self.found else 0
        await self._pause(min(MIN_UPDATE_INTERVAL * 2**self._unseen, UNSEEN_PAUSE))
        for turn in range(1, PINGS_PER_CYCLE):
            relays = self._announcer.current()
            if is_lost or self._refresh.is_set() or not relays:
                return
            if turn % LOOK_EVERY == 0:
                is_lost = await self._look()
            else:
                pongs = await asyncio.gather(*map(self._ping, relays))
                moved = any(pong is not None and self._announcer.moved(pong.from_, pong.to) for pong in pongs)
                if moved or self._announcer.lost_too_many(len(pongs), sum(pong is not None for pong in pongs)):
                    return
            await self._pause(PING_INTERVAL)

    async def _look(self) -> bool:
        """Whether it is time to announce again, because relays do not lead to us, nor to another with our key."""
        relays = self._announcer.current()
        if not relays and self.found is None:
            return True
        sightings = await self._check.look(relays)
        if self.found and all(sighting is Sighting.NOBODY for sighting in sightings):
            await self._pause(SECOND_LOOK_PAUSE)
            sightings = await self._check.look(relays)
        before = self.found, self.another
        self.found = Sighting.US in sightings
        if Sighting.ANOTHER in sightings:
            self._another_at = self._endpoint.loop.time()
        if (self.found, self.another) != before:
            self._on_seen()
        missed = sightings.count(Sighting.NOBODY)
        if missed < len(sightings):
            now = self._endpoint.loop.time()
            if not missed or now - self._missed_at < PARTLY_MISSED_PAUSE:
                return False
            self._missed_at = now
        return True

    async def _ping(self, relay: Address) -> Reply | None:
        try:
            return await self._requests.ping(relay)
        except NetworkError:
            return None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._refresh.wait()
        except TimeoutError:
            return

    async def withdraw(self) -> None:
        """Take the announces back, as far as that goes quickly."""
        announcer = self._announcer
        try:
            async with asyncio.timeout(WITHDRAW_LIMIT):
                await withdraw(
                    self._requests,
                    announcer.target,
                    announcer.key_pair,
                    announcer.everywhere(),
                    arriving=tuple(self._asked),
                )
        except (TimeoutError, NetworkError):
            pass  # records that are left end by themselves
        announcer.forget()
        self.found = None
