"""Which mmproj file is whose: by its name, by being the only one, and never by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines import library as library_module
from qvac_core.engines.download import Fetched, Wanted
from qvac_core.engines.gguf import read_gguf
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.library import Library
from qvac_core.engines.projectors import file_name_beside, names_projector, projector_beside, projectors_of
from qvac_core.errors import ModelError
from qvac_core.models import all_models, by_name
from tests.gguf_files import WIDTH, llama_file, projector_file, split_llama_files

ONE = by_name("QWEN3_5_0_8B_MULTIMODAL_Q4_K_M")


def beside(folder: Path, model: str, *others: str, width: int = WIDTH) -> str | None:
    for name in (model, *others):
        is_projector = "mmproj" in name.lower()
        (folder / name).write_bytes(projector_file(width=width) if is_projector else llama_file())
    found = projector_beside(folder / model, read_gguf(folder / model))
    return found.name if found is not None else None


@pytest.mark.parametrize(
    "model, projector",
    [
        ("gemma-3-4b-it-Q4_K_M.gguf", "mmproj-gemma-3-4b-it-f16.gguf"),
        ("Qwen3.5-0.8B-Q8_0.gguf", "Qwen3.5-0.8B.mmproj-Q8_0.gguf"),
        ("Ternary-Bonsai-2-27B-PTQ1_0.gguf", "Ternary-Bonsai-2-27B-mmproj-Q8_0.gguf"),
        ("Qwen3.6-27B-UD-Q4_K_XL.gguf", "Qwen3.6-27B-UD-Q4_K_XL.mmproj-BF16.gguf"),
        ("visionpsy-nano-460m-flash-q4_k_m-imat.gguf", "mmproj-visionpsy-nano-460m-flash-q8.gguf"),
    ],
)
def test_a_name_says_whose_it_is_among_others(tmp_path: Path, model: str, projector: str) -> None:
    assert beside(tmp_path, model, projector, "Other-7B-Q4_0.gguf", "mmproj-F16.gguf") == projector


def test_a_name_that_says_nothing_is_believed_beside_one_model_alone(tmp_path: Path) -> None:
    assert beside(tmp_path, "some-model-Q4_0.gguf", "mmproj-F16.gguf") == "mmproj-F16.gguf"
    assert beside(tmp_path, "some-model-Q4_0.gguf", "other-model-Q4_0.gguf") is None
    assert beside(tmp_path, "Qwen3.5-4B-Q4_0.gguf", "mmproj-Qwen3-4B-F16.gguf") is None


def test_one_of_another_width_or_of_another_kind_is_none(tmp_path: Path) -> None:
    assert beside(tmp_path, "some-model-Q4_0.gguf", "mmproj-F16.gguf", width=2 * WIDTH) is None
    (tmp_path / "mmproj-F16.gguf").write_bytes(projector_file(clip__has_vision_encoder=False))
    assert projector_beside(tmp_path / "some-model-Q4_0.gguf", read_gguf(tmp_path / "some-model-Q4_0.gguf")) is None
    (tmp_path / "mmproj-F16.gguf").write_bytes(b"GGUF, and then nothing")
    assert projector_beside(tmp_path / "some-model-Q4_0.gguf", read_gguf(tmp_path / "some-model-Q4_0.gguf")) is None


def test_the_parts_of_a_model_are_one(tmp_path: Path) -> None:
    names = [f"big-Q4_0-0000{number}-of-00002.gguf" for number in (1, 2)]
    for name, data in zip(names, split_llama_files(2), strict=True):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "mmproj-F16.gguf").write_bytes(projector_file())
    assert projector_beside(tmp_path / names[0], read_gguf(tmp_path / names[0])) == tmp_path / "mmproj-F16.gguf"


async def test_the_library_sees_one_that_comes_later_and_one_that_goes(tmp_path: Path) -> None:
    (tmp_path / "seeing.gguf").write_bytes(llama_file())
    library = Library(tmp_path)
    (model,) = await library.scan()
    assert model.projector is None
    projector = tmp_path / "mmproj-seeing.gguf"
    projector.write_bytes(projector_file())
    (model,) = await library.scan()
    assert model.projector == projector and not library.left_out
    (model,) = Library(tmp_path).models()
    assert model.projector == projector
    projector.unlink()
    (model,) = library.models()
    assert model.projector is None


def test_every_model_of_the_catalog_that_sees_knows_its_vision_part() -> None:
    seeing = [model for model in all_models() if not model.is_projector and "MULTIMODAL" in model.name]
    assert len(seeing) > 20
    without = {model.name for model in seeing if not projectors_of(model)}
    assert len(without) < len(seeing) / 4, without
    for model in seeing:
        for projector in projectors_of(model):
            assert file_name_beside(model.file, projector) != projector.file


def test_a_stranger_who_names_a_vision_part_means_that_of_the_model_or_nothing() -> None:
    assert ONE is not None
    own = Path("/owner/models/Qwen3.5-0.8B-Q4_K_M.mmproj-F16.gguf")
    model = LibraryModel("Q", Path("/owner/models/q.gguf"), 1, ONE.sha256, ONE.model_type, "", "", (), projector=own)
    blind = LibraryModel("Q", Path("/owner/models/q.gguf"), 1, ONE.sha256, ONE.model_type, "", "", ())
    for source in (own.name, str(own), "MMPROJ_QWEN3_5_0_8B_MULTIMODAL_F16", projectors_of(ONE)[0].src):
        assert names_projector(source, model)
        assert not names_projector(source, blind)
    for source in ("/etc/passwd", "q.gguf", "MMPROJ_GEMMA4_2B_MULTIMODAL_F16", ONE.src, "", "https://127.0.0.1/x"):
        assert not names_projector(source, model)


async def test_a_model_of_the_catalog_that_sees_comes_with_its_vision_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its publisher's, the smallest. The download itself is tested elsewhere; here it brings tiny files."""
    assert ONE is not None
    wanted: list[str] = []
    offline = True

    async def fetch(file: Wanted, folder: Path, on_progress: object) -> Fetched:
        wanted.append(file.key)
        is_projector = "mmproj" in file.file_name.lower()
        if is_projector and offline:
            raise ModelError("There is no network.")
        data = projector_file() if is_projector else llama_file()
        (folder / file.file_name).write_bytes(data)
        return Fetched(folder / file.file_name, file.sha256, len(data))

    monkeypatch.setattr(library_module, "fetch_model", fetch)
    library = Library(tmp_path)
    model = await library.ensure(ONE.name)
    assert model.projector is None, "it can chat all the same"
    offline = False
    await library.remove(model.name)
    model = await library.ensure(ONE.name)
    assert model.projector == tmp_path / "Qwen3.5-0.8B-Q4_K_M.mmproj-F16.gguf"
    assert wanted == [ONE.name, "MMPROJ_QWEN3_5_0_8B_MULTIMODAL_F16"] * 2
    (other,) = [each for each in all_models() if each.name == "QWEN3_5_0_8B_MULTIMODAL_Q8_0"]
    assert (await library.ensure(other.name)).projector == model.projector
    assert wanted[4:] == [other.name], "one is enough for both"
    await library.remove(ONE.name)
    assert model.projector.is_file()
    await library.remove(other.name)
    assert not model.projector.exists(), "it is of no use by itself"
