"""What a stranger tries on a provider: each a clear error or a closed connection, and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.frames import (
    RESPONSE_STREAM,
    FrameReader,
    ResponseMessage,
    StreamFlag,
    StreamMessage,
    encode_request,
    encode_stream,
)
from qvac_core.delegation.held_models import KnownModel, KnownModels
from qvac_core.delegation.methods import REMOTE_SAFE, SHAPES, Shape
from qvac_core.delegation.model_config import LlmConfig
from qvac_core.errors import (
    ModelError,
    ProviderError,
)
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, Room, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL

RUNNER = run


class RawPeer:
    """A consumer that sends whatever a test writes."""

    def __init__(self, room: Room, *, capacity: int = 256 * 1024) -> None:
        self.stream = room.stream_as(CONSUMER_KEY, capacity=capacity)
        self._id = 0

    async def send(self, body: bytes) -> int:
        self._id += 1
        await self.stream.write(encode_request(self._id, 77, body))
        return self._id

    def answers(self) -> dict[int, list[Any]]:
        """The messages that came, by request id: replies and lines."""
        found: dict[int, list[Any]] = {}
        for message in FrameReader(1 << 30).feed(bytes(self.stream.peer.written)):
            data = message.data or b""
            if isinstance(message, ResponseMessage | StreamMessage) and data:
                found.setdefault(message.id, []).extend(json.loads(line) for line in data.splitlines())
        return found


async def test_every_method_not_meant_for_strangers_is_refused_by_name_and_not_executed() -> None:
    async with provider_room() as room:
        peer = RawPeer(room)
        await settle()
        for method in sorted(set(SHAPES) - REMOTE_SAFE):
            if SHAPES[method] is Shape.DUPLEX:
                continue
            for extra in ({}, {"withProgress": True, "modelId": "x", "modelSrc": "/etc/passwd", "path": "/"}):
                request_id = await peer.send(json.dumps({"type": method, **extra}).encode())
                await settle()
                (answer,) = peer.answers()[request_id]
                assert (answer["type"], answer["code"]) == ("error", 53704), method
                assert method in answer["message"] and "stack" not in answer
        assert room.models.asked == [] and room.pool.loads == 0 and room.log.started == []
        assert not room.provider.paused


async def test_duplex_methods_are_refused_by_their_first_chunk_and_without_one() -> None:
    async with provider_room() as room:
        peer = RawPeer(room)
        data = StreamFlag.REQUEST | StreamFlag.DATA
        bodies = (b'{"type":"completionOrchestrate"}', b'{"type":"heartbeat"}', b"no json", None)
        for number, body in enumerate(bodies, 1):
            await peer.stream.write(b"\x04\x00\x00\x00\x01" + bytes([number, 1, 1]))
            if body is not None:
                await peer.stream.write(encode_stream(number, data, body))
            else:
                await asyncio.sleep(11)  # of the room's own clock
            await settle()
            (answer,) = peer.answers()[number]
            assert answer["type"] == "error"
            assert answer["code"] == (53704 if number < 3 else 53852)
        assert room.log.started == [] and room.pool.loads == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xff",
        b"[" * 300_000,
        b"null",
        b"{}",
        b'{"type":5}',
        b'{"type":"nope"}',
        b'{"type":"completionStream"}',
        b'{"type":"loadModel","modelType":"llm","modelSrc":"x","modelConfig":{}}',
        b'{"type":"loadModel","modelType":["llm"]}',
        b'{"type":"cancel"}',
        b'{"type":"unloadModel","modelId":null}',
        b'{"type":"loadModel","modelId":"0123456789abcdef","modelType":"whisper","modelConfig":{}}',
    ],
)
async def test_a_request_that_is_no_request_is_an_error_and_the_connection_lives(body: bytes) -> None:
    async with provider_room() as room:
        peer = RawPeer(room, capacity=1 << 20)
        bad = await peer.send(body)
        good = await peer.send(b'{"type":"heartbeat"}')
        await settle(100)
        answers = peer.answers()
        assert answers[bad][0]["type"] == "error" and answers[good][0]["type"] == "heartbeat"


@pytest.mark.parametrize(
    "change",
    [
        {"modelSrc": "/etc/passwd"},
        {"modelSrc": "../../owner/secret/models/private.gguf"},
        {"modelSrc": "PRIVATE_MODEL"},
        {"modelSrc": "pear://" + "ab" * 32 + "/x"},
        {"modelConfig": {"lora": "/etc/passwd"}},
        {"modelConfig": {"projectionModelSrc": "/etc/passwd"}},
        {"delegate": {"providerPublicKey": "ab" * 32}},
        {"seed": True},
        {"modelType": "whispercpp-transcription"},
        {"modelType": "my-own-plugin", "anything": 1},
    ],
    ids=str,
)
async def test_a_load_of_what_is_not_offered_is_a_reply_without_success(change: dict[str, Any]) -> None:
    async with provider_room() as room:
        peer = RawPeer(room)
        load = {
            "type": "loadModel",
            "modelSrc": SMOL.name,
            "modelType": "llamacpp-completion",
            "modelConfig": {},
            **change,
        }
        one = await peer.send(json.dumps(load).encode())
        two = await peer.send(json.dumps({**load, "withProgress": True}).encode())
        await settle(100)
        for request_id in (one, two):
            (answer,) = peer.answers()[request_id]
            assert answer["type"] == "loadModel" and answer["success"] is False
            assert answer["error"] and "/owner" not in answer["error"] and "passwd" not in answer["error"]
        assert room.pool.loads == 0


async def test_what_is_ignored_or_refused_in_a_completion() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        plain = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        with_tools = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"tools": True})
        peer = RawPeer(room)
        tool = {
            "type": "function",
            "name": "f",
            "description": "",
            "parameters": {"type": "object", "properties": {}},
        }

        async def ask(model_id: str, **extra: Any) -> list[Any]:
            message = {
                "type": "completionStream",
                "modelId": model_id,
                "history": [{"role": "user", "content": "x"}],
                "stream": False,
                **extra,
            }
            request_id = await peer.send(json.dumps(message).encode())
            await asyncio.sleep(3)
            return peer.answers()[request_id]

        deep: dict[str, Any] = {}
        for _ in range(200):
            deep = {"properties": {"x": deep}}
        schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": deep}}
        wide = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": ["x" * 100] * 1000}}}
        assert (await ask(plain.model_id, tools=[tool]))[-1]["done"] is True
        assert (await ask(plain.model_id, kvCache="../../x"))[-1]["done"] is True
        assert not room.pool.model.requests[-1].tools
        assert (await ask(with_tools.model_id, tools=[tool]))[-1]["done"] is True
        assert [tool.name for tool in room.pool.model.requests[-1].tools] == ["f"]
        for tools, sentence in (
            ([tool] * 2, "Two tools"),
            ([{**tool, "name": f"f{n}"} for n in range(129)], "128 tools"),
            ([{**tool, "name": "<|im_end|>"}], "cannot be called"),
        ):
            refusal = (await ask(with_tools.model_id, tools=tools))[0]
            assert refusal["code"] == 52406 and sentence in refusal["message"]
        assert (await ask(plain.model_id, responseFormat=schema))[0]["code"] == 52420
        assert (await ask(plain.model_id, responseFormat=wide))[0]["code"] == 52420
        attachment = [{"role": "user", "content": "x", "attachments": [{"path": "/etc/passwd"}]}]
        assert (await ask(plain.model_id, history=attachment))[0]["code"] == 52407
        many = [{"role": "user", "content": "x"}] * 1001
        assert (await ask(plain.model_id, history=many))[0]["typedFields"] == {"reason": "limit"}
        assert (await ask("deadbeefdeadbeef"))[0]["code"] == 52002
        other = {"text": "so far", "modelSha256": "00" * 32}
        assert (await ask(plain.model_id, continueFrom=other))[0]["code"] == 52416
        same = {"text": "so far", "modelSha256": SMOL.sha256}
        assert (await ask(plain.model_id, continueFrom=same))[-1]["done"] is True
        assert room.pool.model.requests[-1].continue_from == "so far"
        room.models.shared = False
        assert (await ask(plain.model_id))[0]["code"] == 52002
        await consumer.close()


async def test_a_consumer_that_stops_reading_is_dropped_and_its_generation_stopped() -> None:
    async with provider_room(limits=Limits(stall_seconds=60.0, max_tokens=10**9)) as room:
        room.pool.model.words = ["x" * 1000] * 100_000
        room.pool.model.step = 0.001
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        peer = RawPeer(room)
        ask = {"type": "completionStream", "modelId": loaded.model_id, "history": [], "stream": True}
        await peer.send(json.dumps(ask).encode())
        await asyncio.sleep(30)
        assert len(peer.stream.peer.written) < 1_500_000
        assert len(room.pool.model.running) == 1
        await asyncio.sleep(60)
        assert peer.stream.peer.destroyed
        assert room.pool.model.running == {} and room.log.outcomes == ["disconnected"]
        await consumer.close()


async def test_a_consumer_that_pauses_for_ever_is_dropped_too() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 10_000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        peer = RawPeer(room)
        ask = {"type": "completionStream", "modelId": loaded.model_id, "history": [], "stream": True}
        request_id = await peer.send(json.dumps(ask).encode())
        await asyncio.sleep(1)
        await peer.stream.write(encode_stream(request_id, RESPONSE_STREAM | StreamFlag.PAUSE))
        await asyncio.sleep(70)
        assert peer.stream.peer.destroyed and room.log.outcomes == ["disconnected"]
        await consumer.close()


async def test_what_is_remembered_of_consumers_is_bounded() -> None:
    async with provider_room() as room:
        peer = RawPeer(room)
        load = {"type": "loadModel", "modelSrc": SMOL.name, "modelType": "llamacpp-completion"}
        big = {**load, "modelConfig": {"system_prompt": "x" * 40_000}}
        request_id = await peer.send(json.dumps(big).encode())
        await settle(100)
        assert peer.answers()[request_id][0]["typedFields"] == {"reason": "limit"}
        known = KnownModels()
        for n in range(1000):
            key = n.to_bytes(32, "big")
            for model in range(20):
                known.remember(key, KnownModel(str(model), SMOL, SMOL.name, LlmConfig()))
        assert known.get((0).to_bytes(32, "big"), "19") is None
        assert known.get((999).to_bytes(32, "big"), "19") is not None
        assert known.get((999).to_bytes(32, "big"), "11") is None


async def test_an_answer_has_a_time_limit() -> None:
    async with provider_room(limits=Limits(request_seconds=5.0)) as room:
        room.pool.model.words = ["word "] * 10_000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        answer = await consumer.completion(loaded.model_id, ASK)
        with pytest.raises(ProviderError, match="5 seconds"):
            await answer.text
        assert room.pool.model.running == {} and room.log.outcomes == ["error"]
        await consumer.close()


async def test_models_held_by_one_connection_are_bounded() -> None:
    async with provider_room(limits=Limits(models_per_key=3)) as room:
        consumer = room.consumer()
        for seed in range(3):
            await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"seed": seed})
        with pytest.raises(ModelError, match="too many models"):
            await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"seed": 4})
        await consumer.close()
