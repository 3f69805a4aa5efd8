"""What `serve` asks for: of a core of its own, or of a window that has the data folder, over its socket."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import msgspec

from qvac_core.codec.key_text import parse_public_key
from qvac_core.core.programs_state import ProgramsState
from qvac_core.endpoint.guard import checked_origins
from qvac_core.endpoint.interface import Call
from qvac_core.errors import QvacError, StoreError

LOOPBACK = "127.0.0.1"
PORTS = 65535


@dataclass(frozen=True, slots=True)
class Wanted:
    """models: names or whole paths, of this machine. providers: (name, key in hex). port: 0 = of the settings."""

    models: tuple[str, ...] = ()
    providers: tuple[tuple[str, str], ...] = ()
    origins: tuple[str, ...] = ()
    host: str = LOOPBACK
    port: int = 0
    new_token: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """already: it was on before, and stays on. models: as programs call them."""

    state: ProgramsState
    models: tuple[str, ...]
    already: bool


class NotServed(StoreError):
    """free: a port that could be had instead, 0 = it is no matter of the port."""

    name = "CANNOT_LISTEN"

    def __init__(self, message: str, free: int = 0) -> None:
        super().__init__(message)
        self.free = free


def as_wanted(message: object) -> Wanted:
    """Of JSON that came from another process. Raises ValueError, LocalProtocolError."""
    try:
        wanted = msgspec.convert(message, type=Wanted)
        host = str(ipaddress.ip_address(wanted.host))
        providers = tuple((name, parse_public_key(key).hex()) for name, key in wanted.providers)
    except (msgspec.ValidationError, ValueError, QvacError) as error:
        raise ValueError("no request to serve programs") from error
    if not 0 <= wanted.port <= PORTS:
        raise ValueError("no request to serve programs")
    origins = checked_origins(wanted.origins)
    return Wanted(wanted.models, providers, origins, host, wanted.port, wanted.new_token)


def call_fields(call: Call) -> dict[str, object]:
    """Of the event `call`, for one that has ended: milliseconds, no contents."""
    return {
        "id": call.id,
        "program": call.program,
        "kind": call.kind,
        "model": call.model,
        "machine": call.machine,
        "outcome": call.outcome,
        "reason": call.reason or None,
        "origin": call.origin or None,
        "promptTokens": call.prompt_tokens,
        "generatedTokens": call.generated_tokens,
        "ms": round((call.ended - call.started) * 1000, 1),
    }
