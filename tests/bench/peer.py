"""The twin of peer.mjs over our own port: the same commands, the same answers (see there)."""

from __future__ import annotations

import asyncio
import json
import secrets
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from qvac_core.errors import QvacError
from qvac_core.hyperdht import DHT, Connection, KeyPair, create_testnet

CHUNK = bytes([7]) * 65536


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


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
    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.bootstrap = [(host, int(port))]
        self.dht = self.make()
        self.stream: Connection | None = None

    def make(self) -> DHT:
        return DHT(bootstrap=self.bootstrap, host="127.0.0.1")

    async def ready(self) -> dict[str, Any]:
        await self.dht.ready()
        return {}

    async def listen(self) -> dict[str, Any]:
        key_pair = KeyPair.from_seed(secrets.token_bytes(32))
        server = self.dht.create_server(serve)
        await server.listen(key_pair)
        return {"key": key_pair.public_key.hex()}

    async def open(self, key: str) -> Connection:
        stream = await self.dht.connect(bytes.fromhex(key))
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
        return {"ms": (time.perf_counter() - start) * 1000}

    async def burst(self, key: str, count: int) -> dict[str, Any]:
        start = time.perf_counter()
        streams = await asyncio.gather(*(self.open(key) for _ in range(count)))
        elapsed = (time.perf_counter() - start) * 1000
        for stream in streams:
            stream.destroy()
        return {"ms": elapsed}

    async def rtt(self, count: int, size: int) -> dict[str, Any]:
        assert self.stream is not None
        incoming = aiter(self.stream)
        message = bytes([1]) * size
        times = []
        for _ in range(count):
            start = time.perf_counter()
            await self.stream.write(message)
            await anext(incoming)
            times.append((time.perf_counter() - start) * 1000)
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
        return {"ms": (time.perf_counter() - start) * 1000}


async def testnet(size: int) -> None:
    async with await create_testnet(size) as net:
        say(event="ready", bootstrap=[f"{host}:{port}" for host, port in net.bootstrap])
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def main() -> None:
    if sys.argv[1] == "--testnet":
        await testnet(int(sys.argv[2]))
        return
    peer = Peer(sys.argv[1])
    say(event="started")
    async for line in lines():
        command = json.loads(line)
        verb = command.pop("do")
        if verb == "exit":
            break
        action: Callable[..., Awaitable[dict[str, Any]]] = getattr(peer, verb)
        try:
            say(event="done", **await action(**command))
        except QvacError as error:
            say(event="failed", message=f"{error.name}: {error.message}")
    await peer.dht.close()


if __name__ == "__main__":
    asyncio.run(main())
