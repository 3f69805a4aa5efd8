"""Tasks beside a piece of work: they end with it, and what breaks in them is told."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.tasks import beside
from tests.unit.memory_stream import run

RUNNER = run


async def fail(after: float) -> None:
    await asyncio.sleep(after)
    raise ZeroDivisionError


async def test_what_breaks_beside_it_ends_the_work_with_its_cause() -> None:
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(60), beside(fail(1)):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


async def test_what_may_break_leaves_the_work_alone() -> None:
    async with beside(fail(1), quiet=(ArithmeticError,)):
        await asyncio.sleep(2)


async def test_it_ends_with_the_work_and_is_awaited() -> None:
    ended = []

    async def watch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            ended.append(True)

    async with beside(watch()):
        await asyncio.sleep(1)
    assert ended


async def test_the_work_has_its_own_error_first() -> None:
    with pytest.raises(LookupError):
        async with beside(fail(1)):
            await asyncio.sleep(0.5)
            raise LookupError


async def test_one_that_breaks_as_the_work_ends_harms_nothing_after_it() -> None:
    breaks = asyncio.Event()

    async def at_a_word() -> None:
        await breaks.wait()
        raise ZeroDivisionError

    async with beside(at_a_word()) as watching:
        await asyncio.sleep(0)
        breaks.set()
        await asyncio.sleep(0)
        assert watching.done()  # and nobody was told yet
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_cancel_from_outside_stays_one() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with beside(fail(100)):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_time_limit_around_it_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), beside(fail(100)):
            await asyncio.Event().wait()
