"""The models that can be had by name, found by what the SDK's search takes."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.api import ModelRegistryEntry, model_registry_get_model, model_registry_list, model_registry_search
from qvac_core.errors import ModelError
from qvac_core.models import all_models, by_name, by_source


def search(**wanted: str) -> list[ModelRegistryEntry]:
    return asyncio.run(model_registry_search(**wanted))


def test_every_model_is_listed_with_where_it_comes_from() -> None:
    entries = asyncio.run(model_registry_list())
    assert [entry.constant for entry in entries] == [model.name for model in all_models()]
    for entry in entries:
        model = by_source(entry.src)
        assert model is not None and model is by_name(entry.constant)
        assert (entry.expected_size, entry.sha256_checksum) == (model.size_bytes, model.sha256)
        assert entry.model_id.startswith(entry.name) and entry.registry_path.endswith(entry.model_id)
        assert entry.addon in ("llm", "embeddings", "whisper", "nmt")


def test_each_filter_narrows_and_capitals_do_not_count() -> None:
    whole = asyncio.run(model_registry_list())
    whisper = search(filter="Whisper")
    assert 0 < len(whisper) < len(whole)
    assert {entry.addon for entry in search(addon="whisper")} == {"whisper"}
    assert search(addon="embeddings") == search(engine="llamacpp-embedding") == search(model_type="embeddings")
    assert search(model_type="whisper", addon="llm") == search(addon="whisper"), "model_type goes first, as in the SDK"
    q4 = search(quantization="q4", engine="llamacpp-completion")
    assert q4 and all(entry.quantization.lower().startswith("q4") for entry in q4)
    assert {entry.quantization for entry in q4} >= {"q4_k_m", "Q4_K_M"}
    both = search(filter="llama_3_2", quantization="Q4_0")
    assert [entry.constant for entry in both] == ["LLAMA_3_2_1B_INST_Q4_0"]
    assert search(filter="no such model") == []
    assert search() == whole


def test_one_by_its_path_and_source() -> None:
    for entry in asyncio.run(model_registry_list()):
        assert asyncio.run(model_registry_get_model(entry.registry_path, entry.registry_source)) == entry
    with pytest.raises(ModelError, match="s3/a/b") as raised:
        asyncio.run(model_registry_get_model("a/b", "s3"))
    assert (raised.value.name, raised.value.code) == ("QVAC_MODEL_REGISTRY_QUERY_FAILED", 53950)
