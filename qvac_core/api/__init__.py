"""The functions of the QVAC SDK in Python, named as in its own Python client (see `functions`)."""

from qvac_core.api.functions import (
    Answer,
    Delegate,
    Firewall,
    Provided,
    cancel,
    close,
    completion,
    configure,
    embed,
    get_consumer_public_key,
    get_loaded_model_info,
    heartbeat,
    load_model,
    start_qvac_provider,
    stop_qvac_provider,
    unload_model,
)
from qvac_core.api.loaded_model import LoadedModelInfo
from qvac_core.api.registry import (
    ModelRegistryEntry,
    model_registry_get_model,
    model_registry_list,
    model_registry_search,
)
from qvac_core.api.speech import transcribe, transcribe_stream
from qvac_core.api.translation import Translation, translate

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
