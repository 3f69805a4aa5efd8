"""The twin of peer.mjs over our own port: the same commands, the same answers (see there)."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import secrets
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from qvac_core.codec import Address
from qvac_core.errors import NetworkError, QvacError
from qvac_core.hyperdht import DHT, Connection, KeyPair
from qvac_core.hyperdht.node.network import SystemNetwork

CHUNK = bytes([7]) * 65536


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000


async def lines() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield line


async def serve(connection: Connection) -> None:
    left = 0
    try:
        async for data in connection:
            if left > 0:
                left -= len(data)
                if left <= 0:
                    await connection.write(b"\x01")
            elif len(data) == 8 and data[0] == 0x53:
                (left,) = struct.unpack_from("<I", data, 4)
            else:
                await connection.write(data)
        await connection.close()
    except QvacError:
        connection.destroy()  # the client is done with it; the next one comes on its own connection


class Peer:
    def __init__(self, bootstrap: str, host: str, *, offload: bool) -> None:
        name, _, port = bootstrap.rpartition(":")
        self.bootstrap = [(name, int(port))]
        self.host = host
        self.offload = offload
        self.dht = self.make()
        self.stream: Connection | None = None
        self.keys: list[str] = []
        self.idling: list[Connection] = []

    def make(self, nodes: Sequence[Address] = ()) -> DHT:
        return DHT(bootstrap=self.bootstrap, host=self.host, nodes=nodes, network=SystemNetwork(offload=self.offload))

    async def ready(self) -> dict[str, Any]:
        await self.dht.ready()
        return {}

    async def listen(self, count: int) -> dict[str, Any]:
        for _ in range(count):
            key_pair = KeyPair.from_seed(secrets.token_bytes(32))
            await self.dht.create_server(serve).listen(key_pair)
            self.keys.append(key_pair.public_key.hex())
        return {"keys": self.keys}

    async def open(self, key: str, relays: Sequence[Address] = ()) -> Connection:
        stream = await self.dht.connect(bytes.fromhex(key), relay_addresses=relays)
        await stream.write(b"x")
        await anext(aiter(stream))
        return stream

    async def connect(self, key: str, fresh: bool) -> dict[str, Any]:
        if self.stream is not None:
            self.stream.destroy()
        if fresh:
            await self.dht.close()
            self.dht = self.make()
            await self.dht.ready()
        start = time.perf_counter()
        self.stream = await self.open(key)
        return {"ms": milliseconds(start)}

    async def saved(self, key: str) -> dict[str, Any]:
        return {"saved": {"nodes": self.dht.to_array(), "relays": self.dht.relays_of(bytes.fromhex(key))}}

    async def restart(self, key: str, saved: dict[str, list[list[Any]]]) -> dict[str, Any]:
        await self.dht.close()
        nodes, relays = ([(host, port) for host, port in saved[name]] for name in ("nodes", "relays"))
        start = time.perf_counter()
        self.dht = self.make(nodes)
        self.stream = await self.open(key, relays)
        return {"ms": milliseconds(start)}

    async def burst(self, keys: list[str], count: int) -> dict[str, Any]:
        start = time.perf_counter()
        streams = await asyncio.gather(*(self.open(keys[number % len(keys)]) for number in range(count)))
        elapsed = milliseconds(start)
        for stream in streams:
            stream.destroy()
        return {"ms": elapsed}

    async def rate(self, key: str, seconds: float, workers: int) -> dict[str, Any]:
        start = time.perf_counter()

        async def work() -> int:
            count = 0
            while time.perf_counter() - start < seconds:
                (await self.open(key)).destroy()
                count += 1
            return count

        made = sum(await asyncio.gather(*(work() for _ in range(workers))))
        return {"rate": made / (time.perf_counter() - start)}

    async def announce(self, topic: str) -> dict[str, Any]:
        start = time.perf_counter()
        await self.dht.announce(bytes.fromhex(topic))
        return {"ms": milliseconds(start)}

    async def lookup(self, topic: str) -> dict[str, Any]:
        start = time.perf_counter()
        peers = await self.dht.lookup(bytes.fromhex(topic))
        elapsed = milliseconds(start)
        if not peers:
            raise NetworkError("the announced peer was not found", name="PEER_NOT_FOUND")
        return {"ms": elapsed}

    async def idle(self, key: str, count: int) -> dict[str, Any]:
        for _ in range(count):
            self.idling.append(await self.open(key))
        return {}

    async def collect(self) -> dict[str, Any]:
        gc.collect()
        return {}

    async def drop(self) -> dict[str, Any]:
        for connection in self.idling:
            connection.destroy()
        self.idling.clear()
        return {}

    async def rtt(self, count: int, size: int) -> dict[str, Any]:
        assert self.stream is not None
        incoming = aiter(self.stream)
        message = bytes([1]) * size
        times = []
        for _ in range(count):
            start = time.perf_counter()
            await self.stream.write(message)
            await anext(incoming)
            times.append(milliseconds(start))
        times.sort()
        return {"p50": times[count // 2], "p99": times[int(count * 0.99)]}

    async def send(self, bytes: int) -> dict[str, Any]:
        assert self.stream is not None
        start = time.perf_counter()
        await self.stream.write(b"S\0\0\0" + struct.pack("<I", bytes))
        sent = 0
        while sent < bytes:
            chunk = CHUNK[: bytes - sent]
            await self.stream.write(chunk)
            sent += len(chunk)
        await anext(aiter(self.stream))
        return {"ms": milliseconds(start)}


async def main(options: argparse.Namespace) -> None:
    peer = Peer(options.bootstrap, options.host, offload=options.offload)
    say(event="started")
    async for line in lines():
        command = json.loads(line)
        action: Callable[..., Awaitable[dict[str, Any]]] = getattr(peer, command.pop("do"))
        try:
            say(event="done", **await action(**command))
        except QvacError as error:
            say(event="failed", message=f"{error.name}: {error.message}")
    await peer.dht.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("--no-offload", dest="offload", action="store_false")
    asyncio.run(main(parser.parse_args()))
