"""Pauses: each reason holds and lifts its own; the owner's survives a restart, and ends in time after a sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from qvac_core.core.pausing import KEPT, LOOK_EVERY, Pause, PauseReason, Pausing, ends_at
from qvac_core.errors import StoreError
from tests.unit.memory_stream import run

NOON = 1_795_532_000.0


@dataclass
class Scene:
    """Pausing with a wall clock of the test's, and settings in memory."""

    kept: dict[str, str] = field(default_factory=dict)
    now: float = NOON
    applied: list[tuple[Pause, ...]] = field(default_factory=list)
    told: int = 0
    refuse: bool = False

    def __post_init__(self) -> None:
        self.pausing = Pausing(self, self._run, self.applied.append, lambda _event: self._tell(), lambda: self.now)

    def text(self, name: str) -> str:
        return self.kept.get(name, "")

    def set_text(self, name: str, value: str) -> None:
        if self.refuse:
            raise StoreError("The disk is full.")
        self.kept[name] = value

    def _tell(self) -> None:
        self.told += 1

    async def _run(self, work: Callable[[], None]) -> None:
        work()


def play(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(main())


def test_an_hour_ends_by_itself() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.pausing.pause(NOON + 3600)
        assert scene.applied == [(Pause(PauseReason.OWNER, NOON + 3600),)]
        assert scene.kept == {KEPT: str(round(NOON + 3600))}
        scene.now += 3599
        scene.pausing._look()
        assert scene.pausing.pauses
        scene.now += 1
        scene.pausing._look()
        assert scene.pausing.pauses == ()
        assert scene.applied[-1] == ()
        assert scene.told == 2
        scene.pausing.close()

    play(main)


def test_a_machine_that_slept_through_it_looks_again_soon() -> None:
    """Loop time stands still while a machine sleeps: no timer may wait for the whole of an hour."""

    async def main() -> None:
        scene = Scene()
        await scene.pausing.pause(NOON + 3600)
        assert scene.pausing._timer is not None
        left = scene.pausing._timer.when() - asyncio.get_running_loop().time()
        assert left <= LOOK_EVERY
        scene.pausing.close()

    play(main)


def test_reasons_hold_beside_each_other() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.pausing.pause(NOON + 3600)
        scene.pausing.hold(PauseReason.BATTERY)
        scene.pausing.hold(PauseReason.BATTERY)  # says nothing new
        assert scene.told == 2
        assert ends_at(scene.pausing.pauses) is None  # nobody knows when the cable is back
        scene.pausing.lift(PauseReason.BATTERY)
        assert ends_at(scene.pausing.pauses) == NOON + 3600
        scene.pausing.hold(PauseReason.HOURS, NOON + 7200)
        assert ends_at(scene.pausing.pauses) == NOON + 7200
        await scene.pausing.resume()
        assert [pause.reason for pause in scene.pausing.pauses] == [PauseReason.HOURS]
        assert scene.kept == {KEPT: ""}
        scene.pausing.close()

    play(main)


@pytest.mark.parametrize(
    ("kept", "held"),
    [
        ("", ()),
        (str(NOON + 60), (Pause(PauseReason.OWNER, NOON + 60),)),
        ("0", (Pause(PauseReason.OWNER),)),
        (str(NOON - 1), ()),
        ("tomorrow", ()),
        ("nan", ()),
        ("inf", ()),
        ("1e300", ()),
        ("-5", ()),
    ],
)
def test_a_restart_takes_up_what_holds_still(kept: str, held: tuple[Pause, ...]) -> None:
    async def main() -> None:
        scene = Scene({KEPT: kept})
        scene.pausing.open()
        assert scene.pausing.pauses == held
        scene.pausing.close()

    play(main)


def test_a_disk_that_refuses_keeps_nobody_from_pausing() -> None:
    async def main() -> None:
        scene = Scene(refuse=True)
        with pytest.raises(StoreError):
            await scene.pausing.pause()
        assert scene.pausing.pauses == (Pause(PauseReason.OWNER),)
        scene.pausing.close()

    play(main)


def test_a_pause_until_now_is_none() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.pausing.pause()
        await scene.pausing.pause(NOON)
        assert scene.pausing.pauses == ()

    play(main)
