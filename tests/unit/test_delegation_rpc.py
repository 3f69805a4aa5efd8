"""bare-rpc on a pair in memory: both shapes, every way to leave, and what hostile peers try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvac_core.delegation.frames import (
    RESPONSE_STREAM,
    FrameReader,
    RequestMessage,
    ResponseMessage,
    StreamFlag,
    StreamMessage,
    encode_request,
    encode_response,
    encode_stream,
)
from qvac_core.delegation.rpc import Rpc, RpcLimits
from qvac_core.delegation.rpc_streams import Gone, IncomingRequest, RequestHandler
from qvac_core.errors import ConnectionClosed, QvacError, RemoteProtocolError
from tests.unit.memory_stream import MemoryStream, run, settle, stream_pair

RUNNER = run

VECTORS = Path(__file__).parent.parent / "vectors"


@asynccontextmanager
async def serving(
    handler: RequestHandler, *, limits: RpcLimits | None = None, capacity: int = 256 * 1024, cut: int | None = None
) -> AsyncIterator[tuple[Rpc, Rpc, MemoryStream, MemoryStream]]:
    """(asking rpc, answering rpc, their streams), both running until the block ends."""
    asking, answering = stream_pair(capacity=capacity, cut=cut)
    client, server = Rpc(asking), Rpc(answering, handler, limits)
    async with asyncio.TaskGroup() as group:
        group.create_task(client.run())
        group.create_task(server.run())
        yield client, server, asking, answering
        client.destroy()
        server.destroy()


def messages_written(stream: MemoryStream) -> list[RequestMessage | ResponseMessage | StreamMessage]:
    return FrameReader(1 << 30).feed(bytes(stream.written))


def test_replays_every_captured_frame_byte_by_byte() -> None:
    lines = [json.loads(line) for line in (VECTORS / "frames.hex.jsonl").read_text().splitlines()]
    for direction in ("consumer->provider", "provider->consumer"):
        reader = FrameReader(1 << 20)
        wire = b"".join(bytes.fromhex(line["hex"]) for line in lines if line["dir"] == direction)
        messages = [message for byte in wire for message in reader.feed(bytes([byte]))]
        assert len(messages) == sum(line["dir"] == direction for line in lines)
        assert reader.buffered == 0
        again = b""
        for message in messages:
            match message:
                case RequestMessage():
                    again += encode_request(message.id, message.command, message.data or b"")
                case ResponseMessage():
                    again += encode_response(message.id, message.data)
                case StreamMessage():
                    again += encode_stream(message.id, message.flags, message.data)
        assert again == wire


@pytest.mark.parametrize("cut", [None, 1, 3, 7])
async def test_reply_and_stream_whatever_the_chunks(cut: int | None) -> None:
    async def handler(request: IncomingRequest) -> None:
        if request.body == b"reply":
            await request.reply(b"the answer")
            return
        stream = request.respond()
        for n in range(5):
            await stream.write(b"%d\n" % n)

    async with serving(handler, cut=cut) as (client, _, _, _):
        assert await client.request(b"reply") == b"the answer"
        chunks = [chunk async for chunk in client.open_stream(b"stream")]
        assert b"".join(chunks) == b"0\n1\n2\n3\n4\n"
        assert await client.request(b"reply") == b"the answer"


async def test_a_reader_that_is_done_sends_a_plain_destroy() -> None:
    async def handler(request: IncomingRequest) -> None:
        await request.respond().write(b"x\n")

    async with serving(handler) as (client, _, asking, answering):
        assert [chunk async for chunk in client.open_stream(b"")] == [b"x\n"]
        await settle()
        flags = [m.flags for m in messages_written(asking) if isinstance(m, StreamMessage)]
        assert flags == [RESPONSE_STREAM | f for f in (StreamFlag.OPEN, StreamFlag.RESUME, StreamFlag.DESTROY)]
        flags = [m.flags for m in messages_written(answering) if isinstance(m, StreamMessage)]
        assert flags == [RESPONSE_STREAM | f for f in (StreamFlag.DATA, StreamFlag.END, StreamFlag.CLOSE)]


async def test_destroy_reaches_the_handler_and_carries_no_error_flag() -> None:
    gone: list[Gone] = []
    ended = asyncio.Event()

    async def handler(request: IncomingRequest) -> None:
        request.on_gone = gone.append
        stream = request.respond()
        try:
            while True:
                await stream.write(b"more\n")
                await asyncio.sleep(1)
        finally:
            ended.set()

    async with serving(handler) as (client, _, asking, _):
        stream = client.open_stream(b"")
        assert await anext(stream) == b"more\n"
        stream.destroy()
        await ended.wait()
        assert gone == [Gone.DESTROYED]
        sent = [m.flags for m in messages_written(asking) if isinstance(m, StreamMessage)]
        assert sent[-1] == RESPONSE_STREAM | StreamFlag.DESTROY
        assert not any(flags & StreamFlag.ERROR for flags in sent)


async def test_a_closed_connection_reaches_handlers_and_waiters() -> None:
    gone: list[Gone] = []

    async def handler(request: IncomingRequest) -> None:
        done = asyncio.Event()

        def notice(why: Gone) -> None:
            gone.append(why)
            done.set()

        request.on_gone = notice
        await done.wait()

    async with serving(handler) as (client, server, _, answering):
        waiting = asyncio.create_task(client.request(b""))
        stream = client.open_stream(b"")
        await settle()
        answering.destroy()
        with pytest.raises(ConnectionClosed) as caught:
            await waiting
        assert caught.value.name == "ECONNRESET"
        with pytest.raises(ConnectionClosed):
            await anext(stream)
        await settle()
        assert gone == [Gone.DISCONNECTED, Gone.DISCONNECTED]
        assert server.closed
        with pytest.raises(ConnectionClosed):
            await client.request(b"")


async def test_a_handler_that_does_not_notice_is_cancelled() -> None:
    async def handler(request: IncomingRequest) -> None:
        await asyncio.Event().wait()

    asking, answering = stream_pair()
    client, server = Rpc(asking), Rpc(answering, handler)
    async with asyncio.TaskGroup() as group:
        group.create_task(client.run())
        serving_task = group.create_task(server.run())
        stream = client.open_stream(b"")
        await settle()
        stream.destroy()
        client.destroy()
        await serving_task


async def test_an_abandoned_request_leaves_the_table() -> None:
    async def handler(request: IncomingRequest) -> None:
        await asyncio.sleep(10)
        await request.reply(b"late")

    async with serving(handler) as (client, _, _, _):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.request(b""), 1)
        assert client._replies == {}
        await asyncio.sleep(20)  # the late answer is dropped
        assert not client.closed


async def test_writers_wait_for_a_reader_that_pauses_and_go_on_when_it_resumes() -> None:
    progress: list[int] = []

    async def handler(request: IncomingRequest) -> None:
        stream = request.respond()
        for n in range(200):
            await stream.write(bytes(10_000))
            progress.append(n)

    async with serving(handler) as (client, _, _, _):
        stream = client.open_stream(b"")
        await settle(500)
        stopped = len(progress)
        assert 25 <= stopped < 100
        assert sum([len(chunk) async for chunk in stream]) == 2_000_000
        assert len(progress) == 200


async def test_a_peer_that_stops_reading_stops_its_writers_and_memory_stays_bounded() -> None:
    async def handler(request: IncomingRequest) -> None:
        stream = request.respond()
        while True:
            await stream.write(bytes(50_000))

    asking, answering = stream_pair()
    server = Rpc(answering, handler)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        for n in range(1, 11):
            await asking.write(encode_request(n, n, b"{}"))
        await settle(2000)
        assert server._outbox_bytes < 1_500_000
        assert len(answering.written) < 500_000
        asking.destroy()


async def test_a_peer_that_provokes_frames_and_reads_none_is_dropped() -> None:
    async def handler(request: IncomingRequest) -> None:
        request.respond()
        await asyncio.Event().wait()

    asking, answering = stream_pair(capacity=1000)
    server = Rpc(answering, handler, RpcLimits(outbox_bytes=10_000, open_requests=10_000))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        with pytest.raises(ConnectionClosed):
            for n in range(1, 10_000):
                await asking.write(encode_request(n, n, b"{}") + encode_stream(n, RESPONSE_STREAM | StreamFlag.DESTROY))
        assert isinstance(server.error, RemoteProtocolError)


async def test_a_provider_that_ignores_pause_loses_that_stream_only() -> None:

    asking, answering = stream_pair(capacity=10**9)
    client = Rpc(asking, limits=RpcLimits(stream_buffer_bytes=1_000_000))
    async with asyncio.TaskGroup() as group:
        group.create_task(client.run())
        stream, other = client.open_stream(b""), client.open_stream(b"")
        for _ in range(20):
            await answering.write(encode_stream(1, RESPONSE_STREAM | StreamFlag.DATA, bytes(100_000)))
        await answering.write(encode_stream(2, RESPONSE_STREAM | StreamFlag.DATA, b"fine"))
        with pytest.raises(RemoteProtocolError):
            while True:
                await anext(stream)
        assert await anext(other) == b"fine"
        client.destroy()


@pytest.mark.parametrize(
    "junk",
    [
        (10**9).to_bytes(4, "little"),
        b"\x03\x00\x00\x00\x09\x01\x01",
        b"\x00\x00\x00\x00",
        b"\x02\x00\x00\x00\x01\xff",
        b"\x08\x00\x00\x00\x01\x01\x01\x00\xfe\xff\xff\xff",
        b"\x05\x00\x00\x00\x02\x01\x01\x00\x03",
        b"\x0d\x00\x00\x00\x01\xff" + (2**60).to_bytes(8, "little") + b"\x01\x00\x00",
    ],
    ids=["1 GB", "unknown type", "empty", "cut short", "length beyond the frame", "error without its text", "huge id"],
)
async def test_a_frame_that_is_wrong_ends_the_connection_at_once(junk: bytes) -> None:
    async def handler(request: IncomingRequest) -> None:
        await request.reply(b"")

    asking, answering = stream_pair()
    server = Rpc(answering, handler)
    await asking.write(junk)
    await server.run()
    assert isinstance(server.error, RemoteProtocolError)
    assert answering.destroyed
    assert server._frames.buffered <= len(junk)


@pytest.mark.parametrize("limits", [RpcLimits(open_requests=5), RpcLimits(open_request_bytes=500)])
async def test_too_many_open_requests_end_the_connection(limits: RpcLimits) -> None:
    async def handler(request: IncomingRequest) -> None:
        await asyncio.Event().wait()

    asking, answering = stream_pair()
    server = Rpc(answering, handler, limits)
    for n in range(1, 8):
        await asking.write(encode_request(n, n, bytes(100)))
    await server.run()
    assert isinstance(server.error, RemoteProtocolError)


async def test_open_of_the_consumer_may_come_before_or_after_ours() -> None:
    async def handler(request: IncomingRequest) -> None:
        await request.respond().write(b"line\n")

    for early in (True, False):
        asking, answering = stream_pair()
        server = Rpc(answering, handler)
        opening = encode_stream(1, RESPONSE_STREAM | StreamFlag.OPEN)
        request = encode_request(1, 9, b"{}")
        await asking.write(opening + request if early else request)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run())
            await settle()
            await asking.write(opening)
            await settle()
            kinds = [type(m) for m in messages_written(answering)]
            assert kinds == [ResponseMessage, StreamMessage, StreamMessage, StreamMessage]
            server.destroy()


async def test_a_request_whose_body_would_be_a_stream_is_told_to_stop_it() -> None:
    bodies: list[bytes | None] = []

    async def handler(request: IncomingRequest) -> None:
        bodies.append(request.body)
        await request.respond().write(b"no\n")

    asking, answering = stream_pair()
    server = Rpc(answering, handler)
    await asking.write(b"\x04\x00\x00\x00\x01\x01\x01\x01")
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await settle()
        assert bodies == [None]
        flags = [m.flags for m in messages_written(answering) if isinstance(m, StreamMessage)]
        assert StreamFlag.REQUEST | StreamFlag.DESTROY in flags
        assert not any(flag & StreamFlag.REQUEST and flag & StreamFlag.RESUME for flag in flags)
        server.destroy()


@pytest.mark.parametrize("cut", [None, 1, 5])
async def test_a_body_that_is_a_stream_arrives_while_the_answer_goes_out(cut: int | None) -> None:
    async def handler(request: IncomingRequest) -> None:
        answer = request.respond()
        async for chunk in request.receive():
            await answer.write(b"heard %d\n" % len(chunk))
        await answer.write(b"all\n")

    async with serving(handler, cut=cut) as (client, _, _, _):
        upload, answer = client.open_duplex()
        for size in (10, 1, 300):
            await upload.write(bytes(size))
        upload.end()
        lines = b"".join([chunk async for chunk in answer]).split()
        assert sum(int(word) for word in lines if word.isdigit()) == 311
        assert lines[-1] == b"all"
        assert not client._uploads


async def test_bodies_that_nobody_takes_and_answers_that_nobody_wants() -> None:
    endings: list[object] = []

    async def handler(request: IncomingRequest) -> None:
        if request.command == 1:
            await request.respond().write(b"refused\n")
            return
        request.on_gone = endings.append
        try:
            async for _chunk in request.receive():
                pass
            endings.append("end")
        except QvacError as error:
            endings.append(error.name)

    async with serving(handler) as (client, server, _, _):
        upload, answer = client.open_duplex()
        assert [chunk async for chunk in answer] == [b"refused\n"]
        with pytest.raises(QvacError):
            await upload.write(b"too late")
        _upload, answer = client.open_duplex()
        await settle()
        answer.destroy()
        await settle()
        assert endings == [Gone.DESTROYED, "STREAM_GONE"]
        assert not client._uploads and not server._incoming_requests


async def test_a_peer_that_fills_a_body_without_being_asked_is_held_off() -> None:
    taken = asyncio.Event()

    async def handler(request: IncomingRequest) -> None:
        await taken.wait()
        with pytest.raises(RemoteProtocolError, match="does not pause"):
            async for _chunk in request.receive():
                pass

    asking, answering = stream_pair(capacity=1 << 24)
    server = Rpc(answering, handler)
    await asking.write(b"\x04\x00\x00\x00\x01\x01\x01\x01")
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        for _ in range(40):
            await asking.write(encode_stream(1, StreamFlag.REQUEST | StreamFlag.DATA, bytes(4096)))
            await settle()
        request = server._incoming_requests[1]
        assert request.upload is not None and request.upload._buffered <= 64 * 1024
        taken.set()
        await settle()
        assert not server._incoming_requests
        server.destroy()


async def test_a_plain_reply_to_a_stream_request_is_its_only_line() -> None:
    async def handler(request: IncomingRequest) -> None:
        await request.reply(b'{"type":"error"}')

    async with serving(handler) as (client, _, _, _):
        assert [chunk async for chunk in client.open_stream(b"")] == [b'{"type":"error"}\n']


async def test_close_delivers_what_is_queued() -> None:
    async def handler(request: IncomingRequest) -> None:
        await request.reply(request.body or b"")

    asking, answering = stream_pair(capacity=1000)
    client, server = Rpc(asking), Rpc(answering, handler)
    async with asyncio.TaskGroup() as group:
        group.create_task(client.run())
        group.create_task(server.run())
        waiting = group.create_task(client.request(bytes(200_000)))
        await waiting
        await server.close()
        await settle()
        assert client.closed


class SlowlyClosing(MemoryStream):
    """Ends as a connection does: its reader ends at once, and what was written is delivered in a second."""

    async def close(self) -> None:
        self._ended = True
        self._changed.set()
        await asyncio.sleep(1)
        await super().close()


async def test_a_close_lets_the_transport_deliver_what_was_written() -> None:

    asking, _ = stream_pair()
    ending = SlowlyClosing(b"\x02" * 32)
    ending.peer, asking.peer = asking, ending
    rpc = Rpc(ending)
    running = asyncio.create_task(rpc.run())
    await rpc.send(b"the last words")
    await rpc.close()
    await running
    assert asyncio.get_running_loop().time() == pytest.approx(1)
    assert ending.closed
    assert not ending.destroyed


async def test_a_close_that_is_cancelled_lets_go() -> None:

    asking, _ = stream_pair()
    ending = SlowlyClosing(b"\x02" * 32)
    ending.peer, asking.peer = asking, ending
    rpc = Rpc(ending)
    running = asyncio.create_task(rpc.run())
    await settle()
    closing = asyncio.create_task(rpc.close())
    await settle()
    closing.cancel()
    await running
    assert ending.destroyed
