"""Names of models for people."""

from __future__ import annotations

import pytest

from qvac_core.models import all_models, model_title


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2 135M Instruct"),
        ("Llama-3.2-1B-Instruct-Q4_0.gguf", "Llama 3.2 1B Instruct"),
        ("qwen3-8b-Q4_K_M.gguf", "qwen3 8b"),
        ("gpt-oss-20b-mxfp4.gguf", "GPT OSS 20B"),
        ("model-UD-IQ3_XXS-00001-of-00003.gguf", "model"),
        ("Q4_0.gguf", "Q4 0"),
        ("m.gguf", "m"),
    ],
)
def test_a_title_has_no_quantization(file: str, title: str) -> None:
    assert model_title(file) == title


def test_every_model_of_the_catalog_has_a_title() -> None:
    assert all(model_title(model.file) for model in all_models())


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("smollm2-360m-instruct-q8_0.gguf", "SmolLM2 360M Instruct"),
        ("medpsy-1.7b-iq3_xxs-imat.gguf", "MedPsy 1.7B"),
        ("gpt-oss-20b-Q4_K_M.gguf", "GPT OSS 20B"),
        ("embeddinggemma-300M-Q8_0.gguf", "EmbeddingGemma 300M"),
        ("my-own-7b-q8_0.gguf", "my own 7b"),  # nobody knows how its people write it
    ],
)
def test_known_names_are_written_as_people_write_them(file: str, title: str) -> None:
    assert model_title(file) == title
