"""What a provider may do to our consumer: fall silent, die, answer nonsense. Every wait ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qvac_core.delegation import completion
from qvac_core.delegation.consumer import Consumer, Delegate, Waits
from qvac_core.delegation.frames import (
    FrameReader,
    StreamFlag,
    StreamMessage,
)
from qvac_core.delegation.messages import HistoryMessage, ModelProgress
from qvac_core.delegation.rpc import Rpc
from qvac_core.delegation.rpc_streams import IncomingRequest
from qvac_core.errors import (
    ConnectionClosed,
    DelegationError,
    IdentityError,
    LocalProtocolError,
    ModelError,
    NetworkError,
    QvacError,
    RemoteProtocolError,
)
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, PROVIDER_KEY
from tests.unit.memory_stream import MemoryStream, run, settle, stream_pair

RUNNER = run


class FakeProvider:
    """A provider that answers every request as a test says; None = never."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self.requests: list[dict[str, Any]] = []
        self.replies: dict[str, Any] = {"heartbeat": {"type": "heartbeat", "number": 1}}
        self.lines: dict[str, list[Any]] = {}
        self.ends = True
        self.alive = True
        self.gate: asyncio.Event | None = None  # what answers wait for
        self.connects = 0
        self.streams: list[MemoryStream] = []

    async def connect(self, public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
        self.connects += 1
        ours, theirs = stream_pair(CONSUMER_KEY, PROVIDER_KEY)
        self.streams.append(ours)
        self._tasks.create_task(Rpc(theirs, self._answer).run())
        return ours

    async def _answer(self, request: IncomingRequest) -> None:
        message = json.loads(request.body or b"")
        self.requests.append(message)
        kind = message["type"]
        if not self.alive:
            await asyncio.sleep(1e6)
        if self.gate is not None:
            await self.gate.wait()
        if kind in self.lines:
            stream = request.respond()
            for line in self.lines[kind]:
                await stream.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            if not self.ends:
                await asyncio.sleep(1e6)
        elif kind in self.replies:
            reply = self.replies[kind]
            await request.reply(reply if isinstance(reply, bytes) else json.dumps(reply).encode())
        elif kind == "hello":
            await request.reply(b'{"type":"error","message":"\\u2716 Invalid input"}')
        else:
            await asyncio.sleep(1e6)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [request for request in self.requests if request["type"] == kind]

    def end(self) -> None:
        for stream in self.streams:
            stream.peer.destroy()


def with_provider(test: Any) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            provider = FakeProvider(tasks)
            consumer = Consumer(provider.connect)
            await test(provider, consumer)
            await consumer.close()
            provider.end()

    run(main())


DELTA = {"type": "completionStream", "events": [{"type": "contentDelta", "seq": 0, "text": "one"}]}
DONE = {"type": "completionStream", "done": True, "events": [{"type": "completionDone", "seq": 1}]}
LOADED = {"type": "loadModel", "success": True, "modelId": "abc"}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "contentDelta", "seq": 0, "text": "x" * 1000},
        {"type": "contentDelta", "seq": 0, "text": ""},
        {"type": "toolCall", "seq": 0, "call": {"id": "i", "name": "f", "arguments": {"x": "y" * 1000}}},
        {"type": "toolError", "seq": 0, "error": {"code": "PARSE_ERROR", "message": "y" * 1000}},
    ],
    ids=lambda event: f"{event['type']} {len(str(event))}",
)
def test_an_answer_without_end_is_ended(event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of text, of nothing, or of calls."""
    monkeypatch.setattr(completion, "MAX_ANSWER_BYTES", 50_000)

    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        provider.lines["completionStream"] = [{"type": "completionStream", "events": [event] * 100}] * 10
        provider.ends = False
        answer = await consumer.completion("abc", ASK, delegate=Delegate(PROVIDER_KEY, timeout=5))
        with pytest.raises(RemoteProtocolError, match="without end"):
            await answer.text

    with_provider(test)


def test_a_provider_that_falls_silent_is_an_error_after_the_timeout_in_streams_too() -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        loop = asyncio.get_running_loop()
        provider.lines["completionStream"] = [DELTA]
        provider.replies["cancel"] = {"type": "cancel", "success": True, "cancelled": 1}
        provider.ends = False
        answer = await consumer.completion("abc", ASK, delegate=Delegate(PROVIDER_KEY, timeout=5))
        before = loop.time()
        with pytest.raises(DelegationError, match="within 5 seconds") as caught:
            await answer.text
        assert loop.time() - before == pytest.approx(5)
        assert caught.value.name == "REQUEST_TIMEOUT"
        assert provider.of("cancel") == [{"type": "cancel", "operation": "request", "requestId": answer.request_id}]
        assert answer.text_so_far == "one"
        answer = await consumer.completion("abc", ASK, delegate=DELEGATE)
        before = loop.time()
        with pytest.raises(DelegationError):
            await answer.text
        assert loop.time() - before == pytest.approx(60)

    with_provider(test)


def test_a_silent_load_is_an_error_after_the_timeout_in_both_shapes() -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        delegate = Delegate(PROVIDER_KEY, timeout=5)
        provider.replies["cancel"] = {"type": "cancel", "success": True, "cancelled": 1}
        with pytest.raises(DelegationError, match="within 5 seconds"):
            await consumer.load_model("m", delegate=delegate)
        provider.lines["loadModel"] = []
        provider.ends = False
        with pytest.raises(DelegationError, match="within 5 seconds"):
            await consumer.load_model("m", delegate=delegate, on_progress=lambda p: None)
        assert len(provider.of("cancel")) == 1

    with_provider(test)


def test_a_provider_that_is_dead_loses_the_connection_at_the_probe_and_a_new_one_is_made() -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        loop = asyncio.get_running_loop()
        provider.replies["loadModel"] = LOADED
        await consumer.load_model("m", delegate=DELEGATE)
        provider.alive = False
        before = loop.time()
        waiting = asyncio.create_task(consumer.heartbeat(DELEGATE))
        await asyncio.sleep(1.6)
        provider.alive = True
        assert provider.connects == 2
        with pytest.raises(DelegationError):
            await waiting  # the new connection was made while it was still dead, and is not probed again
        assert loop.time() - before >= 1.5
        assert await consumer.heartbeat(DELEGATE) == 0.0
        short = Delegate(PROVIDER_KEY, timeout=1.0)
        provider.alive = False
        before = loop.time()
        with pytest.raises(DelegationError):
            await consumer.heartbeat(short)
        assert loop.time() - before == pytest.approx(0.5 + 1.0)

    with_provider(test)


@pytest.mark.parametrize("seconds", [0.3, 4.0])
def test_a_kept_connection_is_probed_for_as_long_as_its_delegate_says(seconds: float) -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        loop = asyncio.get_running_loop()
        await consumer.heartbeat(DELEGATE)
        provider.alive = False
        before = loop.time()
        waiting = asyncio.create_task(consumer.heartbeat(Delegate(PROVIDER_KEY, health_check_timeout=seconds)))
        while provider.connects == 1:
            await asyncio.sleep(0.05)
        assert loop.time() - before == pytest.approx(seconds, abs=0.1)
        waiting.cancel()
        await asyncio.wait([waiting])

    with_provider(test)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([DELTA], "without finishing"),
        ([], "without finishing"),
        ([{"type": "completionStream", "done": True, "events": []}], "does not say how"),
        ([{"type": "error", "message": "no such model", "code": 52002, "name": "MODEL_NOT_FOUND"}], "no such model"),
        ([b"not json\n"], "not valid JSON"),
        ([{"type": "completionStream", "events": [], "extra": 1}], "extra"),
        ([{"type": "heartbeat", "number": 1}], "does not belong"),
        ([b"x" * 17_000_000 + b"\n"], "line of more than"),
    ],
    ids=["no done", "nothing", "empty done", "error", "junk", "extra key", "wrong type", "endless line"],
)
def test_an_answer_that_is_none_is_an_error(lines: list[Any], error: str) -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        provider.lines["completionStream"] = lines
        answer = await consumer.completion("abc", ASK, delegate=DELEGATE)
        with pytest.raises(QvacError, match=error):
            await answer.text
        with pytest.raises(QvacError, match=error):
            async for _ in answer.events:
                pass

    with_provider(test)


@pytest.mark.parametrize("reply", [b"junk", {"type": "heartbeat"}, {"type": "cancel", "success": True}])
def test_a_reply_that_is_none_drops_the_connection(reply: Any) -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        provider.replies["heartbeat"] = reply
        with pytest.raises(RemoteProtocolError):
            await consumer.heartbeat(DELEGATE)
        assert consumer.connection(PROVIDER_KEY) is None

    with_provider(test)


def test_a_load_stream_without_a_result_is_named() -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        progress = {"type": "modelProgress", "downloaded": 1, "total": 2, "percentage": 50, "downloadKey": "k"}
        provider.lines["loadModel"] = [progress]
        seen: list[ModelProgress] = []
        with pytest.raises(DelegationError) as caught:
            await consumer.load_model("m", delegate=DELEGATE, on_progress=seen.append)
        assert caught.value.code == 53700 and len(seen) == 1

    with_provider(test)


def test_we_never_leave_with_the_flag_that_ends_a_javascript_provider() -> None:
    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        provider.lines["completionStream"] = [DELTA]
        provider.ends = False
        answers = [await consumer.completion("abc", ASK, delegate=DELEGATE) for _ in range(3)]
        await answers[0].leave()
        await consumer.close()
        sent = FrameReader(1 << 30).feed(bytes(provider.streams[0].written))
        flags = [message.flags for message in sent if isinstance(message, StreamMessage)]
        assert sum(bool(flag & StreamFlag.DESTROY) for flag in flags) == 3
        assert not any(flag & StreamFlag.ERROR for flag in flags)
        assert len(provider.of("cancel")) == 3

    with_provider(test)


async def test_keepalives_go_to_our_own_providers_only_and_tell_a_suspect() -> None:
    async with asyncio.TaskGroup() as tasks:
        provider = FakeProvider(tasks)
        suspects: list[str] = []
        consumer = Consumer(provider.connect, on_suspect=lambda answer: suspects.append(answer.request_id))
        provider.lines["completionStream"] = [DELTA]
        provider.ends = False
        answer = await consumer.completion("abc", ASK, delegate=DELEGATE)
        await asyncio.sleep(3)
        assert provider.of("keepalive") == []
        await answer.leave()
        await consumer.disconnect(PROVIDER_KEY)

        provider.replies["hello"] = {"type": "hello", "version": 1, "features": ["keepalive"]}
        provider.replies["keepalive"] = {"type": "keepalive"}
        answer = await consumer.completion("abc", ASK, delegate=DELEGATE)
        await asyncio.sleep(3)
        assert len(provider.of("keepalive")) >= 5 and suspects == []
        del provider.replies["keepalive"]
        await asyncio.sleep(1.5)
        assert suspects == [answer.request_id] and answer.suspect
        await consumer.close()
        provider.end()


async def test_local_fallback_acts_where_the_load_throws_and_not_where_it_is_refused() -> None:
    async with asyncio.TaskGroup() as tasks:
        provider = FakeProvider(tasks)
        asked: list[str] = []

        async def load_locally(model_src: str, model_config: Any, on_progress: Any, model_type: str) -> str:
            asked.append(model_src)
            if model_src == "missing":
                raise ModelError("no such file here")
            return "local-id"

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
            if public_key != PROVIDER_KEY:
                raise NetworkError("nobody knows it", name="PEER_NOT_FOUND")
            return await provider.connect(public_key, force_new, seconds)

        consumer = Consumer(connect, local_loader=load_locally)
        gone = Delegate(b"\x55" * 32, fallback_to_local=True)
        loaded = await consumer.load_model("m", delegate=gone)
        assert (loaded.model_id, loaded.where) == ("local-id", "local")
        assert loaded.delegated_error is not None and loaded.delegated_error.name == "PEER_NOT_FOUND"
        with pytest.raises(ModelError, match=r"Both.*not found on the DHT.*no such file here"):
            await consumer.load_model("missing", delegate=gone)
        with pytest.raises(DelegationError):
            await consumer.load_model("m", delegate=Delegate(b"\x55" * 32))
        provider.replies["loadModel"] = {"type": "loadModel", "success": False, "error": "not shared"}
        with pytest.raises(ModelError, match="not shared"):
            await consumer.load_model("m", delegate=Delegate(PROVIDER_KEY, fallback_to_local=True))
        assert asked == ["m", "missing"]
        await consumer.close()
        provider.end()


async def test_connects_are_bounded_and_shared() -> None:

    calls = 0

    async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1e6)
        raise AssertionError

    loop = asyncio.get_running_loop()
    consumer = Consumer(connect, waits=Waits(first_connect=60))
    before = loop.time()
    results = await asyncio.gather(*(consumer.heartbeat(DELEGATE) for _ in range(3)), return_exceptions=True)
    assert loop.time() - before == pytest.approx(60)
    assert calls == 1
    assert all(isinstance(result, DelegationError) and result.code == 53701 for result in results)
    with pytest.raises(DelegationError, match="within 2 seconds"):
        await consumer.heartbeat(Delegate(PROVIDER_KEY, timeout=2))
    waiting = asyncio.create_task(consumer.heartbeat(DELEGATE))
    await settle()
    await consumer.close()
    for refused in (waiting, consumer.heartbeat(DELEGATE)):
        with pytest.raises(ConnectionClosed):
            await refused


async def test_a_timeout_of_a_delegate_is_the_limit_of_its_connect_also_when_it_joins_a_shorter_one() -> None:
    limits: list[float] = []

    async def connect(public_key: bytes, force_new: bool, seconds: float) -> MemoryStream:
        limits.append(seconds)
        await asyncio.sleep(90)
        raise NetworkError("nobody knows it", name="PEER_NOT_FOUND")

    loop = asyncio.get_running_loop()
    consumer = Consumer(connect, waits=Waits(first_connect=60))
    before = loop.time()
    with pytest.raises(DelegationError, match="not found"):
        await consumer.heartbeat(Delegate(PROVIDER_KEY, timeout=120))
    assert loop.time() - before == pytest.approx(90)
    assert limits == [120]
    short = asyncio.create_task(consumer.heartbeat(DELEGATE))
    await settle()
    with pytest.raises(DelegationError, match="not found"):
        await consumer.heartbeat(Delegate(PROVIDER_KEY, timeout=200))
    with pytest.raises(DelegationError, match="within 60 seconds"):
        await short
    assert limits[1:] == [60, pytest.approx(140)]
    await consumer.close()


def test_a_delegate_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(IdentityError):
        Delegate(b"short")
    with pytest.raises(LocalProtocolError):
        Delegate(PROVIDER_KEY, timeout=0.05)
    with pytest.raises(LocalProtocolError):
        Delegate(PROVIDER_KEY, health_check_timeout=0.0)

    async def test(provider: FakeProvider, consumer: Consumer) -> None:
        with pytest.raises(LocalProtocolError):
            await consumer.load_model("m", delegate=DELEGATE, model_config={"temp": "hot"})
        with pytest.raises(DelegationError, match="not loaded"):
            await consumer.completion("never loaded", [HistoryMessage(role="user", content="x")])
        assert not await consumer.unload_model("never loaded")
        assert await consumer.cancel(request_id="never sent") == 0
        assert provider.connects == 0

    with_provider(test)
