"""What a file is good for, told by its header."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines.gguf import read_gguf
from qvac_core.engines.model_kind import CHAT_TYPE, EMBEDDING_TYPE, ModelKind, kind_of, require_chat, require_chat_type
from qvac_core.errors import ModelError
from tests.gguf_files import (
    Shape,
    Value,
    bert_file,
    bert_header,
    gguf_file,
    llama_file,
    llama_header,
    llama_tensors,
    t5_file,
)

NOISE: dict[str, Shape] = {"blk.0.ffn_up.weight": (4, 4)}
CLASSIFIER: dict[str, Shape] = {**llama_tensors(), "cls.output.weight": (32, 1)}


def renamed(header: dict[str, Value], old: str, new: str) -> dict[str, Value]:
    """The header of another architecture, whose keys begin with its name."""
    keys = {key.replace(f"{old}.", f"{new}.", 1) if key.startswith(f"{old}.") else key: header[key] for key in header}
    return {**keys, "general.architecture": new}


def encoder_without_keys(name: str) -> bytes:
    header = renamed(bert_header(), "bert", name)
    del header[f"{name}.pooling_type"], header[f"{name}.attention.causal"]
    return gguf_file(header, NOISE)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (llama_file(), ModelKind.CHAT),
        (gguf_file(renamed(llama_header(), "llama", "pangu-embedded"), NOISE), ModelKind.CHAT),  # embedded: on devices
        (gguf_file(renamed(llama_header(), "llama", "mamba"), NOISE), ModelKind.CHAT),
        (gguf_file(renamed(llama_header(llama__pooling_type=0), "llama", "qwen3"), NOISE), ModelKind.CHAT),
        (gguf_file(llama_header(llama__attention__causal=True), NOISE), ModelKind.CHAT),
        (gguf_file(llama_header(general__type="model"), NOISE), ModelKind.CHAT),
        (bert_file(), ModelKind.EMBEDDING),
        (gguf_file(renamed(llama_header(llama__pooling_type=3), "llama", "qwen3"), NOISE), ModelKind.EMBEDDING),
        (gguf_file(llama_header(llama__attention__causal=False), NOISE), ModelKind.EMBEDDING),
        (gguf_file(renamed(llama_header(), "llama", "t5encoder"), NOISE), ModelKind.EMBEDDING),
        (encoder_without_keys("nomic-bert"), ModelKind.EMBEDDING),
        (encoder_without_keys("modern-bert"), ModelKind.EMBEDDING),
        (encoder_without_keys("gemma-embedding"), ModelKind.EMBEDDING),
        (bert_file(bert__pooling_type=4), ModelKind.RERANKER),
        (gguf_file(renamed(llama_header(llama__pooling_type=4), "llama", "qwen3"), NOISE), ModelKind.RERANKER),
        (gguf_file(llama_header(), CLASSIFIER), ModelKind.RERANKER),
        (t5_file(), ModelKind.ENCODER_DECODER),
        (gguf_file(renamed(llama_header(), "llama", "dream"), NOISE), ModelKind.TEXT_DIFFUSION),
        (gguf_file(renamed(llama_header(), "llama", "llada"), NOISE), ModelKind.TEXT_DIFFUSION),
        (gguf_file(llama_header(diffusion__shift_logits=True), NOISE), ModelKind.TEXT_DIFFUSION),
        (gguf_file({"general.architecture": "flux"}, NOISE), ModelKind.PICTURES),
        (gguf_file({"general.file_type": 1}, {"first_stage_model.decoder.conv_in.weight": (4,)}), ModelKind.PICTURES),
        (gguf_file({"general.architecture": "clip", "clip.projector_type": "mlp"}, NOISE), ModelKind.PROJECTOR),
        (gguf_file({"general.architecture": "clip", "general.type": "mmproj"}, NOISE), ModelKind.PROJECTOR),
        (gguf_file(llama_header(general__type="adapter", adapter__type="lora"), NOISE), ModelKind.ADAPTER),
        (gguf_file({"general.architecture": "llama", "adapter.type": "lora"}, NOISE), ModelKind.ADAPTER),
        (gguf_file({"general.architecture": "controlvector"}, {"direction.1": (4,)}), ModelKind.CONTROL_VECTOR),
        (gguf_file({"general.type": "imatrix", "imatrix.datasets": ["wiki"]}, NOISE), ModelKind.IMATRIX),
        (gguf_file(llama_header()), ModelKind.VOCABULARY),
        (gguf_file(renamed(llama_header(), "llama", "wavtokenizer-dec"), NOISE), ModelKind.OTHER),
        (gguf_file({"general.architecture": "kokoro"}, NOISE), ModelKind.OTHER),
    ],
)  # fmt: skip
def test_every_kind_is_told_by_its_header(tmp_path: Path, data: bytes, kind: ModelKind) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    assert kind_of(read_gguf(path)) is kind


def test_every_kind_but_chat_has_its_sentence() -> None:
    require_chat(ModelKind.CHAT)
    require_chat_type(CHAT_TYPE)
    for kind in set(ModelKind) - {ModelKind.CHAT}:
        assert kind.value.endswith(".")
        with pytest.raises(ModelError) as raised:
            require_chat(kind)
        assert (raised.value.message, raised.value.code) == (kind.value, 52416)
    for model_type in (EMBEDDING_TYPE, "whispercpp-transcription"):
        with pytest.raises(ModelError):
            require_chat_type(model_type)


def test_the_small_model_chats(small_model_path: Path) -> None:
    assert kind_of(read_gguf(small_model_path)) is ModelKind.CHAT
