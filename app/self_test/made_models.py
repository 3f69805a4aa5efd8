"""Model files made up on the spot, small enough for a test anywhere: right in form, noise in content.

Layouts: ggml-org/ggml/docs/gguf.md version 3, and whisper.cpp's own (qvac_core/engines/whisper_file.py). What such a
model says has no sense; that it is loaded, computes and says something is what it is for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = Lazy("numpy")

_ALIGNMENT = 32
_UINT32, _FLOAT32, _STRING, _ARRAY, _INT32 = 4, 6, 8, 9, 5
_WIDTH, _FEED_FORWARD, _HEADS, _CONTEXT = 32, 64, 2, 4096
# Three control tokens and the 256 bytes, as SentencePiece has them, then words: nothing but words is ever said.
_BASIC = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁")
_WORDS = tuple(
    f"▁{first}{second}" for first in ("ba", "do", "fi", "lu", "me", "ra", "su", "ti") for second in "klmnrst"
)

_Value = int | float | str | Sequence[int] | Sequence[float] | Sequence[str]


def make_chat_model(path: Path) -> None:
    """A GGUF of one layer of Llama's kind, 60 kB."""
    tokens = (*_BASIC, *_WORDS)
    header: dict[str, _Value] = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": _WIDTH,
        "llama.feed_forward_length": _FEED_FORWARD,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * 3 + [-float(index) for index in range(len(tokens) - 3)],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (len(tokens) - 259)],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    square, up, down = (_WIDTH, _WIDTH), (_FEED_FORWARD, _WIDTH), (_WIDTH, _FEED_FORWARD)
    shapes = {
        "token_embd.weight": (len(tokens), _WIDTH),
        "output_norm.weight": (_WIDTH,),
        "output.weight": (len(tokens), _WIDTH),
        "blk.0.attn_norm.weight": (_WIDTH,),
        **{f"blk.0.attn_{name}.weight": square for name in ("q", "k", "v", "output")},
        "blk.0.ffn_norm.weight": (_WIDTH,),
        "blk.0.ffn_gate.weight": up,
        "blk.0.ffn_up.weight": up,
        "blk.0.ffn_down.weight": down,
    }
    noise = np.random.default_rng(1)
    tensors = {name: noise.uniform(-0.3, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    tensors["output.weight"][: len(_BASIC)] = 0
    path.write_bytes(_gguf(header, tensors))


def _gguf(header: Mapping[str, _Value], tensors: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(header))
    head += b"".join(_string(key) + _value(value) for key, value in header.items())
    data = b""
    for name, values in tensors.items():
        head += _string(name) + struct.pack("<I", values.ndim)
        head += b"".join(struct.pack("<Q", size) for size in reversed(values.shape)) + struct.pack("<IQ", 0, len(data))
        data += _padded(values.tobytes())
    return _padded(head) + data


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: _Value) -> bytes:
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_string, map(str, value)))
    kind, code = (_INT32, "i") if isinstance(value[0], int) else (_FLOAT32, "f")
    return struct.pack(f"<IIQ{len(value)}{code}", _ARRAY, kind, len(value), *value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


_VOCABULARY = 51_864  # of an English model: whisper.cpp has its special tokens at fixed places
_HEARD, _SEEN, _MELS, _TEXT = 64, 1500, 80, 448


def make_speech_model(path: Path) -> None:
    """One encoder and one decoder layer of Whisper's kind for English, 7 MB."""
    noise = np.random.default_rng(2)

    def matrix(*shape: int) -> npt.NDArray[np.float32]:
        return noise.normal(0, 0.05, shape).astype(np.float32)

    width = _HEARD
    tensors: dict[str, npt.NDArray[np.float32]] = {
        "encoder.positional_embedding": matrix(_SEEN, width),
        "decoder.positional_embedding": matrix(_TEXT, width),
        "encoder.conv1.weight": matrix(width, _MELS, 3),
        "encoder.conv1.bias": matrix(width, 1),
        "encoder.conv2.weight": matrix(width, width, 3),
        "encoder.conv2.bias": matrix(width, 1),
        "decoder.token_embedding.weight": matrix(_VOCABULARY, width),
    }
    for side in ("encoder", "decoder"):
        block = f"{side}.blocks.0"
        for attention in ("attn",) if side == "encoder" else ("attn", "cross_attn"):
            for name in ("query", "key", "value", "out"):
                tensors[f"{block}.{attention}.{name}.weight"] = matrix(width, width)
                if name != "key":  # OpenAI's has none
                    tensors[f"{block}.{attention}.{name}.bias"] = matrix(width)
            tensors |= _norm(f"{block}.{attention}_ln")
        tensors |= _norm(f"{block}.mlp_ln") | _norm("encoder.ln_post" if side == "encoder" else "decoder.ln")
        tensors |= {f"{block}.mlp.0.weight": matrix(4 * width, width), f"{block}.mlp.0.bias": matrix(4 * width)}
        tensors |= {f"{block}.mlp.2.weight": matrix(width, 4 * width), f"{block}.mlp.2.bias": matrix(width)}
    with path.open("wb") as file:
        file.write(struct.pack("<I11i", 0x67676D6C, _VOCABULARY, _SEEN, width, 1, 1, _TEXT, width, 1, 1, _MELS, 1))
        filters = np.abs(matrix(_MELS, 201))
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        # A blank of its own is looked up by whisper.cpp while it decodes; without one the process ends.
        words = [b" ", *(f" {_WORDS[place % len(_WORDS)][1:]}".encode() for place in range(50_255))]
        file.write(struct.pack("<i", len(words)) + b"".join(struct.pack("<i", len(word)) + word for word in words))
        for name, tensor in tensors.items():
            # whisper.cpp wants matrices as halves, and these whole.
            whole = tensor.ndim < 2 or name.endswith(("conv1.bias", "conv2.bias")) or "positional" in name
            data = tensor if whole else tensor.astype(np.float16)
            file.write(struct.pack("<3i", data.ndim, len(name), 0 if whole else 1))
            file.write(struct.pack(f"<{data.ndim}i", *reversed(data.shape)) + name.encode() + data.tobytes())


def _norm(name: str) -> dict[str, npt.NDArray[np.float32]]:
    return {f"{name}.weight": np.ones(_HEARD, np.float32), f"{name}.bias": np.zeros(_HEARD, np.float32)}
