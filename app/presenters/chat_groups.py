"""How the list of conversations is ordered and dated: pinned, today, this week, then months. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.i18n import later, tongue, tr
from qvac_core.core.state import Conversation

DRAFT = later("draft")
UNTITLED = later("New conversation")


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    conversation: Conversation
    when: str

    @property
    def title(self) -> str:
        return self.conversation.title or tr(UNTITLED)


Row = Heading | Entry


def rows(conversations: Iterable[Conversation], now: float, written: frozenset[str] = frozenset()) -> tuple[Row, ...]:
    """Newest first within each group; a group without conversations has no heading.

    written: conversations with something that is not sent; that stands in the place of the time.
    """
    ordered = sorted(conversations, key=lambda c: (not c.pinned, -c.updated_at))
    result: list[Row] = []
    heading = ""
    for conversation in ordered:
        group = tr("Pinned") if conversation.pinned else _group(conversation.updated_at, now)
        if group != heading:
            result.append(Heading(group))
            heading = group
        result.append(
            Entry(conversation, tr(DRAFT) if conversation.id in written else when(conversation.updated_at, now))
        )
    return tuple(result)


def when(at: float, now: float) -> str:
    """The time of today, the weekday of this week, else the date."""
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    if moment.date() >= today.date():
        return tongue().time(moment)
    if moment.date() > (today - timedelta(days=7)).date():
        return tongue().weekday(moment, short=True)
    return tongue().date(moment, year=moment.year != today.year)


def _group(at: float, now: float) -> str:
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    if moment.date() >= today.date():
        return tr("Today")
    if moment.date() > (today - timedelta(days=7)).date():
        return tr("This week")
    month = tongue().month(moment)
    return month if moment.year == today.year else tr("{month} {year}", month=month, year=str(moment.year))
