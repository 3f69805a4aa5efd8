"""Pictures in a delegated chat: their bytes travel once, reach the engine as they are, and every misuse has a name."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qvac_core.delegation.blobs import CHUNK_BYTES_MOST
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.consumer import Consumer, Loaded
from qvac_core.delegation.messages import Attachment, HistoryMessage, PutBlob, encode
from qvac_core.delegation.picture_upload import wire_history
from qvac_core.engines.interface import ChatMessage
from qvac_core.engines.pictures import PICTURES
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError, ProviderError
from tests.pictures import blue, chessboard, declared, noise, shades
from tests.unit.delegation_room import (
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
from tests.unit.test_delegation_hostile import RawPeer

RUNNER = run


def asking(*pictures: bytes) -> list[ChatMessage]:
    return [ChatMessage("user", "What is this?", pictures)]


async def ask(consumer: Consumer, loaded: Loaded, history: Sequence[ChatMessage], **how: Any) -> Completion:
    messages, pictures = wire_history(history)
    return await consumer.completion(loaded.model_id, messages, pictures=pictures, **how)


async def loaded_by(room: Room, consumer: Consumer, *, vision: bool = True) -> Loaded:
    room.pool.model.vision = vision
    return await consumer.load_model(SMOL.name, delegate=DELEGATE)


def shown(room: Room) -> list[tuple[bytes, ...]]:
    """The pictures of each message of the last request."""
    return [message.pictures for message in room.pool.model.requests[-1].history]


async def test_pictures_reach_the_engine_as_they_are_and_travel_once() -> None:
    async with provider_room() as room:
        consumer, large = room.consumer(), noise(600)
        loaded = await loaded_by(room, consumer)
        told: list[tuple[int, int]] = []
        history = asking(large, blue())
        first = await ask(consumer, loaded, history, on_upload=lambda *there: told.append(there))
        assert await first.text == "one two three"
        assert shown(room) == [(large, blue())]
        assert (len(large), len(large)) in told and (len(blue()), len(blue())) in told
        sent = len(room.streams[0].written)
        assert sent > len(large)
        history += [ChatMessage("assistant", "one two three"), ChatMessage("user", "And this?", (chessboard(),))]
        second = await ask(consumer, loaded, history)
        assert await second.text == "one two three"
        assert shown(room) == [(large, blue()), (), (chessboard(),)]
        assert len(room.streams[0].written) - sent < 8 * 1024
        await consumer.close()


async def test_an_answer_about_a_picture_keeps_no_session() -> None:
    """A KV-cache session is text: what follows a picture is read whole, and the session is not touched."""

    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await loaded_by(room, consumer)
        await (await ask(consumer, loaded, asking(blue()), kv_cache="mine")).text
        request = room.pool.model.requests[-1]
        assert request.session == () and [message.role for message in request.history] == ["user"]
        assert room.provider._service.sessions._sessions == {}
        await consumer.close()


async def test_a_model_that_cannot_see_says_so() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await loaded_by(room, consumer, vision=False)
        with pytest.raises(ProviderError, match="cannot see pictures") as caught:
            await (await ask(consumer, loaded, asking(blue()))).text
        assert (caught.value.name, caught.value.code) == ("MODEL_OPERATION_NOT_SUPPORTED", 52416)
        assert caught.value.typed_fields == {"reason": "no_vision"}
        assert room.pool.model.requests == []
        await consumer.close()


async def test_a_javascript_provider_gets_no_picture_and_the_user_is_told() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await loaded_by(room, consumer)
        connection = consumer.connection(PROVIDER_KEY)
        assert connection is not None
        await connection.greeted()
        connection.hello = None
        with pytest.raises(DelegationError, match="cannot take pictures: it does not run QVAC Desktop"):
            await ask(consumer, loaded, asking(blue()))
        assert room.pool.model.requests == []
        assert await (await ask(consumer, loaded, asking())).text
        await consumer.close()


async def test_a_picture_that_was_forgotten_meanwhile_is_named() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await loaded_by(room, consumer)
        room.pool.model.words = ["word "] * 20
        running = [await ask(consumer, loaded, asking(blue())) for _ in range(4)]  # 3 at a time
        await settle(50)
        room.provider._blobs.clear()
        for answer in running[:3]:
            assert await answer.text == "word " * 20
        with pytest.raises(ProviderError, match="Send it again") as caught:
            await running[3].text
        assert caught.value.name == "ATTACHMENT_NOT_FOUND"
        await consumer.close()


@pytest.mark.parametrize(
    "pictures, error",
    [
        ((b"no picture",), "PLUGIN_REQUEST_VALIDATION_FAILED"),
        ((declared(8000, 8000),), "REQUEST_REJECTED_BY_POLICY"),
        ((blue(),) * (PICTURES + 1), "REQUEST_REJECTED_BY_POLICY"),
    ],
)
async def test_what_is_no_picture_never_leaves_the_consumer(pictures: tuple[bytes, ...], error: str) -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await loaded_by(room, consumer)
        with pytest.raises(ModelError) as caught:
            await ask(consumer, loaded, asking(*pictures))
        assert caught.value.name == error
        assert room.provider._blobs.held_bytes == 0
        await consumer.close()


def test_files_of_this_machine_are_read_and_those_that_are_none_named(tmp_path: Path) -> None:
    """In real time: files are read on threads."""
    (tmp_path / "a cat.png").write_bytes(shades())
    (tmp_path / "large.png").write_bytes(shades() + bytes(21 << 20))

    async def main() -> None:
        async with provider_room() as room:
            consumer = room.consumer()
            loaded = await loaded_by(room, consumer)

            async def asked(path: str) -> str:
                history = [HistoryMessage("user", "What is this?", [Attachment(path)])]
                return await (await consumer.completion(loaded.model_id, history)).text

            assert await asked(str(tmp_path / "a cat.png")) == "one two three"
            assert shown(room) == [(shades(),)]
            wire = bytes(room.streams[0].written)
            assert b'"name":"a cat.png"' in wire and b'"mediaType":"image/png"' in wire
            assert str(tmp_path).encode() not in wire
            for path in (str(tmp_path), str(tmp_path / "dog.png"), "/dev/zero", "~nobody/cat.png", "a\0b"):
                with pytest.raises(LocalProtocolError, match="There is no file") as caught:
                    await asked(path)
                assert caught.value.name == "ATTACHMENT_NOT_FOUND"
            with pytest.raises(ModelError, match="20 MiB at most"):
                await asked(str(tmp_path / "large.png"))
            await consumer.close()

    asyncio.run(main())


# --- What hostile guests try --------------------------------------------------------------------------------------


class Guest(RawPeer):
    """Puts what it likes, and asks about it."""

    def __init__(self, room: Room, key: bytes = CONSUMER_KEY) -> None:
        super().__init__(room, capacity=64 << 20)
        if key != CONSUMER_KEY:
            self.stream = room.stream_as(key, capacity=64 << 20)
        self.model_id = ""

    async def says(self, body: bytes | dict[str, Any]) -> list[Any]:
        request_id = await self.send(body if isinstance(body, bytes) else json.dumps(body).encode())
        for _ in range(400):
            await settle()
            answers = self.answers().get(request_id, [])
            if answers and (answers[-1].get("done") or answers[-1]["type"] != "completionStream"):
                return answers
            await asyncio.sleep(0.1)
        raise AssertionError("no answer")

    async def load(self) -> None:
        (reply,) = await self.says(
            {"type": "loadModel", "modelSrc": SMOL.name, "modelType": "llamacpp-completion", "modelConfig": {}}
        )
        self.model_id = reply["modelId"]

    async def put(self, data: bytes, digest: str | None = None) -> None:
        digest = digest or hashlib.sha256(data).hexdigest()
        for start in range(0, len(data), CHUNK_BYTES_MOST):
            head = encode(PutBlob(digest, len(data), start))
            await self.says(head + b"\n" + data[start : start + CHUNK_BYTES_MOST])

    async def ask(self, *attachments: dict[str, Any], role: str = "user") -> dict[str, Any]:
        entry = {"role": role, "content": "x", "attachments": list(attachments)}
        answers = await self.says(
            {"type": "completionStream", "modelId": self.model_id, "history": [entry], "stream": True}
        )
        last: dict[str, Any] = answers[-1]
        return last


def attached(data: bytes) -> dict[str, Any]:
    return {"path": "", "sha256": hashlib.sha256(data).hexdigest()}


async def test_every_misuse_is_a_named_refusal_and_the_engine_hears_of_none() -> None:
    async with provider_room() as room:
        room.pool.model.vision = True
        guest = Guest(room)
        await guest.load()
        bomb, text, cut = declared(50_000, 50_000), b"GIF of nothing", shades()[:20]
        for data in (bomb, text, cut, blue()):
            await guest.put(data)
        refused = [
            ((attached(bomb),), "user", 52420),
            ((attached(text),), "user", 53852),
            ((attached(cut),), "user", 53852),
            ((attached(blue()),) * (PICTURES + 1), "user", 52420),
            ((attached(b"never put"),), "user", 52407),
            (({"path": "/etc/passwd"},), "user", 52407),
            (({"path": "/etc/passwd", "sha256": "../../etc/passwd"},), "user", 53852),
            (({"path": "", "sha256": "A" * 64},), "user", 53852),
            ((attached(blue()),), "system", 52416),
            ((attached(blue()),), "assistant", 52416),
        ]
        for attachments, role, code in refused:
            answer = await guest.ask(*attachments, role=role)
            assert (answer["type"], answer["code"]) == ("error", code), (attachments, answer)
            assert "passwd" not in answer["message"]
        assert room.pool.model.requests == []
        assert (await guest.ask(attached(blue())))["done"] is True


async def test_the_hash_of_anothers_picture_opens_nothing() -> None:
    async with provider_room(admitting(CONSUMER_KEY, STRANGER_KEY)) as room:
        room.pool.model.vision = True
        ann, eve = Guest(room), Guest(room, STRANGER_KEY)
        for guest in (ann, eve):
            await guest.load()
        await ann.put(shades())
        stolen, unknown = await eve.ask(attached(shades())), await eve.ask(attached(b"nobody's"))
        assert stolen == unknown and stolen["code"] == 52407
        (status,) = await eve.says({"type": "blobStatus", "sha256": attached(shades())["sha256"], "sizeBytes": 99})
        assert status["received"] == 0
        assert (await ann.ask(attached(shades())))["done"] is True
