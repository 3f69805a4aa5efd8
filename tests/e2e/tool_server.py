"""A small server of tools (MCP) for the tests: over its standard streams, or over HTTP with `--http`."""

from __future__ import annotations

import argparse
import os
import sys

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("desk")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def environment(name: str) -> str:
    """A variable of this process."""
    return os.environ.get(name, "(none)")


@server.tool()
def much(letters: int) -> str:
    """A long text."""
    return "x" * letters


@server.tool()
async def slow(seconds: float, folder: str) -> str:
    """Takes its time; says in the folder how it ended."""
    from pathlib import Path

    Path(folder, "began").touch()
    try:
        await anyio.sleep(seconds)
    except BaseException:
        Path(folder, "cancelled").touch()
        raise
    return "late"


@server.tool()
def fails() -> str:
    """Never works."""
    raise ValueError("not today")


@server.tool()
def ends() -> str:
    """Takes the server down."""
    print("no more paper", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
async def grows(ctx: Context) -> str:
    """One more tool from now on."""

    def late() -> str:
        """Came later."""
        return "here"

    server.add_tool(late, name="late")
    await ctx.session.send_tool_list_changed()
    return "grown"


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--http", type=int)
    port = options.parse_args().http
    if port:
        server.run("streamable-http", host="127.0.0.1", port=port)
    else:
        server.run("stdio")
