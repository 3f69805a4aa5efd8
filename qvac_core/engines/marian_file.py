"""A translation model in Marian's binary format, as Firefox and the SDK's Bergamot engine use them: what it says it is.

Beside the model file lie its vocabulary ("vocab.deen.spm", or one for each language) and, for speed and the words that
its makers chose, a shortlist ("lex.50.50.deen.s2t.bin"). Nothing inside says which languages: the names do.

Layout of marian-dev's src/common/binary.cpp, little-endian: version 1 and a count (u64), a header per tensor (u64 each:
length of its name, type, dimensions, bytes), names, shapes (i32), padding, data. The engine believes what it is told,
and ends its process over a tensor that is not there: so everything that it will look for is looked for here, first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import BinaryIO

from qvac_core.engines.language_names import LANGUAGES
from qvac_core.engines.model_bytes import cut_off, opened, take
from qvac_core.engines.sentencepiece_file import read_pieces
from qvac_core.errors import ModelError

_VERSION = 1
_MOST_TENSORS = 4096  # of Mozilla's largest: some 300
_MOST_NAME = 256
_MOST_SHORTLIST = 256 * 1024 * 1024  # bytes
_FLOAT32, _INT8, _INTGEMM8 = 0x404, 0x101, 0x4101  # marian's src/common/types.h
_BYTES = {_FLOAT32: 4, _INT8: 1, _INTGEMM8: 1}
_CONFIG = "special:model.yml"
_MOST_CONFIG = 1 << 20
_WIDEST, _DEEPEST, _MOST_WORDS = 4096, 64, 1 << 20
_NAME = re.compile(r"model\.(?P<pair>[a-z_]+)\.(?:intgemm8?|float32|.*intgemm).*\.bin|model\.(?P<other>[a-z_]+)\.bin")
_MODEL_BEGINNING = "model."
# Codes of Mozilla's that are no ISO 639-1: Serbo-Croatian in one, and the two ways to write Chinese.
_LONG_CODES = ("hbs", "zh_hant", "zh_hans")
_ATTENTION = ("Wq", "bq", "Wk", "bk", "Wv", "bv", "Wo", "bo")
_SHORTLIST_HEADER = struct.Struct("<6Q")


@dataclass(frozen=True, slots=True)
class MarianFile:
    """source, target: language codes. vocabularies: of the source and of the target, which may be one file."""

    source: str
    target: str
    path: Path
    vocabularies: tuple[Path, Path]
    shortlist: Path | None
    quantization: str
    parameters: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, the model first, each once."""
        own = dict.fromkeys((self.path, *self.vocabularies))
        return (*own, self.shortlist) if self.shortlist is not None else tuple(own)


def is_marian(path: Path) -> bool:
    """Whether it begins as such a model does. False for what cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(48)
    except OSError:
        return False
    if len(head) < 48:
        return False
    version, count, name, kind, dimensions, _ = struct.unpack("<6Q", head)
    return (
        version == _VERSION
        and 0 < count <= _MOST_TENSORS
        and 0 < name <= _MOST_NAME
        and kind in _BYTES
        and dimensions <= 8
    )


def languages_of(file_name: str) -> tuple[str, str] | None:
    """ "model.deen.intgemm.alphas.bin" → ("de", "en"); None where the name does not say it."""
    match = _NAME.fullmatch(file_name)
    pair = (match["pair"] or match["other"]) if match is not None else ""
    for source, target in _splits(pair):
        if _is_code(source) and _is_code(target) and source != target:
            return source, target
    return None


def read_marian(path: Path) -> MarianFile:
    """Raises ModelError for what is no translation model that runs here, is not whole, or lacks its vocabulary."""
    with opened(path) as (file, size):
        tensors, config = _read(file, size)
        return _described(path, tensors, config)


def companions_of(path: Path) -> tuple[tuple[Path, Path], Path | None]:
    """The vocabularies and the shortlist that lie beside a model. Raises ModelError where there is none."""
    pair = path.name.removeprefix(_MODEL_BEGINNING).partition(".")[0]
    both = path.with_name(f"vocab.{pair}.spm")
    own = path.with_name(f"srcvocab.{pair}.spm"), path.with_name(f"trgvocab.{pair}.spm")
    if not both.is_file() and not all(file.is_file() for file in own):
        raise ModelError(
            f"The vocabulary of this translation model is missing. Put {both.name} (or {own[0].name} and {own[1].name})"
            f" from where the model came into its folder, and unpack it if its name ends in .gz.",
            name="MODEL_FILE_NOT_FOUND",
            code=52201,
        )
    shortlists = sorted(file for file in path.parent.glob(f"lex.*{pair}.s2t.bin") if file.is_file())
    return (both, both) if both.is_file() else own, shortlists[0] if shortlists else None


def _splits(pair: str) -> Iterator[tuple[str, str]]:
    """English is on one side of each model of Mozilla's: tried first, as "enes" might be "e" and "nes"."""
    if pair.startswith("en"):
        yield "en", pair[2:].strip("_")
    if pair.endswith("en"):
        yield pair[:-2].strip("_"), "en"
    if len(pair) == 4:
        yield pair[:2], pair[2:]


def _is_code(code: str) -> bool:
    return code in LANGUAGES or code in _LONG_CODES


@dataclass(frozen=True, slots=True)
class _Tensor:
    kind: int
    shape: tuple[int, ...]
    size: int


def _read(file: BinaryIO, size: int) -> tuple[Mapping[str, _Tensor], str]:
    version, count = struct.unpack("<2Q", take(file, 16))
    if version != _VERSION or not 0 < count <= _MOST_TENSORS:
        raise ModelError("This is no translation model (Marian's .bin file). Choose another file.")
    headers = [struct.unpack("<4Q", take(file, 32)) for _ in range(count)]
    if any(not 0 < name <= _MOST_NAME or dimensions > 8 for name, _, dimensions, _ in headers):
        raise _damaged()
    names = [take(file, name).split(b"\0")[0].decode("utf-8", "replace") for name, *_ in headers]
    shapes = [struct.unpack(f"<{dimensions}i", take(file, 4 * dimensions)) for _, _, dimensions, _ in headers]
    (gap,) = struct.unpack("<Q", take(file, 8))
    if gap > 4096:
        raise _damaged()
    take(file, gap)
    tensors: dict[str, _Tensor] = {}
    config = b""
    for name, (_, kind, _, length), shape in zip(names, headers, shapes, strict=True):
        if kind not in _BYTES:
            raise ModelError(f"This translation model has numbers of a kind ({kind:#x}) that cannot be read here.")
        if file.tell() + length > size:
            raise cut_off()
        # Behind a weight of 8 bits stands what it was multiplied by.
        if any(each <= 0 for each in shape) or prod(shape) * _BYTES[kind] + 4 * (kind == _INTGEMM8) > length:
            raise _damaged()
        if name == _CONFIG:
            config = take(file, min(length, _MOST_CONFIG))
            length -= len(config)
        file.seek(length, 1)
        tensors[name] = _Tensor(kind, shape, prod(shape))
    return tensors, config.split(b"\0")[0].decode("utf-8", "replace")


def _described(path: Path, tensors: Mapping[str, _Tensor], config: str) -> MarianFile:
    _check_weights(tensors, config)
    languages = languages_of(path.name)
    if languages is None:
        raise ModelError(
            "The name of this translation model does not say its languages. Give it the name that it came with, as "
            "model.deen.intgemm.alphas.bin is German to English."
        )
    vocabularies, shortlist = companions_of(path)
    embedding = _embeddings(tensors)
    for vocabulary, name in zip(vocabularies, embedding, strict=True):
        words = len(read_pieces(vocabulary))
        if words > tensors[name].shape[0]:
            raise ModelError(
                f"{vocabulary.name} belongs to another model: it has {words} pieces, and the model knows "
                f"{tensors[name].shape[0]}. Take both from the same place."
            )
    if shortlist is not None:
        _check_shortlist(shortlist, len(read_pieces(vocabularies[1])))
    quantized = any(tensor.kind == _INTGEMM8 for tensor in tensors.values())
    return MarianFile(
        *languages,
        path=path,
        vocabularies=vocabularies,
        shortlist=shortlist,
        quantization="int8" if quantized else "f32",
        parameters=sum(tensor.size for name, tensor in tensors.items() if not name.startswith("special:")),
    )


def _embeddings(tensors: Mapping[str, _Tensor]) -> tuple[str, str]:
    return ("Wemb", "Wemb") if "Wemb" in tensors else ("encoder_Wemb", "decoder_Wemb")


def _check_weights(tensors: Mapping[str, _Tensor], config: str) -> None:
    """Everything that the engine asks for by name, in the shape that it takes for granted."""
    if (kind := _text(config, "type", "transformer")) != "transformer" or _text(
        config, "transformer-decoder-autoreg", "rnn"
    ) != "rnn":
        raise ModelError(
            f"This Marian model ({kind[:32]}) is built in another way than those of Firefox, which are what runs here. "
            "Choose one of Mozilla's, whose names are like model.deen.intgemm.alphas.bin."
        )
    width, inner = _count(config, "dim-emb", 384, _WIDEST), _count(config, "transformer-dim-ffn", 1536, 4 * _WIDEST)
    heads = _count(config, "transformer-heads", 8, 256)
    encoders, decoders = _count(config, "enc-depth", 6, _DEEPEST, 0), _count(config, "dec-depth", 4, _DEEPEST)
    if width % heads or width % 2 or width < 4:
        raise _damaged()
    quantized = any(tensor.kind == _INTGEMM8 for tensor in tensors.values())
    # Of the weights, those that stand alone: biases and the scales of a normalisation are rows.
    wanted: dict[str, tuple[int, ...]] = {}
    for name in _embeddings(tensors):
        rows = tensors[name].shape[0] if name in tensors else 0
        if not 0 < rows <= _MOST_WORDS:
            raise _damaged()
        wanted[name] = (rows, width)
    for number in range(1, encoders + 1):
        wanted |= _attention(f"encoder_l{number}_self", width) | _feed_forward(f"encoder_l{number}_ffn", width, inner)
    for number in range(1, decoders + 1):
        layer = f"decoder_l{number}"
        wanted |= {f"{layer}_rnn_W": (width, width), f"{layer}_rnn_Wf": (width, width), f"{layer}_rnn_bf": (1, width)}
        wanted |= {f"{layer}_rnn_ffn_ln_scale": (1, width)}
        wanted |= _attention(f"{layer}_context", width) | _feed_forward(f"{layer}_ffn", width, inner)
    for name, shape in wanted.items():
        tensor = tensors.get(name)
        if tensor is None or tensor.size != prod(shape) or (shape[0] > 1 and tensor.shape != shape):
            raise ModelError(f"The model file is damaged: {name} is not as it should be. Download it again.")
        weight = shape[0] > 1
        if tensor.kind != (_INTGEMM8 if quantized and weight else _FLOAT32):
            raise _damaged()
        if quantized and weight and name not in _embeddings(tensors) and f"{name}_QuantMultA" not in tensors:
            raise ModelError(
                "This translation model was quantized without what activations are multiplied by. "
                "Choose one whose name ends in intgemm.alphas.bin."
            )
    if quantized and not {"none_QuantMultA", "decoder_Wemb_QuantMultA"} & tensors.keys():
        raise _damaged()


def _attention(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}_Wo_ln_scale": (1, width)}
    for name in _ATTENTION:
        shapes[f"{prefix}_{name}"] = (width, width) if name[0] == "W" else (1, width)
    return shapes


def _feed_forward(prefix: str, width: int, inner: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}_W1": (width, inner),
        f"{prefix}_b1": (1, inner),
        f"{prefix}_W2": (inner, width),
        f"{prefix}_b2": (1, width),
        f"{prefix}_ffn_ln_scale": (1, width),
    }


def _text(config: str, key: str, otherwise: str) -> str:
    found = re.search(rf"(?m)^\s*{re.escape(key)}:[ \t]*(\S+)[ \t]*$", config)
    return found[1].strip("\"'") if found else otherwise


def _count(config: str, key: str, otherwise: int, most: int, least: int = 1) -> int:
    text = _text(config, key, str(otherwise))
    if not text.isdecimal() or not least <= int(text[:12]) <= most:
        raise _damaged()
    return int(text)


def _check_shortlist(path: Path, words: int) -> None:
    """marian's src/data/shortlist.cpp. Every number in it is an index."""
    size = path.stat().st_size
    if not _SHORTLIST_HEADER.size <= size <= _MOST_SHORTLIST:
        raise _bad_shortlist(path)
    data = path.read_bytes()
    _, _, first, _, offsets, entries = _SHORTLIST_HEADER.unpack_from(data)
    # The engine fills up what it found to a multiple of eight, with the words behind the first ones.
    if first + 8 > words or offsets * 8 + entries * 4 + _SHORTLIST_HEADER.size > size:
        raise _bad_shortlist(path)
    begin = memoryview(data)[_SHORTLIST_HEADER.size :]
    places = begin[: offsets * 8].cast("Q")
    listed = begin[offsets * 8 : offsets * 8 + entries * 4].cast("I")
    in_order = all(before <= after for before, after in pairwise(places))
    if not in_order or (offsets and places[-1] > entries) or (entries and max(listed) >= words):
        raise _bad_shortlist(path)


def _bad_shortlist(path: Path) -> ModelError:
    return ModelError(f"{path.name} is damaged, or of another model. Download it again, or take it away.")


def _damaged() -> ModelError:
    return ModelError("The model file is damaged. Download it again.")
