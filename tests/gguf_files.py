"""Small GGUF files of any kind, written by hand: headers as llama.cpp's converter makes them, tensors of noise.

Layout: ggml-org/ggml/docs/gguf.md, version 3. llama.cpp loads what `llama_file`, `bert_file`, `t5_file`, `gemma3_file`
and `lfm2_file` make.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

ALIGNMENT = 32
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _UINT16 = 4, 5, 6, 7, 8, 9, 2
WIDTH, FEED_FORWARD, HEADS, CONTEXT = 32, 64, 2, 64
# Of the projector: a picture of 32 × 32 pixels, in patches of 4 × 4, each a token.
PICTURE_SIDE, PATCH, MERGED, VISION_WIDTH = 32, 4, 1, 24

Value = int | float | bool | str | Sequence[int] | Sequence[float] | Sequence[str]
Shape = tuple[int, ...]


def gguf_file(
    metadata: Mapping[str, Value],
    tensors: Mapping[str, Shape] | None = None,
    seed: int = 1,
    norms: tuple[float, float] = (-0.3, 0.3),
    loud: Mapping[str, float] | None = None,
    zeros: Mapping[str, int] | None = None,
) -> bytes:
    """A whole file. Integers become uint32 (`split.*`: uint16, as gguf-split writes them), tensors float32 noise.

    norms: between which the weights of normalisations are. Large ones make what attention finds count.
    loud: by how much the noise of a tensor is stronger. zeros: how many numbers at its start are 0.
    """
    shapes = tensors or {}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata))
    head += b"".join(_string(key) + _value(key, value) for key, value in metadata.items())
    noise, data = random.Random(seed), b""
    for name, shape in shapes.items():
        head += _string(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", size) for size in shape)
        head += struct.pack("<IQ", 0, len(data))
        count = 1
        for size in shape:
            count *= size
        low, high = norms if name.endswith("norm.weight") else (-0.3, 0.3)
        louder, silent = (loud or {}).get(name, 1.0), (zeros or {}).get(name, 0)
        numbers = (0.0 if place < silent else louder * noise.uniform(low, high) for place in range(count))
        data += _padded(struct.pack(f"<{count}f", *numbers))
    return _padded(head) + data


def gguf_with_tensors(metadata: Mapping[str, Value], tensors: Mapping[str, numpy.ndarray[Any, Any]]) -> bytes:
    """A whole file with these tensors, float32 or float16, in numpy's order of dimensions."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_string(key) + _value(key, value) for key, value in metadata.items())
    parts, offset = [], 0
    for name, values in tensors.items():
        head += _string(name) + struct.pack("<I", values.ndim)
        head += b"".join(struct.pack("<Q", size) for size in reversed(values.shape))
        head += struct.pack("<IQ", {"float32": 0, "float16": 1}[values.dtype.name], offset)
        parts.append(_padded(values.tobytes()))
        offset += len(parts[-1])
    return _padded(head) + b"".join(parts)


def llama_header(**extra: Value) -> dict[str, Value]:
    """The header of a chat model with a vocabulary of the SentencePiece kind."""
    return {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        **_sentencepiece(),
        **{key.replace("__", "."): value for key, value in extra.items()},
    }


def llama_tensors(count: int = 0) -> dict[str, Shape]:
    """count: of its tokens, where they are not those of VOCABULARY."""
    count = count or len(VOCABULARY)
    return {
        "token_embd.weight": (WIDTH, count),
        "output_norm.weight": (WIDTH,),
        "output.weight": (WIDTH, count),
        "blk.0.attn_norm.weight": (WIDTH,),
        "blk.0.attn_q.weight": (WIDTH, WIDTH),
        "blk.0.attn_k.weight": (WIDTH, WIDTH),
        "blk.0.attn_v.weight": (WIDTH, WIDTH),
        "blk.0.attn_output.weight": (WIDTH, WIDTH),
        "blk.0.ffn_norm.weight": (WIDTH,),
        "blk.0.ffn_gate.weight": (WIDTH, FEED_FORWARD),
        "blk.0.ffn_up.weight": (WIDTH, FEED_FORWARD),
        "blk.0.ffn_down.weight": (FEED_FORWARD, WIDTH),
    }


def llama_file(seed: int = 1, **extra: Value) -> bytes:
    return gguf_file(llama_header(**extra), llama_tensors(), seed)


def split_llama_files(count: int, seed: int = 1) -> list[bytes]:
    """The same model as gguf-split cuts it: the header in the first part, the tensors over all."""
    tensors = list(llama_tensors().items())
    share = -(-len(tensors) // count)
    files = []
    for number in range(count):
        own = dict(tensors[number * share : (number + 1) * share])
        place: dict[str, Value] = {
            "split.no": number,
            "split.count": count,
            "split.tensors.count": len(tensors),
        }
        files.append(gguf_file({**llama_header(), **place} if number == 0 else place, own, seed + number))
    return files


def seeing_llama_file(seed: int = 1, context: int = 32768) -> bytes:
    """A chat model that says words, in whose answers pictures make a difference (`projector_file`)."""
    header = {**llama_header(), "llama.context_length": context, **_sentencepiece(WORDS)}
    tensors = llama_tensors(len(VOCABULARY) + len(WORDS))
    # What was read before counts for more than the last token, and nothing but words is ever said.
    loud = {"blk.0.attn_v.weight": 3.0, "blk.0.attn_output.weight": 3.0}
    return gguf_file(header, tensors, seed, loud=loud, zeros={"output.weight": len(VOCABULARY) * WIDTH})


def projector_file(seed: int = 1, width: int = WIDTH, **extra: Value) -> bytes:
    """The vision part of such a model: the shape of Gemma 3's, with one layer."""
    header: dict[str, Value] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.projector_type": "gemma3",
        "clip.has_vision_encoder": True,
        "clip.use_gelu": True,
        "clip.vision.image_size": PICTURE_SIDE,
        "clip.vision.patch_size": PATCH,
        "clip.vision.projector.scale_factor": MERGED,
        "clip.vision.embedding_length": VISION_WIDTH,
        "clip.vision.feed_forward_length": FEED_FORWARD,
        "clip.vision.block_count": 1,
        "clip.vision.projection_dim": width,
        "clip.vision.attention.head_count": HEADS,
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
        **{key.replace("__", "."): value for key, value in extra.items()},
    }
    tensors: dict[str, Shape] = {
        "v.patch_embd.weight": (PATCH, PATCH, 3, VISION_WIDTH),
        "v.patch_embd.bias": (VISION_WIDTH,),
        "v.position_embd.weight": (VISION_WIDTH, (PICTURE_SIDE // PATCH) ** 2),
        "v.post_ln.weight": (VISION_WIDTH,),
        "v.post_ln.bias": (VISION_WIDTH,),
        "mm.input_projection.weight": (width, VISION_WIDTH),
        "mm.soft_emb_norm.weight": (VISION_WIDTH,),
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        tensors |= {f"v.blk.0.{name}.weight": (VISION_WIDTH, VISION_WIDTH), f"v.blk.0.{name}.bias": (VISION_WIDTH,)}
    for name in ("ln1", "ln2"):
        tensors |= {f"v.blk.0.{name}.weight": (VISION_WIDTH,), f"v.blk.0.{name}.bias": (VISION_WIDTH,)}
    tensors |= {
        "v.blk.0.ffn_up.weight": (VISION_WIDTH, FEED_FORWARD),
        "v.blk.0.ffn_up.bias": (FEED_FORWARD,),
        "v.blk.0.ffn_down.weight": (FEED_FORWARD, VISION_WIDTH),
        "v.blk.0.ffn_down.bias": (VISION_WIDTH,),
    }
    loud = {"v.patch_embd.weight": 4.0, "v.position_embd.weight": 0.1, "mm.input_projection.weight": 4.0}
    return gguf_file(header, tensors, seed, loud=loud)


def bert_header(**extra: Value) -> dict[str, Value]:
    """An encoder's header as convert_hf_to_gguf.py writes it."""
    return {
        "general.architecture": "bert",
        "bert.block_count": 1,
        "bert.context_length": CONTEXT,
        "bert.embedding_length": WIDTH,
        "bert.feed_forward_length": FEED_FORWARD,
        "bert.attention.head_count": HEADS,
        "bert.attention.layer_norm_epsilon": 1e-12,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.pre": "jina-v2-en",
        "tokenizer.ggml.tokens": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"▁{letter}" for letter in "abcdef")],
        "tokenizer.ggml.token_type": [3, 2, 3, 3, 3, *[1] * 6],
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.cls_token_id": 2,
        "tokenizer.ggml.mask_token_id": 4,
        **{key.replace("__", "."): value for key, value in extra.items()},
    }


def bert_file(**extra: Value) -> bytes:
    tensors: dict[str, Shape] = {
        "token_embd.weight": (WIDTH, 11),
        "token_types.weight": (WIDTH, 2),
        "position_embd.weight": (WIDTH, CONTEXT),
        "token_embd_norm.weight": (WIDTH,),
        "token_embd_norm.bias": (WIDTH,),
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensors |= {f"blk.0.{name}.weight": (WIDTH, WIDTH), f"blk.0.{name}.bias": (WIDTH,)}
    for name in ("attn_output_norm", "layer_output_norm"):
        tensors |= {f"blk.0.{name}.weight": (WIDTH,), f"blk.0.{name}.bias": (WIDTH,)}
    tensors |= {
        "blk.0.ffn_up.weight": (WIDTH, FEED_FORWARD),
        "blk.0.ffn_up.bias": (FEED_FORWARD,),
        "blk.0.ffn_down.weight": (FEED_FORWARD, WIDTH),
        "blk.0.ffn_down.bias": (WIDTH,),
    }
    return gguf_file(bert_header(**extra), tensors)


def t5_file(**extra: Value) -> bytes:
    """An encoder-decoder."""
    count = len(VOCABULARY)
    header: dict[str, Value] = {
        "general.architecture": "t5",
        "t5.block_count": 1,
        "t5.context_length": CONTEXT,
        "t5.embedding_length": WIDTH,
        "t5.feed_forward_length": FEED_FORWARD,
        "t5.attention.head_count": HEADS,
        "t5.attention.key_length": WIDTH // HEADS,
        "t5.attention.value_length": WIDTH // HEADS,
        "t5.attention.layer_norm_epsilon": 1e-6,
        "t5.attention.layer_norm_rms_epsilon": 1e-6,
        "t5.attention.relative_buckets_count": 32,
        "t5.decoder_start_token_id": 0,
        **_sentencepiece(),
        "tokenizer.ggml.model": "t5",
        **{key.replace("__", "."): value for key, value in extra.items()},
    }
    tensors: dict[str, Shape] = {
        "token_embd.weight": (WIDTH, count),
        "enc.output_norm.weight": (WIDTH,),
        "dec.output_norm.weight": (WIDTH,),
        "output.weight": (WIDTH, count),
    }
    for side, attentions in (("enc", ("attn",)), ("dec", ("attn", "cross_attn"))):
        for attention in attentions:
            for name in ("q", "k", "v", "o"):
                tensors[f"{side}.blk.0.{attention}_{name}.weight"] = (WIDTH, WIDTH)
            tensors[f"{side}.blk.0.{attention}_norm.weight"] = (WIDTH,)
            tensors[f"{side}.blk.0.{attention}_rel_b.weight"] = (HEADS, 32)
        tensors |= {
            f"{side}.blk.0.ffn_norm.weight": (WIDTH,),
            f"{side}.blk.0.ffn_gate.weight": (WIDTH, FEED_FORWARD),
            f"{side}.blk.0.ffn_up.weight": (WIDTH, FEED_FORWARD),
            f"{side}.blk.0.ffn_down.weight": (FEED_FORWARD, WIDTH),
        }
    return gguf_file(header, tensors)


SLIDING_LAYERS, WINDOW = 6, 32  # Gemma 3's shape: every sixth layer sees all, the others a window of tokens
KEY_LENGTH, KEY_HEADS = 64, 4


def gemma3_file(seed: int = 1, **extra: Value) -> bytes:
    """A chat model of which five layers in six slide. A token takes 6 KiB of the cache, 1 KiB of them for good."""
    header: dict[str, Value] = {
        "general.architecture": "gemma3",
        "gemma3.block_count": SLIDING_LAYERS,
        "gemma3.context_length": 32768,
        "gemma3.embedding_length": WIDTH,
        "gemma3.feed_forward_length": FEED_FORWARD,
        "gemma3.attention.head_count": KEY_HEADS,
        "gemma3.attention.head_count_kv": KEY_HEADS,
        "gemma3.attention.key_length": KEY_LENGTH,
        "gemma3.attention.value_length": KEY_LENGTH,
        "gemma3.attention.sliding_window": WINDOW,
        "gemma3.attention.layer_norm_rms_epsilon": 1e-6,
        **_sentencepiece(),
        **{key.replace("__", "."): value for key, value in extra.items()},
    }
    tensors: dict[str, Shape] = {
        "token_embd.weight": (WIDTH, len(VOCABULARY)),
        "output.weight": (WIDTH, len(VOCABULARY)),
        "output_norm.weight": (WIDTH,),
    }
    for layer in range(SLIDING_LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            tensors[f"{block}.{name}.weight"] = (WIDTH,)
        for name in ("attn_q", "attn_k", "attn_v"):
            tensors[f"{block}.{name}.weight"] = (WIDTH, KEY_HEADS * KEY_LENGTH)
        tensors |= {
            f"{block}.attn_output.weight": (KEY_HEADS * KEY_LENGTH, WIDTH),
            f"{block}.attn_k_norm.weight": (KEY_LENGTH,),
            f"{block}.attn_q_norm.weight": (KEY_LENGTH,),
            f"{block}.ffn_gate.weight": (WIDTH, FEED_FORWARD),
            f"{block}.ffn_up.weight": (WIDTH, FEED_FORWARD),
            f"{block}.ffn_down.weight": (FEED_FORWARD, WIDTH),
        }
    return gguf_file(header, tensors, seed, norms=(0.5, 2.0))


def lfm2_file(seed: int = 1, **extra: Value) -> bytes:
    """A hybrid: two layers in three keep a state of the last tokens (LFM2's short convolution), one attends to all."""
    kept = (0, 0, HEADS, 0, 0, HEADS)
    header: dict[str, Value] = {
        "general.architecture": "lfm2",
        "lfm2.block_count": len(kept),
        "lfm2.context_length": 4096,
        "lfm2.embedding_length": WIDTH,
        "lfm2.feed_forward_length": FEED_FORWARD,
        "lfm2.attention.head_count": HEADS,
        "lfm2.attention.head_count_kv": kept,
        "lfm2.attention.layer_norm_rms_epsilon": 1e-6,
        "lfm2.shortconv.l_cache": 3,
        **_sentencepiece(),
        **{key.replace("__", "."): value for key, value in extra.items()},
    }
    tensors: dict[str, Shape] = {
        "token_embd.weight": (WIDTH, len(VOCABULARY)),
        "output.weight": (WIDTH, len(VOCABULARY)),
        "token_embd_norm.weight": (WIDTH,),
    }
    for layer, heads in enumerate(kept):
        block = f"blk.{layer}"
        tensors |= {
            f"{block}.attn_norm.weight": (WIDTH,),
            f"{block}.ffn_norm.weight": (WIDTH,),
            f"{block}.ffn_gate.weight": (WIDTH, FEED_FORWARD),
            f"{block}.ffn_up.weight": (WIDTH, FEED_FORWARD),
            f"{block}.ffn_down.weight": (FEED_FORWARD, WIDTH),
        }
        if heads:
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                tensors[f"{block}.{name}.weight"] = (WIDTH, WIDTH)
            tensors |= {f"{block}.{name}.weight": (WIDTH // HEADS,) for name in ("attn_q_norm", "attn_k_norm")}
        else:
            tensors |= {
                f"{block}.shortconv.conv.weight": (3, WIDTH),
                f"{block}.shortconv.in_proj.weight": (WIDTH, 3 * WIDTH),
                f"{block}.shortconv.out_proj.weight": (WIDTH, WIDTH),
            }
    return gguf_file(header, tensors, seed, norms=(0.5, 2.0))


# Three control tokens, the 256 bytes, then a few pieces: the shape of Llama 2's vocabulary.
VOCABULARY = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "e", "t", "▁a", "▁the")


# For models whose answers somebody looks at.
WORDS = tuple(
    f"▁{first}{second}" for first in ("ba", "do", "fi", "lu", "me", "ra", "su", "ti") for second in "klmnprst"
)


def _sentencepiece(more: Sequence[str] = ()) -> dict[str, Value]:
    count = len(VOCABULARY) + len(more)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": (*VOCABULARY, *more),
        "tokenizer.ggml.scores": [0.0] * 3 + [-float(index) for index in range(count - 3)],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (count - 259)],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(key: str, value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        if key in ("split.no", "split.count"):
            return struct.pack("<IH", _UINT16, value)
        return struct.pack("<II", _UINT32, value) if key != "split.tensors.count" else struct.pack("<Ii", _INT32, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_string, map(str, value)))
    kind, code = (_INT32, "i") if isinstance(value[0], int) else (_FLOAT32, "f")
    return struct.pack(f"<IIQ{len(value)}{code}", _ARRAY, kind, len(value), *value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
