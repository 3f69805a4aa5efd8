"""The forms in which a history is offered to a chat template, from what was said to what strict templates accept.

Many templates refuse a history whose text is fine (two questions in a row, an answer first, a system message later on),
or leave a part of it out without a word. Each form changes the history a little more; none leaves out any text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from qvac_core.engines.interface import ChatMessage

BETWEEN = "\n\n"  # between texts that are put together
LEAD_IN = "Hello."  # the user's, before an answer that nobody asked for

# What others call the roles. A template puts a role between its control tokens, so it gets the names it knows, and
# whatever else a guest sends is a user.
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}


def known_roles(history: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    return tuple(replace(message, role=_ROLES.get(message.role.strip().lower(), "user")) for message in history)


def forms(history: Sequence[ChatMessage]) -> Iterator[tuple[ChatMessage, ...]]:
    """Each different from the one before. The roles are known ones."""
    form = tuple(history)
    yield form
    for change in _CHANGES:
        changed = _merged(change(form))
        if changed != form and changed:
            form = changed
            yield form


def _without_empty(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    return tuple(message for message in history if message.content.strip() or message.tool_calls)


def _system_first(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    return (
        *(message for message in history if message.role == "system"),
        *(message for message in history if message.role != "system"),
    )


def _led_in(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """An answer that stands first gets a question before it; a system message alone, or a tool's result, is one."""
    system, rest = _split(history)
    if not rest:
        return tuple(replace(message, role="user") for message in system)
    if rest[0].role == "tool":
        return (*system, replace(rest[0], role="user"), *rest[1:])
    return history if rest[0].role == "user" else (*system, ChatMessage("user", LEAD_IN), *rest)


def _tools_as_users(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """For templates that know no tools, or want ids of calls that nobody made here."""
    return tuple(replace(message, role="user") if message.role == "tool" else message for message in history)


def _system_in_first_message(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """For templates without a system role (Gemma's)."""
    system, rest = _split(history)
    return tuple(replace(message, role="user") for message in system) + rest


_CHANGES: tuple[Callable[[tuple[ChatMessage, ...]], tuple[ChatMessage, ...]], ...] = (
    _without_empty,
    _system_first,
    _led_in,
    _tools_as_users,
    _system_in_first_message,
)


def _split(history: tuple[ChatMessage, ...]) -> tuple[tuple[ChatMessage, ...], tuple[ChatMessage, ...]]:
    return (
        tuple(message for message in history if message.role == "system"),
        tuple(message for message in history if message.role != "system"),
    )


def _merged(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """Neighbours of one role as one message."""
    merged: list[ChatMessage] = []
    for message in history:
        of_tools = message.tool_calls or message.tool_call_id
        if merged and merged[-1].role == message.role and not (of_tools or merged[-1].tool_calls):
            merged[-1] = replace(message, content=f"{merged[-1].content}{BETWEEN}{message.content}")
        else:
            merged.append(message)
    return tuple(merged)
