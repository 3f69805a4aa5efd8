"""How servers are written down: one from fields, several from the JSON that other programs keep (`mcpServers`).

Claude Desktop's claude_desktop_config.json, LM Studio's and Cursor's mcp.json, VS Code's mcp.json (`servers`, with its
`type`); of their other fields those that only such a program needs are left aside.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from qvac_core.errors import LocalProtocolError
from qvac_core.store.records import ToolServer

NAME_MOST = 60  # letters
SERVERS_MOST = 100  # of one text
TEXT_MOST = 1 << 20  # characters of one text
PARTS_MOST = 256  # arguments, variables or headers
PART_MOST = 32 * 1024  # characters of one of them
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE = re.compile(r"[^=\0]+")
_LISTS = ("mcpServers", "servers", "context_servers")


def checked(server: ToolServer) -> ToolServer:
    """The same, its name without blanks around it. Raises LocalProtocolError with what to change."""
    name = " ".join(server.name.split())
    if not 0 < len(name) <= NAME_MOST:
        raise _wrong(f"Give the server a name of 1 to {NAME_MOST} letters.")
    if "/" in name:
        raise _wrong("The name of a server has no slash.")
    if bool(server.command.strip()) == bool(server.url.strip()):
        raise _wrong(f"{name}: say either the program that is started or the address of a running server.")
    if server.url:
        _check_address(name, server.url)
    parts = [*server.args, *(each for pair in (*server.env, *server.headers) for each in pair), server.cwd]
    if len(parts) > PARTS_MOST or any(len(part) > PART_MOST for part in parts):
        raise _wrong(f"{name}: there are too many arguments, or one of them is too long.")
    if any("\0" in part for part in (*parts, server.command, server.url)):
        raise _wrong(f"{name}: there is a character in it that no program takes.")
    for variable, _ in server.env:
        if not _VARIABLE.fullmatch(variable):
            raise _wrong(f"{name}: {variable[:40]!r} is no name of a variable.")
    for header, value in server.headers:
        if not _HEADER.fullmatch(header) or "\n" in value or "\r" in value or not value.isascii():
            raise _wrong(f"{name}: the header {header[:40]!r} cannot be sent. Names and values are plain ASCII.")
    return replace(server, name=name, command=server.command.strip(), url=server.url.strip())


def _check_address(name: str, url: str) -> None:
    try:
        parts = urlsplit(url.strip())
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise _wrong(f"{name}: {url[:80]!r} is no address. It begins with http:// or https://.")
    if parts.username or parts.password:
        raise _wrong(f"{name}: write the password as a header (Authorization), not into the address.")


def from_line(line: str) -> tuple[str, tuple[str, ...]]:
    """A program and its arguments, as typed into a terminal. Raises LocalProtocolError."""
    try:
        words = shlex.split(line, posix=True)
    except ValueError:
        raise _wrong("A quotation mark of the command has no second one.") from None
    if not words:
        return "", ()
    return words[0], tuple(words[1:])


def as_line(command: str, args: tuple[str, ...]) -> str:
    return shlex.join((command, *args)) if command else ""


def pairs_of(text: str, mark: str) -> tuple[tuple[str, str], ...]:
    """Lines NAME=VALUE (mark "=") or NAME: VALUE (mark ":"). Raises LocalProtocolError for one without the mark."""
    pairs = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, found, value = line.partition(mark)
        if not found or not name.strip():
            raise _wrong(f"Write each line as NAME{mark}VALUE: {line.strip()[:20]!r}… has no {mark!r}.")
        pairs.append((name.strip(), value.strip() if mark == ":" else value))
    return tuple(pairs)


def from_json(text: str) -> tuple[ToolServer, ...]:
    """The servers of such a text, in its order. Raises LocalProtocolError with what is wrong with it."""
    if len(text) > TEXT_MOST:
        raise _wrong("This is too long for a list of servers.")
    try:
        tree = json.loads(_without_comments(text))
    except RecursionError:
        raise _wrong("This is no list of servers: it is nested too deep.") from None
    except ValueError as error:
        place = (
            f" Look at line {error.lineno}, column {error.colno}." if isinstance(error, json.JSONDecodeError) else ""
        )
        raise _wrong(f"This is no JSON.{place}") from None
    listed = _listed(tree)
    if not listed:
        raise _wrong(
            'There is no server in it. It is written as {"mcpServers": {"NAME": {"command": …, "args": […]}}}.'
        )
    if len(listed) > SERVERS_MOST:
        raise _wrong(f"There are more than {SERVERS_MOST} servers in it.")
    return tuple(_server(str(name), entry) for name, entry in listed.items())


def _listed(tree: object) -> Mapping[str, Any]:
    if not isinstance(tree, dict):
        return {}
    for key in _LISTS:
        if isinstance(tree.get(key), dict):
            found: Mapping[str, Any] = tree[key]
            return found
    if isinstance(inner := tree.get("mcp"), dict):  # VS Code's settings
        return _listed(inner)
    if "command" in tree or "url" in tree:  # one server alone
        return {"server": tree}
    if tree and all(isinstance(entry, dict) and ("command" in entry or "url" in entry) for entry in tree.values()):
        return tree  # the inside of such a list
    return {}


def _server(name: str, entry: object) -> ToolServer:
    if not isinstance(entry, dict):
        raise _wrong(f"{name[:40]}: what stands there is no server.")
    kind = str(entry.get("type") or entry.get("transport") or "").lower()
    if kind == "sse":
        raise _wrong(f"{name[:40]}: it speaks the old SSE form, which few servers still do. Use its /mcp address.")
    command: Any = entry.get("command") or ""
    args: Any = entry.get("args") or []
    if isinstance(command, dict):  # Zed's
        command, args = command.get("path") or "", command.get("args") or args
    if not isinstance(command, str) or not isinstance(args, list):
        raise _wrong(f'{name[:40]}: "command" is a text and "args" a list.')
    url = entry.get("url") or entry.get("serverUrl") or entry.get("httpUrl") or ""
    server = ToolServer(
        name=" ".join(name.replace("/", " ").split())[:NAME_MOST],
        command=command,
        args=tuple(_text(name, each) for each in args),
        env=_pairs(name, entry.get("env")),
        cwd=_text(name, entry.get("cwd") or ""),
        url=_text(name, url),
        headers=_pairs(name, entry.get("headers")),
    )
    return checked(server)


def _pairs(name: str, value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise _wrong(f"{name[:40]}: variables and headers are an object of names and values.")
    return tuple((str(key), _text(name, each)) for key, each in value.items())


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise _wrong(f"{name[:40]}: arguments, variables and headers are texts.")


def _without_comments(text: str) -> str:
    """Lines that are comments, and commas before a closing bracket: editors write both into such files."""
    text = text.removeprefix("\ufeff")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    plain = "\n".join(lines)
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return re.sub(r",(\s*[}\]])", r"\1", plain)
    return plain


def to_json(servers: tuple[ToolServer, ...], *, secrets: bool = False) -> str:
    """The same form, for another program. secrets False: variables and headers by name alone."""
    listed: dict[str, dict[str, object]] = {}
    for server in servers:
        entry: dict[str, object] = {}
        if server.command:
            entry = {"command": server.command, "args": list(server.args)}
            if server.cwd:
                entry["cwd"] = server.cwd
        else:
            entry = {"url": server.url}
        for key, pairs in (("env", server.env), ("headers", server.headers)):
            if pairs:
                entry[key] = {name: value if secrets else "" for name, value in pairs}
        listed[server.name] = entry
    return json.dumps({"mcpServers": listed}, indent=2, ensure_ascii=False)


def _wrong(sentence: str) -> LocalProtocolError:
    return LocalProtocolError(sentence, name="TOOL_SERVER_WRONG")
