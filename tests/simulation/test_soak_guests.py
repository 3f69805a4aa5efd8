"""A hundred guests of one provider at once: each is answered, all vanish, and the provider is as it was before."""

from __future__ import annotations

import asyncio
import functools
import operator
from collections import Counter

import pytest

from qvac_core.errors import ProviderError
from qvac_core.hyperdht import DHT, KeyPair, create_testnet
from tests.holdings import grown, process, resident_bytes, tables

from .datagram_network import Link
from .nat_meeting import QUIET
from .soak import BOUNDED, Stand, Visitor
from .world import World, simulate

VANISHED = 30.0
"""Seconds until a provider must have noticed guests that say nothing any more."""


async def at_rest(dht: DHT, stand: Stand) -> tuple[Counter[str], int]:
    """Tables and tasks without what comes and goes: the least of some looks."""
    looks = []
    for _ in range(10):
        await asyncio.sleep(1)
        looks.append((tables(dht, stand.provider), len(asyncio.all_tasks())))
    return functools.reduce(operator.and_, [held for held, _ in looks]), min(tasks for _, tasks in looks)


@pytest.mark.parametrize("guests", [10, pytest.param(100, marks=pytest.mark.long)])
def test_guests_that_crash_in_mid_answer(guests: int) -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        stand = Stand(dht, words=40, step=1.0)  # longer than it takes to notice that a guest is gone
        await stand.open()

        async def come_and_crash(count: int) -> None:
            hosts = [world.internet.host() for _ in range(count)]
            keys = [KeyPair.from_seed(number.to_bytes(32)) for number in range(count)]
            visitors = [Visitor(world.make(host, key_pair=key), stand) for host, key in zip(hosts, keys, strict=True)]
            await asyncio.gather(*(visitor.ask() for visitor in visitors))
            assert stand.busy == (count,) * 5
            for host in hosts:
                host.crash()
            await asyncio.gather(*(visitor.forget() for visitor in visitors))
            await stand.until_free(VANISHED)

        counts = []
        for _ in range(2):
            await come_and_crash(guests)
            await asyncio.sleep(120)
            await come_and_crash(1)  # sweeps out what is swept on the way
            counts.append(await at_rest(dht, stand))
        assert stand.log.outcomes.count("eos") == stand.log.outcomes.count("disconnected") == 2 * (guests + 1)
        assert len(stand.log.outcomes) == 4 * (guests + 1)
        (before, tasks), (after, tasks_after) = counts
        assert not grown(before, after, BOUNDED)
        assert tasks == tasks_after

    simulate(test, seed=121, link=QUIET)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))])
def test_guests_hear_the_last_words_of_a_provider_that_stops_on_a_bad_network(seed: int) -> None:
    """A tenth of all packets is lost; the sentence that says why comes all the same, and not a broken connection."""

    async def test(world: World) -> None:
        stand = Stand(await world.node(), words=200)
        await stand.open()
        visitors = [Visitor(await world.node(), stand) for _ in range(10)]
        await asyncio.gather(*(visitor.ask() for visitor in visitors))
        answers = [answer for visitor in visitors for answer in visitor.consumer._runs.values()]
        assert len(answers) == 10
        await stand.provider.close()
        for answer in answers:
            with pytest.raises(ProviderError, match="stopped sharing"):
                await answer.text
        for visitor in visitors:
            await visitor.consumer.close()

    simulate(test, seed=seed, link=Link(delay=(0.01, 0.04), loss=0.1))


@pytest.mark.parametrize("guests", [8, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_guests_on_real_sockets_that_drop_their_connections(guests: int) -> None:
    """Loopback and the system's sockets; three times, so that what grows can be told from what is there once."""

    async with (
        await create_testnet(4) as net,
        DHT(net.bootstrap, host="127.0.0.1", port=0) as dht,
    ):
        stand = Stand(dht, words=5)
        await stand.open()
        counts = []
        for _ in range(3):
            nodes = [DHT(net.bootstrap, host="127.0.0.1", port=0) for _ in range(guests)]
            visitors = [Visitor(node, stand) for node in nodes]
            await asyncio.gather(*(visitor.ask() for visitor in visitors))
            assert len(stand.provider._sessions) == len(dht.node.connections) == guests
            await asyncio.gather(*(visitor.forget() for visitor in visitors))
            await stand.until_free(VANISHED)
            counts.append(process())
            print(dict(counts[-1]), resident_bytes() // 1_000_000, "MB")
        assert counts[1] == counts[2]
