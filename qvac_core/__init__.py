"""QVAC Desktop's core: share and use models by public key, peer to peer. The SDK's functions, in Python.

    from qvac_core import Delegate, load_model, completion
    from qvac_core import blocking as qvac  # the same as plain calls, for scripts and notebooks

`qvac_core.hyperdht` is the network alone, `qvac_core.models` the SDK's model names. Names are looked up on first use,
so that `import qvac_core.hyperdht` loads no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qvac_core.api import (
        Answer,
        Delegate,
        Firewall,
        LoadedModelInfo,
        ModelRegistryEntry,
        Provided,
        Translation,
        cancel,
        close,
        completion,
        configure,
        embed,
        get_consumer_public_key,
        get_loaded_model_info,
        heartbeat,
        load_model,
        model_registry_get_model,
        model_registry_list,
        model_registry_search,
        start_qvac_provider,
        stop_qvac_provider,
        transcribe,
        transcribe_stream,
        translate,
        unload_model,
    )

__all__ = [
    "Answer",
    "Delegate",
    "Firewall",
    "LoadedModelInfo",
    "ModelRegistryEntry",
    "Provided",
    "Translation",
    "cancel",
    "close",
    "completion",
    "configure",
    "embed",
    "get_consumer_public_key",
    "get_loaded_model_info",
    "heartbeat",
    "load_model",
    "model_registry_get_model",
    "model_registry_list",
    "model_registry_search",
    "start_qvac_provider",
    "stop_qvac_provider",
    "transcribe",
    "transcribe_stream",
    "translate",
    "unload_model",
]


def __getattr__(name: str) -> Any:
    if name == "blocking":
        return import_module("qvac_core.api.blocking")
    if name in __all__:
        from qvac_core import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
