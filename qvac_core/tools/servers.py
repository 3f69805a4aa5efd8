"""All servers of tools: started when something is asked of them, kept while they answer, started anew when they do not.

One that failed is not started again by itself for a while: a question would wait for it each time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qvac_core.errors import StoreError
from qvac_core.store.records import ToolServer
from qvac_core.tools.connection import CALL_SECONDS, Connection, ToolServerError
from qvac_core.tools.health import Health, ServerState, ServerTool
from qvac_core.tools.results import ToolResult

logger = logging.getLogger(__name__)

FAILED_SECONDS = 30.0  # before one that failed is started again by itself
RECENT_SECONDS = 2.0  # it answered; it need not be asked again whether it is there


@dataclass(slots=True)
class _Kept:
    server: ToolServer
    health: Health = field(default_factory=Health)
    connection: Connection | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    failed_at: float = 0.0
    heard_at: float = 0.0
    stale: bool = False  # its list of tools is another one now


class Servers:
    """on_changed: one of them has another state, or other tools.

    whole: one that is about to start, with its secrets; raises QvacError where they cannot be had.
    """

    def __init__(
        self,
        on_changed: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        whole: Callable[[ToolServer], Awaitable[ToolServer]] | None = None,
    ) -> None:
        self._on_changed, self._whole = on_changed, whole
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def close(self) -> None:
        kept, self._kept = list(self._kept.values()), {}
        await asyncio.gather(*(self._end(each) for each in kept))

    def names(self) -> tuple[str, ...]:
        return tuple(self._kept)

    def get(self, name: str) -> ToolServer | None:
        return self._kept[name].server if name in self._kept else None

    def health(self, name: str) -> Health:
        return self._kept[name].health if name in self._kept else Health()

    async def configure(self, servers: Sequence[ToolServer]) -> None:
        """These and no others. One that is started in another way now is ended."""
        wanted = {server.name: server for server in servers}
        gone = [each for name, each in self._kept.items() if name not in wanted]
        kept: dict[str, _Kept] = {}
        changed = []
        for name, server in wanted.items():
            old = self._kept.get(name)
            if old is None:
                kept[name] = _Kept(server)
            elif _way(old.server) == _way(server):
                old.server = server
                kept[name] = old
            else:
                kept[name] = _Kept(server)
                changed.append(old)
        self._kept = kept
        await asyncio.gather(*(self._end(each) for each in (*gone, *changed)))

    async def tools(self, name: str, *, again: bool = False) -> tuple[ServerTool, ...]:
        """Of a server that answers now. again: also one that failed just now. Raises ToolServerError."""
        kept = self._require(name)
        async with kept.turn:
            return await self._ready(kept, again=again)

    async def restart(self, name: str) -> tuple[ServerTool, ...]:
        """Raises ToolServerError."""
        kept = self._require(name)
        async with kept.turn:
            await self._end(kept)
            return await self._ready(kept, again=True)

    async def call(
        self,
        name: str,
        tool: str,
        arguments: dict[str, Any],
        *,
        seconds: float = CALL_SECONDS,
        on_progress: Callable[[str], None] | None = None,
    ) -> ToolResult:
        """Runs it once: a call that broke off may have done its work. Raises ToolServerError."""
        kept = self._require(name)
        async with kept.turn:
            await self._ready(kept, again=True)
            connection = kept.connection
        if connection is None:
            raise ToolServerError(f"{name} has ended.")
        try:
            result = await connection.call(tool, arguments, seconds, on_progress)
        except ToolServerError:
            kept.heard_at = float("-inf")  # look first, the next time
            raise
        kept.heard_at = self._clock()
        return result

    def _require(self, name: str) -> _Kept:
        if name not in self._kept:
            raise ToolServerError(f"There is no server called {name} any more.")
        return self._kept[name]

    async def _ready(self, kept: _Kept, *, again: bool) -> tuple[ServerTool, ...]:
        if kept.connection is not None:
            recent = kept.connection.alive and not kept.stale and self._clock() - kept.heard_at < RECENT_SECONDS
            if recent or await kept.connection.is_well():
                kept.heard_at = self._clock()
                if kept.stale:
                    kept.stale = False
                    self._put(kept, Health(ServerState.READY, await kept.connection.tools()))
                return kept.health.tools
            await self._end(kept)
        if not again and kept.failed_at and self._clock() - kept.failed_at < FAILED_SECONDS:
            raise ToolServerError(kept.health.error, details=kept.health.details)
        self._put(kept, Health(ServerState.STARTING, kept.health.tools))
        connection: Connection | None = None
        try:
            if self._whole is not None:
                try:
                    kept.server = await self._whole(kept.server)
                except StoreError as error:
                    raise ToolServerError(error.message) from error
            connection = Connection(kept.server, lambda: self._listed_anew(kept))
            tools = await connection.open()
        except ToolServerError as error:
            kept.failed_at = self._clock()
            self._put(kept, Health(ServerState.FAILED, (), error.message, error.details))
            raise
        except BaseException:
            self._put(kept, Health(ServerState.IDLE, kept.health.tools))
            raise
        kept.connection, kept.failed_at, kept.heard_at, kept.stale = connection, 0.0, self._clock(), False
        self._put(kept, Health(ServerState.READY, tools))
        return tools

    def _listed_anew(self, kept: _Kept) -> None:
        kept.stale = True

    async def _end(self, kept: _Kept) -> None:
        connection, kept.connection = kept.connection, None
        if connection is not None:
            await connection.close()
            self._put(kept, Health(ServerState.IDLE, kept.health.tools))

    def _put(self, kept: _Kept, health: Health) -> None:
        kept.health = health
        if self._kept.get(kept.server.name) is kept:
            self._on_changed(kept.server.name)


def _way(server: ToolServer) -> tuple[object, ...]:
    """All that a running one was started with."""
    return (server.command, server.args, server.env, server.cwd, server.url, server.headers)
