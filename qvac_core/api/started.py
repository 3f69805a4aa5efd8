"""What a call of the API has started: known at once, read once it runs, left at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, Generic, Protocol, Self, TypeVar

from qvac_core.delegation.later import Later
from qvac_core.errors import InferenceCancelled, LocalProtocolError

OF_ANOTHER_LOOP = "This answer was begun before close(), or on another event loop. Read it before that, and there."


class Run(Protocol):
    """What it becomes: a run here or at a provider."""

    @property
    def token_stream(self) -> AsyncIterator[str]: ...

    @property
    def text(self) -> Awaitable[str]: ...

    async def cancel(self) -> int: ...

    async def leave(self) -> None: ...


RunT = TypeVar("RunT", bound=Run)


class Started(Generic[RunT]):
    """`async with` it, or read it to its end; leaving early cancels down to the GPU.

    left: the sentence for who reads it after it was left.
    """

    def __init__(self, start: Coroutine[Any, Any, RunT], request_id: str, *, left: str) -> None:
        self.request_id = request_id
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.create_task(start)
        self._started.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def _run(self) -> RunT:
        """Once it has started. Raises InferenceCancelled when it was left before."""
        if self._loop is not asyncio.get_running_loop():
            raise LocalProtocolError(OF_ANOTHER_LOOP)
        await asyncio.wait({self._started})
        if self._started.cancelled():
            raise InferenceCancelled(self._left, typed_fields={"text": ""})
        return self._started.result()

    @property
    def token_stream(self) -> AsyncIterator[str]:
        return self._tokens()

    async def _tokens(self) -> AsyncIterator[str]:
        async for token in (await self._run()).token_stream:
            yield token

    @property
    def text(self) -> Awaitable[str]:
        return Later(self._text)

    async def _text(self) -> str:
        return await (await self._run()).text

    async def cancel(self) -> int:
        """Stop it, there or here; how many were stopped (0: it had ended)."""
        return await (await self._run()).cancel()

    async def leave(self) -> None:
        """End it whatever its state, in a way that a JavaScript provider survives."""
        if self._loop is not asyncio.get_running_loop():
            return  # it ended with its loop
        if not self._started.done():
            self._started.cancel()
        await asyncio.wait({self._started})
        if not self._started.cancelled() and self._started.exception() is None:
            await self._started.result().leave()
