"""Real servers of tools, over their standard streams and over HTTP, as a conversation uses them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from qvac_core.store.records import ToolServer
from qvac_core.tools import connection
from qvac_core.tools.connection import ToolServerError
from qvac_core.tools.health import ServerState
from qvac_core.tools.names import offered
from qvac_core.tools.results import RESULT_MOST
from qvac_core.tools.servers import Servers

SCRIPT = str(Path(__file__).with_name("tool_server.py"))
DESK = ToolServer("Desk", sys.executable, (SCRIPT,), env=(("DESK_KEY", "s3cret"),))


def run(act: Callable[[Servers], Awaitable[None]], *servers: ToolServer) -> None:
    async def main() -> None:
        kept = Servers(lambda _: None)
        await kept.configure(servers)
        try:
            await act(kept)
        finally:
            await kept.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


def test_the_life_of_a_program(tmp_path: Path) -> None:
    async def act(servers: Servers) -> None:
        assert servers.health("Desk").state is ServerState.IDLE
        names = [tool.name for tool in await servers.tools("Desk")]
        assert names == ["add", "environment", "much", "slow", "fails", "ends", "grows"]
        assert servers.health("Desk").state is ServerState.READY
        assert (await servers.call("Desk", "add", {"a": 2, "b": "3"})).text == "5"
        assert (await servers.call("Desk", "environment", {"name": "DESK_KEY"})).text == "s3cret"
        assert (await servers.call("Desk", "environment", {"name": "QVAC_HYPERSWARM_SEED"})).text == "(none)"
        assert "s3cret" not in repr(servers.get("Desk"))
        large = await servers.call("Desk", "much", {"letters": 3_000_000})
        assert large.size == 3_000_000 and len(large.text) < RESULT_MOST + 100 and "left out" in large.text
        failed = await servers.call("Desk", "fails", {})
        assert failed.failed and "fails" in failed.text
        unknown = await servers.call("Desk", "nothing", {})
        assert unknown.failed and "nothing" in unknown.text
        # A call that is left is told to the server.
        call = asyncio.ensure_future(servers.call("Desk", "slow", {"seconds": 600, "folder": str(tmp_path)}))
        await _there(tmp_path / "began")
        call.cancel()
        await _there(tmp_path / "cancelled")
        with pytest.raises(ToolServerError, match="said nothing"):
            await servers.call("Desk", "slow", {"seconds": 600, "folder": str(tmp_path)}, seconds=0.2)
        # One more tool is seen the next time.
        await servers.call("Desk", "grows", {})
        while "late" not in [tool.name for tool in await servers.tools("Desk")]:
            await asyncio.sleep(0.01)
        # It ends in the middle of a call, which is not run twice; the next one starts it anew.
        with pytest.raises(ToolServerError, match="Desk has ended") as ended:
            await servers.call("Desk", "ends", {})
        assert "no more paper" in ended.value.details
        assert (await servers.call("Desk", "add", {"a": 1, "b": 1})).text == "2"

    run(act, DESK)


ODD_TOOLS = """
import json, sys
TOOLS = [
    {"name": "fine", "inputSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    {"name": "plain"},
    {"name": "null", "inputSchema": None},
    {"name": "list", "description": 7, "annotations": [], "inputSchema": {"type": "object", "properties": []}},
    {"name": "text", "icons": "none", "outputSchema": 5, "inputSchema": {"type": "string"}},
    {"inputSchema": {"type": "object"}},
    "no tool",
]
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    told = {"content": [{"type": "text", "text": "done"}]}
    if asked["method"] == "initialize":
        told = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "odd", "version": "1"}}
    elif asked["method"] == "tools/list":
        told = {"tools": TOOLS}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
"""


def test_one_bad_tool_costs_no_other_one(tmp_path: Path) -> None:
    script = tmp_path / "odd.py"
    script.write_text(ODD_TOOLS)
    odd = ToolServer("Odd", sys.executable, (str(script),))

    async def act(servers: Servers) -> None:
        tools = await servers.tools("Odd")
        assert [tool.name for tool in tools] == ["fine", "plain", "null", "list", "text"]
        found, left = offered([(odd, tools)])
        assert [one.own.name for one in found] == ["fine", "plain"]
        assert {one.tool: one.reason for one in left} == {
            "null": 'The schema of "null" does not describe an object.',
            "list": 'The schema of "list" has properties that are no object.',
            "text": 'The schema of "text" does not describe an object.',
        }
        assert (await servers.call("Odd", "fine", {"a": "b"})).text == "done"

    run(act, odd)


async def _there(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.01)


def test_what_does_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "START_SECONDS", 3.0)
    quiet = "import time, sys; print('waiting for a key', file=sys.stderr, flush=True); time.sleep(600)"
    servers = (
        ToolServer("Missing", "qvac-no-such-program"),
        ToolServer("Exits", sys.executable, ("-c", "import sys; sys.exit('bad key')")),
        ToolServer("Quiet", sys.executable, ("-c", quiet)),
        ToolServer("Nowhere", sys.executable, cwd=str(tmp_path / "gone")),
        ToolServer("Closed", url=f"http://127.0.0.1:{_free_port()}/mcp"),
    )

    async def why(kept: Servers, name: str) -> str:
        with pytest.raises(ToolServerError) as error:
            await kept.tools(name)
        assert kept.health(name).state is ServerState.FAILED and kept.health(name).error == error.value.message
        return f"{error.value.message} {error.value.details}".strip()

    async def act(kept: Servers) -> None:
        said = await asyncio.gather(*(why(kept, server.name) for server in servers))
        assert said[0] == "The program qvac-no-such-program was not found."
        assert said[1] == "Exits ended at once. bad key"
        assert said[2] == "Quiet did not answer within 3 seconds. waiting for a key"
        assert said[3].startswith("The folder ") and said[3].endswith("is not there.")
        assert said[4].startswith("Nothing answers at http://127.0.0.1:")

    run(act, *servers)


LAST_WORDS = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        told = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "last", "version": "1"}}
    elif asked["method"] == "tools/list":
        told = {"tools": [{"name": "ends"}]}
    elif asked["method"] == "tools/call":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(3)
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
"""


def test_the_last_words_of_a_program_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is seen at one pipe, and the thread that reads the other one may be late."""
    follow = connection._Tail._follow

    def late(tail: connection._Tail, descriptor: int) -> None:
        time.sleep(0.3)
        follow(tail, descriptor)

    monkeypatch.setattr(connection._Tail, "_follow", late)
    script = tmp_path / "last.py"
    script.write_text(LAST_WORDS)
    ends = ToolServer("Ends", sys.executable, (str(script),))
    exits = ToolServer("Exits", sys.executable, ("-c", "import sys; sys.exit('bad key')"))

    async def act(servers: Servers) -> None:
        with pytest.raises(ToolServerError, match="Ends has ended") as ended:
            await servers.call("Ends", "ends", {})
        assert ended.value.details == "the last words"
        with pytest.raises(ToolServerError, match="ended at once") as ended:
            await servers.tools("Exits")
        assert ended.value.details == "bad key"

    run(act, ends, exits)


def test_who_holds_a_programs_errors_open_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(connection, "STDERR_SECONDS", 0.1)
    monkeypatch.setattr(connection._Tail, "_follow", lambda _, descriptor: _until_gone(descriptor, gone))
    exits = ToolServer("Exits", sys.executable, ("-c", "import sys; sys.exit('bad key')"))

    async def act(servers: Servers) -> None:
        with pytest.raises(ToolServerError, match="ended at once"):
            await servers.tools("Exits")

    run(act, exits)
    gone.set()


def _until_gone(descriptor: int, gone: threading.Event) -> None:
    gone.wait()
    os.close(descriptor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, SCRIPT, "--http", str(port)], stderr=subprocess.DEVNULL)
    for _ in range(3000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        if process.poll() is not None:
            break
        __import__("time").sleep(0.02)
    process.kill()
    raise AssertionError("the server did not come up")


def test_a_server_over_http_that_is_started_anew_has_a_new_session() -> None:
    port = _free_port()
    process = _serve(port)
    try:

        async def act(servers: Servers) -> None:
            nonlocal process
            assert (await servers.call("Web", "add", {"a": 2, "b": 3})).text == "5"
            process.kill()
            await asyncio.to_thread(process.wait)
            with pytest.raises(ToolServerError):
                while True:  # a moment ago it answered, so the first call may be the one that finds out
                    await servers.restart("Web")
            process = await asyncio.to_thread(_serve, port)
            assert (await servers.call("Web", "add", {"a": 2, "b": 4})).text == "6"

        run(act, ToolServer("Web", url=f"http://127.0.0.1:{port}/mcp", headers=(("Authorization", "Bearer x"),)))
    finally:
        process.kill()
        process.wait()


RAW = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] == "initialize":
        told = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}}}
        answer["result"] = {**told, "serverInfo": {"name": "raw", "version": "1"}}
    else:
        answer["error"] = {"code": -32000, "message": "Order 14013: the database connection closed, Unauthorized"}
    print(json.dumps(answer), flush=True)
"""


class _Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_error(int(self.path.strip("/")))

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_servers_own_words_are_told_and_a_sign_in_only_where_one_is_wanted() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{web.server_port}"
        servers = (
            ToolServer("Raw", sys.executable, ("-c", RAW)),
            ToolServer("Locked", url=f"{at}/401"),
            ToolServer("Broken", url=f"{at}/500"),
        )

        async def act(kept: Servers) -> None:
            said = []
            for server in servers:
                with pytest.raises(ToolServerError) as error:
                    await kept.tools(server.name)
                said.append(error.value.message)
            assert said[0] == "Raw says: Order 14013: the database connection closed, Unauthorized"
            assert said[1].startswith("Locked wants a sign-in.")
            assert said[2] == "Broken says: HTTP 500"

        try:
            run(act, *servers)
        finally:
            web.shutdown()
