"""The models that can be had by name: `model_registry_list`, `_search`, `_get_model`, with the SDK's entries.

The SDK asks its registry over the network; here the list is the one that ships (`qvac_core.models`), of the models that
can be fetched. What describes the registry's own storage (`blobCoreKey`, `blobBlockOffset`, …) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.errors import ModelError
from qvac_core.models import ModelDescriptor, all_models

# @qvac/sdk 0.16, schemas/engine-addon-map.js, of the engines that the list names.
_ADDONS = {
    "llamacpp-completion": "llm",
    "llamacpp-embedding": "embeddings",
    "whispercpp-transcription": "whisper",
    "nmtcpp-translation": "nmt",
    "parakeet-transcription": "parakeet",
}


@dataclass(frozen=True, slots=True)
class ModelRegistryEntry:
    """One model file, in the SDK's fields. `load_model` takes it.

    model_id: the file's name. expected_size: bytes. addon: llm, embeddings, whisper, … constant: its name in
    `qvac_core.models`, which is ours.
    """

    name: str
    registry_path: str
    registry_source: str
    model_id: str
    addon: str
    expected_size: int
    sha256_checksum: str
    engine: str
    quantization: str
    params: str
    constant: str

    @property
    def src(self) -> str:
        """The modelSrc of a load."""
        return f"registry://{self.registry_source}/{self.registry_path}"


def entry_of(model: ModelDescriptor) -> ModelRegistryEntry:
    source, _, path = model.src.removeprefix("registry://").partition("/")
    told = not model.packed  # of translation models the SDK's own list says neither
    return ModelRegistryEntry(
        name=model.file.rpartition(".")[0] or model.file,
        registry_path=path,
        registry_source=source,
        model_id=model.file,
        addon=_ADDONS.get(model.model_type, "other"),
        expected_size=model.size_bytes,
        sha256_checksum=model.sha256,
        engine=model.model_type,
        quantization=(told and model.quantization) or "",
        params=(told and model.params) or "",
        constant=model.name,
    )


async def model_registry_list() -> list[ModelRegistryEntry]:
    """Every model that can be had by name, the small one of the first start before the others."""
    return [entry_of(model) for model in all_models()]


async def model_registry_search(
    *,
    filter: str | None = None,
    engine: str | None = None,
    quantization: str | None = None,
    model_type: str | None = None,
    addon: str | None = None,
) -> list[ModelRegistryEntry]:
    """Those that meet all that is given; capitals do not count.

    filter: found in name, path, addon or engine (or in the constant). engine: as `llamacpp-completion`. quantization:
    how it begins ("q4" finds q4_k_m). addon: llm, embeddings, whisper; model_type is another name of it and goes first.
    """
    addon = addon if model_type is None else model_type

    def meets(entry: ModelRegistryEntry) -> bool:
        texts = (entry.name, entry.registry_path, entry.addon, entry.engine, entry.constant)
        return (
            (not filter or any(filter.lower() in text.lower() for text in texts))
            and (not engine or entry.engine == engine.lower())
            and (not quantization or entry.quantization.lower().startswith(quantization.lower()))
            and (not addon or addon.lower() in (entry.addon, entry.engine))
        )

    return [entry for entry in await model_registry_list() if meets(entry)]


async def model_registry_get_model(registry_path: str, registry_source: str) -> ModelRegistryEntry:
    """Raises ModelError QVAC_MODEL_REGISTRY_QUERY_FAILED where there is none."""
    for entry in await model_registry_list():
        if (entry.registry_path, entry.registry_source) == (registry_path, registry_source):
            return entry
    raise ModelError(
        f"Model not found: {registry_source[:64]}/{registry_path[:256]}",
        name="QVAC_MODEL_REGISTRY_QUERY_FAILED",
        code=53950,
    )
