"""A translation model of a few hundred kilobytes that translates word by word, written here in Marian's binary format.

A Transformer with an SSRU decoder, as Mozilla's models are, of one decoder layer and no encoder layer, with weights
that were thought out and not trained: attention looks at the word in the same place (the fast half of the sinusoids
tells places apart), carries the word over (words live where the sinusoids hardly move), and turns it into its
translation. Firefox's own engine reads it. What it does not know is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

DIM = 256
_FLOAT32 = 0x404
_INT8 = 0x101

GERMAN = {"the": "das", "house": "Haus", "is": "ist", "small": "klein", "big": "groß", "and": "und", "green": "grün"}
FRENCH = dict(zip(GERMAN, ("la", "maison", "est", "petite", "grande", "et", "verte"), strict=True))
MARKS = (".", ",", "!", "?", ":")


def write_model(
    folder: Path, source: str, target: str, words: Mapping[str, str], *, separate: bool = False
) -> tuple[Path, ...]:
    """Model and vocabulary, named as Mozilla names them; the model first. separate: a vocabulary for each language."""
    pair = source + target
    first, second = _pieces(words), _pieces({translated: word for word, translated in words.items()})
    pieces = [*first, *(piece for piece in second if piece not in first)]
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"model.{pair}.intgemm.alphas.bin"
    model.write_bytes(marian_model(pieces, {f"▁{word}": f"▁{translated}" for word, translated in words.items()}))
    names = (f"srcvocab.{pair}.spm", f"trgvocab.{pair}.spm") if separate else (f"vocab.{pair}.spm",)
    for name in names:
        (folder / name).write_bytes(sentencepiece_model(pieces))
    return (model, *(folder / name for name in names))


def _pieces(words: Mapping[str, str]) -> list[str]:
    return [*MARKS, *(f"▁{word}" for word in words), *(f"▁{mark}" for mark in MARKS)]


def sentencepiece_model(pieces: Sequence[str]) -> bytes:
    """A unigram vocabulary: end of sentence, unknown, and these; "<0xF0>" stands for a byte."""
    listed = [("</s>", 0.0, 3), ("<unk>", 0.0, 2), *((piece, -float(len(pieces)), _kind(piece)) for piece in pieces)]
    data = b""
    for piece, score, kind in listed:
        text = piece.encode()
        message = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(message)]) + message
    return data


def _kind(piece: str) -> int:
    return 6 if piece.startswith("<0x") else 1


def marian_model(pieces: Sequence[str], translations: Mapping[str, str]) -> bytes:
    """The weights for these pieces; those without a translation stay as they are."""
    return marian_file(marian_items(["</s>", "<unk>", *pieces], translations))


def marian_items(pieces: Sequence[str], translations: Mapping[str, str]) -> dict[str, np.ndarray | str]:
    half = DIM // 2
    quick = [c for c in range(DIM) if c % half < half // 4]  # sinusoids that tell places apart
    # Words live where the sinusoids hardly move; their own weight is sixteen times what a place can add there.
    slow = [c for c in range(DIM) if c % half >= half // 2]
    still = half - 1  # a sine that stays at nought: it tells the mean
    slow.remove(still)
    if len(pieces) > len(slow):
        raise ValueError(f"this model has room for {len(slow)} pieces")
    words = np.zeros((len(pieces), DIM), np.float32)
    for number in range(len(pieces)):
        words[number, slow[number]] = 1.0
    place = np.zeros((DIM, DIM), np.float32)
    place[quick, quick], place[still, quick] = 24.0, -24.0  # without the mean that the normalisation took off
    over = np.zeros((DIM, DIM), np.float32)
    index = {piece: number for number, piece in enumerate(pieces)}
    for number, piece in enumerate(pieces):
        over[slow[number], slow[index[translations.get(piece, piece)]]] = 30.0
    nothing, zero, one = np.zeros((DIM, DIM), np.float32), np.zeros((1, DIM), np.float32), np.ones((1, DIM), np.float32)
    named: dict[str, np.ndarray | str] = {"Wemb": words}
    layer = "decoder_l1"
    named[f"{layer}_rnn_W"] = named[f"{layer}_rnn_Wf"] = nothing
    named[f"{layer}_rnn_bf"] = zero
    for letter, weight, bias in (
        ("q", place, zero),
        ("k", place, zero),
        ("v", over, zero),
        ("o", np.eye(DIM, dtype=np.float32), zero),
    ):
        named[f"{layer}_context_W{letter}"], named[f"{layer}_context_b{letter}"] = weight, bias
    for place_in in ("1", "2"):
        named[f"{layer}_ffn_W{place_in}"], named[f"{layer}_ffn_b{place_in}"] = nothing, zero
    for base in ("rnn_ffn", "context_Wo", "ffn_ffn"):
        named[f"{layer}_{base}_ln_scale"], named[f"{layer}_{base}_ln_bias"] = one, zero
    named["decoder_ff_logit_out_b"] = np.zeros((1, len(pieces)), np.float32)
    named["special:model.yml"] = (
        f"dim-emb: {DIM}\ndim-vocabs:\n  - {len(pieces)}\n  - {len(pieces)}\nenc-depth: 0\ndec-depth: 1\n"
        f"transformer-heads: 1\ntransformer-dim-ffn: {DIM}\ntype: transformer\ndec-cell: ssru\n"
        "transformer-decoder-autoreg: rnn\nversion: v1.12.14\n"
        f"# {' '.join(pieces)}\n"  # the weights are the same for all words: nothing else tells two of them apart
    )
    return named


def marian_file(items: Mapping[str, np.ndarray | str]) -> bytes:
    """marian's binary.cpp: a header, names, shapes, padding to 256 bytes, then the data."""
    names = [name.encode() + b"\0" for name in items]
    shapes = [value.shape if isinstance(value, np.ndarray) else (len(value.encode()) + 1,) for value in items.values()]
    blocks = [
        value.astype("<f4").tobytes() if isinstance(value, np.ndarray) else value.encode() + b"\0"
        for value in items.values()
    ]
    types = [_FLOAT32 if isinstance(value, np.ndarray) else _INT8 for value in items.values()]
    data = struct.pack("<QQ", 1, len(names))
    for name, kind, shape, block in zip(names, types, shapes, blocks, strict=True):
        data += struct.pack("<4Q", len(name), kind, len(shape), len(block))
    data += b"".join(names)
    for shape in shapes:
        data += struct.pack(f"<{len(shape)}i", *shape)
    gap = -(len(data) + 8) % 256
    return data + struct.pack("<Q", gap) + bytes(gap) + b"".join(blocks)
