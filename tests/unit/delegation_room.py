"""A provider with a scripted engine and consumers that reach it in memory: the room that delegation's tests play in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules, Allowance, Limits
from qvac_core.delegation.consumer import Consumer, Delegate, LocalLoader, Waits
from qvac_core.delegation.events import ProviderEvent
from qvac_core.delegation.given_receipts import GivenReceipts
from qvac_core.delegation.messages import HistoryMessage
from qvac_core.delegation.provider import Provider
from qvac_core.delegation.receipt_exchange import TakenReceipts
from qvac_core.delegation.serving import Greeting
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import Refusal
from tests.unit.memory_stream import MemoryStream, stream_pair
from tests.unit.scripted_engine import MemoryLog, OneShared, ScriptedPool

PROVIDER_KEY = b"\x0a" * 32
CONSUMER_KEY = b"\x0c" * 32
STRANGER_KEY = b"\x0d" * 32

ASK = [HistoryMessage(role="user", content="What is the capital of France?")]


def admitting(*keys: bytes, knock: bool = False, **allowance: Any) -> AccessRules:
    allowed = {key: Allowance(**allowance) for key in keys}
    return AccessRules(AccessMode.ALLOW, MappingProxyType(allowed), knock=knock)


@dataclass
class Room:
    """One provider; `connect_as(key)` gives a consumer's connect function that goes through its firewall."""

    provider: Provider
    policy: AccessPolicy
    pool: ScriptedPool
    models: OneShared
    log: MemoryLog
    events: list[ProviderEvent]
    tasks: asyncio.TaskGroup
    provider_key: bytes = PROVIDER_KEY
    streams: list[MemoryStream] = field(default_factory=list)
    connects: int = 0

    def stream_as(self, key: bytes, *, capacity: int = 256 * 1024) -> MemoryStream:
        """The consumer's end of an admitted or knocking connection. Raises what hyperdht raises otherwise."""
        self.connects += 1
        verdict = self.provider.firewall(key, None)
        if isinstance(verdict, Refusal):
            raise NetworkError("refused", name="SERVER_ERROR")
        if verdict is True:
            raise NetworkError("no answer", name="PEER_CONNECTION_FAILED")
        ours, theirs = stream_pair(key, self.provider_key, capacity=capacity)
        self.streams.append(ours)
        self.tasks.create_task(self.provider.serve(theirs))
        return ours

    def consumer(
        self,
        key: bytes = CONSUMER_KEY,
        *,
        waits: Waits | None = None,
        local_loader: LocalLoader | None = None,
        receipts: TakenReceipts | None = None,
    ) -> Consumer:
        async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
            if public_key != self.provider_key:
                raise NetworkError("nobody knows it", name="PEER_NOT_FOUND")
            return self.stream_as(key)

        return Consumer(connect, waits=waits, local_loader=local_loader, receipts=receipts)


DELEGATE = Delegate(PROVIDER_KEY)


@asynccontextmanager
async def provider_room(
    rules: AccessRules | None = None,
    limits: Limits | None = None,
    *,
    provider_key: bytes = PROVIDER_KEY,
    receipts: GivenReceipts | None = None,
    wall_clock: Callable[[], float] | None = None,
    expected_wait: Callable[[str], float] = lambda request_id: 0.0,
) -> AsyncIterator[Room]:
    policy = AccessPolicy(admitting(CONSUMER_KEY) if rules is None else rules)
    pool, models, log = ScriptedPool(), OneShared(), MemoryLog()
    events: list[ProviderEvent] = []
    provider = Provider(
        models=models,
        pool=pool,
        policy=policy,
        limits=limits,
        log=log,
        on_event=events.append,
        greeting=lambda: Greeting(name="Test box"),
        wall_clock=wall_clock or asyncio.get_running_loop().time,
        public_key=provider_key,
        receipts=receipts,
        expected_wait=expected_wait,
    )
    async with asyncio.TaskGroup() as tasks:
        room = Room(provider, policy, pool, models, log, events, tasks, provider_key)
        yield room
        await provider.close()
        for stream in room.streams:
            stream.destroy()
    assert len(provider.requests) == 0
    assert pool.leases == 0
