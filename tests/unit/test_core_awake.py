"""No sleep while a guest is served or a download runs; on battery only if the owner says so; released at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from qvac_core.core import machine_use
from qvac_core.core.awake import Awake, AwakeSettings
from qvac_core.core.state import (
    ActiveRequest,
    DownloadChanged,
    DownloadState,
    LogEntry,
    RequestEnded,
    RequestStarted,
)


@dataclass
class Machine:
    """What it was asked for, and what it answers."""

    settings: AwakeSettings = field(default_factory=lambda: AwakeSettings(wanted=True, on_battery=False))
    battery: bool | None = None
    able: bool = True
    holds: int = 0
    asked: int = 0

    def hold(self) -> Machine | None:
        self.asked += 1
        if not self.able:
            return None
        self.holds += 1
        return self

    def release(self) -> None:
        self.holds -= 1


def started(number: str) -> RequestStarted:
    return RequestStarted(ActiveRequest(number, "aa" * 32, "completionStream", "MODEL", 0.0))


def ended(number: str) -> RequestEnded:
    return RequestEnded(LogEntry(number, "aa" * 32, "completionStream", "MODEL", 0.0, 1.0, 1, 1, "eos"))


def download(state: DownloadState) -> DownloadChanged:
    return DownloadChanged("MODEL", 1, 2, 1.0, state)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


def play(machine: Machine, scene: Callable[[Awake], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        awake = Awake(lambda: machine.settings, lambda: machine.battery, machine.hold)
        awake.open()
        try:
            await scene(awake)
        finally:
            await awake.close()
        assert machine.holds == 0

    asyncio.run(main())


def test_awake_while_a_guest_is_served_and_no_longer() -> None:
    machine = Machine()

    async def scene(awake: Awake) -> None:
        awake.take(started("1"))
        await until(lambda: machine.holds == 1)
        awake.take(started("2"))
        awake.take(ended("1"))
        awake.take(ended("unknown"))
        await asyncio.sleep(0.01)
        assert (machine.holds, machine.asked) == (1, 1)
        awake.take(ended("2"))
        await until(lambda: machine.holds == 0)
        machine.settings = AwakeSettings(wanted=False, on_battery=False)
        awake.take(started("3"))
        await asyncio.sleep(0.01)
        assert machine.asked == 1
        machine.settings = AwakeSettings(wanted=True, on_battery=False)
        awake.look()  # switched on while somebody is served
        await until(lambda: machine.holds == 1)
        machine.settings = AwakeSettings(wanted=False, on_battery=False)
        awake.look()
        await until(lambda: machine.holds == 0)

    play(machine, scene)


def test_awake_while_a_download_moves() -> None:
    machine = Machine()

    async def scene(awake: Awake) -> None:
        awake.take(download(DownloadState.QUEUED))
        awake.take(download(DownloadState.RUNNING))
        await until(lambda: machine.holds == 1)
        for _ in range(3):
            awake.take(download(DownloadState.RUNNING))
        awake.take(download(DownloadState.CHECKING))
        awake.take(download(DownloadState.DONE))
        await until(lambda: machine.holds == 0)
        assert machine.asked == 1
        for end in (DownloadState.FAILED, DownloadState.PAUSED, DownloadState.CANCELLED):
            awake.take(download(DownloadState.RUNNING))
            await until(lambda: machine.holds == 1)
            awake.take(download(end))
            await until(lambda: machine.holds == 0)

    play(machine, scene)


def test_on_battery_only_if_the_owner_says_so() -> None:
    machine = Machine(battery=True)

    async def scene(awake: Awake) -> None:
        awake.take(started("1"))
        await asyncio.sleep(0.01)
        assert machine.asked == 0
        machine.settings = AwakeSettings(wanted=True, on_battery=True)
        awake.look()
        await until(lambda: machine.holds == 1)
        machine.settings = AwakeSettings(wanted=True, on_battery=False)
        awake.look()
        await until(lambda: machine.holds == 0)
        machine.battery = False
        awake.look()  # as it does by itself every half a minute
        await until(lambda: machine.holds == 1)

    play(machine, scene)


def test_a_system_that_cannot_be_asked_is_asked_no_more_than_once_a_look() -> None:
    machine = Machine(able=False)

    async def scene(awake: Awake) -> None:
        awake.take(started("1"))
        await until(lambda: awake.refused)
        for _ in range(20):
            awake.take(download(DownloadState.RUNNING))
            await asyncio.sleep(0.001)
        assert machine.asked == 1

    play(machine, scene)


async def test_an_end_while_the_battery_is_looked_at_is_not_forgotten() -> None:
    machine = Machine()

    slow = threading.Event()

    def battery() -> bool | None:
        slow.wait(5)
        return None

    awake = Awake(lambda: machine.settings, battery, machine.hold)
    awake.open()
    slow.set()
    awake.take(started("1"))
    await until(lambda: machine.holds == 1)
    slow.clear()
    awake.look()
    await asyncio.sleep(0.01)
    awake.take(ended("1"))
    slow.set()
    await until(lambda: machine.holds == 0)
    await awake.close()


def test_an_end_while_the_system_is_asked_is_not_forgotten() -> None:
    machine = Machine()
    slow = machine.hold

    def hold() -> Machine | None:
        time.sleep(0.05)
        return slow()

    machine.hold = hold  # type: ignore[method-assign]

    async def scene(awake: Awake) -> None:
        awake.take(started("1"))
        await asyncio.sleep(0.01)
        awake.take(ended("1"))
        await until(lambda: machine.asked == 1 and machine.holds == 0)

    play(machine, scene)


def test_a_system_that_has_no_folder_of_batteries_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil raises there: in a root of its own, and in some containers."""

    def no_folder() -> None:
        raise FileNotFoundError(2, "No such file or directory", "/sys/class/power_supply")

    monkeypatch.setattr(psutil, "sensors_battery", no_folder, raising=False)
    assert machine_use.on_battery() is None
