"""Machines that answer the endpoint as a test says, and the endpoint over them without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from qvac_core.endpoint.application import Application
from qvac_core.endpoint.calls import CallBook
from qvac_core.endpoint.guard import Guard
from qvac_core.endpoint.interface import (
    ChatAsk,
    ChatPart,
    Heard,
    HeardAll,
    Offer,
    SpeechAsk,
    Vectors,
)
from qvac_core.errors import QvacError

TOKEN = "qvac-" + "ab" * 24
Step = ChatPart | QvacError | asyncio.Event  # an event: it waits for it


def offer(machine: str, name: str, *abilities: str, **more: Any) -> Offer:
    key = "" if machine == "This machine" else f"{sum(machine.encode()):064x}"
    return Offer(key, machine, name, more.pop("source", name), abilities or ("chat", "tools"), **more)


@dataclass
class ScriptedReach:
    """scripts: what each machine does with a question. asked: every question, with the machine that got it."""

    there: tuple[Offer, ...]
    scripts: dict[str, Sequence[Step]] = field(default_factory=dict)
    asked: list[tuple[str, ChatAsk]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # machines whose answer was left before its end

    async def offers(self) -> tuple[Offer, ...]:
        return self.there

    async def unlisted(self, machine: str, name: str) -> Offer | None:
        return None

    async def chat(self, offer: Offer, ask: ChatAsk) -> AsyncGenerator[ChatPart, None]:
        self.asked.append((offer.machine, ask))
        done = False
        try:
            for step in self.scripts[offer.machine]:
                if isinstance(step, QvacError):
                    done = True
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
            done = True
        finally:
            if not done:
                self.left.append(offer.machine)

    async def embed(self, offer: Offer, texts: Sequence[str]) -> Vectors:
        return Vectors([[float(len(text)), 1.0] for text in texts], sum(map(len, texts)))

    async def transcribe(
        self, offer: Offer, ask: SpeechAsk, heirs: Sequence[Offer] = ()
    ) -> AsyncGenerator[Heard | HeardAll, None]:
        yield Heard(0, 1000, f"{ask.file.stat().st_size} bytes")
        yield HeardAll(ask.language or "en", 1000)


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Of a stream: objects, and words as they are; comments begin with a colon."""
        found: list[Any] = []
        for block in self.body.decode().split("\n\n"):
            for line in filter(None, block.split("\n")):
                if line.startswith("data: "):
                    text = line.removeprefix("data: ")
                    found.append(json.loads(text) if text.startswith("{") else text)
                elif line.startswith(":"):
                    found.append(line)
        return found


class Browserless:
    """Asks the application as uvicorn would. `leave` is set when the program goes away."""

    def __init__(self, reach: ScriptedReach, origins: Sequence[str] = (), on_call: Any = None) -> None:
        self.book = CallBook(on_call or (lambda call: None))
        self.application = Application(reach, lambda: Guard(TOKEN, origins), self.book)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        leave: asyncio.Event | None = None,
        chunks: Sequence[bytes] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        parts = list(chunks) if chunks is not None else [data]
        told = {"host": "127.0.0.1:8123", "authorization": f"Bearer {TOKEN}", "user-agent": "test", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items() if value is not None],
        }
        answer = Answer()

        async def receive() -> dict[str, Any]:
            if parts:
                chunk = parts.pop(0)
                return {"type": "http.request", "body": chunk, "more_body": bool(parts)}
            await (leave or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")
                answer.ended = not message.get("more_body", False)

        await self.application(scope, receive, send)
        return answer

    async def chat(self, model: str = "Qwen", *, stream: bool = False, **more: Any) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream, **more}
        return await self.ask("POST", "/v1/chat/completions", body)


def run(coroutine: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            result = await coroutine
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left
        return result

    with suppress(KeyboardInterrupt):
        return asyncio.run(bounded())
