"""What is told of the servers whose models this machine offers."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from qvac_core.late_dataclass import dataclass


class ServerState(StrEnum):
    ASKED = "asked"  # for the first time
    THERE = "there"
    AWAY = "away"  # `problem` says why


@dataclass(frozen=True, slots=True)
class GivenServer:
    """A server of this run alone, from the command line."""

    url: str
    key: str = field(default="", repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class ModelAtServer:
    """name: by which it is shared, asked and loaded here. served: as the server calls it. ability: "chat", "embed"."""

    name: str
    served: str
    ability: str = "chat"
    vision: bool = False
    n_ctx: int = 0
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ModelServerEntry:
    """A server as it is now. kind: the program that answers, "" = not known. requests: at once, as its owner set it,
    0 = as many as such a server is known to take (`parallel`). kept: not for this run alone.
    """

    id: str
    name: str
    url: str
    has_key: bool = False
    kind: str = ""
    requests: int = 0
    parallel: int = 1
    state: ServerState = ServerState.ASKED
    problem: str = ""
    models: tuple[ModelAtServer, ...] = ()
    kept: bool = True


@dataclass(frozen=True, slots=True)
class ModelServersChanged:
    servers: tuple[ModelServerEntry, ...]
