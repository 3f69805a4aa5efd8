"""Files that guests put at a provider: whole or not at all, each key its own, bounded, and forgotten in time."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.blob_upload import BytesSource, upload
from qvac_core.delegation.blobs import (
    BLOBS_PER_KEY,
    CHUNK_BYTES_LEAST,
    CHUNK_BYTES_MOST,
    LEFT_SECONDS,
    UNUSED_SECONDS,
    BlobStore,
    KeyBlobs,
)
from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.consumer import Consumer
from qvac_core.delegation.failures import Rejection
from qvac_core.delegation.messages import (
    BlobStatus,
    BlobStatusReply,
    Heartbeat,
    HeartbeatReply,
    PutBlob,
    PutBlobReply,
    encode,
)
from qvac_core.errors import ConnectionClosed, DelegationError, LocalProtocolError, ProviderError, RemoteProtocolError
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, PROVIDER_KEY, STRANGER_KEY, admitting, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.scripted_engine import SMOL
from tests.unit.test_delegation_hostile import RawPeer

RUNNER = run

KIB = 1024
ANN, EVE = b"\x0a" * 32, b"\x0e" * 32


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put_all(blobs: KeyBlobs, data: bytes, *, chunk: int = CHUNK_BYTES_MOST) -> str:
    digest = sha(data)
    for start in range(0, len(data), chunk):
        blobs.put(digest, len(data), start, data[start : start + chunk])
    return digest


def small(in_all: int = 150 * KIB) -> Limits:
    return Limits(blob_bytes=64 * KIB, blobs_per_key_bytes=100 * KIB, blobs_bytes=in_all)


async def connected(consumer: Consumer) -> ProviderConnection:
    await consumer.heartbeat(DELEGATE)
    connection = consumer.connection(PROVIDER_KEY)
    assert connection is not None
    return connection


# --- The store ----------------------------------------------------------------------------------------------------


async def test_a_blob_is_there_when_it_is_whole_and_until_it_is_taken() -> None:
    store, data = BlobStore(Limits()), os.urandom(700 * KIB)
    with KeyBlobs(store, ANN) as blobs:
        assert blobs.received(sha(data), len(data)) == 0
        assert blobs.put(sha(data), len(data), 0, data[: 256 * KIB]) == 256 * KIB
        with pytest.raises(Rejection, match="Send it again") as caught:
            blobs.get(sha(data))
        assert (caught.value.name, caught.value.code) == ("ATTACHMENT_NOT_FOUND", 52407)
        assert blobs.received(sha(data), len(data)) == 256 * KIB
        for start in (256 * KIB, 512 * KIB):
            blobs.put(sha(data), len(data), start, data[start : start + 256 * KIB])
        assert blobs.get(sha(data)) == data and blobs.get(sha(data)) is blobs.get(sha(data))
        assert blobs.put(sha(data), len(data), 0, data[: 256 * KIB]) == len(data)  # there already
        assert blobs.take(sha(data)) == data and store.held_bytes == 0
        with pytest.raises(Rejection):
            blobs.take(sha(data))


async def test_another_key_finds_nothing_even_with_the_hash() -> None:
    store = BlobStore(Limits())
    with KeyBlobs(store, ANN) as ann, KeyBlobs(store, EVE) as eve:
        digest = put_all(ann, b"a private picture")
        assert eve.received(digest, 17) == 0
        for reach in (eve.get, eve.take):
            with pytest.raises(Rejection) as caught:
                reach(digest)
            with pytest.raises(Rejection) as unknown:
                reach(sha(b"nothing of anybody"))
            assert caught.value.message == unknown.value.message
        assert ann.get(digest) == b"a private picture"


async def test_bytes_of_another_hash_are_dropped() -> None:
    store = BlobStore(Limits())
    with KeyBlobs(store, ANN) as blobs:
        with pytest.raises(RemoteProtocolError, match="another hash"):
            blobs.put(sha(b"promised"), 8, 0, b"brought!")
        assert store.held_bytes == 0 and blobs.received(sha(b"promised"), 8) == 0


async def test_chunks_come_in_order_of_a_sensible_size_and_agree_about_the_whole() -> None:
    store, data = BlobStore(Limits()), os.urandom(300 * KIB)
    with KeyBlobs(store, ANN) as blobs:
        wrong = [
            (0, data[: CHUNK_BYTES_LEAST - 1], "a chunk has"),
            (0, data[: CHUNK_BYTES_MOST + 1], "a chunk has"),
            (0, b"", "a chunk has"),
        ]
        for offset, chunk, said in wrong:
            with pytest.raises(RemoteProtocolError, match=said):
                blobs.put(sha(data), len(data), offset, chunk)
        with pytest.raises(Rejection, match="Send it again"):
            blobs.put(sha(data), len(data), 8 * KIB, data[: 8 * KIB])
        blobs.put(sha(data), len(data), 0, data[: 8 * KIB])
        for offset in (0, 4 * KIB, 12 * KIB):
            with pytest.raises(RemoteProtocolError, match="8192 bytes are here"):
                blobs.put(sha(data), len(data), offset, data[: 8 * KIB])
        with pytest.raises(RemoteProtocolError, match="another size"):
            blobs.put(sha(data), len(data) + 1, 8 * KIB, data[: 8 * KIB])
        with pytest.raises(RemoteProtocolError, match="a chunk has"):  # more than is missing
            blobs.put(sha(data[: 12 * KIB]), 12 * KIB, 0, data[: 16 * KIB])
        assert store.held_bytes == 8 * KIB


async def test_what_is_declared_too_large_is_refused_before_its_first_byte() -> None:
    store = BlobStore(Limits())
    with KeyBlobs(store, ANN) as blobs:
        with pytest.raises(Rejection, match=r"1024\.0 MiB, where 64\.0 MiB are the most") as caught:
            blobs.received(sha(b""), 1024 * 1024 * KIB)
        assert caught.value.typed_fields == {"reason": "limit"}
        with pytest.raises(Rejection, match="too large"):
            blobs.put(sha(b""), 64 * 1024 * KIB + 1, 0, bytes(8 * KIB))
        assert store.held_bytes == 0


async def test_a_key_that_needs_room_gives_up_what_it_used_longest_ago() -> None:
    store = BlobStore(small())
    with KeyBlobs(store, ANN) as blobs:
        first, second = (put_all(blobs, os.urandom(40 * KIB)) for _ in range(2))
        blobs.get(first)
        third = put_all(blobs, os.urandom(40 * KIB))
        assert store.held_bytes == 80 * KIB
        assert blobs.get(first) and blobs.get(third)
        with pytest.raises(Rejection):
            blobs.get(second)
        for count in range(BLOBS_PER_KEY + 10):  # and no key has many, however small
            put_all(blobs, b"%d" % count)
        assert len(store._shelves[ANN].blobs) == BLOBS_PER_KEY


async def test_where_all_are_full_the_key_that_holds_most_gives_way() -> None:
    store = BlobStore(small())
    with KeyBlobs(store, ANN) as ann, KeyBlobs(store, EVE) as eve:
        modest = put_all(ann, os.urandom(40 * KIB))
        greedy = [put_all(eve, os.urandom(48 * KIB)) for _ in range(2)]
        put_all(ann, os.urandom(40 * KIB))
        assert store.held_bytes <= 150 * KIB and ann.get(modest)
        with pytest.raises(Rejection):
            eve.get(greedy[0])
    crowd = BlobStore(small(64 * KIB))
    for number in range(64):  # keys cost nothing: many of them hold no more than one
        with KeyBlobs(crowd, bytes([number]) * 32) as some:
            put_all(some, os.urandom(60 * KIB), chunk=20 * KIB)
        assert crowd.held_bytes <= 64 * KIB


async def test_what_nobody_uses_and_what_is_left_behind_is_forgotten() -> None:
    store = BlobStore(Limits())
    with KeyBlobs(store, ANN) as blobs:
        digest = put_all(blobs, b"used now and then")
        for _ in range(3):
            await asyncio.sleep(UNUSED_SECONDS * 0.9)
            blobs.get(digest)
        await asyncio.sleep(UNUSED_SECONDS + LEFT_SECONDS)
        assert store.held_bytes == 0
        digest = put_all(blobs, b"left behind")
    await asyncio.sleep(LEFT_SECONDS * 0.9)
    with KeyBlobs(store, ANN) as blobs:  # connected again in time
        assert blobs.get(digest)
        await asyncio.sleep(LEFT_SECONDS * 2)
        assert blobs.get(digest)
    await asyncio.sleep(LEFT_SECONDS * 2)
    assert store.held_bytes == 0 and not store._shelves


# --- Over a connection --------------------------------------------------------------------------------------------


async def test_bytes_travel_once_and_whole() -> None:
    async with provider_room() as room:
        consumer, data = room.consumer(), os.urandom(1500 * KIB) + b'\n{"type":"putBlob"\n'
        connection = await connected(consumer)
        told: list[tuple[int, int]] = []
        digest = await connection.put_blob(data, lambda here, of: told.append((here, of)))
        assert digest == sha(data)
        assert told[0] == (0, len(data)) and told[-1] == (len(data), len(data)) and told == sorted(told)
        (session,) = room.provider._sessions
        assert session.blobs.get(digest) == data
        before = len(room.streams[0].written)
        assert await connection.put_blob(data) == digest
        assert len(room.streams[0].written) - before < KIB
        await consumer.close()


async def test_an_upload_goes_on_where_it_broke_off() -> None:
    async with provider_room() as room:
        consumer, data = room.consumer(), os.urandom(2000 * KIB)
        connection = await connected(consumer)

        def break_off(here: int, of: int) -> None:
            if here >= 1000 * KIB:
                connection.destroy()

        with pytest.raises(ConnectionClosed):
            await connection.put_blob(data, break_off)
        again = await connected(consumer)
        assert again is not connection
        told: list[int] = []
        await again.put_blob(data, lambda here, of: told.append(here))
        assert told[0] >= 1000 * KIB
        await consumer.close()


async def test_heartbeats_and_answers_go_on_while_a_long_file_travels() -> None:
    async with provider_room() as room:
        room.pool.model.words = ["word "] * 20
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        connection = await connected(consumer)
        answer = await consumer.completion(loaded.model_id, ASK)
        upload = asyncio.create_task(connection.put_blob(bytes(20_000 * KIB)))
        beats = 0
        while not upload.done():
            await connection.ask(Heartbeat(), HeartbeatReply, 1.5)
            beats += 1
        assert beats >= 20_000 * KIB // CHUNK_BYTES_MOST  # never behind more than one chunk
        assert await answer.text == "word " * 20
        await consumer.close()


async def test_a_provider_that_is_not_ours_is_not_asked() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        connection = await connected(consumer)
        await connection.greeted()
        connection.hello = None
        with pytest.raises(DelegationError, match="cannot take pictures: it does not run QVAC Desktop") as caught:
            await connection.put_blob(b"bytes", what="pictures")
        assert caught.value.name == "MODEL_OPERATION_NOT_SUPPORTED"
        await consumer.close()


async def test_refusals_are_errors_with_names_and_leave_the_connection_good() -> None:
    async with provider_room(limits=small()) as room:
        consumer = room.consumer()
        connection = await connected(consumer)
        with pytest.raises(ProviderError, match="too large for the provider") as caught:
            await connection.put_blob(bytes(64 * KIB + 1))
        assert (caught.value.name, caught.value.typed_fields) == (
            "REQUEST_REJECTED_BY_POLICY",
            {"reason": "limit"},
        )
        with pytest.raises(LocalProtocolError, match="empty"):
            await connection.put_blob(b"")
        room.provider.paused = True
        with pytest.raises(ProviderError, match="not taking requests"):
            await connection.put_blob(b"bytes")
        room.provider.paused = False
        assert await connection.put_blob(b"bytes") == sha(b"bytes")
        await consumer.close()


async def test_a_provider_that_counts_wrong_does_not_hold_an_upload_for_ever() -> None:
    class Liar:
        def __init__(self, received: int) -> None:
            self.received = received

        async def ask(self, message: object, expect: object, seconds: float, payload: bytes = b"") -> object:
            return BlobStatusReply(0) if isinstance(message, BlobStatus) else PutBlobReply(self.received)

    for received in (0, 10_001):
        with pytest.raises(RemoteProtocolError):
            await upload(Liar(received), BytesSource(bytes(10_000)))  # type: ignore[arg-type]


# --- What hostile guests try --------------------------------------------------------------------------------------


async def test_floods_of_chunks_stay_within_the_bounds_and_cost_nobody_an_answer() -> None:
    async with provider_room(admitting(CONSUMER_KEY, STRANGER_KEY), small()) as room:
        room.pool.model.words = ["word "] * 20
        honest = room.consumer(STRANGER_KEY)
        loaded = await honest.load_model(SMOL.name, delegate=DELEGATE)
        answer = await honest.completion(loaded.model_id, ASK)
        peers = [RawPeer(room, capacity=1 << 20) for _ in range(3)]
        for number in range(40):
            data = os.urandom(60 * KIB)
            for peer in peers:  # begun and never ended
                message = PutBlob(sha(data), 64 * KIB, 0)
                await peer.send(encode(message) + b"\n" + data)
            await settle()
            assert room.provider._blobs.held_bytes <= 150 * KIB, number
        assert await answer.text == "word " * 20
        await honest.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"putBlob"',
        b'{"type":"putBlob"}\nbytes',
        b'{"type":"putBlob","sha256":"../../x","sizeBytes":5,"offset":0}\nbytes',
        b'{"type":"putBlob","sha256":"%s","sizeBytes":-5,"offset":0}\nbytes' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":1e999,"offset":0}\nbytes' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":99999999999999999999999,"offset":0}\nbytes' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":5,"offset":-1}\nbytes' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":5,"offset":0}\n' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":5,"offset":0}' % (b"a" * 64),
        b'{"type":"putBlob","sha256":"%s","sizeBytes":5,"offset":0}\nbytes' % (b"a" * 64),
        b'{"type":"blobStatus","sha256":"%s","sizeBytes":0}' % (b"a" * 64),
        b'{"type":"blobStatus","sha256":"%s","sizeBytes":1099511627776}' % (b"a" * 64),
    ],
)
async def test_a_blob_message_that_is_none_is_a_named_error(body: bytes) -> None:
    async with provider_room() as room:
        peer = RawPeer(room)
        bad = await peer.send(body)
        good = await peer.send(b'{"type":"heartbeat"}')
        await settle(50)
        answers = peer.answers()
        assert answers[bad][0]["type"] == "error" and answers[bad][0]["code"] in (53852, 52420)
        assert answers[good][0]["type"] == "heartbeat" and room.provider._blobs.held_bytes == 0


def test_a_file_is_read_in_parts_and_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """In real time: files are read on threads."""

    async def main() -> None:
        data = os.urandom(900 * KIB)
        path = tmp_path / "speech.ogg"
        path.write_bytes(data)
        async with provider_room() as room:
            consumer = room.consumer()
            connection = await connected(consumer)
            assert await connection.put_blob(path) == sha(data)
            (session,) = room.provider._sessions
            assert session.blobs.take(sha(data)) == data
            with pytest.raises(LocalProtocolError, match=r"absent\.ogg cannot be read: No such file"):
                await connection.put_blob(tmp_path / "absent.ogg")

            def shorten(here: int, of: int) -> None:
                os.truncate(path, 100)

            with pytest.raises(LocalProtocolError, match="became shorter"):
                await connection.put_blob(path, shorten)
            await consumer.close()

    asyncio.run(main())
