"""Manners: each rule holds and lifts its own pause, says until when, and says so where it cannot be known.

qvac_core/core/manners.py, machine_use.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from qvac_core.core.gauges import Gauges, GpuGauge
from qvac_core.core.machine_use import WAYLAND, UnknownIdleTime
from qvac_core.core.manners import NO_BATTERY, NO_GPU, NO_HOURS, Manners, MannersChanged, MannersRule
from qvac_core.core.pausing import Pause, PauseReason, Pausing
from qvac_core.store.settings import MannersSettings

NOON = datetime(2026, 11, 24, 12, 0).timestamp()
MB = 1_000_000


@dataclass
class Idle:
    since: float | None = 0.0
    unknown: str = ""

    def seconds(self) -> float | None:
        return self.since


@dataclass
class FakeSenses:
    charge: bool | None = False
    idle_time: Idle | UnknownIdleTime = field(default_factory=Idle)
    others: int | None = 0
    asked: list[str] = field(default_factory=list)

    def battery(self) -> bool | None:
        self.asked.append("battery")
        return self.charge

    def idle(self) -> Idle | UnknownIdleTime:
        self.asked.append("idle")
        return self.idle_time

    def gauges(self) -> Gauges:
        self.asked.append("gauges")
        gpu = GpuGauge("GPU", 0.5, 0, 0, self.others)
        return Gauges(0, 0, (gpu,))


class NoSettings:
    def text(self, name: str) -> str:
        return ""

    def set_text(self, name: str, value: str) -> None: ...


class Room:
    def __init__(self) -> None:
        self.settings = MannersSettings()
        self.senses = FakeSenses()
        self.now = NOON
        self.told: list[MannersChanged] = []
        self.pauses: tuple[Pause, ...] = ()
        self.pausing = Pausing(NoSettings(), self._run, self._apply, lambda _: None, lambda: self.now)
        self.manners = Manners(lambda: self.settings, self.pausing, self.told.append, self.senses, lambda: self.now)

    async def _run(self, work: Callable[[], None]) -> None:
        work()

    def _apply(self, pauses: tuple[Pause, ...]) -> None:
        self.pauses = pauses

    def rule(self, reason: PauseReason) -> MannersRule:
        return next(rule for rule in self.told[-1].rules if rule.reason is reason)

    def holds(self) -> list[PauseReason]:
        return [pause.reason for pause in self.pauses]


def run(test: Callable[[Room], Awaitable[None]]) -> None:
    async def main() -> None:
        room = Room()
        try:
            await test(room)
        finally:
            room.pausing.close()
            await room.manners.close()

    asyncio.run(main())


def test_rules_that_are_off_ask_the_machine_nothing() -> None:
    async def test(room: Room) -> None:
        room.senses.charge, room.senses.others = True, 99_000 * MB
        await room.manners.look()
        assert room.senses.asked == []
        assert room.pauses == ()
        rules = await room.manners.rules()  # a screen shows what would be the case
        assert set(room.senses.asked) == {"battery", "idle", "gauges"}
        assert not any(rule.holds for rule in rules)

    run(test)


def test_hours_hold_until_they_begin_again() -> None:
    async def test(room: Room) -> None:
        room.settings = MannersSettings(hours=True, hours_from="14:00", hours_to="23:00")
        await room.manners.look()
        (pause,) = room.pauses
        assert (pause.reason, pause.until, pause.cut) == (PauseReason.HOURS, NOON + 2 * 3600, False)
        room.now += 2 * 3600
        await room.manners.look()
        assert room.pauses == ()
        assert room.rule(PauseReason.HOURS).until == NOON + 11 * 3600
        room.settings = replace(room.settings, hours_from="later")
        await room.manners.look()
        assert room.rule(PauseReason.HOURS).unknown == NO_HOURS
        assert room.pauses == ()  # hours that nobody can read keep nobody out

    run(test)


def test_an_owner_at_work_a_battery_and_another_program() -> None:
    async def test(room: Room) -> None:
        room.settings = MannersSettings(
            while_active=True, active_minutes=5, on_battery=True, other_gpu=True, other_gpu_mb=1000, cut_running=True
        )
        room.senses.idle_time, room.senses.charge, room.senses.others = Idle(299), True, 1000 * MB
        await room.manners.look()
        assert room.holds() == [PauseReason.ACTIVE, PauseReason.OTHER_PROGRAM, PauseReason.BATTERY]
        assert all(pause.cut and pause.until is None for pause in room.pauses)
        room.senses.idle_time, room.senses.charge = Idle(300), False
        await room.manners.look()
        assert room.holds() == [PauseReason.OTHER_PROGRAM]
        room.senses.others = 999 * MB
        await room.manners.look()
        assert room.holds() == []
        room.settings, room.senses.charge = MannersSettings(), True
        await room.manners.look()
        assert room.holds() == []

    run(test)


def test_what_cannot_be_known_is_said_and_pauses_nothing() -> None:
    async def test(room: Room) -> None:
        room.settings = MannersSettings(while_active=True, on_battery=True, other_gpu=True)
        room.senses.idle_time, room.senses.charge, room.senses.others = UnknownIdleTime(WAYLAND), None, None
        await room.manners.look()
        assert room.pauses == ()
        assert room.rule(PauseReason.ACTIVE).unknown == WAYLAND
        assert room.rule(PauseReason.BATTERY).unknown == NO_BATTERY
        assert room.rule(PauseReason.OTHER_PROGRAM).unknown == NO_GPU

    run(test)


def test_seconds_that_pass_are_no_news() -> None:
    async def test(room: Room) -> None:
        room.settings = MannersSettings(while_active=True)
        for since in (1.0, 6.0, 11.0):
            room.senses.idle_time = Idle(since)
            await room.manners.look()
        assert len(room.told) == 1

    run(test)


def test_an_owners_pause_is_not_lifted_by_a_rule() -> None:
    async def test(room: Room) -> None:
        await room.pausing.pause()
        await room.manners.look()
        assert room.holds() == [PauseReason.OWNER]

    run(test)
