"""`make_in_thread`: what is made for somebody who was cancelled meanwhile is undone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from qvac_core.threads import make_in_thread


def test_what_is_made_arrives() -> None:
    undone: list[str] = []
    assert asyncio.run(make_in_thread(lambda: "file", undone.append)) == "file"
    assert undone == []


def test_a_failure_is_the_callers() -> None:
    undone: list[object] = []

    def fail() -> object:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        asyncio.run(make_in_thread(fail, undone.append))
    assert undone == []


def test_what_is_made_after_the_cancel_is_undone() -> None:
    begun, go_on, undone = threading.Event(), threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        assert go_on.wait(60)
        return "file"

    async def main() -> None:
        task = asyncio.create_task(make_in_thread(make, lambda thing: undone.set()))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not undone.is_set()
        go_on.set()

    asyncio.run(main())
    assert undone.wait(60)


def test_what_was_made_as_the_cancel_came_is_undone() -> None:
    async def main() -> list[str]:
        undone: list[str] = []
        made = threading.Event()

        def make() -> str:
            made.set()
            return "file"

        task = asyncio.create_task(make_in_thread(make, undone.append))
        await asyncio.sleep(0)
        made.wait(60)  # blocks the loop: the thread is done, its waiter does not know
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not undone:
            await asyncio.sleep(0.001)
        return undone

    assert asyncio.run(main()) == ["file"]
