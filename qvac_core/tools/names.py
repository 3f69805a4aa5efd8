"""The names under which a model sees the tools of several servers: their own, where only one server has it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qvac_core.engines.interface import Tool
from qvac_core.engines.tools import NAME, TOOLS_LIMIT, TOTAL_LIMIT, checked_tools
from qvac_core.errors import ModelError
from qvac_core.store.records import ToolServer
from qvac_core.tools.health import ServerTool, Unusable

DESCRIPTION_MOST = 4096  # characters of one that a model is told; every token of them is read before each answer
_UNUSABLE = re.compile(r"[^A-Za-z0-9_-]+")
_NAME_MOST = 64  # OpenAI's limit, which templates and other providers keep to


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool that a model may call. tool: with the name it is called by."""

    server: ToolServer
    own: ServerTool
    tool: Tool


def offered(
    servers: Sequence[tuple[ToolServer, Sequence[ServerTool]]],
) -> tuple[tuple[OfferedTool, ...], tuple[Unusable, ...]]:
    """Those that are switched on, as far as they go into one request."""
    wanted = [(server, tool) for server, tools in servers for tool in tools if tool.name not in server.off]
    how_many = Counter(tool.name for _, tool in wanted)
    found: list[OfferedTool] = []
    left: list[Unusable] = []
    taken: set[str] = set()
    total = 0
    for server, own in wanted:
        plain = own.name if how_many[own.name] == 1 else f"{server.name}__{own.name}"
        name = _free(plain, taken)
        tool = Tool(name, (own.description or own.title)[:DESCRIPTION_MOST], json.dumps(own.schema, ensure_ascii=False))
        total += len(tool.name) + len(tool.description) + len(tool.parameters)
        if reason := fault(tool):
            left.append(Unusable(server.name, own.name, reason))
        elif len(found) >= TOOLS_LIMIT or total > TOTAL_LIMIT:
            left.append(Unusable(server.name, own.name, "There are too many tools for one question."))
        else:
            taken.add(name)
            found.append(OfferedTool(server, own, tool))
    return tuple(found), tuple(left)


def fault(tool: Tool) -> str:
    """Why an engine refuses it; "" when it can be used."""
    try:
        checked_tools([tool])
    except ModelError as error:
        return error.message
    return ""


def _free(wanted: str, taken: set[str]) -> str:
    base = _UNUSABLE.sub("_", wanted).strip("_-")[:_NAME_MOST] or "tool"
    if not NAME.fullmatch(base):
        base = f"t_{base}"[:_NAME_MOST]
    name, number = base, 2
    while name in taken:
        name, number = f"{base[: _NAME_MOST - 4]}_{number}", number + 1
    return name
