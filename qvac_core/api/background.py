"""An event loop in a thread of its own, and what ordinary threads wait for on it: one call each, which Ctrl-C ends.

Any number of threads may call at once, also one in which a loop of somebody else's runs already, as in a notebook.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import queue
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from qvac_core.errors import LocalProtocolError

CLEANUP_SECONDS = 10.0
"""What a call that was interrupted has to end by itself: a cancel goes down to the provider's GPU and comes back."""

# On Windows nothing interrupts a thread that waits for a lock: it looks up now and then.
_LOOK_UP_SECONDS = 0.2 if sys.platform == "win32" else None

Work = Callable[[], Any]


class Call:
    """One call of an ordinary thread. `here` makes a callback of the API run in that thread, while it waits."""

    def __init__(self) -> None:
        self.outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._words: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self.outcome.add_done_callback(lambda _: self._words.put(None))

    def here(self, callback: Callable[..., object]) -> Callable[..., None]:
        return lambda *values: self._words.put(partial(callback, *values))

    def wait(self) -> Any:
        """The result. Raises what the call raised, what a callback raised, and KeyboardInterrupt."""
        while True:
            try:
                word = self._words.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                continue
            if word is None:
                return self.outcome.result()
            word()


class Background:
    """Starts with its first call; `close` ends the thread, and the next call starts another."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Reentrant: what a garbage collection lets go of is ended (`begin`) in the midst of whatever this thread does.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._loop is not None

    def run(self, work: Work, call: Call | None = None) -> Any:
        """What `work`, called on the loop, returned, or what came of it where that has to be awaited.

        Ctrl-C, and a callback that fails, cancel it and wait for its end.
        """
        call = call or Call()
        if self._thread is threading.current_thread():
            raise LocalProtocolError("This thread answers the blocking calls; it cannot wait for one itself.")
        tasks: list[asyncio.Task[Any]] = []
        try:  # from here on: Ctrl-C may come as soon as the loop has begun
            self._post(lambda: tasks.append(_begin(work, call.outcome)))
            return call.wait()
        except BaseException:
            if not call.outcome.done():
                self._cancel(tasks)
                concurrent.futures.wait([call.outcome], CLEANUP_SECONDS if tasks else 0)
            raise

    def begin(self, work: Work) -> None:
        """Do it soon, and wait for nothing: for what nobody holds any more. Nothing, where the loop has ended."""
        with self._lock:
            if self._loop is not None:
                outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
                self._loop.call_soon_threadsafe(_begin, work, outcome)

    def close(self) -> None:
        """End the tasks that still run, then the thread. Calls that wait for one raise LocalProtocolError."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(CLEANUP_SECONDS)

    def _post(self, work: Callable[[], object]) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = _new_loop()
                # A daemon: whatever it does, the program can end.
                self._thread = threading.Thread(target=_live, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            self._loop.call_soon_threadsafe(work)

    def _cancel(self, tasks: list[asyncio.Task[Any]]) -> None:
        """What was posted, once it has begun."""
        asked = threading.Event()

        def cancel() -> None:
            for task in tasks:
                task.cancel()
            asked.set()

        with self._lock:
            if self._loop is None:
                return
            self._loop.call_soon_threadsafe(cancel)
        asked.wait(CLEANUP_SECONDS)


def _new_loop() -> asyncio.AbstractEventLoop:
    # Windows' default loop stops receiving UDP for good after one send to a closed port (cpython #91227).
    return asyncio.SelectorEventLoop() if sys.platform == "win32" else asyncio.new_event_loop()


def _live(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _begin(work: Work, outcome: concurrent.futures.Future[Any]) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(_do(work))
    task.add_done_callback(partial(_settle, outcome))
    return task


async def _do(work: Work) -> Any:
    value = work()
    return await value if inspect.isawaitable(value) else value


def _settle(outcome: concurrent.futures.Future[Any], task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        outcome.set_exception(LocalProtocolError("close() was called meanwhile."))
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())
