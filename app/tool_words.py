"""Words of tools: what a call asks, how it stands, how a server is. Knows no Qt."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from app.core_words import told
from app.i18n import listed, number, tr, trn
from qvac_core.core.state import ServerEntry, ToolUse, UseState
from qvac_core.tools.health import ServerState, ServerTool

SUMMARY_MOST = 120  # letters
_HIDDEN = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co")


def visible(text: str) -> str:
    """With signs that cannot be seen, or turn others round, written as numbers: what is shown is what is sent."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(c):04x}" if c not in "\n\t" and unicodedata.category(c) in _HIDDEN else c for c in text)


def arguments_of(use: ToolUse) -> Mapping[str, Any] | None:
    """None for what is no object."""
    try:
        found = json.loads(use.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def in_full(use: ToolUse) -> str:
    """The arguments, one a line: texts as they are, all else as JSON."""
    arguments = arguments_of(use)
    if arguments is None:
        return visible(use.arguments)
    return "\n".join(f"{visible(name)}: {_value(value)}" for name, value in arguments.items())


def _value(value: object) -> str:
    if not isinstance(value, str):
        return visible(json.dumps(value, ensure_ascii=False))
    if "\n" not in value:
        return visible(value)
    return "\n" + "\n".join(f"    {line}" for line in visible(value).split("\n"))


def summary(use: ToolUse) -> str:
    """The values, on one line."""
    arguments = arguments_of(use)
    if arguments is None:
        return " ".join(visible(use.arguments).split())[:SUMMARY_MOST]
    values = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in arguments.values()
    )
    return ", ".join(" ".join(visible(value).split()) for value in values)[:SUMMARY_MOST]


def seconds(value: float) -> str:
    return tr("{seconds} s", seconds=number(value, 1 if value < 10 else 0))


def state_words(use: ToolUse) -> str:
    took = seconds(use.seconds)
    match use.state:
        case UseState.ASKS:
            return tr("asks")
        case UseState.RUNNING:
            return tr("running…")
        case UseState.DONE if use.allowed == "once":
            return tr("allowed once, {time}", time=took)
        case UseState.DONE if use.allowed == "conversation":
            return tr("allowed in this conversation, {time}", time=took)
        case UseState.DONE:
            return tr("always allowed, {time}", time=took)
        case UseState.FAILED:
            return tr("failed, {time}", time=took) if use.seconds >= 0.05 else tr("failed")
        case UseState.DENIED:
            return tr("not allowed")
        case UseState.STOPPED:
            return tr("stopped")
    return tr("no call")


def state_icon(use: ToolUse) -> tuple[str, str]:
    """Its name, and its colour."""
    return {
        UseState.ASKS: ("triangle-alert", "warn"),
        UseState.RUNNING: ("loader-circle", "text2"),
        UseState.DONE: ("check", "live"),
        UseState.FAILED: ("circle-x", "danger"),
        UseState.DENIED: ("ban", "text3"),
        UseState.STOPPED: ("square", "text3"),
        UseState.INVALID: ("triangle-alert", "warn"),
    }[use.state]


def where_words(use: ToolUse, who: str, *, local: bool) -> str:
    """Where it ran, and where its result went."""
    if use.state is UseState.ASKS:
        if local:
            return tr("It would run on this machine, and its result stays here.")
        return tr("It would run on this machine. Its result goes to {who}.", who=who)
    if use.state in (UseState.DONE, UseState.FAILED) and use.tool:
        if local:
            return tr("Ran on this machine. Its result stayed here.")
        return tr("Ran on this machine. Its result went to {who}.", who=who)
    return tr("It did not run.") if use.state in (UseState.DENIED, UseState.INVALID) else ""


def title(use: ToolUse) -> str:
    if not use.server:
        return tr("Not a call of a tool")
    return use.server


def spoken(use: ToolUse) -> str:
    """All of it for somebody who hears it."""
    if not use.tool:
        return tr("{name}: {state}. {result}", name=title(use), state=state_words(use), result=told(use.result))
    return tr(
        "Tool {tool} of {server}, {arguments}: {state}",
        tool=use.tool,
        server=use.server,
        arguments=summary(use) or tr("without arguments"),
        state=state_words(use),
    )


def result_words(use: ToolUse) -> str:
    """What stands in the card: the tool's own text, or a sentence of ours."""
    return visible(use.result if use.tool and use.state is UseState.DONE else told(use.result))


def server_words(entry: ServerEntry) -> str:
    """The second line of a server."""
    health, server = entry.health, entry.server
    if health.state is ServerState.FAILED:
        return told(health.error)
    if health.state is ServerState.STARTING:
        return tr("starting…")
    where = server.url or " ".join((server.command, *server.args))
    if not health.tools:
        return where
    changing = sum(not tool.reads_only for tool in health.tools)
    return listed(
        (
            trn("%n tool", "%n tools", len(health.tools)),
            trn("%n may change things", "%n may change things", changing) if changing else tr("all of them only read"),
            tr("on in new conversations") if server.in_new else tr("off in new conversations"),
            where,
        )
    )


def tool_words(tool: ServerTool) -> str:
    return tr("reads") if tool.reads_only else tr("may change things")
