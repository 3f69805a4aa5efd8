"""How the list of conversations is ordered and dated: pinned, today, this week, then months. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from app.i18n import later, tongue, tr
from qvac_core.core.state import Conversation, Hit
from qvac_core.late_dataclass import dataclass

DRAFT = later("draft")
UNTITLED = later("New conversation")


_NO_HITS: Mapping[str, Hit] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    conversation: Conversation
    when: str
    hit: Hit | None = None  # where it has what is searched

    @property
    def title(self) -> str:
        return self.conversation.title or tr(UNTITLED)


Row = Heading | Entry


def rows(
    conversations: Iterable[Conversation],
    now: float,
    written: frozenset[str] = frozenset(),
    *,
    asking: frozenset[str] = frozenset(),
    hits: Mapping[str, Hit] = _NO_HITS,
    open_now: Conversation | None = None,
) -> tuple[Row, ...]:
    """Newest first within each group; a group without conversations has no heading.

    written: conversations with something that is not sent; that stands in the place of the time, and before it that a
    call of a tool waits for an answer (asking). hits: where those have
    what is searched. open_now: the open one, on top where the others are found without it.
    """
    ordered = sorted(conversations, key=lambda c: (not c.pinned, -c.updated_at))
    result: list[Row] = []
    heading = ""
    if open_now is not None and all(c.id != open_now.id for c in ordered):
        result = [Heading(tr("Open now")), Entry(open_now, when(open_now.updated_at, now))]
    for conversation in ordered:
        group = tr("Pinned") if conversation.pinned else _group(conversation.updated_at, now)
        if group != heading:
            result.append(Heading(group))
            heading = group
        result.append(
            Entry(
                conversation,
                _state(conversation, now, written, asking),
                hits.get(conversation.id),
            )
        )
    return tuple(result)


def _state(conversation: Conversation, now: float, written: frozenset[str], asking: frozenset[str]) -> str:
    if conversation.id in asking:
        return tr("asks")
    return tr(DRAFT) if conversation.id in written else when(conversation.updated_at, now)


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
