"""Manners: when a machine that shares serves nobody all the same. Serving hours, battery, its owner at work, its GPU.

Looks now and then, and holds or lifts a pause for each reason (`pausing`): guests stay connected
and are told when to ask again, and answers that run finish unless the owner wants them ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from qvac_core.core.gauges import Gauges
from qvac_core.core.machine_use import IdleTime, idle_time, on_battery
from qvac_core.core.manners_state import MannersChanged as MannersChanged
from qvac_core.core.manners_state import MannersRule as MannersRule
from qvac_core.core.pausing import PauseReason, Pausing
from qvac_core.core.serving_hours import ServingHours
from qvac_core.store.settings import MannersSettings
from qvac_core.tasks import TaskOwner

LOOK_EVERY = 5.0  # seconds; an owner who comes back waits no longer for the GPU
MEGABYTE = 1_000_000
NO_BATTERY = "This machine has no battery, or does not tell of it."
NO_GPU = "No GPU here tells which program uses it."
NO_HOURS = "The hours in the settings are no times of the day, or on no day. They are not kept to."


class Senses(Protocol):
    """What is asked of the machine; each may block for a moment."""

    def battery(self) -> bool | None:
        """On battery? None: no battery, or none that tells."""

    def idle(self) -> IdleTime: ...

    def gauges(self) -> Gauges: ...


class MachineSenses:
    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read
        self._idle: IdleTime | None = None

    def battery(self) -> bool | None:
        return on_battery()

    def idle(self) -> IdleTime:
        self._idle = self._idle or idle_time()
        return self._idle

    def gauges(self) -> Gauges:
        return self._read()


class Manners:
    """What is looked at and what follows; `now` in seconds since 1970. `look` may be called at any time, also at once
    again.

    senses: battery, last input and GPU of this machine; what cannot be sensed never pauses, and its rule says so.
    """

    def __init__(
        self,
        settings: Callable[[], MannersSettings],
        pausing: Pausing,
        emit: Callable[[MannersChanged], None],
        senses: Senses,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._pausing = pausing
        self._emit = emit
        self._senses = senses
        self._now = now
        self._tasks = TaskOwner()
        self._told: tuple[MannersRule, ...] = ()
        self._looking = asyncio.Lock()

    def open(self) -> None:
        self._tasks.start(self._watch(), "manners")

    async def close(self) -> None:
        await self._tasks.close()

    async def rules(self) -> tuple[MannersRule, ...]:
        return await asyncio.to_thread(self._rules, self._settings(), True)

    async def look(self) -> None:
        """Act on what is the case now."""
        async with self._looking:
            settings = self._settings()
            rules = await asyncio.to_thread(self._rules, settings, False)
            for rule in rules:
                if rule.on and rule.holds:
                    self._pausing.hold(rule.reason, rule.until, cut=settings.cut_running)
                else:
                    self._pausing.lift(rule.reason)
            # Seconds and bytes move all the time, and nobody acts on them.
            shown = tuple(replace(rule, seconds=None, amount=None) for rule in rules)
            if shown != self._told:
                self._told = shown
                self._emit(MannersChanged(rules))

    async def _watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    # --- The rules; in a thread -----------------------------------------------------------------------------------

    def _rules(self, settings: MannersSettings, every: bool) -> tuple[MannersRule, ...]:
        """every: also of those that are off, which else ask the machine nothing."""
        return (
            self._hours(settings),
            self._active(settings, every or settings.while_active),
            self._other_program(settings, every or settings.other_gpu),
            self._battery(settings, every or settings.on_battery),
        )

    def _hours(self, settings: MannersSettings) -> MannersRule:
        rule = MannersRule(PauseReason.HOURS, settings.hours)
        hours = ServingHours.of_text(settings.hours_from, settings.hours_to, settings.hours_days)
        if hours is None:
            return replace(rule, unknown=NO_HOURS)
        opens = hours.opens_again(self._now())
        if opens is not None:
            return replace(rule, holds=settings.hours, until=opens)
        return replace(rule, until=hours.closes(self._now()))

    def _active(self, settings: MannersSettings, ask: bool) -> MannersRule:
        rule = MannersRule(PauseReason.ACTIVE, settings.while_active)
        if not ask:
            return rule
        idle = self._senses.idle()
        seconds = idle.seconds()
        if seconds is None:
            return replace(rule, unknown=idle.unknown)
        return replace(rule, holds=rule.on and seconds < settings.active_minutes * 60, seconds=seconds)

    def _other_program(self, settings: MannersSettings, ask: bool) -> MannersRule:
        rule = MannersRule(PauseReason.OTHER_PROGRAM, settings.other_gpu)
        if not ask:
            return rule
        held = [gpu.others_bytes for gpu in self._senses.gauges().gpus if gpu.others_bytes is not None]
        if not held:
            return replace(rule, unknown=NO_GPU)
        return replace(rule, holds=rule.on and sum(held) >= settings.other_gpu_mb * MEGABYTE, amount=sum(held))

    def _battery(self, settings: MannersSettings, ask: bool) -> MannersRule:
        rule = MannersRule(PauseReason.BATTERY, settings.on_battery)
        battery = self._senses.battery() if ask else None
        if ask and battery is None:
            return replace(rule, unknown=NO_BATTERY)
        return replace(rule, holds=rule.on and bool(battery))
