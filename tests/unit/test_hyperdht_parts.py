"""Parts of hyperdht that need no network: bootstrap entries, trains of datagrams, connections over a pair in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from qvac_core.errors import ConnectionClosed, IdentityError, LocalProtocolError, NetworkError
from qvac_core.hyperdht import DHT, Connection, create_testnet
from qvac_core.hyperdht.node.network import _train_end
from qvac_core.hyperdht.node.seeds import Bootstrap, resolve
from qvac_core.rendezvous.constants import BOOTSTRAP_NODES
from tests.simulation.datagram_network import Internet
from tests.simulation.virtual_loop import run

RUNNER = run


def test_bootstrap_entries_of_every_form() -> None:
    assert Bootstrap.parse([]).empty
    assert not Bootstrap.parse(BOOTSTRAP_NODES).names
    found = Bootstrap.parse([("127.0.0.1", 1), "127.0.0.1:2", "88.99.3.86@node1.hyperdht.org:49737", "localhost:3"])
    assert found.addresses == (("127.0.0.1", 1), ("127.0.0.1", 2), ("88.99.3.86", 49737))
    assert found.names == (("localhost", 3),)
    for wrong in (
        "",
        "127.0.0.1",
        "127.0.0.1:",
        ":1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "[::1]:1",
        ("::1", 1),
    ):
        with pytest.raises(NetworkError) as bad:
            Bootstrap.parse([wrong])
        assert bad.value.name == "BAD_BOOTSTRAP"


def test_addresses_need_no_resolving() -> None:
    assert run(resolve(Bootstrap.parse(["127.0.0.1:2"]))) == [("127.0.0.1", 2)]


@pytest.mark.parametrize(
    ("sizes", "trains"),
    [
        ([100] * 3, [3]),
        ([100, 100, 50, 100], [3, 1]),
        ([50, 100, 100], [1, 2]),
        ([100] * 70, [64, 6]),
        ([1472] * 50, [44, 6]),
    ],
)
def test_trains_are_of_equal_datagrams(sizes: list[int], trains: list[int]) -> None:
    datagrams = [bytes(size) for size in sizes]
    found, start = [], 0
    while start < len(datagrams):
        end = _train_end(datagrams, start)
        found.append(end - start)
        start = end
    assert found == trains


def with_pair(test: Callable[[Connection, Connection], Awaitable[None]]) -> None:
    """Two ends of one connection, on a simulated network in virtual time."""

    async def body() -> None:
        async with AsyncExitStack() as stack:
            host = Internet(1).host()
            testnet = await stack.enter_async_context(await create_testnet(3, network=host, host=host.address))
            server = await stack.enter_async_context(DHT(testnet.bootstrap, network=host, host=host.address))
            client = await stack.enter_async_context(DHT(testnet.bootstrap, network=host, host=host.address))
            accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
            await server.create_server(accepted.set_result).listen()
            connection = await client.connect(server.key_pair.public_key)
            await test(connection, await accepted)

    run(body())


def test_a_message_written_is_a_message_read() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        messages = [b"x", bytes(100_000), b"y" * 3, bytes(1)]
        for message in messages:
            await ours.write(message)
        assert [await theirs.read() for _ in messages] == messages
        assert (ours.remote_public_key, theirs.remote_public_key) == (theirs.public_key, ours.public_key)
        assert ours.handshake_hash == theirs.handshake_hash
        assert ours.rtt > 0
        with pytest.raises(LocalProtocolError):
            await ours.write(bytes(1 << 24))

    with_pair(test)


def test_an_ordered_end() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        await ours.write(b"last words")
        closing = asyncio.create_task(ours.close())
        assert [message async for message in theirs] == [b"last words"]
        # Half open: the other side may still write, though nobody listens any more.
        await theirs.write(b"ignored")
        await theirs.close()
        await closing
        await asyncio.gather(ours.wait_closed(), theirs.wait_closed())
        assert (ours.error, theirs.error) == (None, None)
        for side in (ours, theirs):
            with pytest.raises(ConnectionClosed) as closed:
                await side.write(b"too late")
            assert closed.value.name == "ECLOSED"
            assert await side.read() is None
            await side.close()
            side.destroy()

    with_pair(test)


def test_a_destroyed_connection_breaks_the_other_side_after_what_had_arrived() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        await ours.write(b"arrived")
        await asyncio.sleep(1)
        ours.destroy()
        assert ours.closed
        await theirs.wait_closed()
        assert await theirs.read() == b"arrived"
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as broken:
                await theirs.read()
            assert broken.value.name == "ECONNRESET"
        with pytest.raises(ConnectionClosed):
            await theirs.write(b"x")
        assert await ours.read() is None

    with_pair(test)


def test_a_peer_that_does_not_end_its_side_is_not_waited_for_long() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await ours.close()
        assert ours.closed
        assert loop.time() - started < 10

    with_pair(test)


def test_readers_and_writers_that_are_cancelled_leave_no_trace() -> None:
    async def test(ours: Connection, theirs: Connection) -> None:
        async with asyncio.timeout(100):
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await theirs.read()
        assert not theirs._readers
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                while True:
                    await ours.write(bytes(1_000_000))
        assert not ours._writers
        read = 0
        while theirs._messages:
            read += len(await anext(theirs))
            await asyncio.sleep(0.5)
        assert read >= 4_000_000

    with_pair(test)


async def test_what_is_no_key_is_said_before_anything_is_sent() -> None:

    async with DHT([], network=Internet(1).host()) as dht:
        for wrong in ("", "not a key", "ab" * 31, bytes(31)):
            with pytest.raises(IdentityError):
                await dht.connect(wrong)
        with pytest.raises(IdentityError):
            await dht.connect(bytes(32))
        assert not dht.endpoint._streams


async def test_a_node_closes_whatever_state_it_is_in() -> None:

    unopened = DHT([])
    await unopened.close()
    with pytest.raises(NetworkError) as closed:
        await unopened.ready()
    assert closed.value.name == "NODE_DESTROYED"
    dht = DHT([], network=Internet(1).host())
    await dht.ready()
    await asyncio.gather(dht.close(), dht.close())
    await dht.close()
    with pytest.raises(NetworkError):
        await dht.create_server(lambda connection: None).listen()
