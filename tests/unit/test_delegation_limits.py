"""Limits of a key at a provider: told beforehand, kept to while an answer runs, and told with when it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType

import pytest

from qvac_core.delegation.admission import Allowance
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.consumer import Consumer
from qvac_core.delegation.held_models import KnownEmbeddingModel
from qvac_core.delegation.messages import HistoryMessage, Terms
from qvac_core.delegation.model_config import EmbedConfig
from qvac_core.delegation.prompt_estimate import prompt_estimate
from qvac_core.errors import ModelError, ProviderError
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, Room, admitting, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL

RUNNER = run

OTHER_KEY = b"\x0e" * 32


async def ask(consumer: Consumer) -> Completion:
    loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
    return await consumer.completion(loaded.model_id, ASK)


async def refused(consumer: Consumer) -> ProviderError:
    answer = await ask(consumer)
    with pytest.raises(ProviderError) as caught:
        await answer.text
    return caught.value


def change(room: Room, **values: object) -> None:
    own = room.policy.rules.allowed[CONSUMER_KEY]
    allowed = {CONSUMER_KEY: replace(own, **values)}  # type: ignore[arg-type]
    room.policy.set_rules(replace(room.policy.rules, allowed=MappingProxyType(allowed)))


async def test_a_guest_knows_its_limits_beforehand() -> None:

    rules = admitting(
        CONSUMER_KEY,
        tokens_per_day=1000,
        extra_tokens=500,
        parallel=2,
        context_tokens=2048,
        answer_tokens=256,
        expires_at=3600.0,
    )
    async with provider_room(rules) as room:
        room.log.today = 700
        consumer = room.consumer()
        hello = await consumer.hello(DELEGATE)
        assert hello is not None and isinstance(hello.terms, Terms)
        terms = hello.terms
        assert (terms.tokens_per_day, terms.tokens_used, terms.parallel) == (1500, 700, 2)
        assert (terms.context_tokens, terms.answer_tokens) == (2048, 256)
        assert terms.ends_in_ms == 3_600_000
        listed = await consumer.list_models(DELEGATE)
        assert listed is not None and listed[0].context_tokens == 2048
        await consumer.close()


async def test_the_limits_of_a_key_reach_the_engine() -> None:

    async with provider_room(admitting(CONSUMER_KEY, context_tokens=2048, answer_tokens=256)) as room:
        consumer = room.consumer()
        await (await ask(consumer)).text
        (request,) = room.pool.model.requests
        assert (request.context_tokens, request.sampling.predict) == (2048, 256)
        change(room, mine=True)
        await (await ask(consumer)).text
        assert room.pool.model.requests[-1].context_tokens == 0
        await consumer.close()


async def test_an_answer_ends_where_the_tokens_of_the_day_do_and_counts() -> None:

    async with provider_room(admitting(CONSUMER_KEY, tokens_per_day=1000)) as room:
        room.pool.model.words = ["word "] * 100
        room.log.today = 990 - prompt_estimate(part.content for part in ASK)
        consumer = room.consumer()
        answer = await ask(consumer)
        with pytest.raises(ProviderError, match=r"used up at this provider\. It is possible again in") as caught:
            await answer.text
        assert caught.value.typed_fields["reason"] == "quota"
        assert caught.value.typed_fields["retryAfterMs"] > 0
        assert answer.text_so_far == "word " * 9
        (entry,) = room.log.finished
        assert entry["outcome"] == "stopped" and entry["generated_tokens"] == 10 and entry["prompt_tokens"] == 31
        assert entry["error"] == "Its tokens for today were used up."
        assert room.log.advanced, "a crash would have counted nothing"
        await consumer.close()


async def test_a_prompt_counts_from_its_beginning_on() -> None:
    """What runs has its prompt reserved, so that many at once, or a long one, do not go beyond the day's tokens."""

    async with provider_room(admitting(CONSUMER_KEY, tokens_per_day=400)) as room:
        room.pool.model.words, room.pool.model.step = ["word "] * 50, 1.0
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        long = [HistoryMessage(role="user", content="many words " * 70)]
        first = await consumer.completion(loaded.model_id, long)
        await anext(first.token_stream)
        second = await consumer.completion(loaded.model_id, long)
        assert await first.text == "word " * 50
        with pytest.raises(ProviderError, match="used up"):
            await second.text
        too_long = await consumer.completion(loaded.model_id, [HistoryMessage(role="user", content="x" * 5000)])
        with pytest.raises(ProviderError, match="used up"):
            await too_long.text
        assert len(room.pool.model.requests) == 1, "the others have cost nothing"
        await consumer.close()


async def test_embeddings_are_reserved_as_answers_are() -> None:

    async with provider_room(admitting(CONSUMER_KEY, tokens_per_day=400)) as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        session = next(iter(room.provider._sessions))
        chat = session.held.known(loaded.model_id)
        assert chat is not None
        known = KnownEmbeddingModel("vectors", chat.model, chat.source, EmbedConfig())
        session.known.remember(CONSUMER_KEY, known)
        with pytest.raises(ProviderError, match="used up"):
            await consumer.embed(known.model_id, ["many words " * 50] * 20, delegate=DELEGATE)
        assert not room.provider.requests.tokens_now(CONSUMER_KEY)
        await consumer.close()


async def test_what_all_guests_together_may_use_ends_for_each() -> None:

    rules = replace(admitting(CONSUMER_KEY, OTHER_KEY), tokens_per_day=100)
    async with provider_room(rules) as room:
        room.log.today_of_all = 100
        one, other = room.consumer(), room.consumer(OTHER_KEY)
        for consumer in (one, other):
            error = await refused(consumer)
            assert error.typed_fields["reason"] == "quota" and "all" in error.message.lower()
        room.log.today_of_all = 0
        await (await ask(other)).text
        await one.close()
        await other.close()


async def test_a_change_acts_on_what_runs() -> None:

    for values, reason in (({"answer_tokens": 2}, "limit"), ({"tokens_per_day": 0}, "quota")):
        async with provider_room(admitting(CONSUMER_KEY)) as room:
            room.pool.model.words = ["word "] * 100
            consumer = room.consumer()
            answer = await ask(consumer)
            tokens = answer.token_stream
            for _ in range(5):
                await anext(tokens)
            change(room, **values)
            with pytest.raises(ProviderError) as caught:
                await answer.text
            assert caught.value.typed_fields["reason"] == reason
            await consumer.close()


async def test_models_of_a_key_are_all_that_exists_for_it() -> None:

    async with provider_room(admitting(CONSUMER_KEY, models=frozenset({"another"}))) as room:
        consumer = room.consumer()
        assert await consumer.list_models(DELEGATE) == []
        with pytest.raises(ModelError, match="does not share a model of that name"):
            await consumer.load_model(SMOL.name, delegate=DELEGATE)
        change(room, models=frozenset({SMOL.name}))
        room.pool.model.words = ["word "] * 100
        answer = await ask(consumer)
        await anext(answer.token_stream)
        change(room, models=frozenset())
        with pytest.raises(ProviderError, match="no longer shares this model"):
            await answer.text
        await consumer.close()


async def test_own_machines_go_first() -> None:

    rules = admitting(CONSUMER_KEY, OTHER_KEY, parallel=1)
    allowed = {**rules.allowed, CONSUMER_KEY: Allowance(mine=True)}
    async with provider_room(replace(rules, allowed=MappingProxyType(allowed))) as room:
        room.pool.model.slots = 1
        room.pool.model.words = ["word "] * 200  # longer than all the loads
        mine, guest = room.consumer(), room.consumer(OTHER_KEY)
        first = await ask(guest)
        await anext(first.token_stream)
        waiting = [await ask(guest) for _ in range(2)]
        await settle()
        own = [await ask(mine) for _ in range(2)]
        done: list[str] = []

        async def end(name: str, answer: Completion) -> None:
            await answer.final
            done.append(name)

        names = {"guest": first, "g1": waiting[0], "g2": waiting[1], "m1": own[0], "m2": own[1]}
        await asyncio.gather(*(end(name, answer) for name, answer in names.items()))
        assert done[:3] == ["guest", "m1", "m2"]
        await mine.close()
        await guest.close()
