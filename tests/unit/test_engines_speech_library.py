"""Whisper's files in the library: added by hand, found in the folder, and what the catalog knows about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines.library import Library
from qvac_core.engines.model_kind import SPEECH_TYPE, require_chat_type
from qvac_core.errors import ModelError
from qvac_core.models import all_models
from tests.unit.test_engines_whisper_file import small_file


async def test_a_file_of_the_owner_and_one_in_the_folder(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "ggml-many.bin").write_bytes(small_file(vocabulary=51_865, ftype=7))
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "cut.bin").write_bytes(small_file()[:-9])
    own = elsewhere / "ggml-own.en.bin"
    own.write_bytes(small_file())
    library = Library(folder)
    added = await library.add_file(own)
    assert (added.name, added.model_type, added.english_only) == ("ggml-own.en", SPEECH_TYPE, True)
    assert (added.parameters, added.quantization) == ("tiny", "f16")
    (many,) = [model for model in await library.scan() if model.name != added.name]
    assert (many.name, many.model_type, many.english_only) == ("ggml-many", SPEECH_TYPE, False)
    assert many.quantization == "q8_0"
    assert list(library.left_out) == ["cut.bin"] and "not complete" in library.left_out["cut.bin"]
    again = Library(folder)  # from the index
    assert {model.name: model.english_only for model in again.models()} == {"ggml-own.en": True, "ggml-many": False}
    assert again.find("ggml-own.en.bin") == added
    with pytest.raises(ModelError, match="writes down what is said; it cannot chat"):
        require_chat_type(added.model_type)


async def test_a_voice_detector_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Choose a Whisper model"):
        await Library(tmp_path).ensure("VAD_SILERO_5_1_2")


def test_the_catalog_names_whisper_models() -> None:
    speech = [model for model in all_models() if model.model_type == SPEECH_TYPE and not model.is_voice_detector]
    assert len(speech) == 13
    assert all(model.file.startswith("ggml-") and model.file.endswith(".bin") for model in speech)
