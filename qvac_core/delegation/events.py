"""What a provider tells its owner: values that a screen renders and the command line prints.

docs/architecture.md, "Contracts that others rely on": the fields are those of the command line's JSON
events, in snake_case. Keys are hex.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    MOVED = "moved"  # it goes on, on another path: direct now, or through another relay
    REFUSED = "refused"
    BLOCKED = "blocked"
    KNOCK = "knock"


class Outcome(StrEnum):
    """How a request ended."""

    EOS = "eos"
    LENGTH = "length"
    STOP_SEQUENCE = "stopSequence"
    CANCELLED = "cancelled"
    DISCONNECTED = "disconnected"  # its consumer left, or was lost
    STOPPED = "stopped"  # by the owner; `error` says how
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """remote_address: host:port, empty inside the handshake. path: "direct" or "relay"; relay: its key."""

    remote_public_key: str
    state: ConnectionState
    remote_address: str = ""
    path: str = ""
    relay: str = ""


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """An answer was asked for. id is ours, not the stranger's. started_at: Unix seconds."""

    id: str
    remote_public_key: str
    method: str
    model: str
    started_at: float


@dataclass(frozen=True, slots=True)
class RequestPlaced:
    """place: in the line for a slot, 1 = next; 0: it is being worked on."""

    id: str
    place: int


@dataclass(frozen=True, slots=True)
class RequestProgressed:
    id: str
    generated_tokens: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """One per RequestStarted, exactly. ms: from its arrival to its end. error: a sentence, never prompt or answer.

    amount, unit: what it was beside tokens: so many "texts" or "seconds" of audio; unit "" = nothing else.
    """

    id: str
    remote_public_key: str
    method: str
    model: str
    started_at: float
    ms: float
    outcome: Outcome
    prompt_tokens: int = 0
    generated_tokens: int = 0
    error: str = ""
    amount: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ModelsInUseChanged:
    """Names of the models that consumers hold now."""

    names: tuple[str, ...]


ProviderEvent = (
    ConnectionChanged | RequestStarted | RequestPlaced | RequestProgressed | RequestEnded | ModelsInUseChanged
)
