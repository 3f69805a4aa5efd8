"""Our nodes on the sockets of this machine, with and without the kernel's trains."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.hyperdht import DHT, SystemNetwork, create_testnet

from .test_hyperdht import TEN_MEGABYTES, echo, pump, run

RUNNER = run


@pytest.mark.parametrize("offload", [True, False], ids=["trains", "singles"])
async def test_ten_megabytes_come_back_intact(offload: bool) -> None:

    async with (
        await create_testnet(3) as testnet,
        DHT(testnet.bootstrap, host="127.0.0.1", network=SystemNetwork(offload=offload)) as server,
        DHT(testnet.bootstrap, host="127.0.0.1", network=SystemNetwork(offload=True)) as client,
    ):
        await server.create_server(echo).listen()
        connection = await client.connect(server.key_pair.public_key.hex())
        await pump(connection, TEN_MEGABYTES)
        await connection.close()
        assert connection.error is None


async def test_sockets_queue_what_the_kernel_does_not_take_and_survive_what_cannot_be_sent() -> None:

    received: list[bytes] = []
    done = asyncio.Event()

    def receive(batch: list[tuple[bytes, tuple[str, int]]]) -> None:
        received.extend(datagram for datagram, _ in batch)
        if received[-1] == b"last":
            done.set()

    network = SystemNetwork()
    sender = network.open("127.0.0.1", 0, lambda batch: None)
    receiver = network.open("127.0.0.1", 0, receive)
    to = receiver.address
    sender.send_many([(b"x", ("127.0.0.1", 0)), (b"too long for one datagram" * 4000, to)])
    sender.send_train([b"a" * 1000] * 100 + [b"short"], to)
    sender.send_train([b"b" * 100, b"c" * 200, b"c" * 200], to)
    sender.send_with_ttl(b"t", to, 5)
    sender.send_many([(b"last", to)])
    async with asyncio.timeout(5):
        await done.wait()
    assert received == [b"a" * 1000] * 100 + [b"short", b"b" * 100, b"c" * 200, b"c" * 200, b"t", b"last"]
    sender.close()
    sender.close()
    receiver.close()


async def test_ports_in_use_are_stepped_over() -> None:

    async with await create_testnet(7) as testnet:
        ports = [node.address[1] for node in testnet.nodes]
        assert len(set(ports)) == 7
        async with DHT(testnet.bootstrap, host="127.0.0.1", port=ports[0]) as node:
            assert node.address[1] not in ports
