"""An asyncio event loop whose clock jumps to whatever happens next: hours of protocol in milliseconds of test.

Ours, after trio's autojump clock. A wait that nothing can end raises instead of hanging.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = 1000.0
ROUNDING = 1e-6
"""Seconds by which a timer of a clock that is behind comes late: a sum and a difference of floats must not let it come
early, or it would be set again for the same moment for ever."""


class MachineClock:
    """The clock of one simulated machine; it falls behind the world's when the machine sleeps."""

    def __init__(self) -> None:
        self.behind = 0.0
        self.wakes = START

    @property
    def stands_still(self) -> bool:
        return world_time() < self.wakes


CLOCK: ContextVar[MachineClock | None] = ContextVar("clock", default=None)
"""Whose clock the running code and its timers go by; None is the world's own."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits by moving the clock. No real I/O is expected but the loop's own self-pipe."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.now = start

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: no timer is set, and nothing else can ever happen")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, start: float = START) -> None:
        self._jumping = _JumpingSelector(start)
        super().__init__(self._jumping)
        # The clock has no resolution of its own: a timer set for t runs at t.
        self._clock_resolution = 1e-9

    def world_time(self) -> float:
        return self._jumping.now

    def time(self) -> float:
        clock = CLOCK.get()
        return self._jumping.now - (clock.behind if clock is not None else 0.0)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        clock = CLOCK.get() if context is None else context.get(CLOCK)
        if clock is not None and clock.behind:
            when = max(when + clock.behind, clock.wakes) + ROUNDING
        return super().call_at(when, callback, *args, context=context)

    def jump(self, seconds: float) -> None:
        """As for a process that did not run: all that was due meanwhile is due now."""
        self._jumping.now += seconds

    def stop_clock(self, clock: MachineClock, seconds: float) -> None:
        """As the monotonic clock of Linux and macOS while a machine sleeps: its timers come so much later."""
        clock.behind += seconds
        clock.wakes = self._jumping.now + seconds
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        for timer in timers:
            if timer._context.get(CLOCK) is clock:
                timer._when += seconds + ROUNDING
        heapq.heapify(timers)


def world_time() -> float:
    """Seconds by the clock that never stops."""
    loop = asyncio.get_running_loop()
    return loop.world_time() if isinstance(loop, VirtualLoop) else loop.time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in virtual time; tasks that are left behind are an error, and what a callback raises is one."""

    async def strict() -> T:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left behind: {left}"
        assert not failures, failures
        return result

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(strict())
