"""Pauses of sharing: guests stay connected, and are told when to ask again; each reason holds and lifts its own.

The owner's pause is kept in the settings: an hour's rest that a crash or an update cut short
would be no rest. Those of other reasons are found anew by whoever watches for them (`manners`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

from qvac_core.late_dataclass import dataclass

KEPT = "pause.until"  # of the settings: Unix seconds, "0" = until it is lifted, "" = no pause
LATEST = 253_402_214_400.0  # Unix seconds: what lies behind the year 9999 no calendar can show
# A timer does not run while the machine sleeps, the wall clock does: seconds between two looks at it.
LOOK_EVERY = 30.0


class PauseReason(StrEnum):
    OWNER = "owner"  # by hand
    HOURS = "hours"  # outside of the serving hours
    BATTERY = "battery"
    ACTIVE = "active"  # the owner is at the machine
    OTHER_PROGRAM = "other_program"  # it needs the GPU


@dataclass(frozen=True, slots=True)
class Pause:
    """until: Unix seconds, None = until it is lifted. cut: what runs is ended as well, else it may finish."""

    reason: PauseReason
    until: float | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class PausesChanged:
    """Those that hold now; none = guests are served."""

    pauses: tuple[Pause, ...]


def ends_at(pauses: tuple[Pause, ...]) -> float | None:
    """When guests are served again, as far as it is known; None: it is not, or no pause holds."""
    ends = [pause.until for pause in pauses]
    return max((end for end in ends if end is not None), default=None) if None not in ends else None


class PausingInterface(Protocol):
    """`core.pausing`. Used on the core's loop."""

    @property
    def pauses(self) -> tuple[Pause, ...]: ...

    async def pause(self, until: float | None = None, *, cut: bool = False) -> None:
        """By the owner's hand; in place of an earlier one. Kept over a restart. Raises StoreError."""

    async def resume(self) -> None:
        """End the owner's pause. One for another reason still holds. Raises StoreError."""


class Settings(Protocol):
    """Where the owner's pause is kept."""

    def text(self, name: str) -> str: ...
    def set_text(self, name: str, value: str) -> None: ...


class Pausing:
    """apply: hears every change before anybody else. run: a blocking call, off the loop (`Database.run`)."""

    def __init__(
        self,
        settings: Settings,
        run: Callable[[Callable[[], None]], Awaitable[None]],
        apply: Callable[[tuple[Pause, ...]], None],
        emit: Callable[[PausesChanged], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._run = run
        self._apply = apply
        self._emit = emit
        self._now = now
        self._pauses: dict[PauseReason, Pause] = {}
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Take up the owner's pause that holds still. A person may edit the settings: what is no time is none."""
        try:
            until = float(self._settings.text(KEPT) or "-1")
        except ValueError:
            return
        if until == 0:
            self.hold(PauseReason.OWNER)
        elif self._now() < until < LATEST:
            self.hold(PauseReason.OWNER, until)

    def close(self) -> None:
        """What is held stays held: nobody is served at the last moment."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def pauses(self) -> tuple[Pause, ...]:
        return tuple(self._pauses.values())

    # --- The owner's

    async def pause(self, until: float | None = None, *, cut: bool = False) -> None:
        if until is not None and until <= self._now():
            await self.resume()
            return
        # It holds whatever the disk says: the owner wants the GPU now.
        self.hold(PauseReason.OWNER, until, cut=cut)
        await self._keep("0" if until is None else str(round(until)))

    async def resume(self) -> None:
        self.lift(PauseReason.OWNER)
        if self._settings.text(KEPT):
            await self._keep("")

    async def _keep(self, text: str) -> None:
        await self._run(lambda: self._settings.set_text(KEPT, text))

    # --- Those of any reason, not kept

    def hold(self, reason: PauseReason, until: float | None = None, *, cut: bool = False) -> None:
        """In place of one for the same reason. `cut` acts once, now."""
        pause = Pause(reason, until, cut)
        if self._pauses.get(reason) != pause:
            self._pauses[reason] = pause
            self._changed()

    def lift(self, reason: PauseReason) -> None:
        if self._pauses.pop(reason, None) is not None:
            self._changed()

    def _changed(self) -> None:
        self._apply(self.pauses)
        self._emit(PausesChanged(self.pauses))
        self.close()
        self._wait()

    def _wait(self) -> None:
        ends = [pause.until for pause in self._pauses.values() if pause.until is not None]
        if ends:
            left = max(0.0, min(ends) - self._now())
            self._timer = asyncio.get_running_loop().call_later(min(left, LOOK_EVERY), self._look)

    def _look(self) -> None:
        self._timer = None
        over = [p.reason for p in self._pauses.values() if p.until is not None and p.until <= self._now()]
        for reason in over:
            del self._pauses[reason]
        if over:
            self._changed()
        else:
            self._wait()
