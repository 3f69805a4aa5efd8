"""The SDK's model names and the addresses behind them."""

from __future__ import annotations

import pytest

import qvac_core.models as models
from qvac_core.engines.marian_file import languages_of
from qvac_core.errors import ModelError
from qvac_core.models import (
    BERGAMOT_DE_EN,
    DEFAULT_SMALL_MODEL,
    LLAMA_3_2_1B_INST_Q4_0,
    HuggingFaceSource,
    UrlSource,
    all_models,
    by_file,
    by_name,
    by_sha256,
    by_source,
    canonical_source,
    parse_source,
)


def test_a_constant_of_the_sdk() -> None:
    model = LLAMA_3_2_1B_INST_Q4_0
    assert model.name == "LLAMA_3_2_1B_INST_Q4_0"
    assert model.file == "Llama-3.2-1B-Instruct-Q4_0.gguf"
    assert model.size_bytes == 773_025_824
    assert by_name(model.name) is model
    assert by_sha256(model.sha256.upper()) is model
    assert by_file(model.file) is model
    assert model.name in dir(models)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = models.LLAMA_9_UNHEARD_OF


def test_all_models_have_a_source_that_can_be_fetched() -> None:
    packed = [model for model in all_models() if model.packed]
    assert (len(all_models()), len(packed)) == (220, 92)
    assert len({model.name for model in all_models()}) == len({model.sha256 for model in all_models()}) == 220
    assert all_models()[0] is DEFAULT_SMALL_MODEL
    for model in all_models():
        if model.packed:
            continue
        source = parse_source(model.src)
        assert isinstance(source, HuggingFaceSource)
        assert source.file_name == model.file
        assert len(model.sha256) == 64


def test_translation_models_come_from_mozilla_whole_under_the_sdks_names() -> None:
    model = BERGAMOT_DE_EN
    assert model is by_source(model.src) and model.src.startswith("registry://s3/")
    assert (model.languages, model.file) == (("de", "en"), "model.deen.intgemm.alphas.bin")
    for model in all_models():
        assert bool(model.packed) == bool(model.languages) == (model.model_type == "nmtcpp-translation")
        if not model.packed:
            continue
        assert (
            languages_of(model.file) == model.languages
            and model.name == "BERGAMOT_" + "_".join(model.languages).upper()
        )
        assert model.packed[0].name == model.file and any("vocab" in file.name for file in model.packed)
        for file in model.packed:
            source = parse_source(file.address)
            assert isinstance(source, UrlSource) and source.file_name == f"{file.name}.gz"
            assert len(file.sha256) == 64 and file.size_bytes > 100_000


def test_a_file_name_of_two_models_names_neither() -> None:
    assert by_file("mmproj-F16.gguf") is None


def test_one_file_has_many_spellings() -> None:
    src = LLAMA_3_2_1B_INST_Q4_0.src
    spellings = [
        src,
        src.replace("/blob/", "/resolve/"),
        src.replace("registry://hf/", "https://huggingface.co/"),
        src.replace("registry://hf/", "https://huggingface.co/").replace("/blob/", "/resolve/") + "?download=true",
    ]
    assert {by_source(spelling) for spelling in spellings} == {LLAMA_3_2_1B_INST_Q4_0}
    assert len({canonical_source(spelling) for spelling in spellings}) == 1


def test_urls() -> None:
    source = parse_source("registry://hf/owner/repo/resolve/main/sub dir/a b.gguf")
    assert isinstance(source, HuggingFaceSource)
    assert source.url() == "https://huggingface.co/owner/repo/resolve/main/sub%20dir/a%20b.gguf"
    assert source.url("http://127.0.0.1:8/") == "http://127.0.0.1:8/owner/repo/resolve/main/sub%20dir/a%20b.gguf"
    plain = parse_source("https://example.org/models/x%20y.gguf?key=1")
    assert isinstance(plain, UrlSource)
    assert plain.file_name == "x y.gguf"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("registry://s3/bucket/file.gguf", "registry://s3"),
        ("pear://" + "a" * 64 + "/file.gguf", "pear://"),
        ("http://example.org/file.gguf", "https"),
        ("file:///etc/passwd", "not an address"),
        ("registry://hf/owner/repo/file.gguf", "OWNER/REPOSITORY"),
        ("registry://hf/owner/repo/resolve/main/../../../x", "OWNER/REPOSITORY"),
        ("registry://hf/owner/repo/resolve/main/a\\b", "OWNER/REPOSITORY"),
        ("https://example.org/", "no file"),
        ("https://example.org/..", "no file"),
        ("https://[x/model.gguf", "not an address"),
        ("https://\u2100/model.gguf", "not an address"),
        ("registry://hf/owner/repo/resolve/main/a\udcff.gguf", "not an address"),
        ("https://example.org/" + "a" * 3000, "too long"),
    ],
)
def test_what_cannot_be_fetched_is_refused_by_name(address: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_source(address)


def test_any_text_of_a_stranger_has_a_canonical_spelling() -> None:
    """`modelSrc` is looked up before anybody knows whether it is an address."""
    for text in ("https://[x/model.gguf", "https://a]b/c", "https://\u2100/x", "://", "https://"):
        assert canonical_source(text) == text
