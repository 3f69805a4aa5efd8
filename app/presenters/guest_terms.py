"""What a provider lets this machine use, in words: beforehand, and when a limit is near or reached. Knows no Qt."""

from __future__ import annotations

from datetime import datetime

from app import words
from app.i18n import listed, number, tongue, tr, trn
from qvac_core.core.state import GuestTerms

NEAR = 0.8  # of a day's tokens


def terms_in_words(terms: GuestTerms, now: float) -> str:
    """ "20,000 tokens a day, 1 request at once"; "" where there is no limit to tell of."""
    if terms.mine:
        return tr("your own machine: no limits")
    said = []
    if terms.tokens_per_day is not None:
        said.append(tr("{count} tokens a day", count=number(terms.tokens_per_day)))
        if terms.parallel is not None:
            said.append(trn("%n request at once", "%n requests at once", terms.parallel))
    if terms.context_tokens is not None:
        said.append(tr("chats of {count} tokens", count=number(terms.context_tokens)))
    if terms.answer_tokens is not None:
        said.append(tr("answers of {count} tokens", count=number(terms.answer_tokens)))
    if terms.ends_at is not None:
        said.append(tr("until {time}", time=_when(terms.ends_at, now)))
    return listed(said)


def biting(terms: GuestTerms | None, name: str, now: float) -> tuple[str, str, bool] | None:
    """What happened or is near, what of it, and whether nothing is answered now; None while there is room."""
    if terms is None or terms.mine:
        return None
    if terms.opens_at is not None and terms.opens_at > now:
        again = tr("It does again at {time}.", time=_when(terms.opens_at, now))
        return tr("{name} does not serve you at this hour.", name=name), again, True
    most, resets = terms.tokens_per_day, terms.resets_at
    if most is None or resets is None or resets <= now or terms.tokens_used < NEAR * most:
        return None
    anew = tr("They begin anew at {time}.", time=_when(resets, now))
    if terms.tokens_used >= most:
        return tr("Your tokens for today at {name} are used up.", name=name), anew, True
    left = tr("{left} of {all} are left.", left=number(most - terms.tokens_used), all=number(most))
    return tr("Your tokens for today at {name} are running out.", name=name), f"{left} {anew}", False


def _when(moment: float, now: float) -> str:
    at = datetime.fromtimestamp(moment)
    if moment - now < words.DAY:
        return tongue().time(at)
    return tr("{day}, {time}", day=tongue().date(at, year=False), time=tongue().time(at))
