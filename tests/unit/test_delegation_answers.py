"""A consumer of ours and a provider of ours, end to end in memory: load, ask, cancel, leave, lose, stop."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.events import (
    ConnectionChanged,
    ConnectionState,
    ModelsInUseChanged,
    Outcome,
    RequestEnded,
    RequestStarted,
)
from qvac_core.delegation.loads import ProgressLines
from qvac_core.delegation.messages import (
    CompletionDone,
    CompletionStats,
    ContentDelta,
    GenerationParams,
    ModelProgress,
    RawDelta,
    ThinkingDelta,
)
from qvac_core.delegation.rpc_streams import OutgoingStream
from qvac_core.engines.answer_length import ANSWER_TOKENS
from qvac_core.engines.interface import LoadProgress, StopReason
from qvac_core.errors import ConnectionClosed, EngineCrashed, InferenceCancelled, ModelError, ProviderError
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, PROVIDER_KEY, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL, finished

RUNNER = run


async def test_load_with_progress_then_an_answer_with_statistics() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        progress: list[ModelProgress] = []
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, on_progress=progress.append)
        assert loaded.where == "delegated" and loaded.provider_public_key == PROVIDER_KEY
        assert len(loaded.model_id) == 16
        assert [p.percentage for p in progress] == sorted(p.percentage for p in progress)
        assert progress[-1].percentage == 100 and progress[-1].total == SMOL.size_bytes
        run = await consumer.completion(loaded.model_id, ASK)
        assert [token async for token in run.token_stream] == ["one ", "two ", "three"]
        final = await run.final
        assert (final.text, final.stop_reason) == ("one two three", "eos")
        assert final.stats is not None and final.stats.generated_tokens == 3
        assert final.stats.time_to_first_token == 12.5 and final.stats.backend_device == "cpu"
        assert [event.seq async for event in run.events] == [0, 1, 2, 3, 4]
        assert await consumer.unload_model(loaded.model_id)
        assert room.pool.leases == 0
        await consumer.close()
    started = [e for e in room.events if isinstance(e, RequestStarted)]
    ended = [e for e in room.events if isinstance(e, RequestEnded)]
    assert [e.id for e in started] == [e.id for e in ended] == room.log.started
    assert ended[0].outcome is Outcome.EOS and ended[0].prompt_tokens == 31 and ended[0].generated_tokens == 3
    assert ended[0].remote_public_key == CONSUMER_KEY.hex() and ended[0].model == SMOL.name
    states = [e.state for e in room.events if isinstance(e, ConnectionChanged)]
    assert states == [ConnectionState.OPEN, ConnectionState.CLOSED]
    assert [e.names for e in room.events if isinstance(e, ModelsInUseChanged)] == [(SMOL.name,), ()]


async def test_the_owners_limits_win_and_the_askers_wishes_are_carried() -> None:
    limits = Limits(n_ctx=2048, max_tokens=100, device="cpu", gpu_layers=0, threads=3)
    async with provider_room(limits=limits) as room:
        consumer = room.consumer()
        config = {"ctx_size": 999_999, "device": "gpu", "gpu_layers": 99, "temp": 0.5, "stop_sequences": ["END"]}
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config=config)
        assert room.pool.configs[0].n_ctx == 2048 and room.pool.configs[0].device == "cpu"
        assert room.pool.configs[0].gpu_layers == 0 and room.pool.configs[0].threads == 3
        params = GenerationParams(top_k=40, seed=7, predict=100_000)
        run = await consumer.completion(loaded.model_id, ASK, generation_params=params)
        await run.text
        request = room.pool.model.requests[0]
        assert request.sampling.temp == 0.5 and request.sampling.top_k == 40 and request.sampling.seed == 7
        assert request.sampling.predict == 100
        assert request.stop == ("END",) and request.owner == CONSUMER_KEY.hex()
        assert [m.role for m in request.history] == ["user"]
        await consumer.close()


@pytest.mark.parametrize(
    ("wanted", "most", "got"),
    [
        (UNSET, 8192, ANSWER_TOKENS),
        (UNSET, 100, 100),
        (5000, 8192, 5000),
        (5000, 100, 100),
        (-1, 8192, 8192),
        (-2, 8192, 8192),
    ],
)
async def test_no_answer_is_without_end(wanted: int | UnsetType, most: int, got: int) -> None:
    async with provider_room(limits=Limits(max_tokens=most)) as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK, generation_params=GenerationParams(predict=wanted))
        await run.text
        assert room.pool.model.requests[0].sampling.predict == got
        await consumer.close()


@pytest.mark.parametrize("words", [["one ", "two"], []])
async def test_an_answer_that_fills_the_context_of_its_provider_ends_there_and_a_prompt_that_does_is_an_error(
    words: list[str],
) -> None:
    async with provider_room() as room:
        room.pool.model.words = words
        room.pool.model.failure = ModelError("context overflow", name="CONTEXT_OVERFLOW", code=52421)
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        if words:
            final = await run.final
            assert (final.text, final.stop_reason, final.stats) == ("one two", "length", None)
            assert isinstance([event async for event in run.events][-1], CompletionDone)
        else:
            with pytest.raises(ProviderError, match="longer than this provider's context"):
                await run.text
        await consumer.close()


@pytest.mark.parametrize("how", ["request", "model", "run"])
async def test_cancel_reaches_the_engine_within_a_step(how: str) -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        tokens = run.token_stream
        assert await anext(tokens) == "word "
        steps = room.pool.model.steps
        if how == "request":
            assert await consumer.cancel(request_id=run.request_id) == 1
        elif how == "model":
            assert await consumer.cancel(model_id=loaded.model_id) == 1
        else:
            assert await run.cancel() == 1
        with pytest.raises(InferenceCancelled) as caught:
            await run.text
        assert caught.value.typed_fields["text"].startswith("word ")
        assert room.pool.model.steps <= steps + 1
        assert room.pool.model.running == {}
        last = [event async for event in run.events][-1]
        assert isinstance(last, CompletionDone) and last.stop_reason == "cancelled"
        assert room.log.outcomes == ["cancelled"]
        assert await consumer.cancel(request_id=run.request_id) == 0
        await consumer.close()


async def test_cancel_of_a_model_can_be_narrowed_to_a_kind() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        assert await consumer.cancel(model_id=loaded.model_id, kind="translate") == 0
        assert await run.text == "one two three"
        await consumer.close()


async def test_leaving_early_cancels_and_says_so_once() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        async with await consumer.completion(loaded.model_id, ASK) as run:
            await anext(run.token_stream)
        assert room.pool.model.running == {}
        assert room.log.outcomes == ["cancelled"]
        await consumer.close()


async def test_closing_the_consumer_leaves_its_answers() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK) for _ in range(3)]
        await anext(runs[0].token_stream)
        await consumer.close()
        assert room.log.outcomes == ["disconnected"] * 3  # it left, and did not only stop them
        for answer in runs:
            with pytest.raises(InferenceCancelled):
                await answer.text
        with pytest.raises(ConnectionClosed):
            await consumer.completion(loaded.model_id, ASK)


async def test_a_lost_connection_stops_the_generation_and_frees_everything() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        await anext(run.token_stream)
        steps = room.pool.model.steps
        room.streams[0].destroy()
        with pytest.raises(ConnectionClosed):
            await run.text
        await asyncio.sleep(0.2)
        assert room.pool.model.steps <= steps + 1 and room.pool.model.running == {}
        assert room.pool.leases == 0
        assert room.log.outcomes == ["disconnected"]
        # The next call connects anew and the model id is still good, as with a JavaScript provider.
        room.pool.model.words = ["again"]
        again = await consumer.completion(loaded.model_id, ASK)
        assert await again.text == "again"
        await consumer.close()


async def test_an_engine_that_does_not_stop_is_ended_without_it() -> None:
    async with provider_room() as room:
        room.pool.model.words, room.pool.model.step = ["word "], 10_000.0
        room.pool.model.deaf = True
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        await settle()
        assert await run.cancel() == 1
        with pytest.raises(InferenceCancelled):
            await run.text
        assert room.log.outcomes == ["cancelled"]
        await consumer.close()


async def test_a_provider_that_stops_ends_open_answers_with_a_last_line() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        await anext(run.token_stream)
        await room.provider.close()
        with pytest.raises(ProviderError, match="stopped sharing"):
            await run.text
        assert (await _error_of(run)).typed_fields == {"reason": "sharing_off"}
        assert [(entry["outcome"], entry["error"]) for entry in room.log.finished] == [
            ("stopped", "Sharing was switched off.")
        ]
        await settle()
        assert consumer.connection(PROVIDER_KEY) is None
        # It may share again afterwards.
        room.pool.model.words = ["back"]
        assert await (await consumer.completion(loaded.model_id, ASK)).text == "back"
        await consumer.close()


async def _error_of(run: Completion) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await run.text
    return raised.value


async def test_the_owner_stops_one_answer() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 1000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        await anext(run.token_stream)
        assert room.provider.stop_request(room.log.started[0])
        error = await _error_of(run)
        assert "owner stopped this answer" in error.message
        assert (error.code, error.typed_fields) == (52420, {"reason": "stopped"})
        assert [(entry["outcome"], entry["error"]) for entry in room.log.finished] == [("stopped", "You stopped it.")]
        assert room.log.finished[0]["prompt_tokens"] == 31
        assert not room.provider.stop_request(room.log.started[0])
        assert consumer.connection(PROVIDER_KEY) is not None
        await consumer.close()


async def test_an_engine_that_fails_mid_answer_is_an_error_and_the_next_answer_works() -> None:
    async with provider_room() as room:
        room.pool.model.failure = EngineCrashed("worker 4711 at /owner/secret died: Traceback ...")
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        with pytest.raises(ProviderError) as caught:
            await run.text
        assert (caught.value.name, caught.value.code) == ("WORKER_CRASHED", 50205)
        assert "secret" not in caught.value.message and "Traceback" not in caught.value.message
        assert run.text_so_far == "one two three"
        assert room.log.outcomes == ["error"]
        assert room.log.finished[0]["generated_tokens"] == 3 and "died" in room.log.finished[0]["error"]
        room.pool.model.alive = False
        again = await consumer.completion(loaded.model_id, ASK)
        assert await again.text == "one two three"
        assert room.pool.loads == 2
        await consumer.close()


async def test_a_load_that_fails_is_a_model_error_without_the_owners_paths() -> None:
    async with provider_room() as room:
        room.pool.failure = ModelError("/owner/secret/models/x.gguf is truncated", code=52203)
        consumer = room.consumer()
        with pytest.raises(ModelError) as caught:
            await consumer.load_model(SMOL.name, delegate=DELEGATE, on_progress=lambda p: None)
        assert "secret" not in caught.value.message
        with pytest.raises(ModelError) as unknown:
            await consumer.load_model("/etc/passwd", delegate=DELEGATE)
        with pytest.raises(ModelError) as private:
            await consumer.load_model("PRIVATE_MODEL", delegate=DELEGATE)
        assert unknown.value.message == private.value.message
        assert (unknown.value.name, unknown.value.code) == ("MODEL_NOT_FOUND", 52002)
        await consumer.close()


async def test_a_load_can_be_cancelled() -> None:
    async with provider_room() as room:
        room.pool.load_seconds = 100.0
        consumer = room.consumer()
        loading = asyncio.create_task(
            consumer.load_model(SMOL.name, delegate=DELEGATE, on_progress=lambda p: None, request_id="load-1")
        )
        await asyncio.sleep(5)
        assert await consumer.cancel(request_id="load-1") == 1
        with pytest.raises(ModelError, match="cancelled"):
            await loading
        assert room.pool.leases == 0
        await consumer.close()


async def test_stream_false_comes_in_one_line_with_separate_deltas() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK, stream=False, emit_raw_deltas=True)
        kinds = [type(event) async for event in run.events]
        assert kinds == [RawDelta, ContentDelta] * 3 + [CompletionStats, CompletionDone]
        assert bytes(room.streams[0].peer.written).count(b'"completionStream"') == 1
        await consumer.close()


async def test_thinking_is_told_apart_when_asked_for() -> None:
    async with provider_room() as room:
        room.pool.model.thoughts = ["let me", " see"]
        room.pool.model.words = ["Paris", " <think> <b>"]
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK, capture_thinking=True)
        final = await run.final
        assert (final.thinking, final.text) == ("let me see", "Paris <think> <b>")
        assert any(isinstance(event, ThinkingDelta) for event in [e async for e in run.events])
        # As SDK 0.16: who did not ask gets the text as it was written, but nothing out of a channel for thinking.
        whole = "<think>let me see</think>Paris <think> <b>"
        for channels, expected in (False, whole), (True, "Paris <think> <b>"):
            room.pool.model.thinking_channels = channels
            plain = await consumer.completion(loaded.model_id, ASK, emit_raw_deltas=True)
            assert await plain.text == expected
            raw = [event.text async for event in plain.events if isinstance(event, RawDelta)]
            assert "".join(raw) == whole
        await consumer.close()


async def test_a_reasoning_budget_of_0_switches_thinking_off() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        quiet = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"reasoning_budget": 0})
        for model, budget in (loaded, UNSET), (loaded, -1), (loaded, 0), (quiet, UNSET), (quiet, -1):
            params = GenerationParams(reasoning_budget=budget)
            await (await consumer.completion(model.model_id, ASK, generation_params=params)).text
        assert [request.thinking for request in room.pool.model.requests] == [True, True, False, False, True]
        await consumer.close()


@pytest.mark.parametrize("reason", [StopReason.LENGTH, StopReason.STOP_SEQUENCE])
async def test_how_an_answer_ended_is_told_and_logged(reason: StopReason) -> None:
    async with provider_room() as room:
        room.pool.model.end = finished(reason, ttft=float("nan"))
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        final = await (await consumer.completion(loaded.model_id, ASK)).final
        assert final.stop_reason == reason.value
        assert room.log.outcomes == [reason.value]
        await consumer.close()


async def test_parallel_answers_share_one_connection_and_one_copy() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 20
        consumer = room.consumer()
        loaded = await asyncio.gather(*(consumer.load_model(SMOL.name, delegate=DELEGATE) for _ in range(3)))
        assert len({one.model_id for one in loaded}) == 1 and room.pool.loads == 1
        runs = [await consumer.completion(loaded[0].model_id, ASK) for _ in range(6)]
        texts = await asyncio.gather(*(run.text for run in runs))
        assert texts == ["word " * 20] * 6
        assert room.pool.model.most_running == Limits().parallel_per_key  # the others waited
        assert room.connects == 1
        await consumer.close()


async def test_a_long_wait_is_no_silence_to_our_own_consumers() -> None:
    async with provider_room(limits=Limits(parallel=1)) as room:
        room.pool.model.words, room.pool.model.step = ["at last"], 100.0
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        first = await consumer.completion(loaded.model_id, ASK)
        second = await consumer.completion(loaded.model_id, ASK)
        await asyncio.sleep(30)
        assert (first.place, second.place) == (0, 1)
        assert [await first.text, await second.text] == ["at last"] * 2
        assert asyncio.get_running_loop().time() > 200
        await consumer.close()


async def test_who_waits_for_a_slot_of_the_model_is_told_a_place() -> None:
    """Eight may be answered at once, and this model makes four answers at once."""

    async with provider_room(limits=Limits(parallel=8, parallel_per_key=8)) as room:
        room.pool.model.words = ["word "] * 100
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK) for _ in range(6)]
        await asyncio.sleep(1)
        assert room.pool.model.most_running == room.pool.model.info.slots == 4
        assert [run.place for run in runs] == [None] * 4 + [1, 2]
        heard: list[tuple[int, float]] = []
        runs[5].when_placed(lambda place, wait_ms: heard.append((place, wait_ms)))
        await asyncio.gather(*(run.text for run in runs))
        assert heard == [(2, 0.0), (1, 0.0), (0, 0.0)]  # nobody said how long it takes
        await consumer.close()


async def test_who_waits_is_told_how_long_as_far_as_the_provider_knows() -> None:
    left = iter([42.5, 30.0, 30.0, 7.0])
    async with provider_room(limits=Limits(parallel=1), expected_wait=lambda _: next(left)) as room:
        room.pool.model.words, room.pool.model.step = ["at last"], 35.0
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK) for _ in range(2)]
        heard: list[tuple[int, float]] = []
        runs[1].when_placed(lambda place, wait_ms: heard.append((place, wait_ms)))
        await asyncio.gather(*(run.text for run in runs))
        # Again every ten seconds, in which it grows shorter; what did not change is no news.
        assert heard == [(1, 42_500.0), (1, 30_000.0), (1, 7_000.0), (0, 0.0)]
        await consumer.close()


async def test_heartbeat_is_answered_at_once_while_everything_else_waits() -> None:
    async with provider_room(limits=Limits(parallel=1)) as room:
        room.pool.model.words = ["word "] * 10_000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK) for _ in range(10)]
        await asyncio.sleep(1)
        assert await consumer.heartbeat(Delegate(PROVIDER_KEY, timeout=1.0)) == 0.0
        await asyncio.sleep(1)
        assert [run.place for run in runs] == [None, *range(1, 10)]
        await consumer.close()


async def test_a_cancel_that_arrives_together_with_the_end_of_its_connection_is_a_cancel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A guest that leaves a busy provider says so, waits in vain and goes; the provider then reads both at once."""

    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        run = await consumer.completion(loaded.model_id, ASK)
        await anext(run.token_stream)
        (ours,) = room.streams
        write = ours.write

        async def last_words(data: bytes) -> None:
            await write(data)
            ours.peer._break("connection reset by peer", "ECONNRESET")
            ours._break("closed", "ECLOSED")

        monkeypatch.setattr(ours, "write", last_words)
        with pytest.raises(ConnectionClosed):
            await run.cancel()
        await consumer.close()
    assert room.log.outcomes == ["cancelled"]


async def test_the_last_progress_of_a_load_is_told_to_a_reader_that_pauses() -> None:
    """The load ends while its last lines wait for room."""

    class Sink:
        def __init__(self) -> None:
            self.sent = b""

        async def send(self, frame: bytes) -> None:
            self.sent += frame

        def send_soon(self, frame: bytes) -> None:
            pass

    sink = Sink()
    stream = OutgoingStream(sink, 1)
    lines = ProgressLines(stream, "key", 100)
    stream.on_pause()
    writing = asyncio.create_task(lines.run())
    lines.report(LoadProgress(1.0))
    await settle()
    writing.cancel()
    await asyncio.wait({writing})
    stream.on_resume()
    await lines.flush()
    assert b'"percentage":100' in sink.sent
