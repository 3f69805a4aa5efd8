"""Who gets in, and what happens to open connections when the owner changes his mind."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qvac_core.delegation.admission import (
    DENIED_SECONDS,
    MAX_DENIED,
    AccessMode,
    AccessRules,
    Allowance,
    Denials,
    Limits,
    Rate,
)
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.events import ConnectionChanged, ConnectionState
from qvac_core.delegation.failures import Code
from qvac_core.delegation.frames import FrameReader, ResponseMessage, StreamMessage, encode_request
from qvac_core.errors import ConnectionClosed, DelegationError, ModelError, ProviderError
from tests.unit.delegation_room import (
    ASK,
    CONSUMER_KEY,
    DELEGATE,
    PROVIDER_KEY,
    STRANGER_KEY,
    Room,
    admitting,
    provider_room,
)
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL

RUNNER = run


def states(room: Room) -> list[ConnectionState]:
    return [event.state for event in room.events if isinstance(event, ConnectionChanged)]


def held(room: Room) -> list[str]:
    return list(room.provider.models_in_use)


async def test_a_refusal_is_an_error_that_says_so() -> None:

    async with provider_room() as room:
        stranger = room.consumer(STRANGER_KEY)
        with pytest.raises(DelegationError, match="has not allowed your key") as caught:
            await stranger.load_model(SMOL.name, delegate=DELEGATE)
        assert (caught.value.name, caught.value.code) == ("SERVER_ERROR", 53701)
        assert caught.value.typed_fields["reason"] == "not_admitted"
        assert states(room) == [ConnectionState.REFUSED]
        await stranger.close()


async def test_a_blocked_key_meets_silence() -> None:

    async with provider_room(AccessRules(AccessMode.DENY, denied=frozenset({STRANGER_KEY}))) as room:
        stranger = room.consumer(STRANGER_KEY)
        with pytest.raises(DelegationError) as caught:
            await stranger.heartbeat(DELEGATE)
        assert caught.value.name == "PEER_CONNECTION_FAILED"
        assert states(room) == [ConnectionState.BLOCKED]
        await stranger.close()


@pytest.mark.parametrize("progress", [True, False])
async def test_a_knock_is_heard_answered_in_its_shape_and_let_go(progress: bool) -> None:

    async with provider_room(admitting(CONSUMER_KEY, knock=True)) as room:
        stranger = room.consumer(STRANGER_KEY)
        with pytest.raises(ProviderError, match=STRANGER_KEY.hex()) as caught:
            await stranger.load_model(SMOL.name, delegate=DELEGATE, on_progress=(lambda p: None) if progress else None)
        assert (caught.value.name, caught.value.code) == ("REQUEST_REJECTED_BY_POLICY", 52420)
        assert caught.value.typed_fields == {"reason": "not_admitted"}
        await settle()
        assert stranger.connection(PROVIDER_KEY) is None
        assert states(room) == [ConnectionState.KNOCK]
        assert room.models.asked == [] and room.pool.loads == 0
        await stranger.close()


async def test_a_denied_knock_is_told_so_for_a_while_and_not_shown_again() -> None:

    async with provider_room(admitting(CONSUMER_KEY, knock=True)) as room:
        consumer = room.consumer(STRANGER_KEY)
        loop = asyncio.get_running_loop()

        async def knock() -> dict[str, Any]:
            with pytest.raises(ProviderError) as caught:
                await consumer.heartbeat(DELEGATE)
            assert caught.value.code == Code.REQUEST_REJECTED_BY_POLICY.value
            return caught.value.typed_fields

        def heard() -> int:
            return sum(isinstance(e, ConnectionChanged) and e.state is ConnectionState.KNOCK for e in room.events)

        assert await knock() == {"reason": "not_admitted"} and heard() == 1
        room.provider.denials.deny(STRANGER_KEY, loop.time())
        await asyncio.sleep(60)
        assert await knock() == {"reason": "not_admitted", "retryAfterMs": pytest.approx(3540_000, abs=2000)}
        assert heard() == 1
        await asyncio.sleep(3600)
        assert await knock() == {"reason": "not_admitted"} and heard() == 2
        room.provider.denials.deny(STRANGER_KEY, loop.time())
        room.provider.denials.lift(STRANGER_KEY)
        assert await knock() == {"reason": "not_admitted"} and heard() == 3


def test_denials_are_bounded() -> None:
    denials = Denials()
    for number in range(MAX_DENIED + 1):
        denials.deny(number.to_bytes(32, "big"), float(number))
    assert denials.left((0).to_bytes(32, "big"), 5.0) == 0
    assert denials.left((1).to_bytes(32, "big"), 5.0) == DENIED_SECONDS - 4


async def test_a_knock_that_says_nothing_or_too_much_is_dropped() -> None:

    async with provider_room(AccessRules(knock=True)) as room:
        silent = room.stream_as(STRANGER_KEY)
        before = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionClosed):
            async for _ in silent:
                pass
        assert asyncio.get_running_loop().time() - before == pytest.approx(2.0)
        loud = room.stream_as(STRANGER_KEY)
        await loud.write(encode_request(1, 1, bytes(65 * 1024)))
        with pytest.raises(ConnectionClosed):
            async for _ in loud:
                pass
        assert loud.peer.frame_limit == 64 * 1024


async def test_the_owner_is_told_of_so_many_knocks_in_a_minute_and_each_is_answered() -> None:

    async with provider_room(AccessRules(knock=True), Limits(knocks=Rate(3, 60.0))) as room:
        told = []
        for n in range(5):
            stream = room.stream_as(bytes([n]) * 32)
            await settle()
            stream.destroy()
            await settle()
            told.append(states(room).count(ConnectionState.KNOCK))
        assert told == [1, 2, 3, 3, 3]
        await asyncio.sleep(61)
        room.stream_as(STRANGER_KEY).destroy()
        await settle()
        assert states(room).count(ConnectionState.KNOCK) == 4


async def test_of_too_many_who_say_nothing_the_oldest_gives_way() -> None:

    limits = Limits(knocks_at_once=3, knocks_per_address=Rate(100, 60.0), knocks_per_network=Rate(100, 60.0))
    async with provider_room(AccessRules(knock=True), limits) as room:
        silent = [room.stream_as(bytes([n]) * 32) for n in range(5)]
        await settle()
        assert [bool(stream._error) for stream in silent] == [True, True, False, False, False]
        friend = room.consumer(STRANGER_KEY)
        with pytest.raises(ProviderError, match="does not admit you yet"):
            await friend.heartbeat(DELEGATE)
        await friend.close()
        await asyncio.sleep(5)
        assert not room.provider._knocking


async def test_repeated_verdicts_are_told_once_in_a_while() -> None:

    async with provider_room() as room:
        for _ in range(100):
            room.provider.firewall(STRANGER_KEY)
        assert len(states(room)) == 1
        await asyncio.sleep(11)
        room.provider.firewall(STRANGER_KEY)
        assert len(states(room)) == 2
        for n in range(5000):
            room.provider.firewall(n.to_bytes(32, "big"))
        assert len(room.provider._told) <= 1024


BLOCKED = AccessRules(AccessMode.DENY, denied=frozenset({CONSUMER_KEY}))


@pytest.mark.parametrize(
    ("rules", "reason", "words", "logged"),
    [
        (AccessRules(), "no_longer_allowed", "no longer allows your key", "You no longer allow this key."),
        (admitting(STRANGER_KEY, knock=True), "no_longer_allowed", "no longer allows", "You no longer allow this key."),
        (BLOCKED, "blocked", "blocked your key", "You blocked this key."),
    ],
)
async def test_a_key_that_is_taken_off_the_list_loses_its_open_answer_and_connection_and_both_sides_read_why(
    rules: AccessRules, reason: str, words: str, logged: str
) -> None:

    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        await anext(answer.token_stream)
        kept = consumer.connection(PROVIDER_KEY)
        room.policy.set_rules(rules)
        with pytest.raises(ProviderError, match=words) as raised:
            await answer.text
        assert (raised.value.code, raised.value.typed_fields) == (52420, {"reason": reason})
        await asyncio.sleep(0.1)
        assert consumer.connection(PROVIDER_KEY) is None
        assert kept is not None and kept.rejection is raised.value  # whoever looks later knows why it ended
        assert room.pool.model.running == {} and room.pool.leases == 0
        (entry,) = room.log.finished
        assert (entry["outcome"], entry["error"]) == ("stopped", logged)
        assert entry["prompt_tokens"] == 31 and entry["generated_tokens"] >= 1
        await consumer.close()


async def test_a_guest_who_is_blocked_while_it_waits_or_loads_reads_why() -> None:

    async with provider_room(limits=Limits(parallel=1)) as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answers = [await consumer.completion(loaded.model_id, ASK) for _ in range(2)]
        await anext(answers[0].token_stream)
        room.pool.load_seconds, config = 100.0, {"temp": 0.5}
        loading = asyncio.create_task(
            consumer.load_model(SMOL.name, delegate=DELEGATE, model_config=config, on_progress=lambda _: None)
        )
        await asyncio.sleep(1)
        room.policy.set_rules(BLOCKED)
        for answer in answers:
            with pytest.raises(ProviderError, match="blocked your key"):
                await answer.text
        with pytest.raises(ModelError, match="blocked your key"):
            await loading
        assert room.log.outcomes == ["stopped", "stopped"]
        await consumer.close()


async def test_an_answer_that_outlives_its_hour_says_so() -> None:

    rules = AccessRules(AccessMode.ALLOW, {CONSUMER_KEY: Allowance(expires_at=50.0)})
    async with provider_room(rules) as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        with pytest.raises(ProviderError, match="allowed your key is over") as raised:
            await answer.text
        assert raised.value.typed_fields == {"reason": "expired"}
        assert [entry["error"] for entry in room.log.finished] == ["Its time was over."]
        await consumer.close()


async def test_a_model_that_is_switched_off_ends_its_answers_and_the_connection_stays() -> None:

    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        await anext(answer.token_stream)
        room.provider.judge_models_again()  # it is shared: nothing happens
        await asyncio.sleep(1)
        room.models.shared = False
        room.provider.judge_models_again()
        for ended in (answer, await consumer.completion(loaded.model_id, ASK)):
            with pytest.raises(ProviderError, match="no longer shares this model") as raised:
                await ended.text
            assert raised.value.typed_fields == {"reason": "model_off"}
        assert consumer.connection(PROVIDER_KEY) is not None
        (entry,) = room.log.finished
        assert (entry["outcome"], entry["error"]) == ("stopped", "You no longer share this model.")
        assert entry["generated_tokens"] >= 2
        await consumer.close()


async def test_an_hours_allowance_ends_on_open_connections_too() -> None:

    rules = AccessRules(AccessMode.ALLOW, {CONSUMER_KEY: Allowance(expires_at=3600.0)})
    async with provider_room(rules) as room:
        consumer = room.consumer()
        await consumer.heartbeat(DELEGATE)
        await asyncio.sleep(3599 - asyncio.get_running_loop().time())
        assert consumer.connection(PROVIDER_KEY) is not None
        await asyncio.sleep(2)
        assert consumer.connection(PROVIDER_KEY) is None
        await consumer.close()


async def test_an_allowance_that_is_shortened_or_lengthened_while_connected_ends_when_it_now_says() -> None:

    async with provider_room() as room:
        consumer = room.consumer()
        await consumer.heartbeat(DELEGATE)
        for expires_at in (100.0, 3600.0, 200.0):
            room.policy.set_rules(AccessRules(AccessMode.ALLOW, {CONSUMER_KEY: Allowance(expires_at=expires_at)}))
        await asyncio.sleep(199)
        assert consumer.connection(PROVIDER_KEY) is not None
        await asyncio.sleep(2)
        assert consumer.connection(PROVIDER_KEY) is None
        await consumer.close()


async def test_a_key_added_to_the_list_is_admitted_at_its_next_try() -> None:

    async with provider_room() as room:
        stranger = room.consumer(STRANGER_KEY)
        with pytest.raises(DelegationError):
            await stranger.heartbeat(DELEGATE)
        room.policy.set_rules(admitting(STRANGER_KEY))
        assert await stranger.heartbeat(DELEGATE) == 0.0
        await stranger.close()


async def test_a_keys_newest_connection_replaces_its_oldest_idle_one() -> None:

    rules = AccessRules(AccessMode.DENY)
    async with provider_room(rules, Limits(connections=5, connections_per_key=3)) as room:
        own = [room.stream_as(CONSUMER_KEY) for _ in range(4)]
        await settle()
        assert [stream.peer.destroyed for stream in own] == [True, False, False, False]
        own.append(room.stream_as(CONSUMER_KEY))
        await settle()
        assert [stream.peer.destroyed for stream in own] == [True, True, False, False, False]


async def test_when_all_places_are_taken_a_friend_still_gets_in() -> None:

    rules = AccessRules(AccessMode.DENY)
    limits = Limits(connections=5, connections_per_key=3, connections_per_host=3)
    async with provider_room(rules, limits) as room:
        crowd = [room.stream_as(bytes([n]) * 32) for n in range(20)]
        await settle()
        assert len(room.provider._sessions) == 5
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        assert await answer.text
        assert len(room.provider._sessions) == 5
        assert sum(not stream.peer.destroyed for stream in crowd) == 4
        await consumer.close()


async def test_a_connection_with_an_answer_under_way_is_not_taken_away() -> None:

    rules = AccessRules(AccessMode.DENY)
    async with provider_room(rules, Limits(connections=2, connections_per_key=1)) as room:
        room.pool.model.words = ["word "] * 200
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        await anext(answer.token_stream)
        own = room.stream_as(CONSUMER_KEY)
        await settle()
        assert own.peer.destroyed, "its only place is busy"
        for n in range(5):
            room.stream_as(bytes([n]) * 32)
            await settle()
        assert len(await answer.text) == 200 * len("word ")
        await consumer.close()


async def test_quota_size_and_pause_are_told_by_policy() -> None:

    rules = admitting(CONSUMER_KEY, tokens_per_day=1000)
    async with provider_room(rules, Limits(message_bytes=2000)) as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)

        async def refused() -> str:
            answer = await consumer.completion(loaded.model_id, ASK)
            with pytest.raises(ProviderError) as caught:
                await answer.text
            assert caught.value.code == 52420
            reason: str = caught.value.typed_fields["reason"]
            return reason

        room.log.today = 1000
        assert await refused() == "quota"
        room.log.today = 0
        room.provider.paused = True
        assert await refused() == "paused"
        assert await consumer.heartbeat(DELEGATE) == 0.0
        room.provider.paused = False
        long = [type(ASK[0])(role="user", content="x" * 3000)]
        answer = await consumer.completion(loaded.model_id, long)
        with pytest.raises(ProviderError, match="where 2 KiB are the most"):
            await answer.text
        assert room.log.outcomes == ["error"] * 3
        await consumer.close()


async def test_a_pause_says_when_to_ask_again_and_may_end_what_runs() -> None:

    async with provider_room(admitting(CONSUMER_KEY)) as room:
        room.pool.model.words = ["word "] * 10_000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        running = await consumer.completion(loaded.model_id, ASK)
        async for _token in running.token_stream:
            break
        room.provider.pause_ends = room.provider._now() + 1800
        room.provider.paused = True
        later = await consumer.completion(loaded.model_id, ASK)
        with pytest.raises(ProviderError, match="Ask again in 30 min") as caught:
            await later.text
        assert caught.value.typed_fields["retryAfterMs"] == pytest.approx(1_800_000, abs=5000)
        assert len(room.provider.requests) == 1  # what ran goes on
        room.provider.end_for_pause()
        with pytest.raises(ProviderError, match="paused sharing") as caught:
            await running.text
        assert caught.value.typed_fields["reason"] == "paused"
        assert await consumer.heartbeat(DELEGATE) == 0.0
        await consumer.close()


async def test_models_that_nobody_uses_are_given_back_and_load_again_when_asked() -> None:

    async with provider_room(admitting(CONSUMER_KEY)) as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        assert held(room) == [SMOL.name]
        room.provider.release_unused()
        assert held(room) == []
        answer = await consumer.completion(loaded.model_id, ASK)
        assert await answer.text
        assert held(room) == [SMOL.name]
        room.pool.model.words = ["word "] * 10_000
        running = await consumer.completion(loaded.model_id, ASK)
        async for _token in running.token_stream:
            break
        room.provider.release_unused()
        assert held(room) == [SMOL.name]  # it is in use
        await consumer.close()


async def test_a_full_queue_is_told_by_policy() -> None:

    async with provider_room(limits=Limits(parallel=1, queue_length=2)) as room:
        room.pool.model.words = ["word "] * 50
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK) for _ in range(4)]
        with pytest.raises(ProviderError) as caught:
            await runs[3].text
        assert caught.value.typed_fields["reason"] == "queue_full" and caught.value.typed_fields["retryAfterMs"] > 0
        assert [await one.text for one in runs[:3]] == ["word " * 50] * 3
        await consumer.close()


async def test_two_consumers_share_one_copy_and_reach_only_their_own() -> None:

    async with provider_room(AccessRules(AccessMode.DENY)) as room:
        room.pool.model.words = ["word "] * 20
        ann, eve = room.consumer(CONSUMER_KEY), room.consumer(STRANGER_KEY)
        one = await ann.load_model(SMOL.name, delegate=DELEGATE)
        two = await eve.load_model(SMOL.name, delegate=DELEGATE)
        assert one.model_id == two.model_id and room.pool.leases == 2
        assert {request.owner for request in room.pool.model.requests} == set()
        answer = await ann.completion(one.model_id, ASK, request_id="the-id")
        await anext(answer.token_stream)
        assert await eve.cancel(model_id=two.model_id) == 0
        eve._runs["the-id"] = await eve.completion(two.model_id, ASK, request_id="the-id")
        assert await eve.cancel(request_id="the-id") == 1
        assert await eve.unload_model(two.model_id)
        assert await answer.text == "word " * 20
        assert room.pool.leases == 1
        assert {request.owner for request in room.pool.model.requests} == {
            CONSUMER_KEY.hex(),
            STRANGER_KEY.hex(),
        }
        await ann.close()
        await eve.close()


async def test_what_our_own_peers_tell_each_other() -> None:

    async with provider_room() as room:
        consumer = room.consumer()
        hello = await consumer.hello(DELEGATE)
        assert hello is not None and hello.name == "Test box" and not hello.logs_content
        assert set(hello.features) == {
            "models",
            "queue",
            "continue",
            "keepalive",
            "signs",
            "startMs",
            "blobs",
            "pictures",
            "copies",
            "limits",
            "grants",
        }
        models = await consumer.list_models(DELEGATE)
        assert models is not None and [model.name for model in models] == [SMOL.name]
        assert models[0].context_tokens == 4096 and models[0].sha256 == SMOL.sha256
        wire = b"".join(bytes(stream.peer.written) for stream in room.streams)
        assert b"/owner/secret" not in wire and b"registry://" not in wire
        await consumer.close()


async def test_a_request_id_may_not_be_used_twice_at_once() -> None:

    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        first = await consumer.completion(loaded.model_id, ASK, request_id="same")
        await settle()
        body = json.dumps(
            {
                "type": "completionStream",
                "modelId": loaded.model_id,
                "history": [],
                "stream": True,
                "requestId": "same",
            }
        ).encode()
        second = room.stream_as(CONSUMER_KEY)
        await second.write(encode_request(1, 1, body))
        await settle()
        messages = FrameReader(1 << 20).feed(bytes(second.peer.written))
        assert [type(m) for m in messages] == [ResponseMessage, StreamMessage, StreamMessage, StreamMessage]
        assert isinstance(messages[1], StreamMessage)
        assert json.loads(messages[1].data or b"")["code"] == 52417
        assert await first.text == "one two three"
        await consumer.close()


async def test_force_new_connection_and_the_probe() -> None:

    async with provider_room() as room:
        consumer = room.consumer()
        await consumer.load_model(SMOL.name, delegate=DELEGATE)
        await consumer.load_model(SMOL.name, delegate=DELEGATE)
        assert room.connects == 1
        forced = Delegate(PROVIDER_KEY, force_new_connection=True)
        await consumer.load_model(SMOL.name, delegate=forced)
        assert room.connects == 2
        await consumer.heartbeat(forced)
        assert room.connects == 2
        await consumer.close()
