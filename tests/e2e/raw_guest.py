"""A consumer without our consumer's manners: frames as the codec writes them, sent over a real connection.

Shapes of docs/wire/qvac.md section 1; everything it is told is kept, for who wants to search it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import bare_rpc
from bare_rpc import RequestMessage, ResponseMessage, StreamFlag, StreamMessage

from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht import DHT, Connection, KeyPair

PATIENCE = 60.0  # seconds; a hang fails, slowness does not

_RESPONSE = int(StreamFlag.RESPONSE)
Frame = RequestMessage | ResponseMessage | StreamMessage


def key_pair(seed: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(seed))


class RawGuest:
    """`async with RawGuest(…)`: connected. Reads only when asked to."""

    def __init__(self, bootstrap: str, seed: str, provider_key: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self._dht = DHT(bootstrap=[(host, int(port))], key_pair=key_pair(seed), host="127.0.0.1")
        self._key = bytes.fromhex(provider_key)
        self._last_id = 0
        self._buffer = b""
        self.heard = bytearray()
        self.stream: Connection

    async def __aenter__(self) -> RawGuest:
        async with asyncio.timeout(PATIENCE):
            try:
                self.stream = await self._dht.connect(self._key)
            except BaseException:
                await self._dht.close()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stream.destroy()
        await self._dht.close()

    async def write(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.stream.write(data)

    async def send(self, body: dict[str, Any] | bytes | None) -> int:
        """A request; None opens its stream instead of bringing a body. Returns its id."""
        self._last_id += 1
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        stream = int(StreamFlag.OPEN) if data is None else 0
        frame: bytes = bare_rpc.encode_request(self._last_id, 1, stream=stream, data=data)  # type: ignore[no-untyped-call]
        await self.write(frame)
        return self._last_id

    async def frame(self) -> Frame | None:
        """The next frame from the provider; None when it closed the connection."""
        async with asyncio.timeout(PATIENCE):
            while len(self._buffer) < 4 or len(self._buffer) < 4 + int.from_bytes(self._buffer[:4], "little"):
                try:
                    chunk = await anext(self.stream)
                except (StopAsyncIteration, ConnectionClosed):
                    return None
                self.heard += chunk
                self._buffer += chunk
        end = 4 + int.from_bytes(self._buffer[:4], "little")
        frame, self._buffer = self._buffer[:end], self._buffer[end:]
        message: Frame = bare_rpc.decode_frame(frame)  # type: ignore[no-untyped-call]
        return message

    async def ask(self, body: dict[str, Any] | bytes | None) -> list[dict[str, Any]]:
        """One request and all lines of its answer, whatever shape it has."""
        return await self.answer(await self.send(body))

    async def answer(self, request: int) -> list[dict[str, Any]]:
        text = b""
        while (frame := await self.frame()) is not None:
            if frame.id != request:
                continue
            if isinstance(frame, ResponseMessage):
                assert frame.error is None, "0.16 never uses bare-rpc's own error"
                if not frame.stream & StreamFlag.OPEN:
                    return [json.loads(frame.data or b"null")]
            elif isinstance(frame, StreamMessage) and frame.flags & _RESPONSE:
                if frame.flags & StreamFlag.DATA:
                    text += frame.data or b""
                elif frame.flags & (StreamFlag.END | StreamFlag.CLOSE | StreamFlag.DESTROY):
                    return [json.loads(line) for line in text.splitlines()]
        raise AssertionError(f"the connection ended before the answer: {bytes(self.heard[-500:])!r}")

    async def ended(self) -> bool:
        """Read on until the provider closes the connection."""
        while await self.frame() is not None:
            pass
        return True
