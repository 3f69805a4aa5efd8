"""A server of OpenAI's API that does what a test tells it: the misbehaviour of real ones, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STREAM = "text/event-stream"
LIST: Mapping[str, Any] = {"object": "list", "data": [{"id": "small", "object": "model", "owned_by": "somebody"}]}


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One object of a stream, as most servers write it."""
    content = {} if text is None else {"content": text}
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish}],
    }


def usage(prompt: int, generated: int) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": generated}}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class Connection:
    """What a script writes on. `gone` is set when the client has left."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.gone = asyncio.Event()

    async def head(self, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await self.write("\r\n".join(lines) + "\r\n\r\n")

    async def write(self, text: str) -> None:
        self._writer.write(text.encode())
        await self._writer.drain()

    async def events(self, *events: Any) -> None:
        for event in events:
            await self.write(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n")

    async def stream(self, *events: Any) -> None:
        await self.head(kind=STREAM)
        await self.events(*events)

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        await self.head(status, **headers)
        await self.write(json.dumps(value))

    async def watch(self) -> None:
        """Until the client leaves."""
        await self._reader.read()
        self.gone.set()

    def drop(self) -> None:
        """Without a goodbye."""
        self._writer.transport.abort()


Script = Callable[[Connection, Asked], Awaitable[None]]


@dataclass
class Scripted:
    """`scripts`: by path below /v1, or by the whole path; the last of a list stays. `asked`: all that came."""

    scripts: dict[str, list[Script]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    address: str = ""
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    def on(self, path: str, *scripts: Script) -> None:
        self.scripts[path] = list(scripts)

    def answers(self, *events: Any) -> None:
        """Each chat request after that of the load gets these events."""

        async def script(connection: Connection, asked: Asked) -> None:
            await connection.stream(*events)

        self.on("chat/completions", ready, script)

    @property
    def chats(self) -> Sequence[Asked]:
        """After the first, which asks whether it answers at all."""
        return [asked for asked in self.asked if asked.path.endswith("/chat/completions")][1:]

    async def __aenter__(self) -> Scripted:
        self.scripts.setdefault("models", [listed])
        self.scripts.setdefault("chat/completions", [ready])
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            asked = await _read(reader)
            self.asked.append(asked)
            scripts = self.scripts.get(asked.path.removeprefix("/v1/")) or self.scripts.get(asked.path)
            connection = Connection(reader, writer)
            if not scripts:
                await connection.json({"error": {"message": "Not Found"}}, 404)
            else:
                await (scripts.pop(0) if len(scripts) > 1 else scripts[0])(connection, asked)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left, which is its right
        finally:
            self._serving.discard(task)
            writer.close()


async def listed(connection: Connection, asked: Asked) -> None:
    await connection.json(LIST)


async def ready(connection: Connection, asked: Asked) -> None:
    await connection.stream(chunk("Hi"), chunk(finish="length"), "[DONE]")


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, json.loads(body) if body else None)
