"""A request on a kept connection goes out beside its probe; where the probe fails, it is asked anew on another one."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.events import Outcome, RequestEnded
from tests.unit.delegation_room import ASK, DELEGATE, PROVIDER_KEY, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL

RUNNER = run


async def test_one_of_ours_is_asked_before_its_probe_is_answered() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        await consumer.hello(DELEGATE)
        stream = room.streams[0]
        before = len(stream.written)
        stream.cut()
        asking = asyncio.create_task(consumer.completion(loaded.model_id, ASK))
        await settle()
        sent = bytes(stream.written[before:])
        assert sent.index(b'"heartbeat"') < sent.index(b'"completionStream"')
        stream.cut(False)
        assert await (await asking).text == "one two three"
        assert room.connects == 1
        await consumer.close()


async def test_what_was_asked_on_a_dead_connection_is_asked_anew_and_made_once() -> None:
    """The request reached the provider, its answer and that of the probe did not come back."""

    async with provider_room() as room:
        room.pool.model.words = ["word "] * 100
        consumer = room.consumer()
        delegate = Delegate(PROVIDER_KEY)
        loaded = await consumer.load_model(SMOL.name, delegate=delegate)
        await consumer.hello(delegate)
        old = room.streams[0]
        old.is_cut = True  # nothing arrives here any more, while what is sent does
        answer = await consumer.completion(loaded.model_id, ASK, request_id="the same")
        old.cut(False)
        assert await answer.text == "word " * 100
        assert room.connects == 2
        assert answer.request_id == "the same"
        assert room.pool.model.most_running <= 2
        await consumer.close()
    ended = [event for event in room.events if isinstance(event, RequestEnded)]
    assert sorted(event.outcome.value for event in ended) == [Outcome.DISCONNECTED.value, Outcome.EOS.value]


@pytest.mark.parametrize("times", [1, 3])
async def test_an_asker_that_is_cancelled_meanwhile_leaves_nothing(times: int) -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        await consumer.hello(DELEGATE)
        for _ in range(times):
            room.streams[0].cut()
            asking = asyncio.create_task(consumer.completion(loaded.model_id, ASK))
            await settle()
            asking.cancel()
            await asyncio.wait({asking})
            room.streams[0].cut(False)
        await asyncio.sleep(5)
        assert not consumer._runs and not len(room.provider.requests) and not room.pool.model.running
        await consumer.close()
