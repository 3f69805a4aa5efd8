"""`python -m tests.bench.costs`: where the time of a 100-byte message goes, layer by layer, in this process alone.

Each layer is run by itself as the layers above and below use it; processor time of the best of several runs counts, as
what else the machine does must not show. What a message over a real connection costs beyond their sum is the drivers'.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from qvac_core.hyperdht import DHT, Connection, KeyPair, create_testnet
from qvac_core.hyperdht.node.network import SystemNetwork
from qvac_core.secret_stream import SecretStream
from qvac_core.udx import DataReceived, Stream

MESSAGES = 2000
RUNS = 7
SIZE = 100
FRAME = SIZE + 20
BULK = 4 << 20
CHUNK = 65536


def best(run: Callable[[], float]) -> float:
    return min(run() for _ in range(RUNS))


def crypto(size: int, count: int) -> float:
    """Seconds for one message through the encryption and out of it."""
    keys, header = (bytes([1]) * 32, bytes([2]) * 32), bytes(24)
    hash_ = bytes(64)
    a = SecretStream(initiator=True, tx=keys[0], rx=keys[1], handshake_hash=hash_, header=header)
    b = SecretStream(initiator=False, tx=keys[1], rx=keys[0], handshake_hash=hash_, header=header)
    b.receive(a.start())
    message = bytes(size)
    start = time.process_time()
    for _ in range(count):
        b.receive(a.encrypt(message))
    return (time.process_time() - start) / count


def streams() -> tuple[Stream, Stream]:
    a, b = Stream(1, now=0.0), Stream(2, now=0.0)
    a.connect(2, 0.0)
    b.connect(1, 0.0)
    return a, b


def udx_messages() -> float:
    """Seconds for one message from a write to the reader, answers carrying the acknowledgements."""
    ends, message, now = streams(), bytes(FRAME), 0.0
    start = time.process_time()
    for number in range(MESSAGES):
        now += 0.0001
        sender, receiver = ends[number % 2], ends[1 - number % 2]
        sender.write(message, now)
        receiver.receive_datagrams(sender.datagrams_to_send(now), now)
        while (event := receiver.next_event()) is not None:
            assert isinstance(event, DataReceived)
            receiver.consumed(len(event.data))
        receiver.get_timer()
    return (time.process_time() - start) / MESSAGES


def udx_bulk() -> float:
    """Seconds for one full packet of a large transfer, both ends and the acknowledgements together."""
    a, b = streams()
    now, left, received, packets = 0.0, BULK, 0, 0
    start = time.process_time()
    while received < BULK:
        now += 0.0005
        while left and a.write(bytes(CHUNK), now):
            left -= min(left, CHUNK)
        train = a.datagrams_to_send(now)
        packets += len(train)
        b.receive_datagrams(train, now)
        for end in (a, b):
            while (event := end.next_event()) is not None:
                if isinstance(event, DataReceived):
                    received += len(event.data)
                    end.consumed(len(event.data))
        a.receive_datagrams(b.datagrams_to_send(now), now)
        a.handle_timer(now)
    return (time.process_time() - start) / packets


def sockets() -> float:
    """Seconds for one small datagram through a socket as the drivers send and read it."""
    loop = asyncio.new_event_loop()

    async def run() -> float:
        got: list[int] = []
        network = SystemNetwork()
        a = network.open("127.0.0.1", 0, lambda batch: None)
        b = network.open("127.0.0.1", 0, lambda batch: got.append(len(batch)))
        datagram = bytes(FRAME + 20)
        start = time.process_time()
        for _ in range(MESSAGES):
            a.send_train([datagram], b.address)
            b._on_readable()  # type: ignore[attr-defined]
        seconds = (time.process_time() - start) / MESSAGES
        assert sum(got) == MESSAGES
        a.close()
        b.close()
        return seconds

    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()


def bare_loop() -> float:
    """Seconds for a datagram between two coroutines of one loop with nothing of ours: what asyncio itself takes."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in ends:
            end.bind(("127.0.0.1", 0))
            end.setblocking(False)
        ends[0].connect(ends[1].getsockname())
        ends[1].connect(ends[0].getsockname())
        waiting: list[asyncio.Future[None]] = [loop.create_future(), loop.create_future()]

        def on_readable(number: int) -> None:
            ends[number].recv(2048)
            waiting[number].set_result(None)

        async def talk(number: int, *, first: bool) -> None:
            for _ in range(MESSAGES // 2):
                if first:
                    ends[number].send(bytes(FRAME))
                await waiting[number]
                waiting[number] = loop.create_future()
                if not first:
                    ends[number].send(bytes(FRAME))

        for number in range(2):
            loop.add_reader(ends[number], on_readable, number)
        start = time.process_time()
        await asyncio.gather(talk(0, first=True), talk(1, first=False))
        seconds = (time.process_time() - start) / MESSAGES
        for end in ends:
            loop.remove_reader(end)
            end.close()
        return seconds

    return asyncio.run(run())


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)


async def whole() -> float:
    """Seconds for one message between two nodes in this process, everything included."""
    async with await create_testnet(3) as net, DHT(net.bootstrap, host="127.0.0.1") as a:
        key_pair = KeyPair.from_seed(bytes(32))
        await a.create_server(echo).listen(key_pair)
        async with DHT(net.bootstrap, host="127.0.0.1") as b:
            connection = await b.connect(key_pair.public_key)
            message = bytes(SIZE)
            start = time.process_time()
            for _ in range(MESSAGES // 2):
                await connection.write(message)
                await anext(connection)
            seconds = (time.process_time() - start) / MESSAGES
            connection.destroy()
    return seconds


def main() -> None:
    rows = [
        ("encryption, in and out", best(lambda: crypto(SIZE, MESSAGES))),
        ("UDX, both ends", best(udx_messages)),
        ("sockets and their driver", best(sockets)),
        ("an event loop and two coroutines, with bare sockets", best(bare_loop)),
        ("a message over a connection, everything", best(lambda: asyncio.run(whole()))),
    ]
    print("| of one 100-byte message, one way | µs |\n|---|--:|")
    for name, seconds in rows:
        print(f"| {name} | {seconds * 1e6:.1f} |")
    print("\n| of one full packet of a stream | µs |\n|---|--:|")
    packets = CHUNK / 1200
    print(f"| encryption, in and out | {best(lambda: crypto(CHUNK, 100)) / packets * 1e6:.2f} |")
    print(f"| UDX, both ends | {best(udx_bulk) * 1e6:.2f} |")


if __name__ == "__main__":
    main()
