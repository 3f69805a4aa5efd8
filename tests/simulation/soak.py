"""What soak tests in virtual time share: counting when all is warm, and a guest that holds on to its provider."""

from __future__ import annotations

import asyncio
import functools
import operator
from collections import Counter
from random import Random

from qvac_core.core.reconnecting import Reconnecting
from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules, Limits
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.provider import Provider
from qvac_core.dht_rpc import Event, NetworkChanged, WakeUp
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht import DHT, Connection
from tests.holdings import tables
from tests.unit.delegation_room import ASK
from tests.unit.scripted_engine import SMOL, MemoryLog, OneShared, ScriptedModel, ScriptedPool

from .datagram_network import Host
from .world import World, pump

_NODES = 3  # at most, whose tables are counted together
BOUNDED = {
    "NatSampler._samples": _NODES * 32,
    "Neighbourhood._samplers": _NODES * 16,
    "Neighbourhood._lost": _NODES * 64,
    **dict.fromkeys(("Announcer._generations[]", "RelayInfo"), _NODES * 3 * 3),
    **dict.fromkeys(("Timers._heap", "Timer"), _NODES * 16),  # a cancelled timer stays in it until its time
    **dict.fromkeys(
        ("Recency._nodes", "Table._by_key", "Table._rows", "Table._rows[]", "TableNode"), _NODES * 15
    ),  # all there are
    **dict.fromkeys(("Cache._newest", "Cache._oldest", "Forward"), _NODES * 4),  # by age
    "HandshakeMemory._free_ids": 512,  # as many as were on their way at once (`server.limits.PENDING`)
    "RateLimit._counts": _NODES * 16,  # of the last second in which anybody asked
}
"""Memories of nodes that fill up slowly, to the size that they may have."""

KEY = "ab" * 32


async def most(seconds: float, *dhts: DHT) -> Counter[str]:
    """The most that was held at any of ten looks: what is on its way comes and goes."""
    return functools.reduce(operator.or_, await _look(seconds, *dhts))


async def least(seconds: float, *dhts: DHT) -> Counter[str]:
    """What was held at every one of ten looks."""
    return functools.reduce(operator.and_, await _look(seconds, *dhts))


async def _look(seconds: float, *dhts: DHT) -> list[Counter[str]]:
    found = []
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        found.append(tables(*dhts))
    return found


class Guest:
    """A node that keeps one connection, as Contacts does: lost is brought back, a change of the network hurries it."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.dht: DHT
        self.connection: Connection | None = None
        self.back = asyncio.Event()
        self.losses = 0
        self._watching: asyncio.Task[None] | None = None
        self.again = Reconnecting(self.connect, lambda error: False, chance=Random(2))

    async def join(self, world: World, host: Host | None = None) -> None:
        self.dht = await world.node(host=host, on_change=self._on_change)

    def _on_change(self, change: Event) -> None:
        if isinstance(change, WakeUp) or (isinstance(change, NetworkChanged) and change.online):
            self.again.hurry()

    async def connect(self, key: str = KEY) -> None:
        self.connection = await self.dht.connect(self.key, timeout=10)
        self._watching = asyncio.create_task(self._watch(self.connection))
        self.back.set()

    async def _watch(self, connection: Connection) -> None:
        try:
            await connection.wait_closed()
            raise connection.error or ConnectionClosed("ended")
        except ConnectionClosed:
            self.losses += 1
            self.back.clear()
            self.again.lost(KEY)

    async def works(self, limit: float) -> None:
        """The connection is there within so many seconds, and carries what it should."""
        async with asyncio.timeout(limit):
            while True:
                await self.back.wait()
                assert self.connection is not None
                try:
                    return await pump(self.connection, 20_000)
                except (ConnectionClosed, StopAsyncIteration):
                    self.back.clear()

    async def close(self) -> None:
        await self.again.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])


class Stand:
    """A provider with a scripted engine on a node of its own: who comes is admitted, each word takes a while."""

    def __init__(self, dht: DHT, *, words: int, step: float = 0.05) -> None:
        self.dht = dht
        self.pool = ScriptedPool(ScriptedModel([f"{n} " for n in range(words)], step=step, slots=200), load_seconds=0.1)
        self.log = MemoryLog()
        self.provider = Provider(
            models=OneShared(),
            pool=self.pool,
            policy=AccessPolicy(AccessRules(AccessMode.DENY)),
            log=self.log,
            limits=Limits(parallel=200, slots=200, queue_length=200),
            wall_clock=asyncio.get_running_loop().time,
        )

    async def open(self) -> None:
        server = self.dht.create_server(self.provider.serve, firewall=self.provider.firewall)
        await server.listen()

    @property
    def busy(self) -> tuple[int, int, int, int, int]:
        """Sessions, requests, leases, answers and connections."""
        provider, running = self.provider, len(self.pool.model.running)
        return (
            len(provider._sessions),
            len(provider.requests),
            self.pool.leases,
            running,
            len(self.dht.node.connections),
        )

    async def until_free(self, limit: float) -> None:
        """All guests are gone: it holds nothing of theirs any more."""
        async with asyncio.timeout(limit):
            while any(self.busy) or self.dht.endpoint._streams:
                await asyncio.sleep(0.1)


class Visitor:
    """A consumer on a node of its own that loads, asks and reads an answer, then a second one that it leaves open."""

    def __init__(self, dht: DHT, stand: Stand) -> None:
        self.dht = dht
        self._stand = stand

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> Connection:
            return await dht.connect(public_key)

        self.consumer = Consumer(connect)

    async def ask(self) -> None:
        delegate = Delegate(self._stand.dht.key_pair.public_key, timeout=60.0)
        loaded = await self.consumer.load_model(SMOL.name, delegate=delegate)
        answer = await self.consumer.completion(loaded.model_id, ASK)
        assert await answer.text == "".join(self._stand.pool.model.words)
        await anext((await self.consumer.completion(loaded.model_id, ASK)).token_stream)

    async def forget(self) -> None:
        """What a killed process need not do: end our own tasks, when nobody hears of it any more."""
        await self.dht.close()
        await self.consumer.close()
