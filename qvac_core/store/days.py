"""The owner's calendar days, by the clock on their wall: what is counted per day begins anew at local midnight."""

from __future__ import annotations

import time


def day_of(moment: float) -> str:
    """YYYY-MM-DD."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def begin_of_day(moment: float) -> float:
    """Unix seconds."""
    return _midnight(moment, 0)


def end_of_day(moment: float) -> float:
    """Unix seconds; with clock changes a day has 23 to 25 hours."""
    return _midnight(moment, 1)


def _midnight(moment: float, days: int) -> float:
    day = time.localtime(moment)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, 0, 0, 0, -1, -1, -1))
