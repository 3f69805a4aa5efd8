"""A connection that is ended on one side, reads that are cancelled meanwhile, and datagrams beside it. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qvac_core.errors import ConnectionClosed, LocalProtocolError
from qvac_core.hyperdht import Connection

from .datagram_network import Link
from .world import World, simulate

ROUGH = Link(delay=(0.005, 0.06), loss=0.05, duplicate=0.02)


def between(test: Callable[[Connection, Connection], Awaitable[None]], *, seed: int, link: Link = ROUGH) -> None:
    """test(client's, server's side)"""

    async def body(world: World) -> None:
        came: asyncio.Queue[Connection] = asyncio.Queue()
        server, client = await world.node(), await world.node()
        await server.create_server(came.put_nowait).listen()
        ours = await client.connect(server.key_pair.public_key)
        await ours.write(b"open")
        theirs = await came.get()
        assert await theirs.read() == b"open"
        await test(ours, theirs)
        for side in (ours, theirs):
            side.destroy()

    simulate(body, seed=seed, link=link)


@pytest.mark.parametrize("seed", range(3))
def test_reads_that_are_cancelled_behind_our_end_lose_nothing(seed: int) -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        ours.end()
        assert await theirs.read() is None
        with pytest.raises(ConnectionClosed):
            await ours.write(b"too late")
        heard: list[bytes] = []

        async def answer() -> None:
            for number in range(60):
                await theirs.write(b"%d" % number)
                await asyncio.sleep(0.02)
            theirs.end()

        answering = asyncio.create_task(answer())
        while True:
            try:
                async with asyncio.timeout(0.013):
                    message = await ours.read()
            except TimeoutError:
                continue
            if message is None:
                break
            heard.append(message)
        await answering
        assert heard == [b"%d" % number for number in range(60)]
        for side in (ours, theirs):
            async with asyncio.timeout(30):
                await side.wait_closed()
            assert side.error is None

    between(test, seed=seed)


def test_datagrams_that_somebody_stopped_reading_can_be_read_by_the_next() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        ours.datagrams()  # nobody wanted them after all
        theirs.send(b"one")
        async for datagram in ours.datagrams():
            assert datagram == b"one"
            break
        reader = ours.datagrams()
        with pytest.raises(LocalProtocolError, match="Somebody reads"):
            ours.datagrams()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(reader)
        theirs.send(b"two")  # a wait that was given up is no end
        assert await anext(reader) == b"two"
        for number in range(300):
            theirs.send(b"%d" % number)
        await asyncio.sleep(1)
        theirs.destroy()
        async with asyncio.timeout(60):
            await ours.wait_closed()
            rest = [datagram async for datagram in reader]
        assert rest[-1] == b"299" and len(rest) <= 256  # the oldest went
        assert [datagram async for datagram in reader] == []

    between(test, seed=9, link=Link(delay=(0.005, 0.005)))
