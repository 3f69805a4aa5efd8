"""The one module that crosses threads: the core's loop in its thread, and the proxy by which the window reaches it.

In: `wrap_future(run_coroutine_threadsafe(...))`. Out: a queued Qt signal with immutable events, coalesced, at most one
per frame. Measured: a window blocked for 150 ms then costs a peer 10 ms instead of 147.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from app.garbage import window_thread_garbage
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import CoreEvent

if TYPE_CHECKING:
    from app.coalesce import EventBuffer

T = TypeVar("T")

FRAME_SECONDS = 0.016
CLOSE_SECONDS = 10.0
# 30.1k instead of 26.6k datagrams/s beside a busy window: the core's thread gets the interpreter sooner.
SWITCH_INTERVAL = 0.0005


class CoreThread:
    """One plain asyncio loop in one background thread, and the core that lives on it."""

    def __init__(self, core_factory: Callable[[], CoreInterface]) -> None:
        self._factory = core_factory
        self._loop: asyncio.AbstractEventLoop | None = None
        self._core: CoreInterface | None = None
        # A daemon: whatever the core does, the program can end.
        self._thread = threading.Thread(target=self._run, name="core", daemon=True)
        self._running: concurrent.futures.Future[None] = concurrent.futures.Future()

    @property
    def core(self) -> CoreInterface:
        if self._core is None:
            raise RuntimeError("the core thread was not started")
        return self._core

    async def start(self, attach: Callable[[CoreInterface], None]) -> None:
        """Start the thread, make the core there, let `attach` subscribe, start it. Raises what `core.start` raises."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        window_thread_garbage.hold()
        self._thread.start()
        await asyncio.shield(asyncio.wrap_future(self._running))  # broken off, the thread still says that it runs
        assert self._loop is not None
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._open(attach), self._loop))

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Cancelled where there is no core: closed, or a start that was broken off before it was made."""
        if self._loop is None or self._loop.is_closed() or self._core is None:
            work.close()
            raise asyncio.CancelledError("there is no core")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def close(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Close the core, end its tasks and its thread. True when all of it ended within `seconds`."""
        if not self._thread.is_alive():
            return True
        await asyncio.wrap_future(self._running)  # a start that was broken off has its loop soon
        loop = self._loop
        assert loop is not None
        future = asyncio.run_coroutine_threadsafe(self._shut(), loop)
        ended = True
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            ended = False
        finally:
            loop.call_soon_threadsafe(loop.stop)
        waiter = asyncio.get_running_loop()
        await waiter.run_in_executor(None, self._thread.join, 1.0)
        if self._thread.is_alive():
            return False
        window_thread_garbage.release()
        return ended

    async def _open(self, attach: Callable[[CoreInterface], None]) -> None:
        self._core = self._factory()
        attach(self._core)
        await self._core.start()

    async def _shut(self) -> None:
        if self._core is not None:
            await self._core.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        await asyncio.get_running_loop().shutdown_default_executor()

    def _run(self) -> None:
        # Windows' default loop stops receiving UDP for good after one send to a closed port (cpython #91227).
        loop = asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        loop.call_soon(self._running.set_result, None)
        try:
            loop.run_forever()
        finally:
            loop.close()


class CoreProxy(QObject):
    """What presenters hold. `core_event` carries one CoreEvent, in the window's thread."""

    core_event = Signal(object)  # not `event`: that is a method of every QObject
    _batch = Signal(object)

    def __init__(self, thread: CoreThread, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = thread
        self._flush_due = False
        self._last_flush = 0.0
        self._batch.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    async def start(self) -> None:
        await self._thread.start(self._attach)

    async def close(self, seconds: float = CLOSE_SECONDS) -> bool:
        return await self._thread.close(seconds)

    async def call(self, ask: Callable[[CoreInterface], Coroutine[Any, Any, T]]) -> T:
        """Await `ask(core)` on the core's loop: `await proxy.call(lambda core: core.start_sharing())`."""
        return await self._thread.call(_ask(self._thread, ask))

    @property
    def public_key(self) -> str:
        """64 hex digits; fixed once the core has started."""
        return self._thread.core.public_key

    @cached_property
    def _buffer(self) -> EventBuffer:
        from app.coalesce import EventBuffer  # it knows every event of the core: not before the window is seen

        return EventBuffer()

    def _attach(self, core: CoreInterface) -> None:
        core.subscribe(self._take)

    def _take(self, event: CoreEvent) -> None:
        """On the core's loop: keep the event, and flush at the end of this frame."""
        self._buffer.add(event)
        if not self._flush_due:
            self._flush_due = True
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._last_flush + FRAME_SECONDS - loop.time())
            loop.call_later(wait, self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flush_due = False
        self._last_flush = loop.time()
        self._batch.emit(self._buffer.take())

    def _deliver(self, batch: tuple[CoreEvent, ...]) -> None:
        for event in batch:
            self.core_event.emit(event)


async def _ask(thread: CoreThread, ask: Callable[[CoreInterface], Coroutine[Any, Any, T]]) -> T:
    # The coroutine is made on the core's loop too: a core may look at its loop when a method is called.
    return await ask(thread.core)
