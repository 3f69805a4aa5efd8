"""The real @qvac/sdk 0.16 as a provider for our consumer, over our network, with a real small model in its engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.life_signs import LifeSigns
from qvac_core.delegation.messages import (
    Attachment,
    GenerationParams,
    Heartbeat,
    HeartbeatReply,
    HistoryMessage,
    ModelProgress,
)
from qvac_core.errors import DelegationError, InferenceCancelled, ModelError, ProviderError
from qvac_core.hyperdht import DHT, Connection, KeyPair, create_testnet
from tests.interop.sdk_peer import SdkPeer
from tests.pictures import shades

# The kit is installed by whoever comes first.
pytestmark = pytest.mark.timeout(900)

ASK = [HistoryMessage(role="user", content="What is the capital of France?")]
STORY = [HistoryMessage(role="user", content="Tell me a very long story about a river.")]
SHORT = GenerationParams(temp=0, predict=8)
LONG = GenerationParams(temp=0.0, predict=900)
CONFIG = {"ctx_size": 1024, "device": "cpu"}


@dataclass
class Stage:
    consumer: Consumer
    delegate: Delegate
    provider: SdkPeer


@asynccontextmanager
async def stage(home: Path, data: Path, *options: str) -> AsyncIterator[Stage]:
    """A testnet of ours, the SDK's provider on it, and our consumer."""
    async with (
        await create_testnet(4) as net,
        SdkPeer(home, data, net.bootstrap, "provider.mjs", *options) as provider,
        DHT(net.bootstrap, host="127.0.0.1") as dht,
    ):
        ready = await provider.until("ready")
        await dht.ready()
        key_pair = KeyPair.from_seed(b"\x09" * 32)

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> Connection:
            return await dht.connect(public_key, key_pair)

        consumer = Consumer(connect)
        yield Stage(consumer, Delegate(bytes.fromhex(ready["publicKey"]), timeout=60), provider)
        await consumer.close()


async def test_load_stream_statistics_parallel_unload(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer, delegate = scene.consumer, scene.delegate
        assert await consumer.heartbeat(delegate) < 1.5
        progress: list[ModelProgress] = []
        loaded = await consumer.load_model(
            str(small_model_path), delegate=delegate, model_config=CONFIG, on_progress=progress.append
        )
        assert loaded.where == "delegated"
        run = await consumer.completion(loaded.model_id, ASK, generation_params=SHORT)
        tokens = [token async for token in run.token_stream]
        final = await run.final
        assert final.text == "".join(tokens) and len(tokens) > 1
        assert final.stop_reason == "length"
        assert final.stats is not None and final.stats.generated_tokens == 8
        assert final.stats.backend_device == "cpu"
        runs = [await consumer.completion(loaded.model_id, ASK, generation_params=SHORT) for _ in range(3)]
        assert await asyncio.gather(*(one.text for one in runs)) == [final.text] * 3
        whole = await consumer.completion(loaded.model_id, ASK, generation_params=SHORT, stream=False)
        assert await whole.text == final.text
        connection = consumer.connection(delegate.provider_public_key)
        assert connection is not None and connection.hello is None  # it is not one of ours, and did not mind
        assert await consumer.unload_model(loaded.model_id)
        again = await consumer.load_model(str(small_model_path), delegate=delegate, model_config=CONFIG)
        assert again.model_id == loaded.model_id


async def test_an_answer_that_fills_its_context_is_an_end(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """It fails with CONTEXT_OVERFLOW there, after all that was said."""

    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        config = {"ctx_size": 64, "device": "cpu"}
        loaded = await consumer.load_model(
            str(small_model_path.resolve()), delegate=scene.delegate, model_config=config
        )
        run = await consumer.completion(loaded.model_id, STORY, generation_params=GenerationParams(temp=0))
        final = await run.final
        assert final.text and final.stop_reason == "length"
        long = [HistoryMessage(role="user", content="word " * 300)]
        with pytest.raises(ProviderError):
            await (await consumer.completion(loaded.model_id, long)).text


async def test_cancel_both_ways(sdk_peer_home: Path, tmp_path: Path, small_model_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        loaded = await consumer.load_model(str(small_model_path), delegate=scene.delegate, model_config=CONFIG)
        for by_request in (True, False):
            run = await consumer.completion(loaded.model_id, STORY, generation_params=LONG)
            tokens = run.token_stream
            await anext(tokens)
            if by_request:
                assert await consumer.cancel(request_id=run.request_id) == 1
            else:
                assert await consumer.cancel(model_id=loaded.model_id) == 1
            with pytest.raises(InferenceCancelled) as caught:
                async with asyncio.timeout(10):
                    await run.text
            assert caught.value.typed_fields["text"]


async def test_it_survives_our_consumer_leaving_mid_answer(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        loaded = await consumer.load_model(str(small_model_path), delegate=scene.delegate, model_config=CONFIG)
        async with await consumer.completion(loaded.model_id, STORY, generation_params=LONG) as run:
            await anext(run.token_stream)
        # and with the connection closed under it, as when the window closes
        await consumer.completion(loaded.model_id, STORY, generation_params=LONG)
        run = await consumer.completion(loaded.model_id, STORY, generation_params=LONG)
        await consumer.disconnect(scene.delegate.provider_public_key)
        # A worker that died would have forgotten the model.
        answer = await consumer.completion(loaded.model_id, ASK, generation_params=SHORT)
        assert await answer.text
        assert not scene.provider.of("error")


async def test_its_errors_are_ours(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer, delegate = scene.consumer, scene.delegate
        with pytest.raises(ModelError, match="failed to load") as failed:
            await consumer.load_model("/nowhere/x.gguf", delegate=delegate, on_progress=lambda p: None)
        assert failed.value.code == 52200
        run = await consumer.completion("deadbeefdeadbeef", ASK, delegate=delegate)
        with pytest.raises(ProviderError, match="not found"):
            await run.text
        assert await consumer.list_models(delegate) is None
        with pytest.raises(DelegationError) as unknown:
            await consumer.heartbeat(Delegate(KeyPair.from_seed(b"\x01" * 32).public_key, timeout=20))
        assert (unknown.value.name, unknown.value.code) == ("PEER_NOT_FOUND", 53701)
        assert await consumer.heartbeat(delegate) < 1.5


async def test_its_firewall_is_an_error_of_the_connection(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path, "--allow", "ab" * 32) as scene:
        with pytest.raises(DelegationError) as refused:
            await scene.consumer.heartbeat(scene.delegate)
        assert (refused.value.name, refused.value.code) == ("PEER_CONNECTION_FAILED", 53701)


async def test_it_gives_signs_of_life_while_it_answers_and_is_told_silent_when_killed(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """Its heartbeat is all there is to ask it; it answers that beside its inference."""

    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer, delegate = scene.consumer, scene.delegate
        loaded = await consumer.load_model(str(small_model_path.absolute()), delegate=delegate, model_config=CONFIG)
        run = await consumer.completion(loaded.model_id, STORY, generation_params=LONG)
        connection = consumer.connection(delegate.provider_public_key)
        assert connection is not None
        told: asyncio.Queue[float | None] = asyncio.Queue()
        signs = LifeSigns(lambda: connection, told.put_nowait)
        await connection.ask(Heartbeat(), HeartbeatReply, 1.5)
        assert connection.quiet < 1 and not run.finished
        watching = asyncio.create_task(signs.watch())
        scene.provider.kill()
        while not connection.gone:
            await asyncio.sleep(0.05)
        assert connection.quiet < 2.7  # as fast as its wire allows
        assert await told.get() is not None
        assert not connection.closed  # the connection itself knows nothing yet
        watching.cancel()
        await asyncio.wait({watching})


async def test_it_gets_no_picture_and_the_user_is_told(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """No message of the SDK carries bytes: a path would be opened on the provider's machine."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(shades())

    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer, delegate = scene.consumer, scene.delegate
        loaded = await consumer.load_model(str(small_model_path.resolve()), delegate=delegate, model_config=CONFIG)
        history = [HistoryMessage("user", "What is this?", [Attachment(str(photo))])]
        with pytest.raises(DelegationError, match="cannot take pictures: it does not run QVAC Desktop"):
            await consumer.completion(loaded.model_id, history)
        assert await (await consumer.completion(loaded.model_id, ASK, generation_params=SHORT)).text


async def begun_and_left(consumer: Consumer, model_id: str, text: str) -> None:
    """Leave a translation after its first token.

    The original answers a cancel before its one job has ended, and refuses the next one until then.
    """
    while True:
        try:
            async with await consumer.translate(model_id, text, to="de", from_="en") as left:
                await anext(left.token_stream)
            return
        except ProviderError as error:
            if "job is already set" not in error.message:
                raise
            await asyncio.sleep(0.1)


async def test_it_translates_for_our_consumer_though_its_own_never_asks(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """As it does at home: it finds the language out where none is said, and after a cancel its last line is as ever."""
    english = "The weather is very nice today, and the children are playing in the garden."

    async with stage(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        loaded = await consumer.load_model(
            str(small_model_path.resolve()), delegate=scene.delegate, model_config=CONFIG
        )
        texts = []
        for source in ("en", None):
            run = await consumer.translate(loaded.model_id, english, to="fr", from_=source)
            tokens = [token async for token in run.token_stream]
            final = await run.final
            assert final.text == "".join(tokens) and len(tokens) > 3 and final.stop_reason == ""
            assert final.stats is not None and isinstance(final.stats.total_tokens, float)
            assert final.stats.total_tokens >= len(tokens)
            assert not final.text.startswith("assistant"), "the role that the model writes first"
            texts.append(final.text)
        assert texts[0] == texts[1], "it found out that this is English"
        with pytest.raises(ProviderError, match="source language"):
            await (await consumer.translate(loaded.model_id, "1234 5678", to="fr")).text
        run = await consumer.translate(loaded.model_id, english * 5, to="fr", from_="en")
        await anext(run.token_stream)
        assert await run.cancel() == 1
        with pytest.raises(InferenceCancelled) as caught:
            async with asyncio.timeout(30):
                await run.text
        assert caught.value.typed_fields["text"]
        async with asyncio.timeout(60):
            await begun_and_left(consumer, loaded.model_id, english)
        answer = await consumer.completion(loaded.model_id, ASK, generation_params=SHORT)
        assert await answer.text, "and it lives"
        assert not scene.provider.of("error")
