"""Connections and nodes that are cancelled, closed and churned at every moment: nothing may stay behind."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT, Connection, Server

from .datagram_network import Link
from .hostile import RawPeer, Siege, address_of, besiege
from .virtual_loop import VirtualLoop

T = TypeVar("T")

NAMES = {
    "NODE_DESTROYED",
    "REQUEST_DESTROYED",
    "QUERY_CANCELLED",
    "PEER_NOT_FOUND",
    "PEER_CONNECTION_FAILED",
    "HOLEPUNCH_ABORTED",
    "CANNOT_HOLEPUNCH",
    "ECONNRESET",
    "ECLOSED",
    "ETIMEDOUT",
    "ANNOUNCE_FAILED",
    "ALREADY_LISTENING",
}


@types.coroutine
def _cancelled_at(work: Coroutine[Any, Any, T], step: int) -> Generator[Any, Any, T]:
    """Runs `work` and cancels its await number `step`, as Task.cancel would."""
    done = 0
    try:
        waiting = work.send(None)
        while True:
            done += 1
            if done == step and not (isinstance(waiting, asyncio.Future) and waiting.cancel()):
                waiting = work.throw(asyncio.CancelledError())
                continue
            try:
                value = yield waiting
            except BaseException as error:  # noqa: BLE001  handed on into the coroutine
                waiting = work.throw(error)
            else:
                waiting = work.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


async def cancelled_at(work: Coroutine[Any, Any, T], step: int) -> T:
    return await _cancelled_at(work, step)


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


def is_empty(dht: DHT) -> bool:
    return not (dht.node.connections or dht.node.attempts or dht.endpoint._streams)


def extra_tasks(*nodes: DHT) -> set[asyncio.Task[Any]]:
    known: set[asyncio.Task[Any]] = {task for node in nodes for task in node.node.tasks}
    current = asyncio.current_task()
    assert current is not None
    return asyncio.all_tasks() - known - {current}


async def settled() -> None:
    """What was cancelled inside a cleanup ends within the next turns of the loop."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_connect_cancelled_at_each_of_its_awaits_leaves_nothing() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        key = server.key_pair.public_key
        steps = 0
        for warm in (False, True):
            for step in range(1, 100):
                client = await siege.node()
                if warm:
                    await (await client.connect(key)).close()
                try:
                    connection = await cancelled_at(client.connect(key), step)
                except asyncio.CancelledError:
                    steps += 1
                    await settled()
                    assert not extra_tasks(client, server)
                    assert not client.node.attempts
                    assert not client.node.connections
                    await client.close()
                    continue
                await connection.close()
                await client.close()
                break
            else:
                raise AssertionError("connect never ends")
        assert steps >= 4
        await asyncio.sleep(20)
        assert is_empty(server)

    besiege(test)


def test_a_nat_to_nat_connect_cancelled_at_each_of_its_awaits_leaves_nothing() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node(nat=True)
        await server.create_server(echo).listen()
        client = await siege.node(nat=True)
        for step in range(1, 100):
            try:
                await cancelled_at(client.connect(server.key_pair.public_key, timeout=20), step)
            except asyncio.CancelledError:
                await settled()
                assert not extra_tasks(client, server)
                assert is_empty(client)
                continue
            except NetworkError:
                pass
            break
        else:
            raise AssertionError("connect never ends")

    besiege(test)


@pytest.mark.parametrize("who", ["client", "server", "listening"])
def test_closing_at_any_moment_of_a_connection_ends_everything(who: str) -> None:
    async def test(siege: Siege) -> None:
        for moment in range(0, 130, 9):
            accepted: list[Connection] = []

            async def serve(connection: Connection, accepted: list[Connection] = accepted) -> None:
                accepted.append(connection)
                await echo(connection)

            server, client = await siege.node(), await siege.node()
            listening: Server = server.create_server(serve)
            await listening.listen()

            async def talk(client: DHT = client, server: DHT = server) -> None:
                connection = await client.connect(server.key_pair.public_key)
                for _ in range(5):
                    await connection.write(bytes(30_000))
                    await connection.read()
                await connection.close()

            talking = asyncio.create_task(talk())
            await asyncio.sleep(moment / 1000)
            started = siege.now()
            ends: dict[str, DHT | Server] = {"client": client, "server": server, "listening": listening}
            await ends[who].close()
            assert siege.now() - started < 3
            try:
                async with asyncio.timeout(40):
                    await talking
            except NetworkError as error:
                assert error.name in NAMES, error.name
            await client.close()
            await server.close()
            assert not extra_tasks()
            assert not [c for c in accepted if not c.closed]

    besiege(test)


def test_a_node_that_closes_while_it_opens_ends_too() -> None:
    async def test(siege: Siege) -> None:
        for moment in range(0, 60, 3):
            host = siege.internet.host()
            dht = DHT(siege.bootstrap, network=host)
            work: list[asyncio.Future[Any]] = [
                asyncio.create_task(dht.ready()),
                asyncio.create_task(dht.connect(bytes(31) + b"\x09")),
                asyncio.create_task(dht.create_server(echo).listen()),
                asyncio.ensure_future(dht.lookup(bytes(32))),
            ]
            await asyncio.sleep(moment / 1000)
            await dht.close()
            async with asyncio.timeout(15):
                outcomes = await asyncio.gather(*work, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, NetworkError):
                    assert type(outcome).__name__ == "IdentityError", repr(outcome)
            assert not extra_tasks()
            assert not [address for address in siege.internet._sockets if address[0] == host.address]

    besiege(test)


def test_an_announce_that_is_overtaken_by_close_is_withdrawn() -> None:
    async def test(siege: Siege) -> None:
        for moment in range(2, 40, 6):
            server, client = await siege.node(), await siege.node()
            listening = server.create_server(echo)
            starting = asyncio.create_task(listening.listen())
            await asyncio.sleep(moment / 1000)
            await listening.close()
            (outcome,) = await asyncio.gather(starting, return_exceptions=True)
            assert isinstance(outcome, NetworkError | Server), outcome
            await asyncio.sleep(1)
            with pytest.raises(NetworkError) as failed:
                await client.connect(server.key_pair.public_key)
            assert failed.value.name == "PEER_NOT_FOUND", moment

    besiege(test, size=4)


def churn(cycles: int, warm_up: int) -> None:
    async def test(siege: Siege) -> None:
        server, client = await siege.node(), await siege.node()
        await server.create_server(echo).listen()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def cycle(n: int) -> None:
            connection = await client.connect(server.key_pair.public_key)
            await connection.write(b"hello")
            assert await connection.read() == b"hello"
            if n % 3 == 0:
                connection.destroy()
            else:
                await connection.close()

        for n in range(warm_up):
            await cycle(n)
        await asyncio.sleep(60)
        gc.collect()
        objects = len(gc.get_objects())
        tracemalloc.start()
        try:
            for n in range(cycles):
                await cycle(n)
            await asyncio.sleep(60)
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert is_empty(server)
        assert is_empty(client)
        assert not extra_tasks(server, client)
        timers = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        assert len(timers) < 40, timers
        assert grown < 300_000 + 300 * cycles
        assert len(gc.get_objects()) - objects < 1000 + cycles

    besiege(test)


def test_connecting_and_closing_again_and_again_leaks_nothing() -> None:
    churn(cycles=60, warm_up=20)


@pytest.mark.long
def test_five_hundred_connections_leak_nothing() -> None:
    churn(cycles=500, warm_up=100)


def test_the_clock_jumps_by_hours_and_everything_goes_on() -> None:
    async def test(siege: Siege) -> None:
        server, client = await siege.node(), await siege.node()
        await server.create_server(echo).listen()
        connection = await client.connect(server.key_pair.public_key)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await connection.write(b"hello")
        assert await connection.read() == b"hello"
        for hours in (0.01, 1, 24):
            await connection.write(b"before")
            loop._jumping.now += hours * 3600
            assert await connection.read() == b"before"
            await asyncio.sleep(60)
            await connection.write(b"after")
            assert await connection.read() == b"after"
        again = await (await siege.node()).connect(server.key_pair.public_key)
        await again.close()

    besiege(test)


def test_a_network_that_is_gone_for_ten_minutes_comes_back() -> None:
    async def test(siege: Siege) -> None:
        server, client = await siege.node(), await siege.node()
        await server.create_server(echo).listen()
        connection = await client.connect(server.key_pair.public_key)
        siege.internet.drops.append(lambda source, to, datagram: True)
        await asyncio.sleep(600)
        assert connection.closed
        assert is_empty(client)
        with pytest.raises(NetworkError):
            await client.connect(server.key_pair.public_key)
        siege.internet.drops.clear()
        await asyncio.sleep(90)
        again = await client.connect(server.key_pair.public_key)
        await again.write(b"back")
        assert await again.read() == b"back"
        again.destroy()

    besiege(test)


def test_on_connection_that_fails_or_lingers_keeps_nothing() -> None:
    async def test(siege: Siege) -> None:
        def fails(connection: Connection) -> None:
            raise ValueError("a bug of the application")

        server, client = await siege.node(), await siege.node()
        listening = server.create_server(fails)
        await listening.listen()
        connection = await client.connect(server.key_pair.public_key)
        with pytest.raises(NetworkError):
            await connection.read()
            await connection.write(b"")
            await connection.read()
        await asyncio.sleep(20)
        assert is_empty(server)
        assert is_empty(client)

    besiege(test)


def test_loss_and_doubling_while_many_come_and_go() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        clients = [await siege.node() for _ in range(3)]

        async def visit(client: DHT, n: int) -> None:
            await asyncio.sleep(siege.chance.uniform(0, 2))
            connection = await client.connect(server.key_pair.public_key)
            for _ in range(3):
                await connection.write(bytes([n]) * 5000)
                assert await connection.read() == bytes([n]) * 5000
            await connection.close()

        await asyncio.gather(*(visit(clients[n % 3], n) for n in range(30)))
        await asyncio.sleep(60)
        assert is_empty(server)
        assert all(is_empty(client) for client in clients)

    besiege(test, link=Link(delay=(0.002, 0.05), loss=0.05, duplicate=0.1))


def test_a_raw_peer_that_vanishes_after_each_packet_is_forgotten() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        for packets in range(6):
            peer = await RawPeer.connect(siege, server, number=packets + 1)
            if packets > 0:
                await peer.open()
            for n in range(packets - 1):
                peer.write(peer.secret.encrypt(bytes([n]) * 100))
                await peer.pump(0.1)
            peer.stranger.on_datagram = None
            peer.stranger.socket.close()
        await asyncio.sleep(60)
        assert is_empty(server)
        assert address_of(server)

    besiege(test)
