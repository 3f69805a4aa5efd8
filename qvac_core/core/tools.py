"""The tools of conversations: which servers there are, which of them each conversation uses, and what may run.

Tools run on this machine as its person, with all that person may do. So nothing runs that was not allowed: once, for a
conversation, for good, or because the person trusts what a server says of its own tools.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from qvac_core.core.tool_rounds import Kit, ToolRounds, failed
from qvac_core.core.tools_state import Decision, ServerEntry, ToolServersChanged
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.records import Conversation, ConversationTools, ToolServer, ToolUse
from qvac_core.store.tool_secrets import ToolSecrets, without_values
from qvac_core.tools.connection import ToolServerError
from qvac_core.tools.forms import checked, from_json
from qvac_core.tools.health import ServerTool
from qvac_core.tools.names import OfferedTool, offered
from qvac_core.tools.results import ToolResult
from qvac_core.tools.servers import Servers

if TYPE_CHECKING:
    from qvac_core.core.event_hub import EventHub
    from qvac_core.store.store import Store

logger = logging.getLogger(__name__)

SERVERS_MOST = 100


class ToolsRoomInterface(Protocol):
    """ToolServersChanged tells of every change; AnswerTool of each call of an answer."""

    async def servers(self) -> tuple[ServerEntry, ...]: ...

    async def keep(self, server: ToolServer, old: str = "") -> None:
        """New, or in the place of the one called `old`. Raises LocalProtocolError, StoreError."""

    async def remove(self, name: str) -> None: ...

    async def test(self, name: str) -> tuple[ServerTool, ...]:
        """Start it anew and ask for its tools. Raises ToolServerError."""

    async def look(self, text: str) -> tuple[ToolServer, ...]:
        """The servers of a text in the `mcpServers` form, none of them kept yet. Raises LocalProtocolError."""

    async def take_in(self, servers: Sequence[ToolServer]) -> tuple[str, ...]:
        """Keep them under names that are free; which they got."""

    async def use(self, conversation_id: str, servers: Sequence[str]) -> None:
        """What a conversation uses from its next answer on. What was allowed for good in it stays so."""

    async def decide(self, answer_id: str, use_id: str, decision: Decision) -> None:
        """What a call that asks is told. One that does not ask any more is fine."""


class ToolsRoom:
    """Implements ToolsRoomInterface, and Toolbox for the answers."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        conversations_changed: Callable[[], Any] | None = None,
        secrets: ToolSecrets | None = None,
    ) -> None:
        self._store = store
        self._secrets = secrets or ToolSecrets(store.folder)
        self._unread: set[str] = set()  # servers whose secrets the keyring did not tell
        self._changing = asyncio.Lock()
        self._run_in_store = store.database.run
        self._events = events
        self.conversations_changed = conversations_changed
        self._servers = Servers(lambda _: self._tell(), whole=self._whole)
        self._pending: dict[tuple[str, str], asyncio.Future[Decision]] = {}
        self._conversations: dict[str, ConversationTools] = {}
        self.rounds = ToolRounds(self)

    async def open(self) -> None:
        servers = []
        for server in await self._run_in_store(self._store.tool_servers.list):
            servers.append(await self._filled(await self._moved(server)))
        await self._servers.configure(servers)

    async def _moved(self, server: ToolServer) -> ToolServer:
        """An older version kept secrets in the database."""
        if (bare := without_values(server)) == server:
            return server
        try:
            await asyncio.to_thread(self._secrets.keep, server)
            await self._run_in_store(self._store.tool_servers.forget_values, bare)
        except StoreError as error:
            logger.warning("the secrets of a server of tools stay where they are: %s", error.message)
        return server

    async def _filled(self, server: ToolServer) -> ToolServer:
        try:
            filled = await asyncio.to_thread(self._secrets.filled, server)
        except StoreError as error:
            logger.warning("the secrets of a server of tools cannot be read: %s", error.message)
            self._unread.add(server.name)
            return server
        self._unread.discard(server.name)
        return filled

    async def _whole(self, server: ToolServer) -> ToolServer:
        if server.name not in self._unread:
            return server
        filled = await asyncio.to_thread(self._secrets.filled, server)
        self._unread.discard(server.name)
        return filled

    async def close(self) -> None:
        for pending in self._pending.values():
            pending.cancel()
        await self._servers.close()

    # --- Servers

    async def servers(self) -> tuple[ServerEntry, ...]:
        return self._entries()

    def _entries(self) -> tuple[ServerEntry, ...]:
        entries = []
        for name in self._servers.names():
            server, health = self._servers.get(name), self._servers.health(name)
            if server is not None:
                _, unusable = offered([(replace(server, off=()), health.tools)])
                entries.append(ServerEntry(server, health, unusable))
        return tuple(entries)

    async def keep(self, server: ToolServer, old: str = "") -> None:
        server = checked(server)
        if not old and len(self._servers.names()) >= SERVERS_MOST:
            raise LocalProtocolError(f"There are {SERVERS_MOST} servers already. Remove one first.")
        async with self._changing:
            if old in self._unread:  # what was not read must not be lost by a change of something else
                server = await asyncio.to_thread(self._secrets.filled, server, old)
            if server.name != old and server.name in self._servers.names():
                # Said before its secrets are touched; the table holds it too.
                raise StoreError(f"There is a server called {server.name} already. Give this one another name.")
            before = self._servers.get(old)
            await asyncio.to_thread(self._secrets.keep, server)
            try:
                await self._run_in_store(self._store.tool_servers.keep, without_values(server), old)
            except BaseException:
                await asyncio.to_thread(self._secrets.keep, before if before is not None else ToolServer(server.name))
                raise
            self._unread -= {old, server.name}
            if old and old != server.name:
                await asyncio.to_thread(self._secrets.forget, old)
            await self._configure({server.name: server})

    async def remove(self, name: str) -> None:
        async with self._changing:
            await self._run_in_store(self._store.tool_servers.remove, name)
            await asyncio.to_thread(self._secrets.forget, name)
            self._unread.discard(name)
            await self._configure({})

    async def test(self, name: str) -> tuple[ServerTool, ...]:
        return await self._servers.restart(name)

    async def look(self, text: str) -> tuple[ToolServer, ...]:
        return from_json(text)

    async def take_in(self, servers: Sequence[ToolServer]) -> tuple[str, ...]:
        names: list[str] = []
        for server in servers:
            name = _free(server.name, {*self._servers.names(), *names})
            await self.keep(replace(server, name=name))
            names.append(name)
        return tuple(names)

    async def _configure(self, changed: Mapping[str, ToolServer]) -> None:
        """changed: as they are now, with their secrets; those of the others are known."""
        kept = await self._run_in_store(self._store.tool_servers.list)
        whole = [changed.get(each.name) or self._servers.get(each.name) for each in kept]
        await self._servers.configure([each for each in whole if each is not None])
        self._tell()

    def _tell(self) -> None:
        self._events.emit(ToolServersChanged(self._entries()))

    # --- Conversations

    async def use(self, conversation_id: str, servers: Sequence[str]) -> None:
        old = await self._of(conversation_id)
        await self._keep_choice(conversation_id, replace(old, servers=tuple(dict.fromkeys(servers))))

    async def decide(self, answer_id: str, use_id: str, decision: Decision) -> None:
        pending = self._pending.get((answer_id, use_id))
        if pending is not None and not pending.done():
            pending.set_result(decision)

    async def _of(self, conversation_id: str) -> ConversationTools:
        conversation: Conversation = await self._run_in_store(self._store.conversations.get, conversation_id)
        self._conversations[conversation_id] = conversation.tools
        return conversation.tools

    async def _keep_choice(self, conversation_id: str, tools: ConversationTools) -> None:
        await self._run_in_store(self._store.conversations.set_tools, conversation_id, tools)
        self._conversations[conversation_id] = tools
        if self.conversations_changed is not None:
            await self.conversations_changed()

    # --- Toolbox

    async def kit(self, conversation_id: str) -> Kit:
        choice = await self._of(conversation_id)
        wanted = [server for name in choice.servers if (server := self._servers.get(name)) is not None]
        if not wanted:
            return Kit()
        results = await asyncio.gather(*(self._tools_of(server) for server in wanted))
        found = [(server, tools) for server, tools in zip(wanted, results, strict=True) if not isinstance(tools, str)]
        failing = [(server.name, why) for server, why in zip(wanted, results, strict=True) if isinstance(why, str)]
        tools, left = offered(found)
        for each in left:
            logger.info("the tool %s of %s is left out: %s", each.tool, each.server, each.reason)
        return Kit(tools, tuple(failing))

    async def _tools_of(self, server: ToolServer) -> tuple[ServerTool, ...] | str:
        try:
            return await self._servers.tools(server.name)
        except ToolServerError as error:
            return error.message

    def asks_first(self, conversation_id: str, tool: OfferedTool) -> bool:
        return not self._said(conversation_id, tool)

    def _said(self, conversation_id: str, tool: OfferedTool) -> Decision:
        """What the person said of this tool before; DENY = nothing."""
        server = self._servers.get(tool.server.name) or tool.server
        if tool.own.name in server.always or (server.trusted and tool.own.reads_only):
            return Decision.ALWAYS
        choice = self._conversations.get(conversation_id, ConversationTools())
        return Decision.CONVERSATION if _key(tool) in choice.allowed else Decision.DENY

    async def may(self, conversation_id: str, answer_id: str, use: ToolUse, tool: OfferedTool) -> str:
        if said := self._said(conversation_id, tool):
            return said
        pending: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._pending[answer_id, use.id] = pending
        try:
            decision = await pending
        finally:
            del self._pending[answer_id, use.id]
        if decision is Decision.CONVERSATION:
            old = await self._of(conversation_id)
            await self._keep_choice(conversation_id, replace(old, allowed=(*old.allowed, _key(tool))))
        elif decision is Decision.ALWAYS:
            server = self._servers.get(tool.server.name)
            if server is not None:
                always = tuple(dict.fromkeys((*server.always, tool.own.name)))
                await self.keep(replace(server, always=always), server.name)
        return decision

    async def run(self, tool: OfferedTool, arguments: Mapping[str, Any]) -> ToolResult:
        try:
            return await self._servers.call(
                tool.server.name,
                tool.own.name,
                dict(arguments),
                seconds=self._store.settings.settings.chat.tool_seconds,
            )
        except ToolServerError as error:
            return failed(error.message)  # what it wrote as its errors may hold its keys, and stays on this machine


def _key(tool: OfferedTool) -> str:
    return f"{tool.server.name}/{tool.own.name}"


def _free(name: str, taken: set[str]) -> str:
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name} {number}", number + 1
    return wanted
