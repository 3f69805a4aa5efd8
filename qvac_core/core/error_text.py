"""Errors in words for a person: what happened, then what helps."""

from __future__ import annotations

import math
import re

from qvac_core.core.state import ErrorInfo
from qvac_core.delegation.reasons import Reason
from qvac_core.errors import DelegationError, QvacError

# By name: (what happened, what helps).
_BY_NAME: dict[str, tuple[str, str]] = {
    "NOT_ADMITTED": (
        "The owner has not allowed your key yet.",
        "The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed.",
    ),
    "KNOCK_DENIED": (
        "The owner did not let you in.",
        "The machine is online. It is asked again by itself later; you may want to talk to its owner before.",
    ),
    "BLOCKED": (
        "The owner blocked your key.",
        "Ask the owner, if you think that this is a mistake, or choose another machine.",
    ),
    "EXPIRED": (
        "The time for which the owner allowed your key is over.",
        "Ask the owner for more, or choose another machine.",
    ),
    "NO_LONGER_ALLOWED": (
        "The owner no longer allows your key.",
        "Send its owner your key and ask again, or choose another machine.",
    ),
    "STOPPED": ("The owner stopped this answer.", "Ask again, or ask the owner why."),
    "REMOVED": (
        "The owner took your request out of the line.",
        "Ask again later, or choose another machine.",
    ),
    "SHARING_OFF": (
        "The machine stopped sharing.",
        "Ask again when its owner shares again, or choose another machine.",
    ),
    "MODEL_OFF": ("The owner no longer shares this model.", "Choose one of the models that the machine shares."),
    "PAUSED": ("The machine is not taking requests now.", "Ask again later, or choose another machine."),
    "PEER_NOT_FOUND": (
        "No machine answers for this key.",
        "It may be off, or the key has a typing mistake.",
    ),
    "PEER_CONNECTION_FAILED": (
        "The machine was found but does not answer.",
        "It may have just gone off, or its owner blocked your key. Try again in a moment.",
    ),
    "CANNOT_HOLEPUNCH": (
        "Both routers block a direct path and no relay is set.",
        "Add a relay that both machines can reach, try from another network, or ask the owner to open a port.",
    ),
    "REQUEST_TIMEOUT": ("The machine did not answer in time.", "It may be busy or the connection slow. Try again."),
    "ECONNRESET": ("The machine went offline.", "The connection ended. Try again when it is back."),
    "RELAY_LOST": (
        "The relay between the two machines went away.",
        "No other way was found. Try again, or give a second --relay-through KEY.",
    ),
    "ETIMEDOUT": ("The machine went offline.", "Nothing has come from it for a while. Try again when it is back."),
    "ECLOSED": ("The connection was closed.", "Try again."),
    "BOOTSTRAP_FAILED": (
        "No machine of the network answers.",
        "Check this machine's connection, and the --bootstrap address if you gave one.",
    ),
    "NETWORK_OFFLINE": ("This machine has no network.", "Check the connection; QVAC Desktop goes on by itself."),
    "WAKE_NO_ANSWER": (
        "The machine did not wake up.",
        "The wake-up call was sent, and nothing came from it for two minutes. Look whether its firmware and its system "
        "let its network card wake it, and whether whoever sent the call is on the same network.",
    ),
    "WAKE_NOT_SENT": (
        "The machine sleeps, and nobody could send the wake-up call.",
        "Have a machine of yours that is on its network share too, with the switch to wake others, or wake it by hand.",
    ),
    "MODEL_NOT_FOUND": ("The machine does not share this model.", "Choose one of the models it shares."),
    "CONTEXT_OVERFLOW": (
        "The conversation is longer than the model can take in.",
        "Start a new conversation, or shorten your message.",
    ),
    "NO_VALID_TOOL_CALL": (
        "The model does not manage to call a tool.",
        "Twice it wrote something that is no call. Choose a larger model, or switch the tools off and ask again.",
    ),
    "SAME_TOOL_CALL": (
        "The model makes the same call again and again.",
        "It was stopped after the third time. Choose a larger model, or ask in other words.",
    ),
    "WORKER_CRASHED": (
        "The model process ended unexpectedly and was restarted.",
        "This request was lost. Send it again.",
    ),
}

# Reasons of a provider (delegation/failures.py) whose words are those of the table.
_REASONS = frozenset(
    {
        "NOT_ADMITTED",
        "BLOCKED",
        "EXPIRED",
        "NO_LONGER_ALLOWED",
        "STOPPED",
        "REMOVED",
        "SHARING_OFF",
        "MODEL_OFF",
        "PAUSED",
    }
)

# What a provider says is a stranger's number: beyond a month it is no help to anybody.
LONGEST_PAUSE_MS = 31 * 24 * 3600 * 1000

_HOLEPUNCH = re.compile(r"HOLEPUNCH|NOT_HOLEPUNCH")


def describe(error: QvacError) -> ErrorInfo:
    """The words for an error. An error without words of its own keeps its sentence: the first one is the title."""
    name = _name(error)
    if name in _BY_NAME:
        title, message = _BY_NAME[name]
        message = _paused_for(error) or message
    else:
        title, message = _split(error.message)
    return ErrorInfo(name=error.name, code=error.code, title=title, message=message)


def why_left(error: ErrorInfo, name: str) -> str:
    """Why a provider went, as a sentence with its name where that is known."""
    if not name:
        return error.title
    return error.title.replace("The machine", name, 1).replace("The owner", f"The owner of {name}", 1)


def mistaken(error: Exception) -> ErrorInfo:
    """The words for a mistake of ours. What the exception says may be anybody's text; it goes to the log alone."""
    return ErrorInfo(
        name="MISTAKE",
        code=0,
        title=f"QVAC Desktop made a mistake ({type(error).__name__}).",
        message="Try again. If it stays so, please report it.",
    )


def _name(error: QvacError) -> str:
    """The entry of the table: a policy's reason and the cause of a failed connection say more than the wrapper."""
    reason = error.typed_fields.get("reason") if isinstance(error, DelegationError) else None
    if (
        isinstance(error, DelegationError)
        and "retryAfterMs" in error.typed_fields
        and reason == Reason.NOT_ADMITTED.value
    ):
        return "KNOCK_DENIED"
    if reason == Reason.GUEST_AWAY.value:
        return "ETIMEDOUT"  # neither heard the other
    if isinstance(reason, str) and reason.upper() in _REASONS:
        return reason.upper()
    if error.name not in _BY_NAME and isinstance(error.__cause__, QvacError):
        return _name(error.__cause__)
    if _HOLEPUNCH.search(error.name):
        return "CANNOT_HOLEPUNCH"
    return error.name


def _paused_for(error: QvacError) -> str:
    """When a machine that rests takes requests again, where it says so; "" for any other error."""
    if not isinstance(error, DelegationError) or error.typed_fields.get("reason") != Reason.PAUSED.value:
        return ""
    wanted = error.typed_fields.get("retryAfterMs")
    if not isinstance(wanted, int | float) or not 0 <= wanted < LONGEST_PAUSE_MS:
        return ""
    minutes = max(1, math.ceil(wanted / 60_000))
    if minutes < 100:
        return f"Its owner paused it. Ask again in {minutes} min, or choose another machine."
    return f"Its owner paused it. Ask again in {round(minutes / 60)} h, or choose another machine."


def _split(sentence: str) -> tuple[str, str]:
    first, end, rest = sentence.partition(". ")
    return (first + "." if end else first), rest.strip()
