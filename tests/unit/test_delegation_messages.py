"""Messages against everything two real 0.16.0 peers said (samples.jsonl), and where JavaScript is strict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qvac_core.delegation.failures import Code, Reason, by_policy, error_reply, provider_error
from qvac_core.delegation.js_json import canonical, number_text
from qvac_core.delegation.messages import (
    CompletionLine,
    CompletionStream,
    ErrorReply,
    LoadModel,
    LoadModelReply,
    decode_envelope,
    decode_reply,
    decode_request,
    encode,
)
from qvac_core.delegation.methods import REMOTE_SAFE, SHAPES, Shape, shape_of
from qvac_core.delegation.model_config import LLM_MODEL_TYPE, LlmConfig, model_id, with_defaults
from qvac_core.errors import EngineCrashed, ModelError, QvacError, RemoteProtocolError, RequestRefused

SAMPLES = Path(__file__).parent.parent / "vectors" / "samples.jsonl"

# Hand-written probes of the capture that a real provider refused.
REFUSED = [
    {"type": "cancel", "operation": "inference", "modelId": "x"},
    {"type": "completionStream", "modelId": "x"},
]

ASK: dict[str, Any] = {"type": "completionStream", "modelId": "x", "history": [], "stream": True}
LOAD: dict[str, Any] = {"type": "loadModel", "modelSrc": "m", "modelType": LLM_MODEL_TYPE, "modelConfig": {}}
STATS: dict[str, Any] = {"type": "completionStats", "seq": 0}
DONE: dict[str, Any] = {"type": "completionDone", "seq": 0}


def samples() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(sample, one message of it)."""
    found = []
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        content = sample.get("json")
        if content is not None:
            found += [(sample, message) for message in (content if isinstance(content, list) else [content])]
    return found


def raw(message: Any) -> bytes:
    return json.dumps(message).encode()


def test_every_captured_request_validates() -> None:
    seen = set()
    for sample, message in samples():
        if sample["kind"] != "request" or message["type"] not in REMOTE_SAFE:
            continue
        if message in REFUSED or message.get("modelType") == "llm":
            with pytest.raises(RemoteProtocolError):
                decode_request(message["type"], raw(message))
            continue
        if message.get("modelType", LLM_MODEL_TYPE) == LLM_MODEL_TYPE:
            decode_request(message["type"], raw(message))
            seen.add(message["type"])
    assert seen == {"heartbeat", "loadModel", "completionStream", "embed", "cancel", "unloadModel"}


def test_every_captured_reply_validates_and_comes_out_the_same() -> None:
    seen = set()
    for sample, message in samples():
        if sample["kind"] == "request" or message["type"] == "state":
            continue
        reply = decode_reply(raw(message))
        assert reply is not None
        seen.add(message["type"])
        if message["type"] != "error" and "__profiling" not in message:
            assert msgspec.json.decode(encode(reply)) == message
    assert seen == {"heartbeat", "loadModel", "modelProgress", "completionStream", "cancel", "unloadModel", "error"}


def test_the_model_id_is_that_of_the_real_provider() -> None:
    ids = 0
    loads: dict[tuple[str, int, int], LoadModel] = {}
    for sample, message in samples():
        place = (sample["session"], sample["conn"], sample["id"])
        if sample["kind"] == "request" and message["type"] == "loadModel" and message["modelType"] == LLM_MODEL_TYPE:
            request = decode_request("loadModel", raw(message))
            assert isinstance(request, LoadModel)
            loads[place] = request
        elif message["type"] == "loadModel" and message.get("modelId") and place in loads:
            request = loads[place]
            config = with_defaults(request.model_config)
            assert model_id(request.model_type, request.model_src, config) == message["modelId"]
            ids += 1
    assert ids >= 6


@pytest.mark.parametrize(
    "change",
    [
        {"unknownKey": 1},
        {"modelConfig": None},
        {"modelConfig": {"temp": 2.1}},
        {"modelConfig": {"top_k": 1.5}},
        {"modelConfig": {"predict": 0}},
        {"modelConfig": {"predict": -3}},
        {"modelConfig": {"split-mode": "diagonal"}},
        {"modelSrc": 5},
        {"requestId": ""},
        {"requestId": None},
        {"withProgress": "yes"},
    ],
    ids=str,
)
def test_a_load_is_refused_where_zod_refuses_it(change: dict[str, Any]) -> None:
    decode_request("loadModel", raw(LOAD))
    with pytest.raises(RemoteProtocolError, match="Invalid input in loadModel"):
        decode_request("loadModel", raw({**LOAD, **change}))


def test_a_load_without_its_configuration_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="modelConfig"):
        decode_request("loadModel", raw({key: LOAD[key] for key in LOAD if key != "modelConfig"}))


@pytest.mark.parametrize(
    "change",
    [
        {"generationParams": {"temprature": 1}},
        {"generationParams": {"reasoning_budget": -2}},
        {"responseFormat": {"type": "json_schema", "json_schema": {"name": "", "schema": {}}}},
        {"responseFormat": {"type": "text", "more": 1}},
        {"responseFormat": {"type": "xml"}},
        {"kvCache": ""},
        {"kvCache": None},
        {"toolDialect": "klingon"},
        {"history": [{"role": "user"}]},
        {"history": [{"role": "user", "content": ["parts"]}]},
        {"stream": 1},
        {"tools": [{"type": "function", "name": "f"}]},
        {
            "responseFormat": {"type": "json_object"},
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "description": "",
                    "parameters": {"type": "object", "properties": {}},
                }
            ],
        },
    ],
    ids=str,
)
def test_a_completion_is_refused_where_zod_refuses_it(change: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="Invalid input in completionStream"):
        decode_request("completionStream", raw({**ASK, **change}))


def test_what_zod_drops_is_dropped() -> None:
    extra = {"extra": 1, "__profiling": {"id": "x"}, "history": [{"role": "user", "content": "x", "more": 1}]}
    request = decode_request("completionStream", raw({**ASK, **extra}))
    assert isinstance(request, CompletionStream) and request.history[0].content == "x"
    load = decode_request("loadModel", raw({**LOAD, "__profiling": {}, "modelConfig": {"unknown": 1, "temp": 1}}))
    assert isinstance(load, LoadModel) and msgspec.to_builtins(load.model_config) == {"temp": 1.0}


@pytest.mark.parametrize(
    "line",
    [
        {"type": "completionStream", "events": [], "extra": 1},
        {"type": "completionStream"},
        {"type": "completionStream", "events": [{"type": "newEvent", "seq": 0}]},
        {"type": "completionStream", "events": [{**DONE, "extra": 1}]},
        {"type": "completionStream", "events": [{**DONE, "stopReason": "error"}]},
        {"type": "completionStream", "events": [{**DONE, "error": {"message": "x"}}]},
        {"type": "completionStream", "events": [{**DONE, "stopReason": "bored"}]},
        {"type": "completionStream", "events": [{"type": "contentDelta", "seq": -1, "text": "x"}]},
        {
            "type": "completionStream",
            "events": [{"type": "completionStats", "seq": 0, "stats": {"backendDevice": "x"}}],
        },
        {"type": "loadModel"},
        {"type": "error", "message": "x", "code": "52002"},
        {"type": "unknown"},
        {"no": "type"},
        [],
    ],
    ids=str,
)
def test_a_reply_is_refused_where_zod_refuses_it(line: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_reply(raw(line))


def test_the_least_a_provider_can_send_is_an_answer() -> None:
    least = [
        {"type": "completionStream", "events": [{"type": "contentDelta", "seq": 0, "text": "one"}]},
        {"type": "completionStream", "done": True, "events": [{"type": "completionDone", "seq": 1}]},
    ]
    assert [type(decode_reply(raw(line))) for line in least] == [CompletionLine, CompletionLine]
    assert decode_reply(raw({"__profilingTrailer": True, "__profiling": {}})) is None


@pytest.mark.parametrize("junk", [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b'{"type":' * 50_000, b"null", b"[]"])
def test_junk_is_an_error_of_theirs(junk: bytes) -> None:
    for decode in (decode_envelope, decode_reply, lambda body: decode_request("completionStream", body)):
        with pytest.raises(RemoteProtocolError):
            decode(junk)


def test_shapes_of_methods() -> None:
    assert {name for name in SHAPES if name in REMOTE_SAFE} == REMOTE_SAFE
    assert len([name for name in SHAPES if not name.startswith("__")]) == 37 + 11
    assert shape_of("loadModel", with_progress=True) is Shape.STREAM
    assert shape_of("loadModel", with_progress=False) is Shape.REPLY
    assert shape_of("heartbeat", with_progress=True) is Shape.REPLY
    assert shape_of("completionStream", with_progress=False) is Shape.STREAM
    assert shape_of("nobody knows it", with_progress=True) is Shape.REPLY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (2**64 - 1, "18446744073709552000"),
        (float("inf"), "null"),
    ],
)
def test_numbers_as_javascript_writes_them(value: float, text: str) -> None:
    assert number_text(value) == text


def test_canonical_json_sorts_at_every_depth() -> None:
    assert canonical({"b": [1.0, True, None], "a": {"d": "é", "c": 0.5}}) == '{"a":{"c":0.5,"d":"é"},"b":[1,true,null]}'


def test_a_projection_model_counts_by_its_source() -> None:
    flat = LlmConfig(projectionModelSrc="registry://hf/p")
    described = LlmConfig(projectionModelSrc={"src": "registry://hf/p", "name": "P"})
    assert model_id(LLM_MODEL_TYPE, "m", flat) == model_id(LLM_MODEL_TYPE, "m", described)


@pytest.mark.parametrize(
    ("error", "name", "code"),
    [
        (ModelError("/home/owner/x.gguf is broken", code=52203), "MODEL_LOAD_FAILED", 52203),
        (EngineCrashed("Traceback (most recent call last) /home/owner"), "WORKER_CRASHED", 50205),
        (ModelError("8192 > 4096 at /home/owner", name="CONTEXT_OVERFLOW", code=52421), "CONTEXT_OVERFLOW", 52421),
        (QvacError("anything at /home/owner"), "COMPLETION_FAILED", 52406),
    ],
)
def test_errors_carry_name_code_and_a_sentence_of_ours(error: QvacError, name: str, code: int) -> None:
    reply = error_reply(error)
    assert (reply.name, reply.code) == (name, code)
    assert "/home" not in reply.message and "Traceback" not in reply.message and reply.message.endswith(".")


def test_what_is_wrong_with_a_request_is_told_to_who_made_it() -> None:
    reply = error_reply(RequestRefused("The response schema cannot be used: it is not JSON."))
    assert (reply.code, reply.message) == (52406, "The response schema cannot be used: it is not JSON.")
    other = error_reply(ModelError("/home/owner/x.gguf ended", name="COMPLETION_FAILED", code=52406))
    assert "/home" not in other.message and "load" not in other.message


def test_an_error_survives_the_way() -> None:
    sent = by_policy(Reason.QUOTA, "Your tokens are used up.")
    received = decode_reply(encode(error_reply(sent)))
    assert isinstance(received, ErrorReply)
    error = provider_error(received)
    assert (error.name, error.code, error.message) == (sent.name, Code.REQUEST_REJECTED_BY_POLICY.value, sent.message)
    assert error.typed_fields == {"reason": "quota"}
    bare = provider_error(ErrorReply(message="✖ Invalid input"))
    assert (bare.name, bare.code) == ("DELEGATE_PROVIDER_ERROR", 53702)


def test_a_failed_load_keeps_only_known_keys() -> None:
    reply = decode_reply(raw({"type": "loadModel", "success": False, "error": "x", "stack": "y"}))
    assert reply == LoadModelReply(success=False, error="x")
