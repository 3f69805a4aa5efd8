"""The messages that are shown, when the core tells of another path: what it does not have yet stays. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence

from qvac_core.core.state import Message

LOCAL = ("asked-", "failed-")
"""How ids begin of messages that the core does not have: questions on their way, and why one was not taken."""


def merged(shown: Sequence[Message], path: Sequence[Message]) -> tuple[list[Message], list[tuple[str, Message]]]:
    """What is shown from now on, and which questions the core has now: (the id one had here, the message there)."""
    result: list[Message] = []
    kept: list[tuple[str, Message]] = []
    apart: list[Message] = []  # of ours, behind where the path turns away from what was shown
    rest, turned = list(path), False
    for message in shown:
        if message.id.startswith(LOCAL):
            if not turned and rest and _same(message, rest[0]):
                kept.append((message.id, rest[0]))
                result.append(rest.pop(0))
            else:
                (apart if turned else result).append(message)
        elif not turned and rest and rest[0].id == message.id:
            result.append(rest.pop(0))
        else:
            turned = True
    return [*result, *rest, *apart], kept


def _same(asked: Message, there: Message) -> bool:
    return asked.role == there.role == "user" and asked.text == there.text
