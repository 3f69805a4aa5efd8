"""Strangers and admitted guests who mean harm, over real connections to the installed provider.

docs/architecture.md "Safe by default". After each of them the provider serves an honest guest, has printed no error,
and has told nobody a path or an address of its owner's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from qvac_core.errors import NetworkError, QvacError
from tests.e2e.program import Program, qvac_desktop, run
from tests.e2e.raw_guest import RawGuest, key_pair

PROVIDER_SEED, GUEST_SEED, STRANGER_SEED, BLOCKED_SEED = "61" * 32, "62" * 32, "63" * 32, "64" * 32
HONEST_SEED = "66" * 32
KEY = key_pair(PROVIDER_SEED).public_key.hex()
LONG = "Write a very long story about a lighthouse."
MIB = 1 << 20

# Everything that 0.16.0 hands to a remote peer and ours must not (docs/wire/qvac.md sections 1, 2 and 9).
FORBIDDEN = (
    *("batchCompletionStream", "textToSpeech", "ocrStream", "classify"),
    *("diffusionStream", "videoStream", "upscaleStream", "bciTranscribe", "rag", "finetune", "downloadAsset"),
    *("deleteCache", "getModelInfo", "getLoadedModelInfo", "pluginInvoke", "pluginInvokeStream", "loggingStream"),
    *("modelRegistryList", "modelRegistrySearch", "modelRegistryGetModel", "suspend", "resume", "state"),
    *("provide", "stopProvide", "__init_config", "__shutdown__"),
    *("transcribeStream", "completionOrchestrate", "textToSpeechStream", "bciTranscribeStream"),
)
NOT_FOR_STRANGERS = 53704
MODEL_NOT_FOUND, NOT_SUPPORTED, INVALID = 52002, 52416, 53852
NO_SOUND = {"audioChunk": {"type": "base64", "value": ""}}


class Provider:
    """The provider under attack, and what every guest of a test has heard from it."""

    def __init__(self, program: Program, bootstrap: str, folder: Path, model: Path) -> None:
        self.program = program
        self.bootstrap = bootstrap
        self.folder = folder
        self.model = model
        self.process = psutil.Process(program.process.pid)
        self.guests: list[RawGuest] = []

    def guest(self, seed: str = GUEST_SEED) -> RawGuest:
        guest = RawGuest(self.bootstrap, seed, KEY)
        self.guests.append(guest)
        return guest

    def rss(self) -> int:
        return int(self.process.memory_info().rss)

    async def load(self, guest: RawGuest) -> str:
        (model,) = (await guest.ask({"type": "listModels"}))[0]["models"]
        (reply,) = await guest.ask(load_model(model["name"]))
        assert reply["success"], reply
        return str(reply["modelId"])

    def assert_told_nothing(self) -> None:
        for guest in self.guests:
            for secret in (str(self.folder), str(self.model.parent), "Traceback", 'File "', "/home/", "/root/", ".py"):
                assert secret.encode() not in guest.heard, secret
        self.guests.clear()


def load_model(source: str, **fields: Any) -> dict[str, Any]:
    config = {"ctx_size": 1024, "gpu_layers": 0, "device": "cpu", **fields.pop("config", {})}
    return {
        "type": "loadModel",
        "modelSrc": source,
        "modelType": "llamacpp-completion",
        "modelConfig": config,
        "seed": False,
        **fields,
    }


def ask(model_id: str, prompt: str, predict: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "completionStream",
        "modelId": model_id,
        "history": [{"role": "user", "content": prompt}],
        "stream": True,
        "generationParams": {"temp": 0, "predict": predict},
        **fields,
    }


@pytest.fixture(scope="module")
def served(bootstrap: str, small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("owner")
    allowed = (option for seed in (GUEST_SEED, HONEST_SEED) for option in ("--allow", key_pair(seed).public_key.hex()))
    rules = (*allowed, "--deny", key_pair(BLOCKED_SEED).public_key.hex())
    with qvac_desktop(
        *("provider", "--json", "--seed", PROVIDER_SEED, "--bootstrap", bootstrap, "--model", str(small_model_path)),
        *rules,
        data_dir=folder,
    ) as program:
        program.until("ready")
        yield Provider(program, bootstrap, folder, small_model_path)


@pytest.fixture
def provider(served: Provider) -> Iterator[Provider]:
    yield served
    asyncio.run(_honest_guest(served))
    assert served.program.stderr == ""
    served.assert_told_nothing()


async def _honest_guest(provider: Provider) -> None:
    async with provider.guest(HONEST_SEED) as guest:
        (beat,) = await guest.ask({"type": "heartbeat"})
        assert beat["type"] == "heartbeat"
        lines = await guest.ask(ask(await provider.load(guest), "Hello", 2))
        assert lines[-1]["done"] is True


def attack(function: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await function()

    asyncio.run(main())


# --- What may be asked for ---------------------------------------------------------------------------------------


async def test_methods_that_are_not_for_remote_peers(provider: Provider) -> None:

    async with provider.guest() as guest:
        model_id = await provider.load(guest)
        for method in FORBIDDEN:
            body = {"type": method, "modelId": model_id, "all": True, "text": "x", "withProgress": True}
            (error,) = await guest.ask(body)
            assert error["type"] == "error", method
            assert error["code"] == NOT_FOR_STRANGERS, method
            assert "stack" not in error
        (error,) = await guest.ask(None)  # a duplex request brings its body on a stream of its own: here it never does
        assert error["code"] == INVALID
        for method in ("embed", "transcribe"):  # of another kind of model
            (error,) = await guest.ask({"type": method, "modelId": model_id, "text": "x", **NO_SOUND})
            assert error["code"] == NOT_SUPPORTED, method
        (unknown,) = await guest.ask({"type": "rm -rf"})
        assert unknown["code"] == NOT_FOR_STRANGERS
        assert "rm -rf" not in unknown["message"], "no text of a stranger is given back as ours"
        lines = await guest.ask(ask(model_id, "Hello", 2))
        assert lines[-1]["done"] is True, "the model is still loaded and nothing was shut down"


def test_paths_and_addresses_are_never_opened(provider: Provider, tmp_path: Path) -> None:
    unshared = tmp_path / "unshared.gguf"
    unshared.symlink_to(provider.model)
    before = _files(provider.folder)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        port = canary.getsockname()[1]
        sources = [
            *("/etc/passwd", "/no/such/file.gguf", "../../../../etc/passwd", str(provider.folder / "identity")),
            *(str(provider.folder / "qvac.db"), str(unshared), "C:\\Windows\\win.ini", "~/.ssh/id_ed25519"),
            *(f"http://127.0.0.1:{port}/x.gguf", f"https://127.0.0.1:{port}/x.gguf", f"//127.0.0.1:{port}/x.gguf"),
            *("file:///etc/passwd", "registry://hf/a/b/resolve/main/c.gguf", f"pear://{'a' * 52}/x", "no-such-model"),
            *("x" * 30000, "\x00", "identity", "qvac.db"),
        ]

        async def main() -> None:
            async with provider.guest() as guest:
                answers = [await guest.ask(load_model(source)) for source in sources]
                assert all(answer == answers[0] for answer in answers), "unknown and not shared answer alike"
                (reply,) = answers[0]
                assert (reply["success"], reply["code"]) == (False, MODEL_NOT_FOUND)
                name = (await guest.ask({"type": "listModels"}))[0]["models"][0]["name"]
                for config in ({"lora": "/etc/passwd"}, {"projectionModelSrc": f"http://127.0.0.1:{port}/x"}):
                    (refused,) = await guest.ask(load_model(name, config=config))
                    assert refused["success"] is False
                model_id = await provider.load(guest)
                attached = [{"role": "user", "content": "x", "attachments": [{"path": "/etc/passwd"}]}]
                lines = await guest.ask({**ask(model_id, "x", 2), "history": attached})
                assert "root:" not in json.dumps(lines)
                await guest.ask(ask(model_id, "x", 2, kvCache="../../../../../../evil"))

        asyncio.run(main())
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert _files(provider.folder) - before == set()


def messages(model_id: str, name: str) -> list[dict[str, Any]]:
    """One of each that has words in it, with every field that holds some, those of a model's config in 0.16 too."""
    config = {"lora": "x", "projectionModelSrc": "x", "draft": "x", "tools": True, "system_prompt": "x"}
    call = {"id": "x", "name": "x", "arguments": {"path": "x"}}
    said = {"role": "user", "content": "x", "attachments": [{"path": "x", "mediaType": "x", "name": "x"}]}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "x"}}}
    tool = {"type": "function", "name": "x", "description": "x", "parameters": {"type": "object", "$ref": "x"}}
    return [
        {**load_model(name, config=config), "modelName": "x", "requestId": "x", "delegate": {"providerPublicKey": "x"}},
        load_model(name),
        {**load_model(name), "modelType": "whispercpp-transcription", "modelConfig": {"vadModelSrc": "x"}},
        {**load_model(name), "modelType": "nmtcpp-translation", "modelConfig": {"pivotModel": {"modelSrc": "x"}}},
        ask(model_id, "x", 1, history=[said], kvCache="x", requestId="x"),
        ask(model_id, "x", 1, responseFormat=schema),
        ask(model_id, "x", 1, tools=[tool], history=[{"role": "assistant", "content": "", "toolCalls": [call]}, said]),
        ask(model_id, "x", 1, continueFrom={"text": "x", "model": "x"}),
        {"type": "embed", "modelId": model_id, "text": "x", "requestId": "x"},
        {"type": "transcribe", "modelId": model_id, "audioChunk": {"type": "filePath", "value": "x"}, "prompt": "x"},
        {"type": "translate", "modelId": model_id, "modelType": "nmt", "text": "x", "stream": False, "to": "x"},
        {"type": "cancel", "operation": "request", "requestId": "x"},
        {"type": "cancel", "operation": "broad", "modelId": "x", "kind": "downloadAsset", "clearCache": True},
        {"type": "unloadModel", "modelId": "x", "clearStorage": True},
        {"type": "claimGrant", "grant": "x"},
        *({"type": "manage", "action": act, "model": "x"} for act in ("load", "download", "cancel", "remove")),
        {"type": "receipts", "requestIds": ["x"]},
        {"type": "signReceipts", "words": [{"id": "x", "signature": "x", "refusal": "x"}]},
        {"type": "blobStatus", "sha256": "x", "sizeBytes": 1},
        {"type": "copyModel", "sha256": "x"},
    ]


def with_trick(value: Any, trick: str) -> Iterator[Any]:
    """The value with one of its words, at any depth, in the trick's place; each of them once."""
    if isinstance(value, str):
        yield trick
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("type", "operation", "action"):
                yield from ({**value, key: changed} for changed in with_trick(inner, trick))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in with_trick(inner, trick))


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of the file system")
def test_no_word_of_any_field_is_opened_as_a_path_or_an_address(provider: Provider, tmp_path: Path) -> None:
    before = _files(provider.folder)
    pipe = tmp_path / "pipe"  # who opens it waits there for a writer, and is found
    os.mkfifo(pipe)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        address = f"127.0.0.1:{canary.getsockname()[1]}"
        tricks = (str(pipe), f"{'../' * 12}{str(pipe)[1:]}", f"file://{pipe}", f"http://{address}/x", f"//{address}/x")

        async def main() -> None:
            async with provider.guest() as guest:
                name = (await guest.ask({"type": "listModels"}))[0]["models"][0]["name"]
                model_id = await provider.load(guest)
                tried = 0
                for message in messages(model_id, name):
                    for nth, changed in enumerate(with_trick(message, tricks[0])):
                        for trick in (tricks[nth % len(tricks)], tricks[(nth + 3) % len(tricks)]):
                            text = json.dumps(changed).replace(json.dumps(tricks[0])[1:-1], trick)
                            lines = await guest.ask(json.loads(text))
                            assert lines
                            tried += 1
                assert tried > 100

        asyncio.run(main())
        with pytest.raises(BlockingIOError):
            canary.accept()
    with pytest.raises(OSError):  # nobody reads it
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    assert _files(provider.folder) - before == set()


def _files(folder: Path) -> set[Path]:
    """But for what it writes from time to time by itself."""
    return {path for path in folder.rglob("*") if not path.name.startswith(("qvac.db-", "known-nodes"))}


async def test_what_is_no_request(provider: Provider) -> None:
    bodies = [
        *(b"", b"null", b"[]", b"{", b'"heartbeat"', b"{}", b'{"type":7}', b'{"type":null}', b"\xff\xfe\x00"),
        *(b"[" * 100_000, b'{"type":"heartbeat"}{"type":"heartbeat"}', b'{"type":"completionStream"}'),
        b'{"type":"loadModel","modelSrc":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        json.dumps({**load_model("x"), "unknown": 1}).encode(),
        json.dumps(ask("no-such-id", "x", 1)).encode(),
        json.dumps({**ask("no-such-id", "x", 1), "history": "x" * 1000}).encode(),
        json.dumps({**ask("no-such-id", "x", 1), "generationParams": {"predict": 1e308}}).encode(),
    ]

    async with provider.guest() as guest:
        for body in bodies:
            (answer,) = await guest.ask(body)
            assert answer.get("success") is False or answer["type"] == "error", body[:60]
            assert len(answer["message"] if "message" in answer else answer["error"]) < 500


async def test_what_one_guest_may_not_do_to_another(provider: Provider) -> None:
    """Cancel and unload reach only one's own; here with two connections of one key, and a foreign request id."""

    async with provider.guest() as one, provider.guest() as other:
        model_id = await provider.load(one)
        request = await one.send(ask(model_id, LONG, 24, requestId="of-the-first"))
        (unloaded,) = await other.ask({"type": "unloadModel", "modelId": model_id, "clearStorage": True})
        assert unloaded["success"] is False, "it holds no reference"
        lines = await one.answer(request)
        assert lines[-1]["done"] is True
    assert provider.model.exists()


# --- Memory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [1 << 30, (1 << 32) - 1, 17 * MIB])
async def test_a_frame_that_announces_more_than_is_allowed(announced: int, provider: Provider) -> None:

    before = provider.rss()
    async with provider.guest() as guest:
        with contextlib.suppress(NetworkError):  # it may be closed before all of it was sent
            await guest.write(announced.to_bytes(4, "little") + b"\x01\x01\x01")
            for _ in range(16):
                await guest.write(bytes(64 * 1024))
        assert await guest.ended()
    assert provider.rss() - before < 64 * MIB


@pytest.mark.parametrize(
    "frame", [b"\x01\x00\x00\x00\x07", b"\x02\x00\x00\x00\x01\x01", b"\x00\x00\x00\x00", b"GET / HTTP"]
)
async def test_what_is_no_frame_ends_the_connection(frame: bytes, provider: Provider) -> None:

    async with provider.guest() as guest:
        await guest.write(frame + bytes(64))
        assert await guest.ended()


def test_a_peer_that_asks_and_never_reads(provider: Provider) -> None:
    """Its answers must pile up on its own side, or its connection ends; others are served meanwhile."""

    async def main() -> None:
        before = peak = provider.rss()
        async with provider.guest() as rude:
            model_id = await provider.load(rude)
            await rude.send(ask(model_id, LONG, 4000))
            sent = 0
            try:
                async with asyncio.timeout(5):  # the provider stops reading; that is as good as an end
                    while sent < 64 * MIB:
                        await rude.send(json.dumps({"type": "hello", "app": "x" * 100_000, "version": 1}).encode())
                        sent += 100_000
                        peak = max(peak, provider.rss())
            except (TimeoutError, QvacError):
                pass
            await _honest_guest(provider)
            peak = max(peak, provider.rss())
        assert peak - before < 128 * MIB, f"{sent / MIB:.0f} MiB were sent"

    asyncio.run(main())
    assert provider.program.until("done", method="completionStream")["outcome"] in ("disconnected", "eos", "length")


async def test_many_requests_at_once_are_refused_or_end_the_connection(provider: Provider) -> None:

    before = provider.rss()
    async with provider.guest() as guest:
        model_id = await provider.load(guest)
        with contextlib.suppress(QvacError):
            for _ in range(300):
                await guest.send(ask(model_id, LONG, 4000))
        await _honest_guest(provider)
    assert provider.rss() - before < 128 * MIB


# --- The door ----------------------------------------------------------------------------------------------------


def test_a_stranger_is_refused_at_once_and_a_blocked_key_gets_silence(provider: Provider) -> None:
    async def main() -> None:
        with pytest.raises(NetworkError) as refused:
            async with provider.guest(STRANGER_SEED):
                pass
        with pytest.raises(NetworkError) as blocked:
            async with provider.guest(BLOCKED_SEED):
                pass
        assert refused.value.name == "SERVER_ERROR"
        assert blocked.value.name in ("PEER_CONNECTION_FAILED", "PEER_NOT_FOUND")

    asyncio.run(main())
    key = key_pair(STRANGER_SEED).public_key.hex()
    assert provider.program.until("connection", state="refused")["remotePublicKey"] == key
    key = key_pair(BLOCKED_SEED).public_key.hex()
    assert provider.program.until("connection", state="blocked")["remotePublicKey"] == key


def test_a_blocked_guests_program_ends_with_a_sentence(provider: Provider, bootstrap: str, tmp_path: Path) -> None:
    options = ("--seed", BLOCKED_SEED, "--bootstrap", bootstrap, "--data-dir", str(tmp_path), "--prompt", "Hello")
    result = run("chat", KEY, *options)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "does not answer" in result.stderr


def test_a_refused_guest_is_told_its_own_key(provider: Provider, bootstrap: str, tmp_path: Path) -> None:
    options = ("--seed", STRANGER_SEED, "--bootstrap", bootstrap, "--data-dir", str(tmp_path), "--prompt", "Hello")
    result = run("chat", KEY, *options)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "not allowed" in result.stderr
    assert key_pair(STRANGER_SEED).public_key.hex() in result.stderr


def test_a_knock_is_heard_once_and_opens_nothing(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    seed = "65" * 32
    with qvac_desktop(
        *("provider", "--json", "--seed", seed, "--knock", "--bootstrap", bootstrap, "--model", str(small_model_path)),
        data_dir=tmp_path,
    ) as program:
        program.until("ready")

        async def main() -> None:
            for body in ({"type": "heartbeat"}, {"type": "state"}, load_model("/etc/passwd")):
                async with RawGuest(bootstrap, STRANGER_SEED, key_pair(seed).public_key.hex()) as stranger:
                    (error,) = await stranger.ask(body)
                    assert error["typedFields"]["reason"] == "not_admitted"
                    assert key_pair(STRANGER_SEED).public_key.hex() in error["message"]
                    assert await stranger.ended()

        asyncio.run(main())
        assert program.until("knock")["remotePublicKey"] == key_pair(STRANGER_SEED).public_key.hex()
        program.interrupt()
        assert program.finish() == 130
        assert not program.of("request")
        assert program.stderr == ""


# --- The wire ----------------------------------------------------------------------------------------------------


def test_garbage_datagrams_while_it_answers(provider: Provider, bootstrap: str, tmp_path: Path) -> None:
    ports = {connection.laddr.port for connection in provider.process.net_connections("udp")}
    assert ports
    done = threading.Event()
    sent = 0

    def spray() -> None:
        nonlocal sent
        chance = random.Random(7)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not done.wait(0.002):
                for _ in range(20):
                    sender.sendto(_garbage(chance), ("127.0.0.1", chance.choice(sorted(ports))))
                    sent += 1

    sprayer = threading.Thread(target=spray)
    sprayer.start()
    try:
        options = ("--seed", GUEST_SEED, "--bootstrap", bootstrap, "--predict", "60", "--temp", "0")
        with qvac_desktop("chat", KEY, "--json", *options, "--prompt", LONG, data_dir=tmp_path) as guest:
            assert guest.finish() == 0, guest.stderr
    finally:
        done.set()
        sprayer.join()
    assert sent > 1000
    assert guest.of("stats")[0]["generatedTokens"] == 60


def _garbage(chance: random.Random) -> bytes:
    """Noise, noise with the first bytes of each kind of packet there is, and nothing at all."""
    body = chance.randbytes(chance.choice([0, 1, 19, 20, 60, 500, 1400]))
    udx = b"\xff\x01" + bytes([chance.choice([0, 1, 2, 4, 8, 16, 31, 255])]) + chance.randbytes(1)
    return chance.choice([b"", udx, b"\x03", b"\x13", b"\x03\x00", b"\xff"]) + body
