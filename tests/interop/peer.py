"""Our node in a process of its own that does what it is told, in the same JSON lines as peer.mjs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from qvac_core.errors import ConnectionClosed, IdentityError, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair, Server, Testnet, create_testnet


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Peer:
    def __init__(self) -> None:
        self.testnet_: Testnet | None = None
        self.dht: DHT | None = None
        self.server: Server | None = None
        self.connections: dict[str, Connection] = {}
        self.accepted = 0

    @property
    def node_(self) -> DHT:
        assert self.dht is not None
        return self.dht

    async def testnet(self, *, size: int, host: str) -> dict[str, Any]:
        self.testnet_ = await create_testnet(size, host=host)
        return {"bootstrap": self.testnet_.bootstrap}

    async def node(
        self, *, bootstrap: list[list[Any]], seed: str, options: dict[str, Any], wait: bool = True
    ) -> dict[str, Any]:
        keys = KeyPair.from_seed(bytes.fromhex(seed))
        self.dht = DHT([(host, port) for host, port in bootstrap], keys, **options)
        await (self.dht.ready() if wait else self.dht.open())
        return {"firewalled": self.dht.firewalled, "publicKey": keys.public_key.hex()}

    async def listen(self, *, relayThrough: str | None = None) -> dict[str, Any]:
        relays = bytes.fromhex(relayThrough) if relayThrough else None
        self.server = self.node_.create_server(self._echo, relay_through=relays)
        await self.server.listen()
        return {"publicKey": self.node_.key_pair.public_key.hex(), "relays": len(self.server.relay_addresses)}

    async def _echo(self, connection: Connection) -> None:
        name = f"in{self.accepted}"
        self.accepted += 1
        say({"event": "connection", "name": name, "publicKey": connection.remote_public_key.hex()})
        try:
            async for message in connection:
                await connection.write(message)
            await connection.close()
        except ConnectionClosed:
            pass
        say({"event": "close", "name": name})

    async def relay(self, *, seed: str) -> dict[str, Any]:
        relay = self.node_.create_relay_server()
        await relay.listen(KeyPair.from_seed(bytes.fromhex(seed)))
        assert relay.public_key is not None
        return {"publicKey": relay.public_key.hex()}

    async def connect(self, *, name: str, key: str, relayThrough: str | None = None) -> dict[str, Any]:
        relays = bytes.fromhex(relayThrough) if relayThrough else None
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            self.connections[name] = await self.node_.connect(key, relay_through=relays)
        except NetworkError as error:
            return {"failed": error.name, "ms": (loop.time() - started) * 1000}
        return {"ms": (loop.time() - started) * 1000, "remote": self.connections[name].remote_address}

    async def pump(self, *, name: str, bytes: int, chunk: int = 65536) -> dict[str, Any]:
        connection = self.connections[name]
        sent, received = hashlib.sha256(), hashlib.sha256()

        async def write() -> None:
            for start in range(0, bytes, chunk):
                data = os.urandom(min(chunk, bytes - start))
                sent.update(data)
                await connection.write(data)

        writing = asyncio.create_task(write())
        count = 0
        async for message in connection:
            received.update(message)
            count += len(message)
            if count >= bytes:
                break
        await writing
        return {"equal": sent.digest() == received.digest(), "received": count}

    async def exchange(self, *, name: str, seconds: float) -> dict[str, Any]:
        """Small pieces there and back for so long; whether each came back as it was, and where the peer was seen."""
        connection = self.connections[name]
        loop = asyncio.get_running_loop()
        until, longest, count = loop.time() + seconds, 0.0, 0
        hosts = {connection.remote_address[0]}
        while loop.time() < until:
            piece, asked = os.urandom(10_000), loop.time()
            await connection.write(piece)
            if await anext(connection) != piece:
                return {"equal": False}
            longest, count = max(longest, loop.time() - asked), count + 1
            hosts.add(connection.remote_address[0])
            await asyncio.sleep(0.02)
        return {"equal": True, "count": count, "longest": longest, "hosts": sorted(hosts)}

    async def wait_closed(self, *, name: str) -> dict[str, Any]:
        """Seconds until the connection is gone, and why."""
        connection = self.connections[name]
        loop = asyncio.get_running_loop()
        started = loop.time()
        await connection.wait_closed()
        return {"seconds": loop.time() - started, "error": connection.error.name if connection.error else None}

    async def ignore_network(self) -> dict[str, Any]:
        """As the original: nobody looks whether the network changes."""
        watch = self.node_._network_watch
        assert watch is not None
        watch.stop()
        return {}

    async def addresses(self) -> dict[str, Any]:
        """Where the peers of accepted connections are."""
        return {"hosts": [c.remote_address[0] for c in self.node_.node.connections], "online": self.node_.online}

    async def end(self, *, name: str) -> dict[str, Any]:
        await self.connections[name].close()
        return {}

    async def close(self) -> dict[str, Any]:
        if self.dht is not None:
            await self.dht.close()
        if self.testnet_ is not None:
            await self.testnet_.close()
        return {}


async def main() -> None:
    peer = Peer()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    calls: set[asyncio.Task[None]] = set()

    async def answer(id: int, call: Callable[..., Awaitable[dict[str, Any]]], options: dict[str, Any]) -> None:
        try:
            say({"id": id, "result": await call(**options)})
        except (NetworkError, IdentityError) as error:
            say({"id": id, "error": error.name})

    async for line in lines:
        message = json.loads(line)
        id, call = message.pop("id"), message.pop("call")
        task = asyncio.create_task(answer(id, getattr(peer, call), message))
        calls.add(task)
        task.add_done_callback(calls.discard)
    await peer.close()


asyncio.run(main())
