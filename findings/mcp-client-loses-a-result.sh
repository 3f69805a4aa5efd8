#!/usr/bin/env bash
# mcp (Python, 2.3.0), Client.call_tool: what a tool gave back is lost when its structured content misses the tool's own schema.
#
# Expected: the tool ran, and whatever it did is done. Its result reaches the caller, with a word that the structured part is
# not as promised; the text beside it says the same and is what a model is told.
# What happens: call_tool raises RuntimeError("Invalid structured content returned by tool …"). The result, text and all, is in no
# attribute of the exception, and nothing switches the check off. The message quotes the whole value, however large or secret.
# Who is hurt: chat programs. The call looks as if it had failed, so the model makes it again: the mail goes out twice. One null
# in a field that a server's author thought always there is enough, for a tool that works in clients which read the text.
# The specification asks clients to check that part (SHOULD); it asks nobody to throw the rest away.
# What helps: client.session.send_request(CallToolRequest(…), CallToolResult) gives the result as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check mcp==2.3.0 2>/dev/null
cat >server.py <<'PY'
import asyncio

from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, ListToolsResult, TextContent, Tool

SENT = {"type": "object", "properties": {"id": {"type": "integer"}, "copy_to": {"type": "string"}}, "required": ["id", "copy_to"]}


async def list_tools(context, params):
    return ListToolsResult(tools=[Tool(name="send_mail", input_schema={"type": "object"}, output_schema=SENT)])


async def call_tool(context, params):
    with open("outbox", "a") as outbox:
        outbox.write("mail\n")
    return CallToolResult(content=[TextContent(type="text", text="Sent as number 17.")], structured_content={"id": 17, "copy_to": None})


async def main():
    server = Server("mail", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


asyncio.run(main())
PY
cat >client.py <<'PY'
import asyncio
import pathlib
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult


async def main():
    async with Client(StdioServerParameters(command=sys.executable, args=["server.py"]), mode="legacy") as client:
        try:
            seen = (await client.call_tool("send_mail", {})).content[0].text
        except RuntimeError as error:
            seen = f"RuntimeError: {str(error).splitlines()[0]}"
        sent = len(pathlib.Path("outbox").read_text().splitlines())
        request = CallToolRequest(params=CallToolRequestParams(name="send_mail", arguments={}))
        as_it_is = (await client.session.send_request(request, CallToolResult)).content[0].text
    print("expected  the result of the call: Sent as number 17.")
    print(f"seen      {seen} ({sent} mail was sent)")
    print(f"beside it the same call by send_request: {as_it_is}")
    holds = seen.startswith("RuntimeError") and sent == 1 and as_it_is == "Sent as number 17."
    print(f"holds: {'yes' if holds else 'no'} (a tool that ran looks as if it had not)")
    raise SystemExit(not holds)


asyncio.run(main())
PY
echo "mcp 2.3.0"
timeout 60 python/bin/python client.py 2>/dev/null
