"""bare-rpc and messages under hypothesis: any cut gives the same messages, any bytes a message or an error."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.delegation.frames import (
    RESPONSE_STREAM,
    FrameReader,
    StreamFlag,
    encode_request,
    encode_response,
    encode_stream,
)
from qvac_core.delegation.js_json import canonical, number_text
from qvac_core.delegation.lines import LineSplitter
from qvac_core.delegation.messages import decode_envelope, decode_reply, decode_request
from qvac_core.delegation.methods import REMOTE_SAFE
from qvac_core.delegation.model_config import LlmConfig, model_id
from qvac_core.engines.thinking import (
    CLOSE_TAG,
    HELD_SPACE,
    OPEN_TAG,
    TAGS,
    Mark,
    TagWriter,
    ThinkingReader,
    ThinkingStyle,
)
from qvac_core.errors import RemoteProtocolError

# JavaScript's largest exact integer, which the codec keeps to
ids = st.integers(1, 2**53 - 1)
flags = (1, 2, 4, 8, int(StreamFlag.END), int(StreamFlag.DESTROY))
bodies = st.binary(max_size=200)
frames = st.one_of(
    st.builds(encode_request, ids, st.integers(0, 2**32), bodies),
    st.builds(encode_response, ids, st.none() | bodies),
    st.builds(lambda i, data: encode_stream(i, RESPONSE_STREAM | StreamFlag.DATA, data), ids, bodies),
    st.builds(
        encode_stream,
        ids,
        st.sampled_from(
            [RESPONSE_STREAM | flag for flag in (1, 2, 4, 8, int(StreamFlag.END), int(StreamFlag.DESTROY))]
        ),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def cuts(data: bytes, points: list[int]) -> list[bytes]:
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(deadline=None)
@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 10_000), max_size=12))
def test_frames_come_out_the_same_however_they_are_cut(given_frames: list[bytes], points: list[int]) -> None:
    wire = b"".join(given_frames)
    whole = FrameReader(1 << 20).feed(wire)
    reader = FrameReader(1 << 20)
    assert [message for chunk in cuts(wire, points) for message in reader.feed(chunk)] == whole
    assert len(whole) == len(given_frames) and reader.buffered == 0


@settings(deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=10))
def test_any_bytes_give_messages_or_an_error_of_theirs_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    reader = FrameReader(256)
    try:
        for chunk in chunks:
            reader.feed(chunk)
            assert reader.buffered <= 256 + 4 + len(chunk)
    except RemoteProtocolError:
        pass


@settings(deadline=None)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_gives_a_message_or_an_error_of_theirs(body: bytes) -> None:
    for decode in (decode_envelope, decode_reply):
        with contextlib.suppress(RemoteProtocolError):
            decode(body)
    for method in REMOTE_SAFE:
        with contextlib.suppress(RemoteProtocolError):
            decode_request(method, body)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(LlmConfig.__struct_encode_fields__)), json_values, max_size=5))
def test_any_configuration_is_refused_or_has_an_id(config: dict[str, Any]) -> None:
    try:
        parsed = msgspec.convert(config, LlmConfig)
    except msgspec.ValidationError:
        return
    identity = model_id("llamacpp-completion", "m", parsed)
    assert len(identity) == 16 and identity == model_id("llamacpp-completion", "m", parsed)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_javascript_text_read_back(value: float) -> None:
    assert float(number_text(value)) == value


@settings(deadline=None)
@given(json_values)
def test_canonical_json_reads_back(value: Any) -> None:
    def same(left: Any, right: Any) -> bool:
        if isinstance(left, float) and not math.isfinite(left):
            return right is None
        if isinstance(left, bool) or isinstance(right, bool) or left is None:
            return left is right
        if isinstance(left, int | float):
            return float(left) == float(right)
        if isinstance(left, list):
            return len(left) == len(right) and all(map(same, left, right))
        if isinstance(left, dict):
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        return bool(left == right)

    assert same(value, json.loads(canonical(value)))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b and b.strip())), st.data())
def test_lines_come_out_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter()
    chunks = cuts(wire, data.draw(st.lists(st.integers(0, 1000), max_size=10)))
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == lines


ALL_TAGS = ThinkingStyle(TAGS)
SCRAPS = ["a", "<", OPEN_TAG, CLOSE_TAG, "think>", "</", "b ", "\n", "[THINK]", "[/THINK]", "final", *Mark]


@settings(deadline=None)
@given(st.lists(st.sampled_from(SCRAPS), max_size=12), st.sampled_from(["", OPEN_TAG, "[THINK]"]), st.data())
def test_thinking_is_split_the_same_however_it_is_cut(parts: list[str], opened: str, data: st.DataObject) -> None:
    text = "".join(parts)
    check_splits(text, opened, sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6))))


def test_white_space_before_a_tag_that_is_written_again_is_none_of_the_thinking() -> None:
    check_splits("\n[THINK]", "[THINK]", [1])
    check_splits(" " * (HELD_SPACE + 1) + "[THINK]", "[THINK]", [3, HELD_SPACE + 1])


def check_splits(text: str, opened: str, points: list[int]) -> None:
    def split(pieces: list[str]) -> tuple[str, str]:
        reader = ThinkingReader(ALL_TAGS, opened)
        found = [piece for part in pieces for piece in reader.feed(part)] + reader.end()
        return (
            "".join(piece.text for piece in found if piece.thinking),
            "".join(piece.text for piece in found if not piece.thinking),
        )

    pieces = [text[start:end] for start, end in itertools.pairwise([0, *points, len(text)])]
    assert split(pieces) == split([text])
    assert not any(mark in part for part in split([text]) for mark in Mark)


@given(st.lists(st.tuples(st.text(st.sampled_from("ab \n"), min_size=1), st.booleans()), max_size=6))
def test_thinking_written_with_tags_is_read_again(pieces: list[tuple[str, bool]]) -> None:
    """One stretch of thinking and one answer, as models make them."""
    thinking = "".join(text for text, thought in pieces if thought)
    answer = "".join(text for text, thought in pieces if not thought)
    writer = TagWriter()
    text = writer.write(thinking, thinking=True) + writer.write(answer, thinking=False)
    reader = ThinkingReader()
    found = [*reader.feed(text), *reader.end()]
    assert "".join(piece.text for piece in found if piece.thinking) == thinking
    assert "".join(piece.text for piece in found if not piece.thinking) == answer
