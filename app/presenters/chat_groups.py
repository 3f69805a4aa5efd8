"""How the list of conversations is ordered and dated: pinned, today, this week, then months. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from qvac_core.core.state import Conversation

DRAFT = "draft"
UNTITLED = "New conversation"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    conversation: Conversation
    when: str

    @property
    def title(self) -> str:
        return self.conversation.title or UNTITLED


Row = Heading | Entry


def rows(conversations: Iterable[Conversation], now: float, written: frozenset[str] = frozenset()) -> tuple[Row, ...]:
    """Newest first within each group; a group without conversations has no heading.

    written: conversations with something that is not sent; that stands in the place of the time.
    """
    ordered = sorted(conversations, key=lambda c: (not c.pinned, -c.updated_at))
    result: list[Row] = []
    heading = ""
    for conversation in ordered:
        group = "Pinned" if conversation.pinned else _group(conversation.updated_at, now)
        if group != heading:
            result.append(Heading(group))
            heading = group
        result.append(Entry(conversation, DRAFT if conversation.id in written else when(conversation.updated_at, now)))
    return tuple(result)


def when(at: float, now: float) -> str:
    """The time of today, the weekday of this week, else the date."""
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    if moment.date() >= today.date():
        return f"{moment.hour}:{moment.minute:02}"
    if moment.date() > (today - timedelta(days=7)).date():
        return WEEKDAYS[moment.weekday()]
    date = f"{moment.day} {MONTHS[moment.month - 1][:3]}"
    return date if moment.year == today.year else f"{date} {moment.year}"


def _group(at: float, now: float) -> str:
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    if moment.date() >= today.date():
        return "Today"
    if moment.date() > (today - timedelta(days=7)).date():
        return "This week"
    month = MONTHS[moment.month - 1]
    return month if moment.year == today.year else f"{month} {moment.year}"
