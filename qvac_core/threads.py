"""What a thread made for a caller who may be gone by then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


async def make_in_thread(make: Callable[[], Made], undo: Callable[[Made], object]) -> Made:
    """What the blocking `make` returns. For what has to be closed again: a file, a lock, a database.

    A thread cannot be cancelled. Whoever waits for `asyncio.to_thread` and is cancelled loses what the thread makes a
    moment later: open, and known to nobody. Here it is undone, in the thread that made it. Raises what `make` raises.
    """
    lock = threading.Lock()
    made: list[Made] = []
    gone = False

    def run() -> None:
        thing = make()
        with lock:
            if not gone:
                made.append(thing)
                return
        undo(thing)

    try:
        await asyncio.to_thread(run)
    except asyncio.CancelledError:
        with lock:
            gone = True
            late = bool(made)
        if late:
            undo(made.pop())
        raise
    return made.pop()
