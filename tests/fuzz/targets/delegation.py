"""Targets: bare-rpc frames, QVAC messages, a whole RPC connection, and schemas that strangers send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

from qvac_core.delegation.frames import FrameReader
from qvac_core.delegation.js_json import canonical
from qvac_core.delegation.messages import LoadModel, decode_envelope, decode_reply, decode_request, encode
from qvac_core.delegation.methods import REMOTE_SAFE
from qvac_core.delegation.model_config import model_id
from qvac_core.delegation.rpc import Rpc, RpcLimits
from qvac_core.delegation.rpc_streams import IncomingRequest
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.response_schema import SCHEMA_LIMIT
from qvac_core.errors import ModelError, QvacError, RemoteProtocolError
from tests.fuzz.known_answers import rpc_frames, samples
from tests.fuzz.script import Script
from tests.fuzz.target import Target
from tests.unit.memory_stream import run, settle, stream_pair

_METHODS = sorted(REMOTE_SAFE)
_FRAME_LIMIT = 512


def bare_rpc_frames(data: bytes) -> None:
    """The same messages come out however the bytes are cut; memory stays below one frame and one chunk."""
    script = Script(data)
    cuts = sorted(script.uint16() for _ in range(script.byte() % 6))
    wire = script.rest()
    edges = [0, *(min(cut, len(wire)) for cut in cuts), len(wire)]
    at_once, in_parts = _messages([wire]), _messages([wire[start:end] for start, end in pairwise(edges)])
    assert in_parts[: len(at_once)] == at_once or at_once == []


def _messages(chunks: list[bytes]) -> list[str]:
    reader = FrameReader(_FRAME_LIMIT)
    found: list[str] = []
    with suppress(RemoteProtocolError):
        for chunk in chunks:
            found += map(_shown, reader.feed(chunk))
            assert reader.buffered <= _FRAME_LIMIT + 4
    return found


def _shown(message: object) -> str:
    return f"{type(message).__name__} {sorted((key, str(value)) for key, value in vars(message).items())}"


def qvac_messages(data: bytes) -> None:
    """The first byte chooses the reader. What is understood is understood again, and has an identity."""
    which, body = (data[0] % (len(_METHODS) + 2), data[1:]) if data else (0, b"")
    try:
        if which == len(_METHODS):
            decode_envelope(body)
        elif which > len(_METHODS):
            reply = decode_reply(body)
            if reply is not None:
                assert decode_reply(encode(reply)) == reply
        else:
            request = decode_request(_METHODS[which], body)
            assert decode_request(_METHODS[which], encode(request)) == request
            if isinstance(request, LoadModel):
                canonical(request.model_src)
                assert len(model_id("llamacpp-completion", request.model_src, request.model_config)) == 16
    except RemoteProtocolError as error:
        assert error.message


def rpc_connection(data: bytes) -> None:
    """A peer that says anything on one connection: it ends, nothing runs on, and no request is kept."""
    run(_rpc_connection(Script(data)))


async def _answer(request: IncomingRequest) -> None:
    if request.command % 3 == 0:
        await request.reply(request.body or b"")
        return
    stream = request.respond()
    for _ in range(request.command % 5):
        await stream.write(b"line\n")
        await asyncio.sleep(0)


async def _rpc_connection(script: Script) -> None:
    limits = RpcLimits(
        frame_bytes=_FRAME_LIMIT, open_requests=4, open_request_bytes=600, outbox_bytes=500, stream_buffer_bytes=900
    )
    peer, own = stream_pair()
    rpc = Rpc(own, _answer, limits)
    running = asyncio.create_task(rpc.run())
    asking = [asyncio.create_task(_ask(rpc, script.flag())) for _ in range(script.byte() % 3)]
    with suppress(QvacError):
        while not script.done:
            await peer.write(script.chunk())
            await settle(2)
    assert len(rpc._incoming_requests) <= 4
    peer.destroy()
    await running
    await asyncio.gather(*asking)
    assert rpc.closed and not rpc._handlers and not rpc._incoming_requests and not rpc._incoming_streams
    assert rpc._open_request_bytes == 0 and not rpc._replies


async def _ask(rpc: Rpc, streamed: bool) -> None:
    with suppress(QvacError):
        if not streamed:
            await rpc.request(b"{}")
            return
        stream = rpc.open_stream(b"{}")
        async for _ in stream:
            await asyncio.sleep(0)


def response_schema(data: bytes) -> None:
    """A schema becomes a bounded grammar or a sentence."""
    with suppress(ModelError):
        assert len(grammar_for(data.decode("utf-8", "replace"))) <= 8 * SCHEMA_LIMIT


def _frame_seeds() -> Iterator[bytes]:
    frames = [bytes.fromhex(frame["hex"]) for frame in rpc_frames()]
    yield from (b"\0" + frame for frame in frames if len(frame) < 300)
    yield b"\2\x05\0\x20\0" + b"".join(frames[:3])


def _connection_seeds() -> Iterator[bytes]:
    frames = [bytes.fromhex(frame["hex"]) for frame in rpc_frames()]
    small = [bytes([len(frame)]) + frame for frame in frames if len(frame) < 255]
    for start in range(0, len(small), 4):
        yield b"\0" + b"".join(small[start : start + 4])
        yield b"\2\0\1" + b"".join(small[start : start + 4])


def _message_seeds() -> Iterator[bytes]:
    from json import dumps

    seen: set[tuple[str, str]] = set()
    for sample in samples():
        message = sample.get("json")
        if not isinstance(message, dict) or (key := (sample["dir"], str(message.get("type")))) in seen:
            continue
        seen.add(key)
        name = message.get("type")
        asks = sample["dir"].startswith("consumer")
        if asks and name in _METHODS:
            yield bytes([_METHODS.index(name)]) + dumps(message).encode()
        yield bytes([len(_METHODS) + (0 if asks else 1)]) + dumps(message).encode()


def _schema_seeds() -> Iterator[bytes]:
    yield b'{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"]}'
    yield b'{"type":"array","items":{"enum":["x",1,null]},"minItems":1,"maxItems":3}'
    yield b'{"$defs":{"n":{"type":"object","properties":{"c":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}'
    yield b'{"oneOf":[{"const":1},{"type":"boolean"},{"anyOf":[{"type":"null"},{"format":"date"}]}]}'
    yield b'{"allOf":[{"properties":{"x":{"type":"number"}}},{"properties":{"y":true}}],"additionalProperties":false}'


_ROOM = "qvac_core.delegation."

TARGETS = [
    Target("bare_rpc_frames", bare_rpc_frames, (_ROOM + "frames", "bare_rpc"), _frame_seeds, 1024),
    Target("qvac_messages", qvac_messages, (_ROOM + "messages", _ROOM + "js_json"), _message_seeds, 2048),
    Target("rpc_connection", rpc_connection, (_ROOM + "rpc", _ROOM + "rpc_streams"), _connection_seeds, 1024, 0.3),
    Target(
        "response_schema",
        response_schema,
        ("qvac_core.engines.response_grammar", "qvac_core.engines.response_schema"),
        _schema_seeds,
        1024,
    ),
]
