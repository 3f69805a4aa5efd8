"""Models of other programs, in folders laid out as those programs lay them out.

LM Studio 0.4, Ollama 0.12, Jan 0.7, llama.cpp's cache, Hugging Face's cache (huggingface_hub 2.4): see
qvac_core/engines/found_models.py. Contents are real GGUF headers; nothing of these programs is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from qvac_core.engines import found_models
from qvac_core.engines.found_models import Home, Program, find_programs
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.library import Library
from qvac_core.engines.ollama_store import projectors_of_blob
from tests import gguf_files

MODEL = gguf_files.llama_file()
SHA256 = hashlib.sha256(MODEL).hexdigest()


def put(path: Path, data: bytes = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def home(folder: Path, platform: str = "linux", **environment: str) -> Home:
    return Home(folder, environment, platform)


def only(found: list[Program]) -> Program:
    (program,) = found
    return program


def listed(program: Program) -> list[tuple[Path, str, str, int]]:
    return [(model.path, model.title, model.quantization, model.size_bytes) for model in program.models]


@pytest.mark.parametrize("base", [".lmstudio", ".cache/lm-studio"])
def test_lm_studio(tmp_path: Path, base: str) -> None:
    path = put(tmp_path / base / "models/lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf")
    put(tmp_path / base / "models/lmstudio-community/Qwen3-4B-GGUF/mmproj-model-f16.gguf")
    put(tmp_path / base / "models/mlx-community/Qwen3-4B/model.safetensors")
    program = only(find_programs(home(tmp_path)))
    assert (program.id, program.name, program.folder) == ("lm-studio", "LM Studio", tmp_path / base / "models")
    assert listed(program) == [(path, "Qwen3 4B", "Q4_K_M", len(MODEL))]


def test_lm_studio_elsewhere(tmp_path: Path) -> None:
    put(tmp_path / ".lmstudio-home-pointer", f"{tmp_path / 'disk'}\n".encode())
    put(tmp_path / "disk/settings.json", json.dumps({"downloadsFolder": str(tmp_path / "big")}).encode())
    path = put(tmp_path / "big/a/b/c-Q8_0.gguf")
    program = only(find_programs(home(tmp_path)))
    assert program.folder == tmp_path / "big" and [model.path for model in program.models] == [path]


def ollama(models: Path, name: str, tag: str, *, host: str = "registry.ollama.ai/library", size: int = 0) -> Path:
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA256}", "size": size or len(MODEL)},
        {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'0' * 64}", "size": 3},
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": f"sha256:{'1' * 64}", "size": 487},
        "layers": layers,
    }
    put(models / "manifests" / host / name / tag, json.dumps(manifest).encode())
    put(models / "blobs" / f"sha256-{'0' * 64}", b"{{}}")
    return put(models / "blobs" / f"sha256-{SHA256}")


def test_ollama(tmp_path: Path) -> None:
    blob = ollama(tmp_path / ".ollama/models", "llama3.1", "8b-instruct-q4_K_M")
    ollama(tmp_path / ".ollama/models", "llama3.1", "latest")  # the same blob by another name
    put(tmp_path / ".ollama/models/blobs/sha256-abc-partial-0", MODEL)
    program = only(find_programs(home(tmp_path)))
    assert listed(program) == [(blob, "llama3.1:8b-instruct-q4_K_M", "Q4_K_M", len(MODEL))]


def test_ollama_by_its_variable_and_from_hugging_face(tmp_path: Path) -> None:
    ollama(tmp_path / "m", "SmolLM2-GGUF", "latest", host="hf.co/bartowski")
    program = only(find_programs(home(tmp_path, OLLAMA_MODELS=str(tmp_path / "m"))))
    assert [model.title for model in program.models] == ["bartowski/SmolLM2-GGUF:latest"]


def test_a_model_of_ollama_that_sees_is_used_with_its_vision_part(tmp_path: Path) -> None:
    """Both are blobs whose names say nothing: the manifest says that they belong together."""
    models, seeing, vision = tmp_path / ".ollama/models", gguf_files.seeing_llama_file(), gguf_files.projector_file()
    blobs = {
        f"application/vnd.ollama.image.{kind}": hashlib.sha256(data).hexdigest()
        for kind, data in (("model", seeing), ("projector", vision))
    }
    sizes = [len(seeing), len(vision)]
    layers = [
        {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}
        for (kind, digest), size in zip(blobs.items(), sizes, strict=True)
    ]
    put(models / "manifests/registry.ollama.ai/library/llava/7b", json.dumps({"layers": layers}).encode())
    first, second = (
        put(models / "blobs" / f"sha256-{digest}", data)
        for digest, data in zip(blobs.values(), (seeing, vision), strict=True)
    )
    other = put(models / "blobs" / f"sha256-{SHA256}")
    program = only(find_programs(home(tmp_path)))
    assert listed(program) == [(first, "llava:7b", "", sum(sizes))]

    async def add(path: Path) -> LibraryModel:
        return await Library(tmp_path / "own").add_file(path)

    added = asyncio.run(add(first))
    assert (added.path, added.projector) == (first, second)
    assert asyncio.run(add(other)).projector is None  # no name has the two together
    second.write_bytes(b"not whole")
    assert projectors_of_blob(first) == ()


def test_parts_in_the_cache_of_hugging_face_are_used_where_they_lie(tmp_path: Path) -> None:
    """There they are links to files whose names say nothing."""
    repository = tmp_path / ".cache/huggingface/hub/models--ada--Large-GGUF"
    names = [f"Large-Q4_K_M-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for name, data in zip(names, gguf_files.split_llama_files(3), strict=True):
        blob = put(repository / "blobs" / hashlib.sha256(data).hexdigest(), data)
        link = repository / "snapshots/c0ffee" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    (found,) = only(find_programs(home(tmp_path))).models
    assert found.size_bytes == sum(file.stat().st_size for file in (repository / "blobs").iterdir())

    async def add() -> LibraryModel:
        library = Library(tmp_path / "own")
        added = await library.add_file(found.path)
        assert library.files_of(added.name) == ()  # nothing of another program's is ever deleted
        return added

    added = asyncio.run(add())
    assert (added.path.name, added.size_bytes) == (names[0], found.size_bytes)


def test_what_ollama_has_not_fetched_whole_is_not_offered(tmp_path: Path) -> None:
    ollama(tmp_path / ".ollama/models", "llama3.1", "latest", size=len(MODEL) + 1)
    put(tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/broken/latest", b"{")
    put(
        tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/evil/latest",
        json.dumps(
            {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc/passwd"}]}
        ).encode(),
    )
    assert find_programs(home(tmp_path)) == []


@pytest.mark.parametrize(
    ("platform", "data"),
    [
        ("linux", ".config/Jan/data"),
        ("darwin", "Library/Application Support/Jan/data"),
        ("win32", "AppData/Roaming/Jan/data"),
    ],
)
def test_jan(tmp_path: Path, platform: str, data: str) -> None:
    path = put(tmp_path / data / "llamacpp/models/Qwen3-4B-Q4_K_M/model.gguf")
    put(path.with_name("model.yml"), b"name: Qwen3-4B-Q4_K_M\nmodel_path: llamacpp/models/x/model.gguf\n")
    program = only(find_programs(home(tmp_path, platform)))
    assert (program.name, program.models[0].title, program.models[0].path) == ("Jan", "Qwen3 4B", path)


def test_jan_elsewhere(tmp_path: Path) -> None:
    put(tmp_path / ".config/Jan/settings.json", json.dumps({"data_folder": str(tmp_path / "jan-data")}).encode())
    path = put(tmp_path / "jan-data/llamacpp/models/author/m-Q4_0/model.gguf")
    assert only(find_programs(home(tmp_path))).models[0].path == path


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", ".cache/llama.cpp"),
        ("darwin", "Library/Caches/llama.cpp"),
        ("win32", "AppData/Local/llama.cpp"),
    ],
)
def test_llama_cpp(tmp_path: Path, platform: str, folder: str) -> None:
    path = put(tmp_path / folder / "ggml-org_gemma-3-4b-it-GGUF_gemma-3-4b-it-Q4_K_M.gguf")
    put(tmp_path / folder / "ggml-org_gemma-3-4b-it-GGUF_gemma-3-4b-it-Q4_K_M.gguf.json", b"{}")
    put(tmp_path / folder / "broken.gguf", b"not one")
    program = only(find_programs(home(tmp_path, platform)))
    assert (program.name, program.models[0].path) == ("llama.cpp", path) and len(program.models) == 1


def test_hugging_face(tmp_path: Path) -> None:
    repo = tmp_path / ".cache/huggingface/hub/models--Qwen--Qwen3-8B-GGUF"
    put(repo / "refs/main", b"abc")
    blob = put(repo / "blobs" / SHA256)
    for commit in ("abc", "def"):  # two revisions with the same file
        snapshot = repo / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "Qwen3-8B-Q4_K_M.gguf").symlink_to(Path("../../blobs") / SHA256)
    program = only(find_programs(home(tmp_path)))
    assert listed(program) == [(repo / "snapshots/abc/Qwen3-8B-Q4_K_M.gguf", "Qwen3 8B", "Q4_K_M", len(MODEL))]
    blob.unlink()
    assert find_programs(home(tmp_path)) == []


@pytest.mark.parametrize(("variable", "below"), [("HF_HOME", "hub"), ("HF_HUB_CACHE", "")])
def test_hugging_face_elsewhere(tmp_path: Path, variable: str, below: str) -> None:
    path = put(tmp_path / "x" / below / "models--a--b/snapshots/abc/c-Q4_0.gguf")  # Windows makes no links there
    program = only(find_programs(home(tmp_path, **{variable: str(tmp_path / "x")})))
    assert [model.path for model in program.models] == [path]


def test_a_model_in_parts_counts_once_and_only_whole(tmp_path: Path) -> None:
    folder = tmp_path / ".lmstudio/models/a/b"
    for number in (1, 2):
        put(folder / f"big-Q4_K_M-{number:05d}-of-00002.gguf")
    put(folder / "half-00001-of-00002.gguf")
    assert listed(only(find_programs(home(tmp_path)))) == [
        (folder / "big-Q4_K_M-00001-of-00002.gguf", "big", "Q4_K_M", 2 * len(MODEL))
    ]


def test_the_look_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_models, "ENTRIES", 50)
    for number in range(100):
        put(tmp_path / f".lmstudio/models/a/{number:03d}/m.gguf")
    assert 0 < len(only(find_programs(home(tmp_path))).models) <= 50
    deep = tmp_path / "deep/.lmstudio/models" / "/".join("abcdefghijk") / "m.gguf"
    put(deep)
    assert find_programs(home(tmp_path / "deep")) == []


@pytest.mark.parametrize(
    "settings", [b"{", b"[]", b'{"downloadsFolder": 5}', b'{"downloadsFolder": "a\\u0000b"}', b"[" * 100_000, b"\xff"]
)
def test_settings_that_make_no_sense_are_passed_over(tmp_path: Path, settings: bytes) -> None:
    put(tmp_path / ".lmstudio/settings.json", settings)
    put(tmp_path / ".lmstudio-home-pointer", b"a\0b")
    path = put(tmp_path / ".lmstudio/models/a/b/c.gguf")
    assert [model.path for model in only(find_programs(home(tmp_path))).models] == [path]


def test_nothing_is_changed_and_nothing_else_is_read(tmp_path: Path) -> None:
    put(tmp_path / ".lmstudio/models/a/b/c.gguf")
    put(tmp_path / ".ssh/id_ed25519.gguf")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert [model.title for program in find_programs(home(tmp_path)) for model in program.models] == ["c"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
