"""Tasks that outlive the call that started them, each with an owner that ends and awaits it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from qvac_core.errors import QvacError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TaskOwner:
    """Starts tasks and, at the end, cancels and awaits all of them. A mistake of ours in a task is logged once.

    A QvacError is a sentence for whoever waits for the task, and no mistake. heard: what they hear for certain,
    which is not logged at all.
    """

    def __init__(self, heard: tuple[type[BaseException], ...] = ()) -> None:
        self._heard = heard
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        """Those that have not ended."""
        return frozenset(self._tasks)

    def start(self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Raises RuntimeError when this is closed: nobody would end it."""
        if self._closed:
            coroutine.close()
            raise RuntimeError("closed")
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.own(task)
        return task

    def own(self, task: asyncio.Task[Any]) -> None:
        """One that somebody else started and leaves to this owner."""
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, self._heard):
            return
        if isinstance(error, QvacError):
            logger.warning("%s: %s", task.get_name(), error)
        elif error is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)

    @staticmethod
    async def end(task: asyncio.Task[Any]) -> None:
        """Cancel one task and wait for its end.

        It takes its first step before: a task that is cancelled earlier never runs, and neither does its `finally`.
        """
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    async def finish(self) -> None:
        """Await all tasks without cancelling them; no new ones may start."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Wait until none runs, those included that are started meanwhile."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
            await asyncio.sleep(0)  # the callbacks that take them out need a turn of the loop

    async def close(self) -> None:
        """Cancel all tasks and await their ends; no new ones may start."""
        self._closed = True
        await asyncio.sleep(0)  # every task takes its first step, as in `end`
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def beside(
    helper: Coroutine[Any, Any, None], quiet: tuple[type[Exception], ...] = ()
) -> AsyncIterator[asyncio.Task[None]]:
    """`helper` runs while the block does, and is cancelled and awaited at the block's end.

    What it raises ends the block and comes out of it, in place of what the block waits for: else a watch that broke
    would watch no more, and nobody would know. quiet: after these the block goes on without it.
    """
    block = asyncio.current_task()
    assert block is not None
    cancelling, failed, over = block.cancelling(), list[BaseException](), False

    def done(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, quiet) and not over:
            failed.append(error)
            block.cancel()

    task = asyncio.get_running_loop().create_task(helper)
    task.add_done_callback(done)
    try:
        yield task
    except asyncio.CancelledError:
        if failed and block.uncancel() <= cancelling:
            raise failed[0] from None
        raise
    finally:
        over = True
        await leave(task)


async def leave(*tasks: asyncio.Future[Any]) -> None:
    """Nobody wants these any more: cancel and await them. What they raise was told already, or is of no interest."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
