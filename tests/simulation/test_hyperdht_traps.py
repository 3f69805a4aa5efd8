"""Where other ports of hyperdht fell, one test for each: whole nodes on a simulated internet in virtual time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from qvac_core.codec import Address
from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht import Connection, ConnectStage, Refusal
from qvac_core.hyperdht.client.connect import MEMORY_LIMIT
from qvac_core.hyperdht.stream.connection import KEEP_ALIVE
from qvac_core.rendezvous.constants import FIREWALL_LIMIT, Command, Mode
from qvac_core.rendezvous.messages import HandshakeMessage

from .datagram_network import Link
from .virtual_loop import VirtualLoop
from .world import World, echo, pump, simulate


def handshakes(datagram: bytes, source: Address) -> HandshakeMessage | None:
    """The handshake message in a request or in the answer to one, if there is one."""
    if datagram[:1] not in (b"\x03", b"\x13"):
        return None
    try:
        message = decode(datagram, source)
        if message.value is None or (isinstance(message, RequestMessage) and message.command != Command.PEER_HANDSHAKE):
            return None
        return HandshakeMessage.decode(message.value)
    except RemoteProtocolError:
        return None


@pytest.mark.parametrize("seconds", [2.5, FIREWALL_LIMIT - 0.5])
def test_a_slow_firewall_is_asked_once_for_all_repeats_and_relays(seconds: float) -> None:
    async def test(world: World) -> None:
        asked: list[bytes] = []
        accepted: list[Connection] = []

        async def firewall(key: bytes, payload: object) -> bool:
            asked.append(key)
            await asyncio.sleep(seconds)
            return False

        dht = await world.node()
        server = dht.create_server(accepted.append, firewall)
        await server.listen()
        client = await world.node()
        connection = await client.connect(dht.key_pair.public_key)
        await connection.write(b"hello")
        await asyncio.sleep(5)
        assert asked == [client.key_pair.public_key]
        assert len(accepted) == 1

    simulate(test, seed=31)


def test_a_refusal_answers_at_once_and_silence_says_nothing() -> None:
    async def test(world: World) -> None:
        answers: list[HandshakeMessage] = []

        def spy(source: Address, to: Address, datagram: bytes) -> bool:
            message = handshakes(datagram, source)
            if message is not None and message.mode in (Mode.FROM_SERVER, Mode.REPLY):
                answers.append(message)
            return False

        world.internet.drops.append(spy)
        verdict: bool | Refusal = Refusal()
        dht = await world.node()
        await dht.create_server(echo, lambda key, payload: verdict).listen()
        client = await world.node()
        started = world.now()
        with pytest.raises(NetworkError) as refused:
            await client.connect(dht.key_pair.public_key)
        assert refused.value.name == "SERVER_ERROR"
        assert world.now() - started < 0.5
        assert answers
        verdict = True
        answers.clear()
        with pytest.raises(NetworkError) as silent:
            await client.connect(dht.key_pair.public_key)
        assert silent.value.name == "PEER_CONNECTION_FAILED"
        assert world.now() - started < 15
        assert not answers

    simulate(test, seed=32)


def test_a_firewall_that_fails_admits_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World) -> None:
        def broken(key: bytes, payload: object) -> bool:
            raise ValueError("a bug of the application's")

        dht = await world.node()
        await dht.create_server(echo, broken).listen()
        with pytest.raises(NetworkError) as silent:
            await (await world.node()).connect(dht.key_pair.public_key)
        assert silent.value.name == "PEER_CONNECTION_FAILED"

    with caplog.at_level(logging.CRITICAL, "qvac_core"):
        simulate(test, seed=33)


def test_relays_that_lie_or_answer_for_others_do_not_end_a_connect() -> None:
    """Answers are matched by their number alone: what is in them must be checked."""

    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        client = await world.node()
        forged = 0

        def forge(source: Address, to: Address, datagram: bytes) -> bool:
            nonlocal forged
            message = handshakes(datagram, source)
            if message is None or message.mode != Mode.REPLY or forged >= 2:
                return False
            forged += 1
            answer = decode(datagram, source)
            noise = message.noise[:-1] + bytes([message.noise[-1] ^ 1])
            mode = Mode.REPLY if forged == 1 else Mode.FROM_SERVER
            lie = HandshakeMessage(mode, noise, message.peer_address).encode()
            wrong = ResponseMessage(answer.tid, answer.to, answer.id, value=lie).encode()
            asyncio.get_running_loop().call_soon(world.internet.send, source, [wrong], to)
            return True

        world.internet.drops.append(forge)
        connection = await client.connect(dht.key_pair.public_key)
        await pump(connection, 1000)
        assert forged == 2

    simulate(test, seed=34)


def test_a_network_that_does_not_answer_fails_writes_loudly() -> None:
    async def test(world: World) -> None:
        world.bootstrap = [("9.9.9.9", 9)]
        dht = await world.node()
        for attempt in (dht.announce(bytes(32)), dht.mutable_put(dht.key_pair, b"x"), dht.immutable_put(b"x")):
            with pytest.raises(NetworkError) as failed:
                await attempt
            assert failed.value.name == "TOO_FEW_NODES"
        with pytest.raises(NetworkError) as failed:
            await dht.create_server(echo).listen()
        assert failed.value.name == "ANNOUNCE_FAILED"
        assert not dht.node.servers

    simulate(test, seed=35, size=0)


def test_a_machine_that_slept_announces_again() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        server = await world.serve(dht, echo)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        announced: list[float] = []

        def spy(source: Address, to: Address, datagram: bytes) -> bool:
            if source[1] == dht.address[1] and datagram[:1] == b"\x03":
                message = decode(datagram, source)
                if isinstance(message, RequestMessage) and not message.internal and message.command == Command.ANNOUNCE:
                    announced.append(world.now())
            return False

        world.internet.drops.append(spy)
        await asyncio.sleep(30)
        assert not announced
        loop._jumping.now += 3600
        await asyncio.sleep(30)
        assert announced
        assert server.relay_addresses
        client = await world.node()
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=37)


def test_announces_outlive_their_records() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        await asyncio.sleep(2 * 3600)
        client = await world.node()
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=38, size=6)


def test_a_server_that_closes_is_not_found_any_more() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        server = await world.serve(dht, echo)
        client = await world.node()
        open_connection = await client.connect(dht.key_pair.public_key)
        await pump(open_connection, 1000)
        await server.close()
        with pytest.raises(NetworkError) as failed:
            await (await world.node()).connect(dht.key_pair.public_key)
        assert failed.value.name == "PEER_NOT_FOUND"
        await pump(open_connection, 1000)

    simulate(test, seed=39)


@pytest.mark.parametrize("gone", [False, True], ids=["relays there", "relays gone"])
def test_a_client_that_has_met_a_server_hears_that_it_closed_as_a_fresh_one_does(gone: bool) -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        server = await world.serve(dht, echo)
        client = await world.node()
        await (await client.connect(dht.key_pair.public_key)).close()
        relays = client.relays_of(dht.key_pair.public_key)
        assert relays
        await server.close()
        if gone:
            for relay in relays:
                if relay in world.hosts and relay not in world.bootstrap:
                    world.hosts[relay].crash()
        stages: list[ConnectStage] = []
        started = world.now()
        with pytest.raises(NetworkError) as failed:
            await client.connect(dht.key_pair.public_key, on_stage=stages.append)
        assert failed.value.name == "PEER_NOT_FOUND"
        assert ConnectStage.SILENT not in stages
        assert world.now() - started < (MEMORY_LIMIT + 0.5 if gone else 0.5)

    simulate(test, seed=39)


def test_two_servers_of_one_node_answer_for_their_own_keys() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        again = dht.create_server(echo)
        with pytest.raises(NetworkError) as taken:
            await again.listen()
        assert taken.value.name == "KEYPAIR_ALREADY_USED"
        other = dht.create_server(echo)
        await other.listen(dht.node.ephemeral_key())
        assert other.public_key is not None
        client = await world.node()
        for key in (dht.key_pair.public_key, other.public_key):
            connection = await client.connect(key)
            assert connection.remote_public_key == key
            await pump(connection, 1000)
        await other.close()
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=40)


def test_an_idle_connection_is_kept_alive_with_little() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        client = await world.node()
        connection = await client.connect(dht.key_pair.public_key)
        await pump(connection, 1000)
        before = connection._raw.stream.stats
        await asyncio.sleep(600)
        after = connection._raw.stream.stats
        assert not connection.closed
        # Each side one small frame and one acknowledgement per interval.
        assert after.packets_sent - before.packets_sent <= 2.2 * 600 / KEEP_ALIVE

    simulate(test, seed=41)


def test_an_answer_carries_the_acknowledgement_along() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        client = await world.node()
        connection = await client.connect(dht.key_pair.public_key)
        await pump(connection, 1000)
        before = connection._raw.stream.stats
        for _ in range(100):
            await connection.write(b"ping")
            assert await connection.read() == b"ping"
        after = connection._raw.stream.stats
        # One packet each way for every exchange, and one acknowledgement at the end.
        assert after.packets_received - before.packets_received <= 102
        assert after.packets_sent - before.packets_sent <= 102

    simulate(test, seed=42)


@pytest.mark.parametrize("seed", [50, 51, 52, 53, 77])
def test_an_end_that_is_lost_is_still_an_end(seed: int) -> None:
    async def test(world: World) -> None:
        ends: list[Connection] = []

        async def serve(connection: Connection) -> None:
            await echo(connection)
            ends.append(connection)

        dht = await world.node()
        await world.serve(dht, serve)
        client = await world.node()
        connections = [await client.connect(dht.key_pair.public_key) for _ in range(5)]
        for connection in connections:
            await pump(connection, 1000)
        await asyncio.gather(*(connection.close() for connection in connections))
        await asyncio.sleep(20)
        assert [connection.error for connection in (*connections, *ends)] == [None] * 10

    simulate(test, seed=seed, link=Link(delay=(0.01, 0.02), loss=0.1), size=6)
