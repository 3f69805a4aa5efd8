"""Amounts and times as people read them: "6.1 GB", "20 s ago", "in 6 days", "41k". Knows no Qt."""

from __future__ import annotations

from datetime import datetime

from app.i18n import number, tongue, tr, trn

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
ONE_LINE = 300  # letters: more than any line of the window has room for
NOW_WITHIN = 3.0  # seconds that still read as "just now"


def size(size_bytes: float) -> str:
    """Decimal units, as disks and downloads count."""
    if size_bytes >= 1e9:
        return tr("{number} GB", number=number(size_bytes / 1e9, 1 if size_bytes < 100e9 else 0))
    if size_bytes >= 1e6:
        return tr("{number} MB", number=number(size_bytes / 1e6))
    return tr("{number} kB", number=number(size_bytes / 1e3))


def rate(bytes_per_second: float) -> str:
    """ "9.8 MB/s"."""
    #: how fast a download comes: {size} is "9.8 MB"
    return tr("{size}/s", size=size(bytes_per_second))


def pair_of_sizes(done: float, total: float) -> str:
    """ "2.1 of 5.0 GB": the unit once."""
    if total >= 1e9:
        return tr("{done} of {total} GB", done=number(done / 1e9, 1), total=number(total / 1e9, 1))
    return tr("{done} of {total} MB", done=number(done / 1e6), total=number(total / 1e6))


def short_count(count: int) -> str:
    """41_200 → 41k; exact below ten thousand."""
    if count < 10_000:
        return number(count)
    if count < 1_000_000:
        #: thousands, short
        return tr("{number}k", number=number(count / 1000))
    #: millions, short
    return tr("{number}M", number=number(count / 1_000_000, 1))


def context(tokens: int) -> str:
    """A context length: 8192 → 8k; 0, where a model has none, is a dash."""
    if tokens <= 0:
        return "–"
    return tr("{number}k", number=number(tokens // 1024)) if tokens % 1024 == 0 else number(tokens)


def percent(fraction: float) -> str:
    return tr("{number}%", number=number(fraction * 100))


def duration(seconds: float, digits: int = 2) -> str:
    """How long something took: "0.31 s" (with `digits`), "4.1 s", "1 min 16 s"."""
    if seconds < MINUTE:
        #: seconds
        return tr("{number} s", number=number(seconds, digits if seconds < 1 else 1))
    return whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """How long something runs already or still: whole seconds, then minutes, then hours."""
    seconds = max(0.0, seconds)
    if seconds < MINUTE:
        return tr("{number} s", number=number(seconds))
    if seconds < HOUR:
        minutes, rest = divmod(int(seconds), 60)
        if rest and minutes < 10:
            return tr("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
        return tr("{minutes} min", minutes=minutes)
    hours, rest = divmod(int(seconds), 3600)
    return (
        tr("{hours} h {minutes} min", hours=hours, minutes=rest // 60) if rest >= 60 else tr("{hours} h", hours=hours)
    )


def ago(then: float, now: float) -> str:
    passed = now - then
    if passed < NOW_WITHIN:
        return tr("just now")
    if passed < MINUTE:
        return tr("{seconds} s ago", seconds=round(passed))
    if passed < HOUR:
        return tr("{minutes} min ago", minutes=int(passed // MINUTE))
    if passed < DAY:
        return tr("{hours} h ago", hours=int(passed // HOUR))
    return day(then, now)


def day(then: float, now: float) -> str:
    """Today by the clock, then yesterday, a weekday, a date; in local time."""
    at, today = datetime.fromtimestamp(then), datetime.fromtimestamp(now)
    days = (today.date() - at.date()).days
    if days <= 0:
        return tongue().time(at)
    if days == 1:
        return tr("yesterday")
    if days < 7:
        return tongue().weekday(at)
    return tongue().date(at, year=at.year != today.year)


def expiry(at: float | None, now: float) -> str:
    if at is None:
        return tr("never")
    left = at - now
    if left <= 0:
        return tr("expired")
    if left < HOUR:
        return tr("in {minutes} min", minutes=max(1, round(left / MINUTE)))
    if left < DAY:
        return tr("in {hours} h", hours=round(left / HOUR))
    return trn("in %n day", "in %n days", round(left / DAY))


def people(count: int) -> str:
    return trn("%n person", "%n people", count)


def one_line(text: str, most: int = ONE_LINE) -> str:
    """A text for one line of the window. Names come from people and peers; eliding a million letters takes 0.4 s."""
    return text if len(text) <= most else f"{text[:most]}…"


def licence(name: str) -> str:
    """SPDX's "Apache-2.0", and Hugging Face's "apache-2.0", as people write it. "" = not known."""
    if name.lower() == "other":
        return tr("its own")
    words_of = name.replace("-", " ")
    if name.lower() == "mit" or name.lower().startswith("cc-"):
        return words_of.upper()
    return words_of[:1].upper() + words_of[1:]
