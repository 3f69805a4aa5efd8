"""A server of tools that others wrote: the reference server of the Model Context Protocol, in JavaScript."""

from __future__ import annotations

from pathlib import Path

from qvac_core.store.records import ToolServer
from qvac_core.tools.names import offered
from qvac_core.tools.servers import Servers
from tests.interop.install import install_js_peers


async def test_the_reference_server(tmp_path: Path) -> None:
    script = install_js_peers() / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    server = ToolServer("Everything", "node", (str(script),), env=(("KEY", "s3cret"),))

    servers = Servers(lambda _: None)
    await servers.configure([server])
    try:
        tools = await servers.tools("Everything")
        usable, left = offered([(server, tools)])
        assert len(usable) == len(tools) >= 10 and not left
        assert (await servers.call("Everything", "echo", {"message": "hi"})).text == "Echo: hi"
        told: list[str] = []
        steps = {"duration": 0.4, "steps": 4}
        name = "trigger-long-running-operation"
        await servers.call("Everything", name, steps, seconds=30, on_progress=told.append)
        assert told == ["25 %", "50 %", "75 %", "100 %"]
        picture = await servers.call("Everything", "get-tiny-image", {})
        assert "[A picture, image/png, " in picture.text and len(picture.text) < 1000
        wrong = await servers.call("Everything", "get-sum", {"a": "x"})
        assert wrong.failed and "get-sum" in wrong.text
        environment = await servers.call("Everything", "get-env", {})
        assert "s3cret" in environment.text and "PYTEST_CURRENT_TEST" not in environment.text
    finally:
        await servers.close()
