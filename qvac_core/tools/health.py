"""How a server of tools is, and what it offers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server describes it. reads_only: by the server's own word.

    schema: JSON schema of its arguments, as it was told: it may be none at all (`names.fault`).
    """

    name: str
    title: str
    description: str
    schema: Any
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Unusable:
    """A tool that no model can be shown, and why."""

    server: str
    tool: str
    reason: str


class ServerState(StrEnum):
    IDLE = "idle"  # it is started when a conversation needs it
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Health:
    """tools: as they were told last. error: a sentence. details: the end of what the program wrote as its errors."""

    state: ServerState = ServerState.IDLE
    tools: tuple[ServerTool, ...] = ()
    error: str = ""
    details: str = ""
