"""A walk through the network whose answers can be read while it goes on, or be waited for together.

Ours, in the place of dht-rpc's readable Query (dht-rpc 6.27.0 `lib/query.js`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from qvac_core.errors import NetworkError

F = TypeVar("F")
R = TypeVar("R")

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Walk(Generic[F, R]):
    """`async for found in walk` gives each answer as it comes, `await walk` what they come to together.

    Either, and once. It begins with the first of them. Who leaves the loop early calls `cancel`, or uses
    `async with walk:`, which does; else it goes on to its end by itself, within seconds.
    """

    def __init__(
        self,
        work: Callable[[Callable[[F], None]], Awaitable[None]],
        together: Callable[[list[F]], R],
        spawn: Callable[[], Awaitable[Spawn]],
        is_enough: Callable[[F], bool] = lambda found: False,
    ) -> None:
        """`work(see)` walks and calls `see` with each answer; `spawn()` opens the node and gives its way to own tasks.

        `is_enough`: an awaited walk ends early after such an answer.
        """
        self._work = work
        self._together = together
        self._spawn = spawn
        self._is_enough = is_enough
        self._begun = False
        self._task: asyncio.Task[None] | None = None
        self._found: asyncio.Queue[F | None] = asyncio.Queue()
        self._cancelled = False
        self._error: NetworkError | None = None

    async def __aenter__(self) -> Walk[F, R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def __await__(self) -> Generator[Any, None, R]:
        return self._whole().__await__()

    def __aiter__(self) -> Walk[F, R]:
        return self

    async def __anext__(self) -> F:
        """The next answer. Raises NetworkError when the walk failed, after those that came before."""
        if not self._begun:
            self._begun = True
            spawn = await self._spawn()
            self._task = spawn(self._run(), "a walk through the network")
            self._task.add_done_callback(self._ended)
        found = await self._found.get()
        if found is not None:
            return found
        self._found.put_nowait(None)  # whoever asks again is told the same
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def _run(self) -> None:
        try:
            await self._work(self._found.put_nowait)
        except NetworkError as error:
            self._error = error

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and not self._cancelled:
            self._error = NetworkError("This node is closed.", name="NODE_DESTROYED")
        self._found.put_nowait(None)

    async def _whole(self) -> R:
        found: list[F] = []
        try:
            async for one in self:
                found.append(one)
                if self._is_enough(one):
                    break
        finally:
            self.cancel()
        return self._together(found)

    def cancel(self) -> None:
        """Ask nobody any more. What has been found can still be read."""
        self._begun = self._cancelled = True
        if self._task is None:
            self._found.put_nowait(None)
        elif not self._task.done():
            self._task.cancel()
