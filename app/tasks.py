"""Owned tasks: what a click starts is kept, its failure is handed on, and closing awaits it.

asyncio alone keeps only weak references to tasks; a presenter owns one `Tasks` and closes it with itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from qvac_core.errors import QvacError


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, object], on_error: Callable[[QvacError], None]) -> None:
        """Run `work` on the current loop. A QvacError goes to `on_error`; anything else is a bug and reaches the loop's
        exception handler."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_event_loop().create_task(self._guard(work, on_error))
        self._running.add(task)
        task.add_done_callback(self._finished)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before its first step never ran

    async def settle(self) -> None:
        """Wait until nothing runs, including what the running ones start."""
        while self._running:
            await asyncio.wait(set(self._running))
            # `wait` returns at once for what has ended; the callbacks that discard it need a turn of the loop.
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await self.settle()

    async def _guard(self, work: Coroutine[Any, Any, object], on_error: Callable[[QvacError], None]) -> None:
        try:
            await work
        except QvacError as error:
            on_error(error)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            task.get_loop().call_exception_handler(
                {"message": "A task of the window failed", "exception": error, "task": task}
            )
