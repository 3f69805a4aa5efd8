"""The tools of conversations, as the window asks a core for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from qvac_core.core.state import ConversationTools, CoreEvent, ServerEntry, ToolServer, ToolServersChanged
from qvac_core.core.tools_state import Decision
from qvac_core.tools.forms import checked, from_json
from qvac_core.tools.health import Health, ServerState, ServerTool

LIST_EVENTS = ServerTool("list_events", "", "What is planned.", {"type": "object", "properties": {}}, True)
ADD_EVENT = ServerTool("add_event", "", "Writes it down.", {"type": "object", "properties": {}}, False)
CALENDAR = ServerEntry(
    ToolServer("Calendar", "calendar-mcp", ("--file", "my.ics"), (("TOKEN", "s3cret"),)),
    Health(ServerState.READY, (LIST_EVENTS, ADD_EVENT)),
)
MAPS = ServerEntry(
    ToolServer("Map search", "npx", ("-y", "maps")),
    Health(ServerState.FAILED, (), "The program npx was not found.", "maps: no key given"),
)


class FakeTools:
    """Implements ToolsRoomInterface. `entries` may be set before the window runs."""

    def __init__(
        self,
        enter: Callable[..., Awaitable[None]],
        emit: Callable[[CoreEvent], None],
        change: Callable[..., None],
    ) -> None:
        self._enter = enter
        self._emit = emit
        self._change = change
        self.entries: tuple[ServerEntry, ...] = ()
        self.decisions: list[tuple[str, str, Decision]] = []

    def set(self, *entries: ServerEntry) -> None:
        self.entries = entries
        self._emit(ToolServersChanged(entries))

    async def servers(self) -> tuple[ServerEntry, ...]:
        return self.entries

    async def keep(self, server: ToolServer, old: str = "") -> None:
        await self._enter("keep_tool_server", server, old)
        server = checked(server)
        before = next((entry for entry in self.entries if entry.server.name == (old or server.name)), None)
        entry = replace(before, server=server) if before is not None else ServerEntry(server, Health())
        others = [each for each in self.entries if each is not before]
        self.set(*sorted((*others, entry), key=lambda each: each.server.name))

    async def remove(self, name: str) -> None:
        await self._enter("remove_tool_server", name)
        self.set(*(entry for entry in self.entries if entry.server.name != name))

    async def test(self, name: str) -> tuple[ServerTool, ...]:
        await self._enter("test_tool_server", name)
        tools = next(entry.health.tools for entry in self.entries if entry.server.name == name)
        self.set(*(self._ready(entry, name) for entry in self.entries))
        return tools

    def _ready(self, entry: ServerEntry, name: str) -> ServerEntry:
        if entry.server.name != name:
            return entry
        return replace(entry, health=Health(ServerState.READY, entry.health.tools))

    async def look(self, text: str) -> tuple[ToolServer, ...]:
        return from_json(text)

    async def take_in(self, servers: Sequence[ToolServer]) -> tuple[str, ...]:
        for server in servers:
            await self.keep(server)
        return tuple(server.name for server in servers)

    async def use(self, conversation_id: str, servers: Sequence[str]) -> None:
        await self._enter("use_tools", conversation_id, tuple(servers))
        self._change(conversation_id, tools=ConversationTools(tuple(servers)))

    async def decide(self, answer_id: str, use_id: str, decision: Decision) -> None:
        self.decisions.append((answer_id, use_id, decision))
