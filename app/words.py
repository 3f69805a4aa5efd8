"""Amounts and times as people read them: "6.1 GB", "20 s ago", "in 6 days", "41k". Knows no Qt."""

from __future__ import annotations

from datetime import datetime

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
ONE_LINE = 300  # letters: more than any line of the window has room for
NOW_WITHIN = 3.0  # seconds that still read as "just now"


def size(size_bytes: float) -> str:
    """Decimal units, as disks and downloads count."""
    if size_bytes >= 1e9:
        digits = 1 if size_bytes < 100e9 else 0
        return f"{size_bytes / 1e9:.{digits}f} GB"
    if size_bytes >= 1e6:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e3:.0f} kB"


def pair_of_sizes(done: float, total: float) -> str:
    """ "2.1 of 5.0 GB": the unit once."""
    unit, name = (1e9, "GB") if total >= 1e9 else (1e6, "MB")
    digits = 1 if unit == 1e9 else 0
    return f"{done / unit:.{digits}f} of {total / unit:.{digits}f} {name}"


def short_count(count: int) -> str:
    """41_200 → 41k; exact below ten thousand."""
    if count < 10_000:
        return f"{count:,}"
    if count < 1_000_000:
        return f"{count / 1000:.0f}k"
    return f"{count / 1_000_000:.1f}M"


def context(tokens: int) -> str:
    """A context length: 8192 → 8k; 0, where a model has none, is a dash."""
    if tokens <= 0:
        return "–"
    return f"{tokens // 1024}k" if tokens % 1024 == 0 else f"{tokens:,}"


def duration(seconds: float, digits: int = 2) -> str:
    """How long something took: "0.31 s" (with `digits`), "4.1 s", "1 min 16 s"."""
    if seconds < 1:
        return f"{seconds:.{digits}f} s"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    return whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """How long something runs already or still: whole seconds, then minutes, then hours."""
    seconds = max(0.0, seconds)
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        minutes, rest = divmod(int(seconds), 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"


def ago(then: float, now: float) -> str:
    passed = now - then
    if passed < NOW_WITHIN:
        return "just now"
    if passed < MINUTE:
        return f"{passed:.0f} s ago"
    if passed < HOUR:
        return f"{passed // MINUTE:.0f} min ago"
    if passed < DAY:
        return f"{passed // HOUR:.0f} h ago"
    return day(then, now)


def day(then: float, now: float) -> str:
    """Today by the clock, then yesterday, a weekday, a date; in local time."""
    at, today = datetime.fromtimestamp(then), datetime.fromtimestamp(now)
    days = (today.date() - at.date()).days
    if days <= 0:
        return f"{at:%H:%M}"
    if days == 1:
        return "yesterday"
    if days < 7:
        return f"{at:%A}"
    if at.year == today.year:
        return f"{at.day} {at:%b}"
    return f"{at.day} {at:%b} {at.year}"


def expiry(at: float | None, now: float) -> str:
    if at is None:
        return "never"
    left = at - now
    if left <= 0:
        return "expired"
    if left < HOUR:
        return f"in {max(1, round(left / MINUTE))} min"
    if left < DAY:
        return f"in {round(left / HOUR)} h"
    days = round(left / DAY)
    return "in 1 day" if days == 1 else f"in {days} days"


def people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def one_line(text: str, most: int = ONE_LINE) -> str:
    """A text for one line of the window. Names come from people and peers; eliding a million letters takes 0.4 s."""
    return text if len(text) <= most else f"{text[:most]}…"
