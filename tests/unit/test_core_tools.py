"""The room for tools: servers that are kept, what conversations use, and what a person says of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import CoreEvent, Target, ToolServer, ToolServersChanged, ToolUse
from qvac_core.core.tools import ToolsRoom
from qvac_core.core.tools_state import Decision
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from qvac_core.tools.connection import ToolServerError
from qvac_core.tools.forms import from_json, from_line, pairs_of, to_json
from qvac_core.tools.health import Health, ServerTool
from qvac_core.tools.names import OfferedTool, offered
from qvac_core.tools.results import ToolResult

READ = ServerTool("read_file", "", "Reads.", {"type": "object"}, True)
WRITE = ServerTool("write_file", "", "Writes.", {"type": "object"})
FILES = ToolServer("Files", "files-mcp", ("/home/me",), (("TOKEN", "s3cret"),))


class Fleet:
    """In the place of the running servers."""

    def __init__(self) -> None:
        self.kept: dict[str, ToolServer] = {}
        self.seconds = 0.0
        self.fails = ""

    async def configure(self, servers: Sequence[ToolServer]) -> None:
        self.kept = {server.name: server for server in servers}

    async def close(self) -> None:
        pass

    def names(self) -> tuple[str, ...]:
        return tuple(self.kept)

    def get(self, name: str) -> ToolServer | None:
        return self.kept.get(name)

    def health(self, name: str) -> Health:
        return Health(tools=(READ, WRITE))

    async def tools(self, name: str) -> tuple[ServerTool, ...]:
        if self.fails:
            raise ToolServerError(self.fails, details="TOKEN=s3cret is wrong")
        return (READ, WRITE)

    async def call(self, name: str, tool: str, arguments: dict[str, Any], *, seconds: float) -> ToolResult:
        self.seconds = seconds
        await self.tools(name)
        return ToolResult("done")


class Scene:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: list[CoreEvent] = []
        hub = EventHub()
        hub.subscribe(self.events.append)
        self.room = ToolsRoom(store, hub)
        self.fleet = Fleet()
        self.room._servers = self.fleet  # type: ignore[assignment]

    async def conversation(self, *servers: str) -> str:
        conversation = await self.store.database.run(self.store.conversations.create, Target(), 1.0)
        await self.room.use(conversation.id, servers)
        return conversation.id

    async def asked(self, conversation_id: str, tool: OfferedTool, decision: Decision) -> str:
        use = ToolUse("u", "Files", tool.own.name, tool.tool.name, "{}")
        waiting = asyncio.ensure_future(self.room.may(conversation_id, "answer", use, tool))
        await asyncio.sleep(0)
        await self.room.decide("answer", "u", decision)
        return await waiting


def play(folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store.open(DataDir(folder, explicit=True), now=1000.0)
        scene = Scene(store)
        try:
            await act(scene)
        finally:
            await scene.room.close()
            store.close()

    asyncio.run(main())


def test_servers_are_kept_renamed_and_removed(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.room.keep(FILES)
        with pytest.raises(StoreError, match="already"):
            await scene.room.keep(replace(FILES, command="other"))
        conversation = await scene.conversation("Files")
        await scene.room.keep(replace(FILES, name="My files"), "Files")
        (entry,) = await scene.room.servers()
        assert entry.server.name == "My files" and entry.server.env == (("TOKEN", "s3cret"),)
        kept = await scene.store.database.run(scene.store.conversations.get, conversation)
        assert kept.tools.servers == ("My files",), "conversations follow the name"
        assert await scene.room.take_in(from_json('{"mcpServers": {"My files": {"command": "x"}}}')) == ("My files 2",)
        await scene.room.remove("My files")
        assert [entry.server.name for entry in await scene.room.servers()] == ["My files 2"]
        assert isinstance(scene.events[-1], ToolServersChanged) and "s3cret" not in repr(scene.events)

    play(tmp_path, act)


def test_what_a_person_said_is_not_asked_again(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.room.keep(FILES)
        first, second = await scene.conversation("Files"), await scene.conversation("Files")
        kit = await scene.room.kit(first)
        await scene.room.kit(second)
        read, write = kit.tools
        assert scene.room.asks_first(first, write)
        assert await scene.asked(first, write, Decision.DENY) == ""
        assert await scene.asked(first, write, Decision.ONCE) == "once" and scene.room.asks_first(first, write)
        assert await scene.asked(first, write, Decision.CONVERSATION) == "conversation"
        assert not scene.room.asks_first(first, write) and scene.room.asks_first(second, write)
        assert await scene.asked(second, write, Decision.ALWAYS) == "always"
        (entry,) = await scene.room.servers()
        assert entry.server.always == ("write_file",) and scene.room.asks_first(second, read)
        # Trusted: only what says of itself that it reads.
        await scene.room.keep(replace(FILES, trusted=True), "Files")
        assert not scene.room.asks_first(second, read) and scene.room.asks_first(second, write)

    play(tmp_path, act)


def test_what_is_not_switched_on_is_not_there(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.room.keep(replace(FILES, off=("write_file",)))
        assert not (await scene.room.kit(await scene.conversation())).tools
        used = await scene.conversation("Files", "Gone")
        assert [tool.own.name for tool in (await scene.room.kit(used)).tools] == ["read_file"]
        scene.fleet.fails = "The program files-mcp was not found."
        kit = await scene.room.kit(used)
        assert kit.failed == (("Files", "The program files-mcp was not found."),) and not kit.tools

    play(tmp_path, act)


def test_how_long_a_tool_may_be_silent_is_a_setting(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        (tool, _), _ = offered([(FILES, (READ, WRITE))])
        assert (await scene.room.run(tool, {})).text == "done" and scene.fleet.seconds == 120
        scene.store.settings.set_text("chat.tool_seconds", "7")
        scene.fleet.fails = "Files has ended."
        result = await scene.room.run(tool, {})
        assert scene.fleet.seconds == 7
        assert result.failed and result.text == "Files has ended.", "what it wrote as its errors stays here"

    play(tmp_path, act)


FORM = """{
  // Claude Desktop's
  "mcpServers": {
    "files": {"command": "npx", "args": ["-y", "server", 3], "env": {"KEY": "a=b"},},
    "web": {"type": "http", "url": "https://example.org/mcp", "headers": {"Authorization": "Bearer x"}},
  }
}"""


def test_the_json_of_other_programs() -> None:
    files, web = from_json(FORM)
    assert (files.name, files.command, files.args, files.env) == (
        "files",
        "npx",
        ("-y", "server", "3"),
        (("KEY", "a=b"),),
    )
    assert (web.url, web.headers) == ("https://example.org/mcp", (("Authorization", "Bearer x"),))
    assert from_json('{"servers": {"a": {"command": "x"}}}')[0].name == "a"
    assert from_json('{"mcp": {"servers": {"a": {"command": "x"}}}}')[0].name == "a"
    assert from_json('{"a": {"command": {"path": "x", "args": ["1"]}}}')[0].args == ("1",)
    assert from_json(to_json((files, web), secrets=True)) == (files, web)
    assert "a=b" not in to_json((files, web)) and "Bearer" not in to_json((files, web))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("{", "line 1, column 2"),
        ("[" * 100_000, "nested"),
        ("[]", "no server"),
        ('{"mcpServers": {}}', "no server"),
        ('{"mcpServers": {"a": 1}}', "no server"),
        ('{"mcpServers": {"a": {}}}', "program"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "list"),
        ('{"mcpServers": {"a": {"command": "x", "env": []}}}', "object"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "http"),
        ('{"mcpServers": {"a": {"url": "https://me:pw@x"}}}', "header"),
        ('{"mcpServers": {"a": {"type": "sse", "url": "http://x"}}}', "SSE"),
        ('{"mcpServers": {"a": {"url": "http://x", "headers": {"A b": "c"}}}}', "header"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A=B": "c"}}}}', "variable"),
        ('{"mcpServers": {"a": {"command": "x\\u0000"}}}', "character"),
    ],
)
def test_what_is_no_list_of_servers_says_why(text: str, said: str) -> None:
    with pytest.raises(LocalProtocolError, match=said):
        from_json(text)


def test_a_command_and_its_variables_as_typed() -> None:
    assert from_line("npx -y 'my server' /tmp") == ("npx", ("-y", "my server", "/tmp"))
    assert from_line("  ") == ("", ())
    with pytest.raises(LocalProtocolError, match="quotation"):
        from_line("npx 'a")
    assert pairs_of("A=1=2\n\nB= x", "=") == (("A", "1=2"), ("B", " x"))
    assert pairs_of("Authorization: Bearer x", ":") == (("Authorization", "Bearer x"),)
    with pytest.raises(LocalProtocolError, match="NAME=VALUE"):
        pairs_of("A", "=")
