"""A peer in a process of its own, JavaScript or ours, spoken to in JSON lines.

The process is killed by its own id when the test leaves it, however that happens.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.limits import EVENT

CALL_LIMIT = EVENT
PEER_SCRIPT = Path(__file__).parent / "peer.mjs"


class JsError(Exception):
    """The call failed in JavaScript; the message is its code."""


class JsPeer:
    """`async with JsPeer(js_home) as peer: await peer.call("node", bootstrap=[...])`.

    `within` is what to put before the command, `program` what runs the script: another peer than node may.
    """

    def __init__(
        self, js_home: Path, script: Path = PEER_SCRIPT, *, within: Sequence[str] = (), program: str = "node"
    ) -> None:
        self._js_home = js_home
        self._script = script
        self._within = within
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: deque[dict[str, Any]] = deque()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> JsPeer:
        self._process = await asyncio.create_subprocess_exec(
            *self._within,
            self._program,
            str(self._script),
            cwd=self._js_home,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def call(self, call: str, /, *, limit: float = CALL_LIMIT, **options: Any) -> Any:
        """What the call returned. Raises JsError, or TimeoutError."""
        id = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[id] = answer
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": id, "call": call, **options}).encode() + b"\n")
        async with asyncio.timeout(limit):
            await self.process.stdin.drain()
            return await answer

    async def event(self, kind: str, *, limit: float = CALL_LIMIT, **wanted: Any) -> dict[str, Any]:
        """The next event of this kind with these fields; others stay for later."""
        async with asyncio.timeout(limit):
            while True:
                for event in self._events:
                    if event["event"] == kind and wanted.items() <= event.items():
                        self._events.remove(event)
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def kill(self) -> None:
        """SIGKILL: nothing is said to anybody."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        if self._reader is not None:
            await self._reader
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            message = json.loads(line)
            if "event" in message:
                self._events.append(message)
                self._changed.set()
                continue
            answer = self._answers.pop(message["id"])
            if answer.done():
                continue
            if "error" in message:
                answer.set_exception(JsError(message["error"]))
            else:
                answer.set_result(message["result"])
