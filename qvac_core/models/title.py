"""What people call a model: its file name without the quantization and the ending."""

from __future__ import annotations

import re

# llama.cpp's names of quantizations, at the end of a GGUF's file name: "-Q4_K_M", ".IQ3_XXS", "-UD-Q4_K_XL", "_f16".
_QUANTIZATION = re.compile(r"[-._](UD[-._])?(I?Q\d\w*|T[QL]\d\w*|B?F16|F32|MXFP4\w*)$", re.IGNORECASE)
_ANYWHERE = re.compile(
    r"(?<![A-Za-z0-9])((UD[-._])?(I?Q\d\w*|T[QL]\d\w*|B?F16|F32|MXFP4\w*))(?![A-Za-z0-9])", re.IGNORECASE
)
# Of an importance matrix: how it was quantized, not what it is.
_MATRIX = re.compile(r"[-._]imat$", re.IGNORECASE)
# How people write what files have in small letters, where a file begins so.
_WRITTEN = {
    "embeddinggemma": "EmbeddingGemma",
    "google": "Google",
    "gpt": "GPT",
    "gte": "GTE",
    "medgemma": "MedGemma",
    "medpsy": "MedPsy",
    "salamandrata": "SalamandraTA",
    "smollm2": "SmolLM2",
    "visionpsy": "VisionPsy",
}
_BEHIND = {
    "gemma": "Gemma",
    "oss": "OSS",
    "flash": "Flash",
    "inst": "Instruct",
    "instruct": "Instruct",
    "large": "Large",
}
_SIZE = re.compile(r"\d+(\.\d+)?[bm]")
_PART = re.compile(r"-\d{5}-of-\d{5}$")


def model_title(file_name: str) -> str:
    """ "SmolLM2-135M-Instruct.Q4_1.gguf" → "SmolLM2 135M Instruct"."""
    stem = _PART.sub("", file_name.removesuffix(".gguf"))
    bare = _QUANTIZATION.sub("", _MATRIX.sub("", stem)) or stem
    return _as_written(re.sub(r"[-_]+", " ", bare).strip()) or file_name


def _as_written(title: str) -> str:
    first, *others = title.split(" ")
    if first not in _WRITTEN:
        return title
    behind = (_BEHIND.get(word) or (word.upper() if _SIZE.fullmatch(word) else word) for word in others)
    return " ".join((_WRITTEN[first], *behind))


def quantization_in(file_name: str) -> str:
    """ "SmolLM2-135M-Instruct.Q4_1.gguf" → "Q4_1"; "" where the name does not say it."""
    found = _ANYWHERE.search(_PART.sub("", file_name.removesuffix(".gguf")))
    return found[1].upper() if found is not None else ""
