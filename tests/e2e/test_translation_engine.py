"""Translations by the translation engine, on this machine and from another one: the same text, and the same errors.

The models are written here (`tests/marian_files.py`) and translate word by word; the engine is Firefox's.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core import Delegate, cancel, get_loaded_model_info, load_model, translate, unload_model
from qvac_core.core import Core, RuleOverride
from qvac_core.engines import examine, library
from qvac_core.engines.interface import DownloadProgress, ModelConfig
from qvac_core.engines.library import Library
from qvac_core.engines.packed_download import fetch_packed
from qvac_core.engines.translation_engine import TranslationEngine
from qvac_core.engines.translation_model import TextPart, TextsRequest
from qvac_core.errors import EngineCrashed, InferenceCancelled, LocalProtocolError, ModelError, QvacError
from qvac_core.models import ModelDescriptor, PackedFile, by_name
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, alone, member, run
from tests.e2e.test_embeddings import settled
from tests.marian_files import FRENCH, GERMAN, write_model

TEXT = "das Haus ist klein. das Haus ist grün!\n\n  das Haus\n"
ENGLISH = "the house is small. the house is green!\n\n  the house\n"
IN_FRENCH = "la maison est petite. la maison est verte!\n\n  la maison\n"
BACK = {german: word for word, german in GERMAN.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("translators")
    return write_model(folder, "de", "en", BACK)[0], write_model(folder, "en", "fr", FRENCH, separate=True)[0]


def test_here_and_there_the_translation_is_the_same(models: tuple[Path, Path], bootstrap: str, tmp_path: Path) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))
    vocabularies = {"srcVocabSrc": "registry://s3/somewhere/vocab.deen.spm", "dstVocabSrc": {"src": "vocab.deen.spm"}}
    config = {"engine": "Bergamot", "from": "de", "to": "en", "mode": "full"} | vocabularies

    async def test() -> None:
        async with Core(owner_config) as owner:
            for path in models:
                assert (await owner.add_model_file(path)).ability == "translate"
            await owner.start_sharing()
            at = Delegate(OTHER_KEY, timeout=60)
            far = await load_model(models[0].name, delegate=at, model_config=config)
            near = await load_model(str(models[0]), model_config=config)
            texts = []
            for model in (far, near):
                run = translate(model, TEXT, to="English", from_="de-AT", model_type="nmt")
                pieces = [token async for token in run.token_stream]
                final = await run.final
                assert final.text == "".join(pieces) == ENGLISH and len(pieces) > 3 and final.stop_reason == ""
                assert final.stats is not None and isinstance(final.stats.total_time, float)
                once = translate(model, TEXT, stream=False)
                assert [token async for token in once.token_stream] == [ENGLISH]
                several = translate(model, ["das Haus", "unbekannt", "klein"])
                assert [token async for token in several.token_stream] == ["the house", "", "small"]
                assert await several.translations == ("the house", "", "small")
                texts.append((final.text, await several.text))
            assert texts[0] == texts[1]
            pivot = {"engine": "Bergamot", "from": "de", "to": "fr"}
            for first, second, delegate in (
                (models[0].name, models[1].name, at),
                (str(models[0]), str(models[1]), None),
            ):
                through = pivot | {"pivotModel": {"modelSrc": second}}
                model = await load_model(first, model_config=through, delegate=delegate)
                assert await translate(model, TEXT, to="fr").text == IN_FRENCH
                assert await unload_model(model)
            assert await unload_model(far) and await unload_model(near)
            entries = await settled(owner, 4)
            assert {(entry.method, entry.outcome, entry.unit) for entry in entries} == {("translate", "eos", "texts")}
            assert sorted(entry.amount for entry in entries) == [1.0, 1.0, 1.0, 3.0]

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_what_goes_wrong_is_told_alike_here_and_there(
    models: tuple[Path, Path], bootstrap: str, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def sentence(work: object) -> str:
        with pytest.raises(QvacError) as caught:
            await work  # type: ignore[misc]
        assert isinstance(caught.value, ModelError | LocalProtocolError) or caught.value.code
        return caught.value.message

    async def test() -> None:
        async with Core(owner_config) as owner:
            for path in models:
                await owner.add_model_file(path)
            await owner.start_sharing()
            at = Delegate(OTHER_KEY, timeout=60)
            for name, delegate in ((models[0].name, at), (str(models[0]), None)):
                bad = await sentence(load_model(name, model_config={"from": "fr", "to": "en"}, delegate=delegate))
                assert "translates from German into English, unless a pivotModel" in bad
                for vocabulary in ("srcVocabSrc", "dstVocabSrc"):
                    passwords = {vocabulary: "/etc/passwd"}
                    bad = await sentence(load_model(name, model_config=passwords, delegate=delegate))
                    assert "The vocabulary of a translation model is the one that lies beside it" in bad
                itself = {"pivotModel": {"modelSrc": name}}
                assert "does not go on where" in await sentence(
                    load_model(name, model_config=itself, delegate=delegate)
                )
                assert "Choose a chat model" in await sentence(load_model(name, model_type="llm", delegate=delegate))
                model = await load_model(name, delegate=delegate)
                told = await sentence(translate(model, TEXT, to="fr").text)
                assert "translates from German into English, and nothing else" in told
                assert "At most 1000 texts" in await sentence(translate(model, ["das"] * 10_000).text)
                assert "too long to be translated at once" in await sentence(translate(model, "Haus " * 400_000).text)
                assert "One of the texts is empty" in await sentence(translate(model, ["das", " "]).text)
                assert "is a translation engine" in await sentence(
                    translate(model, "das", to="de", model_type="llm").text
                )
                assert "half a character" in await sentence(translate(model, "das \ud800 Haus").text)
                odd = "das Haus\0 \U0001f600 ist klein"
                assert await translate(model, odd).text == "the house is small"
                assert await unload_model(model)

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_a_cancel_stops_it_and_the_next_one_is_answered(models: tuple[Path, Path], tmp_path: Path) -> None:
    long = "\n".join("das Haus ist klein. das Haus ist groß." for _ in range(3000))

    async def test() -> None:
        model = await load_model(str(models[0]))
        assert (await get_loaded_model_info(model)).handlers == ("translate",)
        running = translate(model, long, request_id="mine")
        await anext(running.token_stream)
        await cancel(request_id="mine")
        with pytest.raises(InferenceCancelled):
            await running.text
        first, second = await asyncio.gather(translate(model, "das Haus").text, translate(model, "klein").text)
        assert (first, second) == ("the house", "small")

    run(test, alone(tmp_path))


@pytest.fixture
def mozilla(models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FileServer, ModelDescriptor]]:
    """A server with a model packed as Mozilla's are, which stands in the catalog for BERGAMOT_DE_EN."""
    with file_server() as server:
        own = models[0]
        packed = []
        for path in (own, own.with_name("vocab.deen.spm")):
            data = gzip.compress(path.read_bytes())
            server.files[f"/models/{path.name}.gz"] = data
            address = f"{server.address}/models/{path.name}.gz"
            packed.append(PackedFile(path.name, address, len(data), hashlib.sha256(data).hexdigest()))
        real = by_name("BERGAMOT_DE_EN")
        assert real is not None
        sha256 = hashlib.sha256(own.read_bytes()).hexdigest()
        fake = replace(real, sha256=sha256, size_bytes=own.stat().st_size, packed=tuple(packed))
        monkeypatch.setattr(library, "_descriptor", lambda wanted: fake if wanted in (fake.name, fake.src) else None)
        monkeypatch.setattr(examine, "_catalogued", lambda checksums: fake if sha256 in checksums else None)
        yield server, fake


async def test_a_model_of_the_catalog_comes_packed_with_its_vocabulary_and_is_found_by_the_sdks_name(
    mozilla: tuple[FileServer, ModelDescriptor], tmp_path: Path
) -> None:
    server, fake = mozilla
    reports: list[DownloadProgress] = []

    room = Library(tmp_path / "models")
    model = await room.ensure(fake.name, reports.append)
    assert (model.name, model.languages, model.sha256) == (fake.name, ("de", "en"), fake.sha256)
    assert sorted(path.name for path in room.folder.iterdir()) == [
        "library.json",
        "model.deen.intgemm.alphas.bin",
        "vocab.deen.spm",
    ]
    total = sum(file.size_bytes for file in fake.packed)
    assert reports[-1].downloaded == reports[-1].total == total
    assert room.find(fake.src) == room.find(fake.file) == room.find(fake.sha256) == model
    asked = len(server.requests)
    assert await room.ensure(fake.src) == model and len(server.requests) == asked
    engine = TranslationEngine()
    try:
        loaded = await engine.load(model.path, ModelConfig())
        parts = [part.text async for part in loaded.translate(TextsRequest("1", ("das Haus",)))]
        assert "".join(parts) == "the house"
    finally:
        await engine.close()
    await room.remove(model.name)
    assert [path.name for path in room.folder.iterdir()] == ["library.json"]


async def test_what_comes_damaged_or_breaks_off_is_told_and_goes_on(
    mozilla: tuple[FileServer, ModelDescriptor], tmp_path: Path
) -> None:
    server, fake = mozilla
    model_path, vocabulary_path = server.files
    whole = dict(server.files)

    room = Library(tmp_path / "models")
    server.files[vocabulary_path] = whole[vocabulary_path][:-9] + b"elsewhere"
    with pytest.raises(ModelError) as caught:
        await room.ensure(fake.name)
    assert caught.value.name == "CHECKSUM_VALIDATION_FAILED"
    assert not room.models() and room.left_of(fake.name) == len(whole[model_path])
    server.files[vocabulary_path] = whole[vocabulary_path]
    assert (await room.ensure(fake.name)).name == fake.name
    assert [path for path, _ in server.requests].count(model_path) == 1  # what came is not fetched again
    await room.remove(fake.name)
    # A packed file that is as its checksum says, and holds something else: a bomb, or another model.
    for inside in (b"\0" * (fake.size_bytes + 1), b"another model"):
        bad = gzip.compress(inside)
        first = replace(fake.packed[0], size_bytes=len(bad), sha256=hashlib.sha256(bad).hexdigest())
        server.files[model_path] = bad
        with pytest.raises(ModelError, match="is not what the catalog says"):
            await fetch_packed(replace(fake, packed=(first, *fake.packed[1:])), room.folder)
        await room.discard(fake.name)
    (room.folder / fake.file).write_bytes(b"mine")
    with pytest.raises(ModelError, match="lies another model"):
        await fetch_packed(fake, room.folder)
    assert (room.folder / fake.file).read_bytes() == b"mine"


async def test_a_crash_costs_the_text_that_was_at_work_and_no_other(models: tuple[Path, Path]) -> None:
    long = "\n".join("das Haus ist klein." for _ in range(20_000))

    engine = TranslationEngine()
    try:
        model = await engine.load(models[0], ModelConfig())
        running = model.translate(TextsRequest("long", (long,), "a"))
        await anext(running)
        assert model.worker_pid is not None
        waiting = asyncio.ensure_future(_all(model.translate(TextsRequest("short", ("das Haus",), "b"))))
        await asyncio.sleep(0)
        os.kill(model.worker_pid, signal.SIGKILL)
        with pytest.raises(EngineCrashed):
            async for _ in running:
                pass
        assert await waiting == "the house"
        assert await _all(model.translate(TextsRequest("after", ("klein",)))) == "small"
    finally:
        await engine.close()
    assert engine.worker_pids() == ()


async def _all(parts: AsyncIterator[TextPart]) -> str:
    return "".join([part.text async for part in parts])
