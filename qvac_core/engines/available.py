"""Which engines are installed here, and which of them runs a model.

xllamacpp comes as a wheel, without a compiler; llama-cpp-python has to be compiled, and carries our own scheduler,
which is ahead where several chats run at once. Where both are there, the scheduler answers.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from enum import StrEnum

from qvac_core.engines.interface import ModelConfig
from qvac_core.errors import ModelError

VARIABLE = "QVAC_ENGINE"


class EngineKind(StrEnum):
    """Named as their packages."""

    SCHEDULER = "llama-cpp-python"
    SERVER = "xllamacpp"


_MODULES = {EngineKind.SCHEDULER: "llama_cpp", EngineKind.SERVER: "xllamacpp"}


def installed() -> tuple[EngineKind, ...]:
    """In the order in which they are preferred."""
    return tuple(kind for kind in EngineKind if importlib.util.find_spec(_MODULES[kind]) is not None)


def choose(wanted: str = "") -> EngineKind:
    """The engine named, by the caller or by QVAC_ENGINE, else the preferred one. Raises ModelError."""
    there = installed()
    name = wanted or _named()
    if not name and there:
        return there[0]
    if name in there:
        return EngineKind(name)
    names = " or ".join(EngineKind)
    if name and name not in tuple(EngineKind):
        raise ModelError(f"{VARIABLE} names no engine: {name[:40]}. Write {names}, or take it away.")
    missing = name or EngineKind.SERVER
    raise ModelError(f"The engine {missing} is not installed. Install it: pip install {missing}")


def choose_for(config: ModelConfig, wanted: str = "") -> EngineKind:
    """As `choose`; where nobody names one, a model that sees is run by the engine that can show it pictures."""
    if config.projector and not wanted and not _named() and EngineKind.SERVER in installed():
        return EngineKind.SERVER
    return choose(wanted)


def shows_pictures() -> bool:
    """Whether a model that could see is shown pictures here. Looks at nothing but what is installed and named."""
    return EngineKind.SERVER in installed() and _named() in ("", EngineKind.SERVER)


def _named() -> str:
    return os.environ.get(VARIABLE, "").strip()


def describe(kind: EngineKind) -> str:
    """NAME VERSION, as it is told to people."""
    return f"{kind} {importlib.metadata.version(kind)}"
