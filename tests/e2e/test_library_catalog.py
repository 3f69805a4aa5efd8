"""Models to be had, through a real core: the catalog without a network, a hub on loopback with one, and what fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from qvac_core.core.library_state import Ability, DownloadState, Kind, Place, Query, SourceKind, Verdict
from qvac_core.engines.interface import Device
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.memory import cache_bytes
from qvac_core.errors import ModelError
from tests import gguf_files
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.hub_api import COMMIT, add_repository
from tests.e2e.library_core import model_file, opened

GB = 1_000_000_000


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """16 GB, of which 12 are free, and no GPU."""
    memory = SimpleNamespace(total=16 * GB, available=12 * GB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    return memory


@pytest.fixture(autouse=True)
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    found: list[Device] = []

    async def devices(self: LlamaEngine) -> tuple[Device, ...]:
        return tuple(found)

    monkeypatch.setattr(LlamaEngine, "devices", devices)
    return found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


async def test_the_catalog_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    async with opened(tmp_path) as library:
        found = await library.room.search(Query("qwen3 8b"))
        (entry,) = found.entries
        assert found.in_all > 30 and found.as_of is None and found.error is None
        assert (entry.title, entry.publisher, entry.kind, entry.parameters) == ("Qwen3 8B", "Qwen", Kind.CHAT, "8B")
        assert (entry.licence, entry.native_context) == ("Apache-2.0", 40_960)
        assert entry.abilities == (Ability.THINKS, Ability.TOOLS) and not entry.exact
        assert entry.page == "https://huggingface.co/Qwen/Qwen3-8B-GGUF"
        version = entry.offered
        assert (version.id, version.quantization, version.size_bytes) == (
            "QWEN3_8B_INST_Q4_K_M",
            "Q4_K_M",
            5027783488,
        )
        (source,) = version.sources
        assert (source.id, source.name, source.kind) == ("", "Hugging Face", SourceKind.HUGGING_FACE)
        fit = version.fit
        assert (fit.verdict, fit.place, fit.context_tokens) == (Verdict.FITS, Place.MEMORY, 4096)
        assert fit.needed_bytes == 5027783488 + 147_456 * 4096 + (256 << 20)
        assert (fit.memory_bytes, fit.free_bytes, fit.now) == (16 * GB, 12 * GB, True)
        grouped = (await library.room.search(Query("qwen3.5 0.8b"))).entries
        assert [version.quantization for version in grouped[0].versions] == ["Q4_K_M", "Q6_K", "Q8_0"]
        assert Ability.VISION in grouped[0].abilities and len(grouped) == 1
        assert grouped[0].versions[0].size_bytes > 532_517_120, "with the vision part that is fetched, too"
        kinds = {e.kind for e in (await library.room.search(Query("", Kind.TRANSCRIBE))).entries}
        assert kinds == {Kind.TRANSCRIBE}
        assert (await library.room.search(Query("whisper tiny english"))).entries[0].title == "Whisper tiny, English"
        assert (await library.room.search(Query("xyzzy"))).entries == ()
        with pytest.raises(ModelError, match="could not be reached"):
            await library.room.search_hub(Query("qwen"))


async def test_what_fits_is_a_matter_of_memory_and_context(tmp_path: Path, machine: SimpleNamespace) -> None:
    async with opened(tmp_path) as library:
        id = "QWEN3_8B_INST_Q4_K_M"
        machine.total = int(8.5 * GB)
        machine.available = 5 * GB
        small = await library.room.fit(id, 4096)
        assert (small.verdict, small.now) == (Verdict.FITS, False), "once other programs are closed"
        large = await library.room.fit(id, 32_768)
        assert large.verdict is Verdict.LESS_CONTEXT and 4096 < large.largest_context < 32_768
        assert (await library.room.fit(id, large.largest_context)).verdict is Verdict.FITS
        assert (await library.room.fit(id, large.largest_context + 256)).verdict is Verdict.LESS_CONTEXT
        assert (await library.room.fit(id, 1 << 20)).context_tokens == 40_960, (
            "more than it was trained on is never asked"
        )
        machine.total = 4 * GB
        none = await library.room.fit(id, 4096)
        assert (none.verdict, none.largest_context) == (Verdict.TOO_LARGE, 0)
        only = (await library.room.search(Query(only_fits=True))).entries
        everything = (await library.room.search(Query())).entries
        assert 0 < len(only) < len(everything)
        assert {entry.offered.fit.verdict for entry in only} == {Verdict.FITS}
        with pytest.raises(ModelError, match="no model of this name"):
            await library.room.fit("NO_SUCH", 4096)


async def test_a_gpu_comes_first_and_the_rest_goes_into_memory(tmp_path: Path, gpus: list[Device]) -> None:
    gpus.append(Device("CUDA0", "GeForce RTX 4060", "gpu", 7 * GB, 8 * GB))
    gpus.append(Device("CPU", "", "cpu", 12 * GB, 16 * GB))

    async with opened(tmp_path) as library:
        memory = await library.room.memory()
        assert (memory.gpu, memory.gpu_bytes, memory.gpu_free) == ("GeForce RTX 4060", 8 * GB, 7 * GB)
        assert (memory.memory_bytes, memory.memory_free) == (16 * GB, 12 * GB)
        on_gpu = await library.room.fit("QWEN3_8B_INST_Q4_K_M", 4096)
        assert (on_gpu.place, on_gpu.verdict, on_gpu.memory_bytes) == (Place.GPU, Verdict.FITS, 8 * GB)
        less = await library.room.fit("QWEN3_8B_INST_Q4_K_M", 32_768)
        assert (less.place, less.verdict) == (Place.GPU, Verdict.LESS_CONTEXT)
        split = await library.room.fit("GPT_OSS_20B_INST_Q4_K_M", 4096)
        assert (split.place, split.verdict, split.memory_bytes) == (Place.SPLIT, Verdict.FITS, 24 * GB)
        none = await library.room.fit("QWEN3_6_35B_A3B_MULTIMODAL_Q6_K_XL", 4096)
        assert (none.place, none.verdict) == (Place.GPU, Verdict.TOO_LARGE)


async def test_a_search_on_the_hub_and_a_download_of_what_it_found(hub: FileServer, tmp_path: Path) -> None:
    small, large, eyes = model_file(1), model_file(2, 3_000_000), gguf_files.projector_file()
    add_repository(
        hub,
        "bartowski/Tiny-Llama-GGUF",
        {
            "Tiny-Llama-Q4_K_M.gguf": small,
            "Tiny-Llama-Q8_0.gguf": large,
            "mmproj-Tiny-Llama-f16.gguf": eyes,
            "mmproj-Tiny-Llama-f32.gguf": eyes + bytes(1000),
            "big/Tiny-Llama-F32-00001-of-00002.gguf": b"GGUF1",
            "big/Tiny-Llama-F32-00002-of-00002.gguf": b"GGUF22",
            "half-00001-of-00002.gguf": b"GGUF",
        },
    )
    add_repository(hub, "nomic/embed-GGUF", {"e.Q8_0.gguf": model_file(3)}, task="sentence-similarity", licence="mit")

    async with opened(tmp_path) as library:
        found = await library.room.search_hub(Query("tiny"))
        by_title = {entry.title: entry for entry in found.entries}
        assert set(by_title) == {"Tiny Llama", "embed"} and found.as_of is None
        assert (by_title["embed"].kind, by_title["embed"].licence) == (Kind.EMBED, "mit")
        entry = by_title["Tiny Llama"]
        assert (entry.publisher, entry.licence, entry.native_context) == ("bartowski", "apache-2.0", 32_768)
        assert entry.parameters == "8B"
        assert entry.abilities == (Ability.THINKS, Ability.TOOLS, Ability.VISION)
        assert {version.quantization: version.size_bytes for version in entry.versions} == {
            "F32": 11 + len(eyes),
            "Q4_K_M": len(small) + len(eyes),
            "Q8_0": len(large) + len(eyes),
        }
        version = next(version for version in entry.versions if version.quantization == "Q4_K_M")
        assert entry.offered == version
        assert version.id == f"registry://hf/bartowski/Tiny-Llama-GGUF/resolve/{COMMIT}/Tiny-Llama-Q4_K_M.gguf"
        assert (await library.room.search_hub(Query("tiny", Kind.EMBED))).entries == (by_title["embed"],)
        await library.room.download(version.id)
        done = await library.state(version.id, DownloadState.DONE)
        assert (done.title, done.downloaded, done.total) == ("Tiny Llama", *[len(small) + len(eyes)] * 2)
        (model,) = await library.room.models()
        assert Ability.VISION in model.abilities, "its vision part came with it"
        again = (await library.room.search_hub(Query("tiny"))).entries[1]
        assert [version.here for version in again.versions if version.quantization == "Q4_K_M"] != [""]


async def test_without_a_network_what_was_found_last_is_shown_with_its_date(
    hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_repository(hub, "a/Tiny-GGUF", {"Tiny-Q4_K_M.gguf": model_file()})

    async with opened(tmp_path) as library:
        fresh = (await library.room.search_hub(Query("tiny small"))).entries
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    async with opened(tmp_path) as library:
        found = await library.room.search_hub(Query("Small  tiny"))
        assert [entry.id for entry in found.entries] == [entry.id for entry in fresh]
        assert found.as_of is not None and found.error is not None and found.error.name == "HTTP_ERROR"
        assert (await library.room.fit(found.entries[0].offered.id, 4096)).verdict is Verdict.FITS
        with pytest.raises(ModelError, match="could not be reached"):
            await library.room.search_hub(Query("never asked"))


@pytest.mark.parametrize(
    "given",
    [
        "a/Tiny-GGUF",
        "hf.co/a/Tiny-GGUF",
        "https://huggingface.co/a/Tiny-GGUF",
        "https://huggingface.co/a/Tiny-GGUF/tree/main",
        f"https://huggingface.co/a/Tiny-GGUF/blob/{COMMIT}/Tiny-Q4_K_M.gguf",
        f"registry://hf/a/Tiny-GGUF/resolve/{COMMIT}/Tiny-Q4_K_M.gguf",
        "a/Tiny-GGUF:Q4_K_M",
    ],
)
async def test_any_address_is_looked_up_with_exact_facts(hub: FileServer, tmp_path: Path, given: str) -> None:
    add_repository(hub, "a/Tiny-GGUF", {"Tiny-Q4_K_M.gguf": model_file(), "Tiny-Q8_0.gguf": model_file(1, 9_000_000)})
    hub.api["/api/models/a/Tiny-GGUF/revision/main"] = hub.api["/api/models/a/Tiny-GGUF"]

    async with opened(tmp_path) as library:
        entry = await library.room.look_up(given, 64)
        assert entry.exact and entry.offered.quantization == "Q4_K_M"
        header = gguf_files.llama_file()
        (tmp_path / "x.gguf").write_bytes(header)
        from qvac_core.engines.gguf import read_gguf

        cache = cache_bytes(read_gguf(tmp_path / "x.gguf"), 64)
        fit = entry.offered.fit
        assert fit.exact and fit.needed_bytes == len(model_file()) + cache + (256 << 20)
        assert await library.room.fit(entry.offered.id, 64) == fit
        asked = [request for path, request in hub.requests if path.startswith("/store")]
        assert asked == ["bytes=0-1048575"], "a megabyte, not the model"


async def test_a_model_of_the_catalog_is_looked_up_at_its_revision(hub: FileServer, tmp_path: Path) -> None:
    add_repository(hub, "Qwen/Qwen3-8B-GGUF", {"Qwen3-8B-Q4_K_M.gguf": model_file()}, context=40_960, commit="main")

    async with opened(tmp_path) as library:
        (entry,) = (await library.room.search(Query("qwen3 8b"))).entries
        looked = await library.room.look_up(entry.id)
        assert looked.exact and looked.licence == "apache-2.0" and looked.offered.fit.exact
        assert looked.offered.size_bytes == entry.offered.size_bytes, "the catalog's"
        (entry,) = (await library.room.search(Query("qwen3 8b"))).entries
        assert entry.exact, "it is remembered"
    hub.status = 503
    async with opened(tmp_path) as library:
        (entry,) = (await library.room.search(Query("qwen3 8b"))).entries
        assert entry.exact and entry.offered.fit.exact


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nobody/nothing", "no such model"),
        ("a/Empty", "holds no model"),
        ("what is this", "neither a model of the catalog nor an address"),
        ("http://example.com/m.gguf", "https only"),
        ("https://huggingface.co/", "neither a model of the catalog nor an address"),
    ],
)
async def test_what_cannot_be_looked_up_says_why(hub: FileServer, tmp_path: Path, given: str, sentence: str) -> None:
    add_repository(hub, "a/Empty", {"model.safetensors": b"x"})

    async with opened(tmp_path) as library:
        with pytest.raises(ModelError, match=sentence):
            await library.room.look_up(given)


@pytest.mark.parametrize("answer", [{"id": 5}, [], {"id": "a/b", "siblings": "none"}, {"error": "no"}])
async def test_answers_that_make_no_sense_are_a_sentence(hub: FileServer, tmp_path: Path, answer: object) -> None:
    hub.api["/api/models/a/b"] = answer
    hub.api["/api/models"] = answer if not isinstance(answer, list) else {"x": 1}

    async with opened(tmp_path) as library:
        for ask in (library.room.look_up("a/b"), library.room.search_hub(Query("x"))):
            with pytest.raises(ModelError, match="form that is not understood"):
                await ask
