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
    get_consumer_public_key,
    heartbeat,
    load_model,
    start_qvac_provider,
    stop_qvac_provider,
    unload_model,
)

__all__ = [
    "Answer",
    "Delegate",
    "Firewall",
    "Provided",
    "cancel",
    "close",
    "completion",
    "configure",
    "get_consumer_public_key",
    "heartbeat",
    "load_model",
    "start_qvac_provider",
    "stop_qvac_provider",
    "unload_model",
]
