"""A model that one machine copies from another over the encrypted connection: two real cores, and two programs."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from app.cli.copy_model import copy_model
from app.cli.output import Output
from qvac_core.core import Core, CoreConfig
from qvac_core.core.answering import TranslationWish
from qvac_core.core.library_sources import Offer
from qvac_core.core.library_state import DownloadChanged, DownloadState, Query, SourceKind, SourcesChanged
from qvac_core.core.state import AccessMode, RequestEnded, Target
from qvac_core.delegation import copies
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import decode_reply
from qvac_core.errors import ProviderError, RemoteProtocolError
from qvac_core.hyperdht import KeyPair, create_testnet
from tests import gguf_files
from tests.e2e.program import Program, qvac_desktop, run
from tests.e2e.test_core import LIMIT, Watched, two_cores
from tests.marian_files import GERMAN, write_model

S = DownloadState
GUEST = "95" * 32
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST)).public_key.hex()
MIB = 1024 * 1024


def model_file(folder: Path, megabytes: int = 12, name: str = "mine-Q4_K_M.gguf") -> Path:
    path = folder / name
    path.write_bytes(gguf_files.llama_file() + os.urandom(megabytes * MIB))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def offered(owner: Watched, guest: Watched, model: Path) -> str:
    """The guest is connected and may copy it; the id by which the library calls it."""
    await owner.core.add_model_file(model)
    await owner.core.set_access_mode(AccessMode.DENY)
    await owner.core.start_sharing()
    (shared,) = await owner.core.shared_models()
    await owner.core.copies.set_copyable(shared.name, True)
    await guest.core.add_provider(owner.core.public_key, "Workshop PC")
    await guest.core.connect_provider(owner.core.public_key)
    await guest.until(SourcesChanged, lambda _: bool(guest.core.copies.offers()))
    return f"copy://{shared_sha(owner)}"


def shared_sha(owner: Watched) -> str:
    (model,) = owner.core.machine.list(b"")
    return model.model.sha256


async def state(guest: Watched, wanted: DownloadState) -> DownloadChanged:
    return await guest.until(DownloadChanged, lambda event: event.state is wanted)


def two(folder: Path, test: Callable[[Watched, Watched], Awaitable[None]]) -> None:
    async def main() -> None:
        async with two_cores(folder) as (owner, guest):
            await test(owner, guest)

    asyncio.run(main())


def test_a_guest_copies_a_model_that_its_owner_lets_go(tmp_path: Path) -> None:
    model = model_file(tmp_path)

    async def test(owner: Watched, guest: Watched) -> None:
        version = await offered(owner, guest, model)
        (entry,) = (await guest.core.library.search(Query("mine"))).entries
        (found,) = entry.versions
        assert found.id == version and [source.kind for source in found.sources] == [SourceKind.NEIGHBOUR]
        assert found.sources[0].name == "Workshop PC"
        await guest.core.library.download(version, source=owner.core.public_key)
        done = await state(guest, S.DONE)
        assert (done.source, done.downloaded) == ("Workshop PC", model.stat().st_size)
        (here,) = await guest.core.library.models()
        assert here.sha256 == sha256(model) == sha256(here.path) and here.path.name == model.name
        assert here.path.parent == tmp_path / "guest" / "models"
        ended = await owner.until(RequestEnded, lambda event: event.entry.method == "copyModel")
        assert (ended.entry.outcome, ended.entry.unit) == ("eos", "bytes")
        assert ended.entry.amount == model.stat().st_size
        assert ended.entry.remote_public_key == guest.core.public_key

    two(tmp_path, test)


def test_a_model_of_several_files_comes_as_one_and_goes_on_where_it_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A translation model with its vocabulary: the second half comes over another stream; then it translates."""
    monkeypatch.setattr(copies, "READ_BYTES", 64 * 1024)
    model, vocabulary = write_model(tmp_path / "made", "en", "de", GERMAN)
    size = model.stat().st_size + vocabulary.stat().st_size
    sent: list[int] = []
    read = copies._Files.read

    def breaks_once(files: copies._Files, offset: int, most: int) -> bytes:
        sent.append(offset)
        if len(sent) == 3:
            raise OSError("the disk went away")
        return read(files, offset, most)

    monkeypatch.setattr(copies._Files, "read", breaks_once)

    async def test(owner: Watched, guest: Watched) -> None:
        version = await offered(owner, guest, model)
        (offer,) = guest.core.copies.offers()
        assert [name for name, _ in offer.files] == [model.name, vocabulary.name]
        assert (offer.size_bytes, offer.sha256) == (size, sha256(model))
        await guest.core.library.download(version, source=owner.core.public_key)
        failed = await state(guest, S.FAILED)
        assert 0 < failed.downloaded < size
        assert await guest.core.library.models() == ()
        await guest.core.library.download(version, source=owner.core.public_key)
        assert (await state(guest, S.DONE)).downloaded == size
        assert sent[3] == failed.downloaded
        (here,) = await guest.core.library.models()
        assert (here.sha256, here.path.name) == (sha256(model), model.name)
        assert sorted(path.name for path in here.path.parent.iterdir()) == sorted(
            ["library.json", model.name, vocabulary.name]
        )
        wish = TranslationWish("t", Target(), "the house is small.", "de", "en")
        pieces = [str(part) async for part in guest.core.translating.translate(wish)]
        assert "".join(pieces) == "das Haus ist klein."

    two(tmp_path, test)


def test_what_is_not_to_be_copied_is_refused_all_alike(tmp_path: Path) -> None:
    model = model_file(tmp_path, 1)

    async def test(owner: Watched, guest: Watched) -> None:
        await offered(owner, guest, model)
        name, sha = (await owner.core.shared_models())[0].name, sha256(model)
        delegate = Delegate(bytes.fromhex(owner.core.public_key))

        async def refusal(sha256: str) -> str:
            with pytest.raises(ProviderError) as refused:
                async for _chunk in guest.core.consumer.copy_model(delegate, sha256, 0):
                    raise AssertionError("it sends")
            return refused.value.message

        assert len(await guest.core.copies.ask(owner.core.public_key)) == 1
        unknown = await refusal("ab" * 32)
        await owner.core.copies.set_copyable(name, False)
        assert await guest.core.copies.ask(owner.core.public_key) == ()
        assert await refusal(sha) == unknown
        await owner.core.copies.set_copyable(name, True)
        await owner.core.set_model_shared(name, False)
        assert await guest.core.copies.ask(owner.core.public_key) == ()
        assert await refusal(sha) == unknown
        await owner.core.set_model_shared(name, True)
        owner.core.machine.find(name, b"").path.write_bytes(b"another file")  # type: ignore[union-attr]
        assert await refusal(sha) == unknown

    two(tmp_path, test)


def test_the_owner_takes_it_back_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_file(tmp_path)
    monkeypatch.setattr(copies, "CHUNK_BYTES", 4096)

    async def test(owner: Watched, guest: Watched) -> None:
        version = await offered(owner, guest, model)
        await guest.core.library.download(version, source=owner.core.public_key)
        await guest.until(DownloadChanged, lambda event: event.downloaded > 0)
        await owner.core.copies.set_copyable((await owner.core.shared_models())[0].name, False)
        failed = await state(guest, S.FAILED)
        assert failed.error is not None and 0 < failed.downloaded < model.stat().st_size
        assert await guest.core.library.models() == ()

    two(tmp_path, test)


def test_bytes_that_were_tampered_with_are_never_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_file(tmp_path)
    real = copies._read

    def tampered(file: object, offset: int) -> bytes:
        part = bytearray(real(file, offset))  # type: ignore[arg-type]
        if offset and part:
            part[0] ^= 1
        return bytes(part)

    async def test(owner: Watched, guest: Watched) -> None:
        version = await offered(owner, guest, model)
        monkeypatch.setattr(copies, "_read", tampered)
        await guest.core.library.download(version, source=owner.core.public_key)
        failed = await state(guest, S.FAILED)
        assert failed.error is not None and "checksum differs" in f"{failed.error.title} {failed.error.message}"
        assert await guest.core.library.models() == () and failed.downloaded == 0
        monkeypatch.setattr(copies, "_read", real)
        await guest.core.library.resume(version)
        await state(guest, S.DONE)

    two(tmp_path, test)


async def test_a_machine_that_comes_back_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner ends in the middle, and starts again; then the guest does."""
    model = model_file(tmp_path, 24)
    monkeypatch.setattr(copies, "CHUNK_BYTES", 4096)

    async with await create_testnet(4) as net:
        bootstrap = tuple(net.bootstrap)
        guest_config = CoreConfig(tmp_path / "guest", bootstrap=bootstrap, go_on=True)
        owner_config = CoreConfig(tmp_path / "owner", bootstrap=bootstrap)
        guest = Watched(Core(guest_config))
        async with guest.core:
            owner = Watched(Core(owner_config))
            async with owner.core:
                version = await offered(owner, guest, model)
                await guest.core.library.download(version, source=owner.core.public_key)
                first = await guest.until(DownloadChanged, lambda event: event.downloaded > 0)
            failed = await state(guest, S.FAILED)
            assert failed.downloaded >= first.downloaded
            guest.events.clear()
            owner = Watched(Core(owner_config))
            async with owner.core:
                await owner.core.start_sharing()
                again = await guest.until(DownloadChanged, lambda event: event.downloaded > failed.downloaded)
                assert again.state is S.RUNNING
                await guest.core.close()
                kept = sum(path.stat().st_size for path in (tmp_path / "guest" / "models").rglob("*.part"))
                assert kept >= again.downloaded
                monkeypatch.setattr(copies, "CHUNK_BYTES", 64 * 1024)
                guest = Watched(Core(guest_config))
                async with guest.core:
                    await guest.core.connect_provider(owner.core.public_key)
                    done = await state(guest, S.DONE)
                    assert done.downloaded == model.stat().st_size
                    amounts = [event.entry.amount for event in owner.events if isinstance(event, RequestEnded)]
                    assert amounts[-1] <= model.stat().st_size - kept
                    (here,) = await guest.core.library.models()
                    assert sha256(here.path) == sha256(model)


def test_only_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_file(tmp_path)
    monkeypatch.setattr(copies, "CHUNK_BYTES", 4096)

    async def test(owner: Watched, guest: Watched) -> None:
        await offered(owner, guest, model)
        delegate, sha = Delegate(bytes.fromhex(owner.core.public_key)), sha256(model)
        running = [guest.core.consumer.copy_model(delegate, sha, 0) for _ in range(copies.COPIES_PER_KEY)]
        for one in running:
            await anext(one)
        third = guest.core.consumer.copy_model(delegate, sha, 0)
        with pytest.raises(ProviderError, match="sends no more models at once"):
            await anext(third)
        for one in running:
            await one.aclose()
        async with asyncio.timeout(LIMIT):
            while True:
                free = guest.core.consumer.copy_model(delegate, sha, model.stat().st_size - 5)
                try:
                    assert b"".join([chunk async for chunk in free]) == model.read_bytes()[-5:]
                    break
                except ProviderError:
                    await asyncio.sleep(0.01)  # the owner has not heard yet that they were left

    two(tmp_path, test)


def test_the_command_waits_for_its_own_model_alone(tmp_path: Path) -> None:
    """Another one of this provider, which once broke off, goes on as it is asked, and is whole first."""
    model, other = model_file(tmp_path, 24), model_file(tmp_path, 1, "other-Q4_K_M.gguf")

    async def test(owner: Watched, guest: Watched) -> None:
        await offered(owner, guest, model)
        key, queue = owner.core.public_key, guest.core.library.downloads_queue
        shared = await owner.core.add_model_file(other)
        first = f"copy://{sha256(other)}"
        options = argparse.Namespace(key=bytes.fromhex(key), copy="mine-Q4_K_M", timeout=None)
        await owner.core.copies.set_copyable(shared.name, True)
        await guest.core.copies.ask(key)
        real = guest.core.copies.ask

        async def ask(provider_key: str, seconds: float | None = None) -> Sequence[Offer]:
            offers = await real(provider_key, seconds)
            await guest.core.library.download(first, source=key)
            return offers

        guest.core.copies.ask = ask  # type: ignore[method-assign]
        await copy_model(guest.core, options, Output(as_json=True))
        assert queue.row(f"copy://{sha256(model)}").state is S.DONE  # type: ignore[union-attr]

    two(tmp_path, test)


@pytest.mark.parametrize("size", [0, -1, 2**63, 10**30, 1.5])
def test_a_size_that_no_file_has_is_no_offer(size: float) -> None:
    entry = {"name": "a", "fileName": "a.gguf", "modelType": "x", "sizeBytes": size, "sha256": "ab" * 32}
    with pytest.raises(RemoteProtocolError):
        decode_reply(json.dumps({"type": "listCopies", "copies": [entry]}).encode())
    with pytest.raises(RemoteProtocolError):
        decode_reply(json.dumps({"type": "copyModel", "sizeBytes": size}).encode())


# --- Two programs


@pytest.mark.timeout(600)  # six programs start one after the other, and a lost connection is noticed in its time
def test_the_command_line_and_a_kill_of_either_end(bootstrap: str, tmp_path: Path) -> None:
    model = model_file(tmp_path, 64)
    provider = ("provider", "--seed", "94" * 32, "--bootstrap", bootstrap, "--allow", GUEST_KEY, "--json")
    shared = ("--model", str(model), "--allow-copy", str(model))

    with qvac_desktop(*provider, *shared, data_dir=tmp_path / "owner") as first:
        key = str(first.until("ready")["publicKey"])
        guest = ("models", key, "--seed", GUEST, "--bootstrap", bootstrap, "--json")
        copy = (*guest, "--copy", "mine-Q4_K_M")
        (listed,) = [event for event in _events(*guest, folder=tmp_path / "guest") if event["event"] == "model"]
        assert listed["copyable"] is True
        with qvac_desktop(*copy, data_dir=tmp_path / "guest") as killed:
            moved(killed)
            killed.kill()
        left = _left(tmp_path / "guest")
        assert 0 < left < model.stat().st_size
        with qvac_desktop(*copy, data_dir=tmp_path / "guest") as broken:
            moved(broken)
            first.kill()
            assert broken.finish() == 1, broken.stderr
        assert _left(tmp_path / "guest") >= left
    with qvac_desktop(*provider, *shared, data_dir=tmp_path / "owner") as second:
        second.until("ready")
        with qvac_desktop(*copy, data_dir=tmp_path / "guest") as whole:
            copied = whole.until("copied")
            assert whole.finish() == 0
        assert copied["sha256"] == sha256(model) == sha256(Path(str(copied["path"])))
        sent = second.until("done", method="copyModel")
        assert sent["amount"] <= model.stat().st_size - left and sent["unit"] == "bytes"
        assert any(event["event"] == "copied" for event in _events(*copy, folder=tmp_path / "guest"))
        refused = run(*guest[:-1], "--copy", "other", "--data-dir", str(tmp_path / "guest"))
        assert refused.returncode == 1 and "It lets you copy: mine-Q4_K_M" in refused.stderr


def test_only_what_is_shared_may_be_copied(bootstrap: str, tmp_path: Path) -> None:
    refused = run("provider", "--bootstrap", bootstrap, "--allow-copy", "other", "--data-dir", str(tmp_path))
    assert refused.returncode == 1 and "other is not shared" in refused.stderr


def moved(program: Program) -> None:
    while not program.until("progress")["downloaded"]:
        pass


def _events(*arguments: str, folder: Path) -> list[dict[str, object]]:
    with qvac_desktop(*arguments, data_dir=folder) as program:
        assert program.finish() == 0, program.stderr
        return program.events


def _left(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "models").rglob("*.part"))
