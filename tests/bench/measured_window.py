"""The window of this checkout, measured by itself in a program of its own."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any


def open_measured(measure: Callable[[Any], Awaitable[None]], options: Sequence[str]) -> int:
    """Open it with these options, and measure once it has loaded. The measure ends the program; the exit code else."""
    command: Any = importlib.import_module("app.cli.main")
    opened = command._open_window

    def measured(*arguments: Any) -> int:
        application: Any = importlib.import_module("app.application")

        class Window(application.MainWindow):  # type: ignore[misc]
            async def load(self) -> None:
                await super().load()
                self._measuring = asyncio.ensure_future(measure(self))

        application.MainWindow = Window
        return int(opened(*arguments))

    command._open_window = measured
    return int(command.main(list(options)))


async def longest_stall(act: Callable[[], None], seconds: float) -> float:
    """Of the stretches without an event, from an act on for so long: seconds of processor time of the thread."""
    begun = time.thread_time()
    act()
    longest = time.thread_time() - begun
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.thread_time()
        await asyncio.sleep(0.001)
        longest = max(longest, time.thread_time() - begun)
    return longest
