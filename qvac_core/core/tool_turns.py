"""Calls of tools between the kept answer of a conversation and the messages that a model reads.

A kept answer is one text with the calls at their offsets; for a model it is a turn of the assistant for each round,
with the results behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from qvac_core.core.state import Message, ToolUse, UseState

if TYPE_CHECKING:
    from qvac_core.engines.interface import ChatMessage

STOPPED = "The person stopped this before it ended."
DENIED = "The person did not allow this call. Do not make it again; go on without it, or ask them."
CANNOT_CALL = "What you wrote is no call that can be run: {reason} Write it again, or answer without it."
_OPEN = (UseState.ASKS, UseState.RUNNING)


def is_open(use: ToolUse) -> bool:
    """It has no result yet."""
    return use.state in _OPEN


def with_use(message: Message, use: ToolUse) -> Message:
    """With the call behind the others, or in the place of its older self."""
    uses = list(message.tools)
    place = next((at for at, old in enumerate(uses) if old.id == use.id), len(uses))
    uses[place : place + 1] = [use]
    return replace(message, tools=tuple(uses))


def settled(message: Message) -> Message:
    """Of an answer that has ended: what ran then was stopped with it."""
    if not any(map(is_open, message.tools)):
        return message
    uses = tuple(replace(u, state=UseState.STOPPED, result=STOPPED) if is_open(u) else u for u in message.tools)
    return replace(message, tools=uses)


def turns_of(text: str, uses: Sequence[ToolUse], start: int = 0) -> tuple[tuple[ChatMessage, ...], str]:
    """The messages of all whole rounds, and the text that stands behind the last one.

    start: where in the text the answer begins; calls above it belong to an attempt that is no part of it any more.
    """
    from qvac_core.engines.interface import ChatMessage, ToolCall  # a window shows answers without it

    messages: list[ChatMessage] = []
    at = start
    for _, several in groupby((use for use in uses if use.offset >= start), key=lambda use: (use.round, use.offset)):
        round_, before = list(several), at
        said, at = _between(text[at : round_[0].offset], first=at == start), round_[0].offset
        calls = [use for use in round_ if use.name and use.state is not UseState.INVALID]
        wrong = [use for use in round_ if use.state is UseState.INVALID]
        if calls:
            made = tuple(ToolCall(use.id, use.name, use.arguments) for use in calls)
            messages.append(ChatMessage("assistant", said, tool_calls=made))
            messages += [ChatMessage("tool", use.result, tool_call_id=use.id, name=use.name) for use in calls]
        elif wrong:
            messages.append(ChatMessage("assistant", "\n".join(part for part in (said, wrong[0].arguments) if part)))
            reason = " ".join(use.result for use in wrong)
            messages.append(ChatMessage("user", CANNOT_CALL.format(reason=reason)))
        else:
            at = before  # a server that could not be started: nothing of it was said to anybody
    return tuple(messages), _between(text[at:], first=at == start)


def _between(text: str, *, first: bool) -> str:
    """Without the empty line that sets it apart from the calls above it."""
    return text if first else text.lstrip("\n")
