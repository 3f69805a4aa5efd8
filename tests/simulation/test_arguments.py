"""What a program may give and in which order it may call: a sentence of ours, or it works. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qvac_core.errors import ConnectionClosed, IdentityError, LocalProtocolError, NetworkError, QvacError
from qvac_core.hyperdht import DHT, KeyPair, create_testnet

from .world import World, echo, pump, simulate

KEYS = KeyPair.from_seed(b"\x0c" * 32)
KEY = KEYS.public_key
OURS = (QvacError, TypeError, ValueError)

WRONG_CALLS: dict[str, Callable[[DHT], Awaitable[Any]]] = {
    "connect None": lambda dht: dht.connect(None),  # type: ignore[arg-type]
    "connect number": lambda dht: dht.connect(7),  # type: ignore[arg-type]
    "connect list": lambda dht: dht.connect([1, 2]),  # type: ignore[arg-type]
    "connect empty": lambda dht: dht.connect(b""),
    "connect short": lambda dht: dht.connect(bytes(31)),
    "connect word": lambda dht: dht.connect("friend"),
    "connect key pair": lambda dht: dht.connect(KEYS),  # type: ignore[arg-type]
    "connect as seed": lambda dht: dht.connect(KEY, bytes(32)),  # type: ignore[arg-type]
    "connect through text": lambda dht: dht.connect(KEY, relay_through="relay"),  # type: ignore[arg-type]
    "connect through short": lambda dht: dht.connect(KEY, relay_through=[bytes(3)]),
    "connect through None": lambda dht: dht.connect(KEY, relay_through=[None]),  # type: ignore[list-item]
    "connect relays": lambda dht: dht.connect(KEY, relay_addresses=["here"]),  # type: ignore[list-item]
    "connect port": lambda dht: dht.connect(KEY, relay_addresses=[("1.2.3.4", 70000)]),
    "connect timeout": lambda dht: dht.connect(KEY, timeout=-1),
    "connect timeout text": lambda dht: dht.connect(KEY, timeout="60"),  # type: ignore[arg-type]
    "connect timeout nan": lambda dht: dht.connect(KEY, timeout=float("nan")),
    "announce text": lambda dht: dht.announce("topic"),  # type: ignore[arg-type]
    "announce short": lambda dht: dht.announce(b"topic"),
    "announce None": lambda dht: dht.announce(None),  # type: ignore[arg-type]
    "announce as seed": lambda dht: dht.announce(bytes(32), bytes(32)),  # type: ignore[arg-type]
    "unannounce short": lambda dht: dht.unannounce(b"topic"),
    "lookup text": lambda dht: dht.lookup("topic"),  # type: ignore[arg-type]
    "lookup long": lambda dht: dht.lookup(bytes(33)),
    "put text": lambda dht: dht.mutable_put(KEYS, "value"),  # type: ignore[arg-type]
    "put as seed": lambda dht: dht.mutable_put(bytes(32), b"value"),  # type: ignore[arg-type]
    "put nothing": lambda dht: dht.mutable_put(KEYS, b""),
    "put much": lambda dht: dht.mutable_put(KEYS, bytes(2000)),
    "put below zero": lambda dht: dht.mutable_put(KEYS, b"value", seq=-1),
    "put half": lambda dht: dht.mutable_put(KEYS, b"value", seq=0.5),  # type: ignore[arg-type]
    "get short": lambda dht: dht.mutable_get(b"key"),
    "get below zero": lambda dht: dht.mutable_get(KEY, seq=-1),
    "put immutable text": lambda dht: dht.immutable_put("value"),  # type: ignore[arg-type]
    "put immutable None": lambda dht: dht.immutable_put(None),  # type: ignore[arg-type]
    "get immutable short": lambda dht: dht.immutable_get(b"hash"),
    "get immutable None": lambda dht: dht.immutable_get(None),  # type: ignore[arg-type]
    "listen as seed": lambda dht: dht.create_server(echo).listen(bytes(32)),  # type: ignore[arg-type]
    "relay as seed": lambda dht: dht.create_relay_server().listen(bytes(32)),  # type: ignore[arg-type]
}


def is_a_sentence(error: BaseException) -> bool:
    text = str(error)
    return text[:1].isupper() and text.endswith((".", "?")) and " " in text and "object has no attribute" not in text


def test_wrong_arguments_are_told_in_a_sentence() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        wrong: dict[str, str] = {}
        for name, call in WRONG_CALLS.items():
            before = world.now()
            try:
                async with asyncio.timeout(90):
                    await call(dht)
            except OURS as error:
                if not is_a_sentence(error) or world.now() != before:
                    wrong[name] = f"{type(error).__name__}: {error} after {world.now() - before:.1f} s"
            except Exception as error:  # noqa: BLE001  what is wrong about it is told below
                wrong[name] = f"{type(error).__name__}: {error}"
            else:
                wrong[name] = "was taken"
        assert not wrong

    simulate(test, seed=50, size=4)


@pytest.mark.parametrize(
    "options",
    [
        {"bootstrap": [None]},
        {"bootstrap": [("127.0.0.1",)]},
        {"bootstrap": [("127.0.0.1", "x")]},
        {"bootstrap": [("127.0.0.1", 0)]},
        {"bootstrap": ["nowhere"]},
        {"bootstrap": "127.0.0.1:1"},
        {"bootstrap": 7},
        {"key_pair": bytes(32)},
        {"port": -1},
        {"port": 70000},
        {"port": "49737"},
        {"nodes": ["here"]},
        {"nodes": [("1.2.3.4", -1)]},
        {"keep_alive": -1},
        {"host": 7},
    ],
    ids=str,
)
def test_wrong_options_of_a_node_are_told_when_it_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(OURS) as told:
        DHT(**{"bootstrap": [], **options})
    assert is_a_sentence(told.value), told.value


@pytest.mark.parametrize("size", [0, -1, "3", None, 2.5])
def test_a_testnet_needs_a_node(size: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as told:
        asyncio.run(create_testnet(size))
    assert is_a_sentence(told.value)


@pytest.mark.parametrize("seed", [None, "00" * 32, 32, b"", bytes(31), [0] * 32])
def test_a_seed_is_32_bytes(seed: Any) -> None:
    with pytest.raises((IdentityError, TypeError)) as told:
        KeyPair.from_seed(seed)
    assert is_a_sentence(told.value)


@pytest.mark.parametrize("pair", [(None, None), (KEY, None), (KEY.hex(), KEYS.secret_key), (KEY, bytes(64))])
def test_a_key_pair_is_made_of_bytes_that_belong_together(pair: tuple[Any, Any]) -> None:
    with pytest.raises((IdentityError, TypeError)) as told:
        KeyPair(*pair)
    assert is_a_sentence(told.value)


def test_a_server_needs_functions() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        for arguments in ((None,), (echo, True), (echo, None, "relay"), (echo, None, [bytes(3)])):
            with pytest.raises(OURS) as told:
                dht.create_server(*arguments)
            assert is_a_sentence(told.value)

    simulate(test, seed=51, size=4)


def test_a_connection_takes_bytes_and_says_that_it_is_closed() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        connection = await (await world.node()).connect(dht.key_pair.public_key)
        for wrong in ("text", None, 7, ["a"]):
            for write in (connection.write_nowait, connection.write):
                with pytest.raises(TypeError) as told:
                    result = write(wrong)  # type: ignore[arg-type]
                    assert not isinstance(result, bool)
                    await result
                assert is_a_sentence(told.value)
        with pytest.raises(LocalProtocolError, match="at most"):
            await connection.write(bytes(1 << 24))
        for message in (b"a", bytearray(b"ab"), memoryview(b"abc")):
            await connection.write(message)
            assert await connection.read() == bytes(message)
        await asyncio.gather(connection.close(), connection.close())
        await connection.close()
        connection.destroy()
        with pytest.raises(ConnectionClosed) as closed:
            await connection.write(b"more")
        assert closed.value.name == "ECLOSED"
        assert await connection.read() is None

    simulate(test, seed=52, size=4)


def test_a_closed_server_listens_again() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        server = await world.serve(dht, echo)
        client = await world.node()
        for keys in (None, KEYS, None):
            with pytest.raises(NetworkError) as twice:
                await server.listen()
            assert twice.value.name == "ALREADY_LISTENING"
            await asyncio.gather(server.close(), server.close())
            await server.close()
            assert await server.listen(keys) is server
            assert server.listening
            assert server.public_key == (keys or dht.key_pair).public_key
            await pump(await client.connect(server.public_key), 1000)
        closing = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        await server.listen()
        await closing
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=53)


@pytest.mark.parametrize("after", [0.0, 0.001, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("alone", [False, True])
def test_listening_ends_quietly_when_the_node_closes(after: float, alone: bool) -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        server = dht.create_server(echo)
        listening = asyncio.create_task(server.listen(alone=alone))
        if after:
            await asyncio.sleep(after)
        await dht.close()
        await listening
        assert not server.listening
        for late in (server, dht.create_server(echo)):
            with pytest.raises(NetworkError) as closed:
                await late.listen()
            assert closed.value.name == "NODE_DESTROYED"

    simulate(test, seed=54)


def test_everything_on_a_closed_node_says_so_and_closing_again_is_nothing() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        await asyncio.gather(dht.close(), dht.close())
        await dht.close()
        calls: list[Callable[[], Awaitable[object]]] = [
            dht.open,
            dht.ready,
            dht.suspend,
            dht.resume,
            lambda: dht.connect(KEY),
            lambda: dht.announce(bytes(32)),
            lambda: dht.unannounce(bytes(32)),
            lambda: dht.lookup(bytes(32)),
            lambda: dht.mutable_put(KEYS, b"value"),
            lambda: dht.mutable_get(KEY),
            lambda: dht.immutable_put(b"value"),
            lambda: dht.immutable_get(bytes(32)),
            lambda: dht.create_server(echo).listen(),
        ]
        for call in calls:
            with pytest.raises(NetworkError) as closed:
                await call()
            assert closed.value.name == "NODE_DESTROYED"

    simulate(test, seed=55, size=4)


def test_a_node_that_was_never_used_can_be_asked_and_closed() -> None:
    async def test(world: World) -> None:
        dht = world.make(world.internet.host())
        for look in (lambda: dht.address, lambda: dht.firewalled, lambda: dht.online, dht.to_array):
            with pytest.raises(NetworkError) as told:
                look()
            assert told.value.name == "NOT_OPEN"
        assert dht.relays_of(KEY) == ()
        await dht.close()

    simulate(test, seed=56, size=4)
