"""Messages longer than a buffer, either way: they arrive or are refused at once, and other answers live beside them."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.consumer import Waits
from qvac_core.delegation.frames import HEAD_BYTES, FrameReader, RequestMessage, TooLongRequest, encode_request
from qvac_core.delegation.messages import HistoryMessage
from qvac_core.errors import DelegationError, ProviderError, RemoteProtocolError
from tests.unit.delegation_room import ASK, DELEGATE, PROVIDER_KEY, Room, provider_room
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import SMOL

RUNNER = run

MIB = 2**20


def _history(letters: int) -> list[HistoryMessage]:
    return [HistoryMessage(role="user", content="x" * letters)]


def _slow_line(room: Room, bytes_per_second: float, *, after: int = 0) -> None:
    """What the guest sends from now on, or after so many bytes, takes its time."""
    stream = room.streams[-1]
    write = stream.write
    begin = len(stream.written) + after

    async def slowly(data: bytes) -> None:
        if len(stream.written) >= begin:
            await asyncio.sleep(len(data) / bytes_per_second)
        await write(data)

    stream.write = slowly  # type: ignore[method-assign]


@pytest.mark.parametrize("letters", [300_000, 1_100_000, 4_000_000])
async def test_a_long_request_is_answered_and_another_answer_goes_on_beside_it(letters: int) -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 100
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        other = await consumer.completion(loaded.model_id, ASK)
        await anext(other.token_stream)
        long = await consumer.completion(loaded.model_id, _history(letters))
        assert await long.text == await other.text == "word " * 100
        assert len(room.pool.model.requests[-1].history[-1].content) == letters
        assert room.connects == 1
        await consumer.close()


@pytest.mark.parametrize("letters", [5 * MIB, 20 * MIB])
async def test_a_request_above_the_limit_is_refused_at_once_and_other_answers_live(letters: int) -> None:
    """Before it has gone out, on a slow line; the owner sees it in the log."""

    async with provider_room() as room:
        room.pool.model.words = ["word "] * 10_000
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        other = await consumer.completion(loaded.model_id, ASK)
        await anext(other.token_stream)
        _slow_line(room, 100_000)
        began = asyncio.get_running_loop().time()
        long = await consumer.completion(loaded.model_id, _history(letters))
        with pytest.raises(ProviderError, match=r"too long for the provider: .* MiB, where 4\.0 MiB") as raised:
            await long.text
        assert raised.value.typed_fields == {"reason": "limit"}
        assert asyncio.get_running_loop().time() - began < 5
        assert not other.finished and not other.suspect
        await anext(other.token_stream)
        assert [entry["outcome"] for entry in room.log.finished] == ["error"]
        assert room.provider._service.held.in_all < MIB  # none of it was kept
        assert await other.text == "word " * 10_000
        assert room.connects == 1
        await consumer.close()


async def test_a_request_that_goes_out_slowly_is_no_silence() -> None:
    """4 MiB at 50 kB a second take longer than any answer may be silent, and than a probe may."""

    async with provider_room() as room:
        consumer = room.consumer(waits=Waits(idle=10.0))
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        _slow_line(room, 50_000)
        long = await consumer.completion(loaded.model_id, _history(4_000_000))
        await asyncio.sleep(5)
        short = await consumer.completion(loaded.model_id, ASK)  # its probe waits behind the long one
        assert await long.text == await short.text == "one two three"
        assert room.connects == 1 and asyncio.get_running_loop().time() > 80
        await consumer.close()


async def test_a_provider_that_takes_nothing_of_a_long_request_is_still_found_out() -> None:
    async with provider_room() as room:
        consumer = room.consumer(waits=Waits(idle=10.0))
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        _slow_line(room, 65, after=100_000)  # the probe before it is answered
        long = await consumer.completion(loaded.model_id, _history(4_000_000))
        with pytest.raises(DelegationError, match="did not answer within 10 seconds"):
            await long.text
        assert asyncio.get_running_loop().time() < 60
        await consumer.close()


async def test_long_lines_of_several_answers_fill_no_bound_of_their_neighbours() -> None:
    """Each answer comes in one line of a megabyte, to a guest that reads slowly."""

    async with provider_room(limits=Limits(max_tokens=10**6)) as room:
        room.pool.model.words, room.pool.model.step = ["y" * 100_000] * 12, 0.001
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        runs = [await consumer.completion(loaded.model_id, ASK, stream=False) for _ in range(6)]
        assert [len(await answer.text) for answer in runs] == [1_200_000] * 6
        assert consumer.connection(PROVIDER_KEY) is not None and room.connects == 1
        await consumer.close()


@pytest.mark.parametrize("chunk", [1, 7, 4096, 10**6])
def test_the_reader_stays_in_step_behind_a_request_that_is_too_long(chunk: int) -> None:
    body = b'{"type":"completionStream"' + b"x" * 40_000
    wire = encode_request(1, 9, b"short") + encode_request(300, 70_000, body) + encode_request(2, 9, b"next")
    reader = FrameReader(30_000, 20_000)
    found = [m for start in range(0, len(wire), chunk) for m in reader.feed(wire[start : start + chunk])]
    assert [(type(m), m.id) for m in found] == [(RequestMessage, 1), (TooLongRequest, 300), (RequestMessage, 2)]
    long = found[1]
    assert isinstance(long, TooLongRequest)
    assert (long.command, long.length) == (70_000, len(body)) and body.startswith(long.data or b"?")
    assert HEAD_BYTES - 40 < len(long.data or b"") <= HEAD_BYTES and reader.buffered == 0
    with pytest.raises(RemoteProtocolError, match="limit"):
        FrameReader(30_000).feed(wire)
