"""Tools of `qvac-desktop chat`: servers that are kept, or those of an mcp.json; the terminal asks about each call."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.cli.output import Output
from app.tool_words import in_full
from qvac_core.core.state import ToolUse
from qvac_core.core.tool_rounds import ROUNDS_MOST, WRONG_MOST
from qvac_core.core.tool_turns import CANNOT_CALL, DENIED
from qvac_core.delegation.completion import CompletionFinal
from qvac_core.delegation.messages import HistoryCall, HistoryMessage
from qvac_core.engines.interface import Tool
from qvac_core.errors import LocalProtocolError, ModelError
from qvac_core.store.records import ToolServer
from qvac_core.tools.connection import ToolServerError
from qvac_core.tools.forms import from_json
from qvac_core.tools.names import OfferedTool, offered
from qvac_core.tools.results import cut
from qvac_core.tools.servers import Servers

Ask = Callable[[str], Awaitable[str | None]]
"""A question, and the line that a person typed; None when nobody answers."""


def chosen(wanted: Sequence[str], kept: Sequence[ToolServer]) -> tuple[ToolServer, ...]:
    """By the name of a kept server, or all of an mcp.json. Raises LocalProtocolError."""
    by_name = {server.name: server for server in kept}
    found: dict[str, ToolServer] = {}
    for each in wanted:
        path = Path(each)
        if each in by_name:
            found[each] = by_name[each]
        elif path.is_file():
            for server in from_json(path.read_text("utf-8", "replace")):
                found[server.name] = server
        else:
            names = ", ".join(by_name) or "none"
            raise LocalProtocolError(
                f"There is no server of tools called {each}, and no such file. Servers that are set up: {names}.",
                name="INVALID_OPTION",
            )
    return tuple(found.values())


class TerminalTools:
    """allowed: names of tools that run without a question."""

    def __init__(self, output: Output, allowed: Sequence[str], ask: Ask) -> None:
        self._output, self._allowed, self._ask = output, set(allowed), ask
        self._servers = Servers(lambda _: None)
        self._tools: dict[str, OfferedTool] = {}

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(tool.tool for tool in self._tools.values())

    async def open(self, servers: Sequence[ToolServer]) -> None:
        """Raises ToolServerError for one that does not start: it was asked for by name."""
        await self._servers.configure(servers)
        listed = await asyncio.gather(*(self._servers.tools(server.name) for server in servers))
        found, left = offered(list(zip(servers, listed, strict=True)))
        self._tools = {tool.tool.name: tool for tool in found}
        for each in left:
            self._output.note(f"The tool {each.tool} of {each.server} is left out: {each.reason}")
        self._output.note(f"Tools: {', '.join(self._tools) or 'none'}. They run on this machine.")

    async def close(self) -> None:
        await self._servers.close()

    async def answers_to(self, final: CompletionFinal) -> list[HistoryMessage]:
        """What the model is told after such an answer, with the answer itself; nothing where it called no tool."""
        if final.tool_calls:
            calls = [HistoryCall(call.id, call.name, call.arguments) for call in final.tool_calls]
            told = [HistoryMessage("assistant", final.text, tool_calls=calls)]
            for call in final.tool_calls:
                use = ToolUse(call.id, "", "", call.name, json.dumps(call.arguments, ensure_ascii=False))
                told.append(HistoryMessage("tool", await self._run(use), tool_call_id=call.id, name=call.name))
            return told
        if final.tool_errors:
            reason = " ".join(error.message for error in final.tool_errors)
            self._output.event("tool", outcome="invalid", message=reason)
            self._output.note(f"What the model wrote is no call that can be run: {reason}")
            raw = "".join(error.raw for error in final.tool_errors if isinstance(error.raw, str))
            told = [HistoryMessage("assistant", final.text + raw or "(no call)")]
            return [*told, HistoryMessage("user", CANNOT_CALL.format(reason=reason))]
        return []

    async def _run(self, use: ToolUse) -> str:
        tool = self._tools.get(use.name)
        if tool is None:
            return f"There is no tool {use.name}."
        use = replace(use, server=tool.server.name, tool=tool.own.name)
        outcome, text = "denied", DENIED
        if await self._may(use, tool):
            try:
                result = await self._servers.call(use.server, use.tool, json.loads(use.arguments))
            except ToolServerError as error:
                result = cut(error.message, failed=True)
            outcome, text = ("failed" if result.failed else "done"), result.text
        self._output.event(
            "tool", server=use.server, tool=use.tool, arguments=use.arguments, outcome=outcome, result=text
        )
        first = text.splitlines()[0][:200] if text else ""
        self._output.note(f"{use.server} {use.tool}: {outcome}{f', {first}' if outcome != 'denied' else ''}")
        return text

    async def _may(self, use: ToolUse, tool: OfferedTool) -> bool:
        names = {use.tool, f"{use.server}/{use.tool}"}
        if names & self._allowed or use.tool in tool.server.always or (tool.server.trusted and tool.own.reads_only):
            return True
        self._output.note(f"{use.server} wants to use {use.tool}:\n{in_full(use)}")
        line = await self._ask("Allow it? y: once, a: in this chat, anything else: no. > ")
        if line is None:
            self._output.note("Nobody is there to ask, so it does not run. Allow a tool with --allow-tool NAME.")
            return False
        answer = line.strip().lower()
        if answer in ("a", "always", "all"):
            self._allowed.add(f"{use.server}/{use.tool}")
        return answer in ("y", "yes", "a", "always", "all")


class Progress:
    """Counts the rounds of one answer. Raises ModelError where nothing comes of them."""

    def __init__(self) -> None:
        self._rounds = self._wrong = 0

    def next(self, final: CompletionFinal) -> bool:
        """Whether the model may call once more."""
        self._rounds += 1
        self._wrong = 0 if final.tool_calls else self._wrong + 1
        if self._wrong >= WRONG_MOST:
            raise ModelError(
                "The model does not manage to call a tool. Choose a larger one, or ask without --tools.",
                name="NO_VALID_TOOL_CALL",
            )
        return self._rounds < ROUNDS_MOST


def is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
