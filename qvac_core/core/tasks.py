"""Tasks that outlive the call that started them, each with an owner that ends and awaits it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from qvac_core.errors import QvacError

logger = logging.getLogger(__name__)


class TaskOwner:
    """Starts tasks and, at the end, cancels and awaits all of them. A mistake of ours in a task is logged once.

    A QvacError is a sentence for whoever waits for the task, and no mistake.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        if self._closed:
            coroutine.close()
            raise RuntimeError("closed")
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, QvacError):
            logger.warning("%s: %s", task.get_name(), error)
        elif error is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)

    async def end(self, task: asyncio.Task[Any]) -> None:
        """Cancel one of these tasks and wait for its end.

        It takes its first step before: a task that is cancelled earlier never runs, and neither does its `finally`.
        """
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    async def finish(self) -> None:
        """Await all tasks without cancelling them; no new ones may start."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        self._closed = True
        await asyncio.sleep(0)  # every task takes its first step, as in `end`
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
