"""The smallest driver that gives a dht_rpc node two real sockets, and a JavaScript peer to talk to.

Only for tests of the room by itself; the application's driver lives in qvac_core.hyperdht.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from qvac_core.codec import Address
from qvac_core.dht_rpc import Event, Node, Outcome, QueryResult, Ready, Reply, SocketId
from qvac_core.errors import NetworkError

ANSWER_TIMEOUT = 30.0


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, driver: SocketDriver, id: SocketId) -> None:
        self._driver = driver
        self._id = id

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._driver.received(self._id, data, address)


class SocketDriver:
    """One node on 127.0.0.1. Use as an asynchronous context manager; entering waits for Ready."""

    def __init__(self, bootstrap: Sequence[Address], *, seed: int = 1, first: bool = False, **options: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.node = Node(now=self._loop.time(), random=Random(seed), bootstrap=bootstrap, **options)
        self.events: list[Event] = []
        self._first = first
        self._ready = asyncio.Event()
        self._transports: list[asyncio.DatagramTransport] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> Address:
        address: Address = self._transports[SocketId.SERVER].get_extra_info("sockname")
        return address

    async def __aenter__(self) -> SocketDriver:
        for id in SocketId:
            transport, _ = await self._loop.create_datagram_endpoint(
                lambda id=id: _Socket(self, id),  # type: ignore[misc]
                local_addr=("127.0.0.1", 0),
            )
            self._transports.append(transport)
        self.node.set_server_port(self.address[1])
        if self._first:
            self.node.know_address(self.address)
        self.node.bootstrap(self._loop.time())
        self._flush()
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.node.close()
        if self._timer is not None:
            self._timer.cancel()
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)

    def received(self, socket: SocketId, data: bytes, address: Address) -> None:
        self.node.receive([(data, address)], socket, self._loop.time())
        self._flush()

    def _flush(self) -> None:
        for socket, to, datagram in self.node.transmissions():
            self._transports[socket].sendto(datagram, to)
        while (event := self.node.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Ready):
                self._ready.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        when = self.node.get_timer()
        if when is not None:
            self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.node.handle_timer(self._loop.time())
        self._flush()

    async def _finish(self, future: asyncio.Future[Any]) -> Any:
        self._flush()
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await future

    async def request(self, command: int, to: Address, **options: Any) -> Reply:
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self.node.request(command, to, now=self._loop.time(), on_done=future.set_result, **options)
        outcome = await self._finish(future)
        if isinstance(outcome, NetworkError):
            raise outcome
        assert isinstance(outcome, Reply)
        return outcome

    async def query(self, target: bytes, command: int, **options: Any) -> tuple[QueryResult, list[Reply]]:
        future: asyncio.Future[QueryResult] = self._loop.create_future()
        replies: list[Reply] = []
        self.node.query(
            target,
            command,
            now=self._loop.time(),
            on_finished=future.set_result,
            on_reply=replies.append,
            **options,
        )
        return await self._finish(future), replies


class JavaScriptNodes:
    """The process of dht_rpc_peer.mjs. Entering starts it, leaving ends it and waits for its end."""

    def __init__(self, js_home: Path) -> None:
        self._js_home = js_home
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> JavaScriptNodes:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(Path(__file__).with_name("dht_rpc_peer.mjs")),
            str(self._js_home),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def call(self, op: str, **arguments: Any) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        async with asyncio.timeout(ANSWER_TIMEOUT):
            answer = json.loads(await process.stdout.readline())
        if "failed" in answer:
            raise AssertionError(f"{op} failed there: {answer['failed']}")
        return answer["ok"]
