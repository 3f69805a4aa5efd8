"""A provider of which nothing comes while somebody waits: it is asked, and told when it does not answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from qvac_core.delegation.consumer import Consumer
from qvac_core.delegation.life_signs import (
    COUNTED_SECONDS,
    GONE_SECONDS,
    SILENT_SECONDS,
    LifeSigns,
    Silence,
    unless_lost,
)
from qvac_core.errors import ConnectionClosed
from tests.unit.delegation_room import ASK, DELEGATE, PROVIDER_KEY
from tests.unit.memory_stream import run
from tests.unit.test_delegation_bad_providers import DELTA, FakeProvider

RUNNER = run

OURS: dict[str, Any] = {"type": "hello", "version": 1, "features": ["keepalive"]}


class Watch:
    def __init__(self, consumer: Consumer, tasks: asyncio.TaskGroup) -> None:
        self.consumer = consumer
        self.told: list[float | None] = []
        self.signs = LifeSigns(lambda: consumer.connection(PROVIDER_KEY), self.told.append)
        self.task = tasks.create_task(self.signs.watch())

    async def until_told(self, count: int) -> float:
        """Seconds until so much was told."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.timeout(60):
            while len(self.told) < count:
                await asyncio.sleep(0.01)
        return loop.time() - started


def watching(test: Callable[[FakeProvider, Watch], Awaitable[None]], *, ours: bool) -> None:
    """While an answer has begun and goes on."""

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            provider = FakeProvider(tasks)
            if ours:
                provider.replies |= {"hello": OURS, "keepalive": {"type": "keepalive"}}
            provider.lines["completionStream"] = [DELTA]
            provider.ends = False
            consumer = Consumer(provider.connect)
            await consumer.completion("abc", ASK, delegate=DELEGATE)
            watch = Watch(consumer, tasks)
            await test(provider, watch)
            watch.signs.release()
            provider.end()
            await consumer.close()

    run(main())


@pytest.mark.parametrize("ours", [True, False])
def test_a_provider_that_reads_for_long_is_there_and_one_that_died_is_told_after_three_seconds(ours: bool) -> None:
    async def test(provider: FakeProvider, watch: Watch) -> None:
        await asyncio.sleep(30)
        assert watch.told == []
        assert len(provider.of("keepalive" if ours else "heartbeat")) > 10
        provider.alive = False
        assert await watch.until_told(1) == pytest.approx(SILENT_SECONDS, abs=1.1)
        assert watch.told[0] is not None and SILENT_SECONDS <= watch.told[0] < SILENT_SECONDS + 1
        await asyncio.sleep(5)
        assert len(watch.told) == 1

    watching(test, ours=ours)


def test_what_comes_late_counts() -> None:
    """A provider that stood still for five seconds is there again with the answer to what it was asked then."""

    async def test(provider: FakeProvider, watch: Watch) -> None:
        gate = provider.gate = asyncio.Event()
        await watch.until_told(1)
        gate.set()
        await watch.until_told(2)
        assert watch.told[1] is None
        asked = len(provider.of("heartbeat"))
        assert asked <= 3  # one question at a time

    watching(test, ours=False)


def test_a_connection_that_ends_is_no_silence() -> None:
    async def test(provider: FakeProvider, watch: Watch) -> None:
        provider.alive = False
        await watch.until_told(1)
        watch.signs.release()  # nobody waits any more: it is watched until it is there again, or gone
        await asyncio.sleep(2)
        assert not watch.task.done()
        provider.end()
        await watch.until_told(2)
        assert watch.told[1] is None
        await watch.task
        watch.signs.want()

    watching(test, ours=True)


@pytest.mark.parametrize("ours", [True, False])
def test_nobody_is_doubted_while_a_provider_reads_a_long_prompt(ours: bool) -> None:
    """What this machine computes ahead, it computes only for a provider that is not heard."""

    async def test(provider: FakeProvider, watch: Watch) -> None:
        connection = watch.consumer.connection(PROVIDER_KEY)
        assert connection is not None
        for _ in range(1000):
            await asyncio.sleep(0.01)
            assert connection.quiet < (0.35 if ours else 1.2)
        provider.alive = False
        for stream in provider.streams:
            stream.cut()
        began = asyncio.get_running_loop().time()
        while not connection.gone:
            await asyncio.sleep(0.01)
        waited = asyncio.get_running_loop().time() - began
        assert waited < (GONE_SECONDS + 0.1 if ours else 2.6)
        for stream in provider.streams:
            stream.cut(False)

    watching(test, ours=ours)


def test_who_did_not_listen_blames_nobody() -> None:
    """A loop that stood still, or a machine that slept, has heard nothing."""
    silence = Silence(100.0)
    assert silence.look(100.0, 100.05) == pytest.approx(0.05)
    assert silence.look(100.0, 3700.0) == pytest.approx(0.05 + COUNTED_SECONDS)
    assert silence.look(3700.1, 3700.1) < 0.01
    assert silence.look(3700.1, 3700.2) == pytest.approx(0.1)


# --- Whoever goes on elsewhere


async def test_parts_come_until_none_does_and_none_will() -> None:

    lost, closed = False, False

    async def parts() -> AsyncGenerator[str, None]:
        nonlocal lost, closed
        try:
            for part in "a", "b":
                await asyncio.sleep(10)  # a silence that is none
                yield part
            lost = True
            await asyncio.Event().wait()
        finally:
            closed = True

    heard = []
    source = parts()
    with pytest.raises(ConnectionClosed, match="the peer stopped answering") as failed:
        async with aclosing(source), aclosing(unless_lost(source, lambda: lost)) as watched:
            async for part in watched:
                heard.append(part)
    assert (heard, closed, failed.value.name) == (["a", "b"], True, "ETIMEDOUT")


def test_that_it_stopped_answering_is_said_in_one_place_above_the_stream() -> None:
    root = Path(__file__).resolve().parents[2]
    says = re.compile(r"ConnectionClosed\(\s*\"[^\"]*(stopped answering|not answer any more)")
    found = [
        file
        for room in ("app", "qvac_core")
        for file in (root / room).rglob("*.py")
        if says.search(file.read_text("utf-8"))
    ]
    assert sorted(file.name for file in found) == ["life_signs.py", "stream.py"]
