"""Tasks that are cancelled before their first step: nobody waits for ever for what they would have cleaned up."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from app.tasks import Tasks
from qvac_core.api.functions import Answer
from qvac_core.core.local_completion import LocalCompletion
from qvac_core.engines.interface import ChatMessage, CompletionRequest, SamplingParams
from qvac_core.errors import InferenceCancelled
from qvac_core.hyperdht.client.connect import Attempt
from qvac_core.tasks import TaskOwner
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import ScriptedModel

RUNNER = run


def local_answer() -> LocalCompletion:
    return LocalCompletion(ScriptedModel(), CompletionRequest("r", (ChatMessage("user", "Hi"),), SamplingParams()))


def test_what_a_task_does_at_its_end_is_done_when_its_owner_ends_it_at_once() -> None:
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def main() -> None:
        owner = TaskOwner()
        await owner.end(owner.start(work("one"), "one"))
        assert ended == ["one"]
        owner.start(work("two"), "two")
        await owner.close()
        assert ended == ["one", "two"]

    asyncio.run(main())


async def test_an_answer_here_that_is_left_at_once_tells_whoever_waits() -> None:
    answer = local_answer()
    await answer.leave()
    async with asyncio.timeout(5):
        with pytest.raises(InferenceCancelled):
            await answer.final
        assert [token async for token in answer.token_stream] == []


async def test_an_answer_of_the_api_that_is_left_before_it_began_was_cancelled() -> None:
    async def start() -> LocalCompletion:
        await asyncio.sleep(1)
        return local_answer()

    for turns in (0, 1):
        answer = Answer(start(), "r")
        for _ in range(turns):
            await asyncio.sleep(0)
        await answer.leave()
        async with asyncio.timeout(5):
            with pytest.raises(InferenceCancelled):
                await answer.text


def test_the_windows_tasks_leave_no_work_that_nobody_awaits() -> None:
    async def work() -> None: ...

    async def main() -> None:
        tasks = Tasks()
        tasks.start(work(), lambda error: None)
        await tasks.close()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        gc.collect()


def test_a_handshake_that_is_given_up_at_once_leaves_no_work_that_nobody_awaits() -> None:
    async def main() -> None:
        attempt = object.__new__(Attempt)  # without a network: none is asked
        attempt._loop = asyncio.get_running_loop()
        attempt._met = attempt._loop.create_future()
        attempt._tried, attempt._asking, attempt._slots = [], set(), asyncio.Semaphore(1)
        attempt._on_stage = lambda stage: None
        attempt._ask_soon(("127.0.0.1", 9))
        (task,) = attempt._asking
        task.cancel()
        await asyncio.wait({task})

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert not warned
