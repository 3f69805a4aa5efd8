"""What a program may know of a model that it has loaded: the SDK's `getLoadedModelInfo` (docs/wire/qvac.md section
9)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from qvac_core.engines.interface import LibraryModel, ModelInfo

# Display names and handlers of @qvac/sdk 0.16's plug-ins, those that this API has a function for.
_DISPLAY_NAMES = {
    "llamacpp-completion": "LLM (llama.cpp)",
    "llamacpp-embedding": "Embeddings (llama.cpp)",
    "whispercpp-transcription": "Whisper (whisper.cpp)",
    "nmtcpp-translation": "NMT (nmtcpp)",
}
_HANDLERS = {
    "llamacpp-completion": {"completionStream": "completion", "translate": "translate"},
    "llamacpp-embedding": {"embed": "embed"},
    "whispercpp-transcription": {"transcribe": "transcribe", "transcribeStream": "transcribe_stream"},
    "nmtcpp-translation": {"translate": "translate"},
}


@dataclass(frozen=True, slots=True)
class LoadedModelInfo:
    """Of a model at a provider: model_id, is_delegated and provider_public_key (64 hex digits); handlers is empty.

    handlers: what may be asked of it, under the wire's names ("completionStream"). addon_package: the engine that
    answers. name and path: of the file on this machine.
    """

    model_id: str
    is_delegated: bool
    handlers: tuple[str, ...] = ()
    model_type: str | None = None
    display_name: str | None = None
    addon_package: str | None = None
    loaded_at: datetime | None = None
    name: str | None = None
    path: str | None = None
    provider_public_key: str | None = None


def info_of(
    model_id: str, model: LibraryModel, running: ModelInfo, loaded_at: datetime, functions: Collection[str]
) -> LoadedModelInfo:
    """Of one on this machine. functions: the names that this API offers."""
    handlers = _HANDLERS.get(model.model_type, {})
    return LoadedModelInfo(
        model_id=model_id,
        is_delegated=False,
        handlers=tuple(handler for handler, function in handlers.items() if function in functions),
        model_type=model.model_type,
        display_name=_DISPLAY_NAMES.get(model.model_type),
        addon_package=running.engine.partition(" ")[0] or None,
        loaded_at=loaded_at,
        name=model.name,
        path=str(model.path),
    )
