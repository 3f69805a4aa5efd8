"""Models in several files: what belongs together, and what is missing, damaged or not a part at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from qvac_core.engines.library import Library
from qvac_core.engines.model_files import part_names, part_prefix, read_model
from qvac_core.engines.model_kind import ModelKind, kind_of
from qvac_core.errors import ModelError
from tests.gguf_files import gguf_file, llama_file, split_llama_files


def write_parts(folder: Path, count: int = 2, name: str = "big", seed: int = 1) -> list[Path]:
    paths = [folder / part for part in part_names(f"{name}-00001-of-{count:05d}.gguf")]
    for path, data in zip(paths, split_llama_files(count, seed), strict=True):
        path.write_bytes(data)
    return paths


def test_names_of_parts() -> None:
    assert part_names("x-00002-of-00003.gguf") == tuple(f"x-0000{n}-of-00003.gguf" for n in (1, 2, 3))
    assert part_names("x-00001-of-00001.gguf") == ("x-00001-of-00001.gguf",)
    for other in ("best-of-0-shot.gguf", "x-00004-of-00003.gguf", "x-00000-of-00003.gguf", "x-1-of-3.gguf", "x.gguf"):
        assert part_names(other) == ()
    assert part_prefix("x-00002-of-00003.gguf") == part_prefix("x.gguf") == "x"


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_every_part_leads_to_the_whole(tmp_path: Path, asked: int) -> None:
    paths = write_parts(tmp_path, 3)
    files = read_model(paths[asked])
    assert files.paths == tuple(paths)
    assert files.size_bytes == sum(path.stat().st_size for path in paths)
    assert (files.name, files.gguf.architecture, files.gguf.tensors) == ("big", "llama", 12)
    assert files.gguf.groups == {"token_embd", "output_norm", "output", "blk"}
    assert kind_of(files.gguf) is ModelKind.CHAT


@pytest.mark.parametrize("name", ["best-of-0-shot.gguf", "x-00001-of-00001.gguf", "x-00001-of-00002.gguf"])
def test_the_header_decides_and_not_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for data in (llama_file(), gguf_file({"split.no": 0, "split.count": 1, "split.tensors.count": 1}, {"w": (1,)})):
        path.write_bytes(data)
        assert read_model(path).paths == (path,)


@pytest.mark.parametrize(
    ("count", "lost", "words"),
    [
        (2, [2], "Part 2 of 2 is missing. Put big-00002-of-00002.gguf into the folder"),
        (2, [1], "Part 1 of 2 is missing. Put big-00001-of-00002.gguf"),
        (3, [1, 3], "Parts 1 and 3 of 3 are missing. Put big-00001-of-00003.gguf and the others"),
        (6, [2, 3, 4, 5, 6], "Parts 2, 3, 4 and 2 more of 6 are missing"),
    ],
)
def test_missing_parts_are_named(tmp_path: Path, count: int, lost: list[int], words: str) -> None:
    paths = write_parts(tmp_path, count)
    for number in lost:
        paths[number - 1].unlink()
    for path in paths:
        if path.exists():
            with pytest.raises(ModelError, match=words) as raised:
                read_model(path)
            assert raised.value.code == 52201
            assert str(tmp_path) not in raised.value.message


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    first, second = write_parts(tmp_path)
    whole = second.read_bytes()
    second.write_bytes(whole[:-40])
    with pytest.raises(ModelError, match=r"Part 2 of 2 of this model cannot be used. The model file is not complete"):
        read_model(first)
    second.write_bytes(llama_file())
    with pytest.raises(ModelError, match="Part 2 of 2 of this model is another file"):
        read_model(first)
    second.write_bytes(gguf_file({"split.no": 1, "split.count": 2, "split.tensors.count": 9}, {"w": (1,)}))
    with pytest.raises(ModelError, match="do not belong together"):
        read_model(first)
    second.write_bytes(whole)
    renamed = first.rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelError, match="part 1 of 2 of a model, but its name does not say so"):
        read_model(renamed)


async def test_the_library_has_one_entry_for_all_parts(tmp_path: Path) -> None:
    library = Library(tmp_path)
    paths = write_parts(tmp_path)
    data = b"".join(path.read_bytes() for path in paths)
    (model,) = await library.scan()
    assert (model.name, model.path, model.size_bytes) == ("big", paths[0], len(data))
    assert model.sha256 == hashlib.sha256(data).hexdigest()
    assert await library.add_file(paths[1]) == model
    again = Library(tmp_path)
    assert again.find(paths[1].name) == again.find("big") == model
    assert [found.name for found in await again.scan()] == ["big"]

    paths[1].write_bytes(paths[1].read_bytes()[:-4] + b"abcd")  # other weights: another model
    assert library.find("big") is None
    (changed,) = await library.scan()
    assert changed.sha256 != model.sha256

    await library.remove("big")
    assert [path.name for path in tmp_path.iterdir()] == ["library.json"]


async def test_parts_of_the_owner_are_forgotten_and_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    paths = write_parts(tmp_path / "mine")
    library = Library(tmp_path / "models")
    assert (await library.add_file(paths[1])).path == paths[0]
    await library.remove("big")
    assert all(path.exists() for path in paths)


async def test_what_a_scan_cannot_take_is_told_once(tmp_path: Path) -> None:
    paths = write_parts(tmp_path, 3)
    library = Library(tmp_path)
    await library.scan()
    paths[1].unlink()
    (tmp_path / "style.gguf").write_bytes(llama_file(adapter__type="lora"))
    assert await library.scan() == ()
    assert set(library.left_out) == {"big", "style"}
    assert library.left_out["big"].startswith("Part 2 of 3 is missing.")
    with pytest.raises(ModelError, match="Part 2 of 3 is missing"):
        await library.add_file(paths[0])
    write_parts(tmp_path, 3)
    assert [model.name for model in await library.scan()] == ["big"]
    assert set(library.left_out) == {"style"}


async def test_an_index_that_listed_each_part_is_put_right(tmp_path: Path) -> None:
    paths = write_parts(tmp_path)
    records = []
    for path in paths:
        status = path.stat()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        record = {"name": path.stem, "path": str(path), "size_bytes": status.st_size, "sha256": sha256}
        records.append({**record, "mtime_ns": status.st_mtime_ns})
    (tmp_path / "library.json").write_text(json.dumps({"version": 1, "files": records}))
    await Library(tmp_path).scan()
    (model,) = Library(tmp_path).models()
    assert model.name == "big-00001-of-00002"  # under which it is shared already
    assert model.size_bytes == sum(path.stat().st_size for path in paths)
