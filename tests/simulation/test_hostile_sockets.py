"""The operating system says no: full buffers, errors on reading and sending. And junk over true loopback sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest

from qvac_core.codec import Address
from qvac_core.hyperdht import DHT, Connection, create_testnet
from qvac_core.hyperdht.node.network import SystemNetwork, SystemSocket

NOBODY: Address = ("127.0.0.1", 9)


class Moody:
    """A socket that does as it is told for some calls and is the true one for the rest."""

    def __init__(self, true: socket.socket) -> None:
        self._true = true
        self.calls = 0
        self.mood: Callable[[str], None] = lambda name: None

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._true, name)
        if name not in ("sendto", "sendmsg", "recvfrom_into", "recvmsg_into"):
            return there

        def call(*args: Any) -> Any:
            self.calls += 1
            assert self.calls < 20_000, "it asks the system again and again"
            self.mood(name)
            return there(*args)

        return call


def moody(offload: bool, received: list[tuple[bytes, Address]]) -> tuple[SystemSocket, Moody]:
    opened = SystemNetwork(offload=offload).open("127.0.0.1", 0, received.extend)
    assert isinstance(opened, SystemSocket)
    double = Moody(opened._socket)
    opened._socket = cast(socket.socket, double)
    return opened, double


def raises(error: OSError) -> Callable[[str], None]:
    def mood(name: str) -> None:
        raise error

    return mood


def when(match: Callable[[str], bool], error: OSError) -> Callable[[str], None]:
    def mood(name: str) -> None:
        if match(name):
            raise error

    return mood


@pytest.mark.parametrize("offload", [True, False])
async def test_a_full_send_buffer_queues_in_order_and_within_bounds(offload: bool) -> None:
    received: list[tuple[bytes, Address]] = []
    sender, double = moody(offload, [])
    receiver = SystemNetwork().open("127.0.0.1", 0, received.extend)
    try:
        double.mood = when(lambda name: name.startswith("send"), BlockingIOError())
        datagrams = [n.to_bytes(4, "big") for n in range(300)]
        sender.send_train(datagrams[:100], receiver.address)
        sender.send_many([(datagram, receiver.address) for datagram in datagrams[100:200]])
        sender.send_train(datagrams[200:], receiver.address)
        await asyncio.sleep(0)
        assert not received
        double.mood = lambda name: None
        async with asyncio.timeout(3):
            while len(received) < 300:
                await asyncio.sleep(0.005)
        assert [datagram for datagram, _ in received] == datagrams
        double.mood = when(lambda name: name.startswith("send"), BlockingIOError())
        for _ in range(200):
            sender.send_train([bytes(100)] * 100, receiver.address)
        assert len(sender._queue) <= 8192
    finally:
        sender.close()
        receiver.close()


@pytest.mark.parametrize("offload", [True, False])
@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE, errno.ENOBUFS, errno.ECONNREFUSED])
async def test_errors_on_sending_are_loss(code: int, offload: bool) -> None:
    sender, double = moody(offload, [])
    try:
        double.mood = raises(OSError(code, "no"))
        sender.send_train([b"12"] * 10, NOBODY)
        sender.send_many([(b"12", NOBODY)] * 10)
        double.mood = lambda name: None
        sender.send_many([(b"12", NOBODY)])
        assert not sender._queue
    finally:
        sender.close()
    sender.send_train([b"12"] * 10, NOBODY)
    sender.send_many([(b"12", NOBODY)] * 10)
    sender.close()


@pytest.mark.parametrize("offload", [True, False])
@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.ENETDOWN, errno.ENOMEM])
async def test_an_error_on_reading_that_stays_does_not_hang_the_loop(code: int, offload: bool) -> None:
    received: list[tuple[bytes, Address]] = []
    reader, double = moody(offload, received)
    try:
        double.mood = raises(OSError(code, "no"))
        for _ in range(3):
            reader._on_readable()
        double.mood = lambda name: None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.sendto(b"at last", reader.address)
        async with asyncio.timeout(3):
            while not received:
                await asyncio.sleep(0.005)
    finally:
        reader.close()


@pytest.mark.parametrize("offload", [True, False])
async def test_an_error_between_datagrams_loses_none(offload: bool) -> None:
    received: list[tuple[bytes, Address]] = []
    reader, double = moody(offload, received)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            for n in range(20):
                plain.sendto(bytes([n]), reader.address)

        def mood(name: str) -> None:
            if double.calls % 2:
                raise OSError(errno.ECONNREFUSED, "an answer to something sent long ago")

        double.mood = mood
        async with asyncio.timeout(3):
            while len(received) < 20:
                await asyncio.sleep(0.005)
        assert [datagram for datagram, _ in received] == [bytes([n]) for n in range(20)]
    finally:
        reader.close()


async def test_junk_over_true_sockets_does_not_disturb_an_open_connection() -> None:
    async def echo(connection: Connection) -> None:
        async for message in connection:
            await connection.write(message)
        await connection.close()

    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    chance = Random(1)
    async with (
        await create_testnet(2) as testnet,
        DHT(testnet.bootstrap, host="127.0.0.1", port=0) as server,
        DHT(testnet.bootstrap, host="127.0.0.1", port=0) as client,
    ):
        await server.create_server(echo).listen()
        connection = await client.connect(server.key_pair.public_key)
        targets = [sock.address for dht in (server, client) for sock in dht.endpoint._sockets.values()]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            for size in [*range(0, 1500, 7), 2048, 2049, 9000, 65507]:
                for head in (b"", b"\xff\x01", b"\x03", b"\x13"):
                    for target in targets:
                        plain.sendto((head + chance.randbytes(size))[:65507], target)
                if size % 70 == 0:
                    await connection.write(bytes([size % 251]) * 2000)
                    async with asyncio.timeout(3):
                        assert await connection.read() == bytes([size % 251]) * 2000
        await connection.close()
    assert not faults
