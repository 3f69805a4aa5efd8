"""What is told of the servers of tools, and what a person may answer to a call that asks."""

from __future__ import annotations

from enum import StrEnum

from qvac_core.late_dataclass import dataclass
from qvac_core.store.records import ToolServer
from qvac_core.tools.health import Health, Unusable


class Decision(StrEnum):
    ONCE = "once"
    CONVERSATION = "conversation"
    ALWAYS = "always"
    DENY = ""


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A server as it is now. unusable: those of its tools that no model can be shown."""

    server: ToolServer
    health: Health
    unusable: tuple[Unusable, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolServersChanged:
    servers: tuple[ServerEntry, ...]
