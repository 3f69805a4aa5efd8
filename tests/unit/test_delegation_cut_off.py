"""A guest that is killed or cut off: nobody computes for it, and what it was told goes on when it is back."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.consumer import Consumer
from qvac_core.delegation.events import Outcome, RequestEnded
from qvac_core.delegation.life_signs import GUEST_GONE_SECONDS
from qvac_core.delegation.messages import GenerationParams
from tests.unit.delegation_room import ASK, DELEGATE, Room, provider_room
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import SMOL

RUNNER = run

WORDS = [f"w{number} " for number in range(60)]
STEP = 0.1


async def asked(room: Room, consumer: Consumer, words: int = 5, **options: object) -> Completion:
    """An answer of which some words are there."""
    room.pool.model.words, room.pool.model.step = WORDS, STEP
    loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
    answer = await consumer.completion(loaded.model_id, ASK, **options)  # type: ignore[arg-type]
    said = answer.token_stream
    for _ in range(words):
        await anext(said)
    return answer


async def until_idle(room: Room) -> float:
    """Seconds until no engine computes."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while room.pool.model.running:
        await asyncio.sleep(0.01)
    return loop.time() - started


@pytest.mark.parametrize("words", [0, 1, 5, 59])
async def test_a_guest_that_is_cut_off_leaves_its_slot_and_its_answer_goes_on_when_it_is_back(words: int) -> None:
    async with provider_room(limits=Limits(parallel=1)) as room:
        consumer = room.consumer()
        answer = await asked(room, consumer, words)
        room.streams[0].cut()
        if words < 59:
            assert await until_idle(room) < 2.0
            assert room.provider._service.turns.running == 0
        await asyncio.sleep(10)
        room.streams[0].cut(False)
        final = await answer.final
        assert final.text == "".join(WORDS)
        assert final.stop_reason == "eos"
        assert final.stats is not None and final.stats.generated_tokens == 60
        assert [event.seq for event in [e async for e in answer.events]] == list(range(62))
        await consumer.close()
    (ended,) = [event for event in room.events if isinstance(event, RequestEnded)]
    assert (ended.outcome, ended.generated_tokens) == (Outcome.EOS, 60)


@pytest.mark.parametrize("seconds", [0.5, GUEST_GONE_SECONDS - 0.3])
async def test_a_short_cut_stops_nothing(seconds: float) -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        answer = await asked(room, consumer)
        room.streams[0].cut()
        await asyncio.sleep(seconds)
        room.streams[0].cut(False)
        assert await answer.text == "".join(WORDS)
        assert len(room.pool.model.requests) == 1
        await consumer.close()


async def test_a_guest_that_waits_for_long_gives_signs_of_life() -> None:
    """For its turn, and for the first word of a long prompt."""

    async with provider_room(limits=Limits(parallel=1)) as room:
        consumer = room.consumer()
        first = await asked(room, consumer)
        room.pool.model.words, room.pool.model.step = ["late"], 30
        second = await consumer.completion(first.model_id, ASK)
        assert await second.text == "late"
        assert len(room.pool.model.requests) == 2
        await consumer.close()


async def test_a_guest_that_does_not_come_back_is_gone() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        answer = await asked(room, consumer)
        room.streams[0].cut()
        await until_idle(room)
        room.streams[0].cut(False)
        room.streams[0].destroy()
        while len(room.provider.requests):
            await asyncio.sleep(0.01)
        with pytest.raises(Exception, match=r"clos|reset|destroy"):
            await answer.text
        await consumer.close()
    (ended,) = [event for event in room.events if isinstance(event, RequestEnded)]
    assert ended.outcome is Outcome.DISCONNECTED


async def test_the_longest_answer_stays_the_longest_when_it_rested() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        answer = await asked(room, consumer, generation_params=GenerationParams(predict=40))
        room.streams[0].cut()
        await until_idle(room)
        room.streams[0].cut(False)
        await answer.text
        first, second = room.pool.model.requests
        assert first.sampling.predict == 40 and first.continue_from == ""
        said = second.continue_from.count(" ")
        assert second.continue_from == "".join(WORDS[:said]) and second.sampling.predict == 40 - said
        await consumer.close()


async def test_thinking_cannot_rest_and_is_ended_after_a_while() -> None:
    async with provider_room() as room:
        room.pool.model.thoughts = ["hm "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK, capture_thinking=True)
        await anext(answer.events)
        room.streams[0].cut()
        assert 3.5 < await until_idle(room) < 5
        room.streams[0].cut(False)
        with pytest.raises(Exception, match="stopped computing") as raised:
            await answer.text
        assert raised.value.typed_fields == {"reason": "guest_away"}  # type: ignore[attr-defined]
        await consumer.close()


async def test_a_stop_while_it_rests_ends_it() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        answer = await asked(room, consumer)
        room.streams[0].cut()
        await until_idle(room)
        (live,) = room.provider.requests
        assert room.provider.stop_request(live.id)
        room.streams[0].cut(False)
        with pytest.raises(Exception, match="owner stopped"):
            await answer.text
        await consumer.close()
