"""Serving hours: over midnight, on some days, and through the changes of the clock.

qvac_core/core/serving_hours.py
"""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from qvac_core.core.serving_hours import ServingHours

EVERY_DAY = "1234567"
HOUR = 3600.0


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if sys.platform == "win32":
        pytest.skip("Windows has one time zone for all programs")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


def hours(begins: str, ends: str, days: str = EVERY_DAY) -> ServingHours:
    found = ServingHours.of_text(begins, ends, days)
    assert found is not None
    return found


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("begins", "ends", "now", "opens", "closes"),
    [
        ("08:00", "23:00", "2026-11-24 12:00", None, "2026-11-24 23:00"),
        ("08:00", "23:00", "2026-11-24 08:00", None, "2026-11-24 23:00"),
        ("08:00", "23:00", "2026-11-24 07:59", "2026-11-24 08:00", None),
        ("08:00", "23:00", "2026-11-24 23:00", "2026-11-25 08:00", None),
        # Over midnight.
        ("22:00", "06:00", "2026-11-24 23:30", None, "2026-11-25 06:00"),
        ("22:00", "06:00", "2026-11-25 05:59", None, "2026-11-25 06:00"),
        ("22:00", "06:00", "2026-11-25 06:00", "2026-11-25 22:00", None),
    ],
)
def test_by_the_clock(begins: str, ends: str, now: str, opens: str | None, closes: str | None) -> None:
    found = hours(begins, ends)
    assert found.opens_again(at(now)) == (at(opens) if opens else None)
    assert found.closes(at(now)) == (at(closes) if closes else None)


def test_the_same_time_twice_is_the_whole_day() -> None:
    found = hours("09:00", "09:00")
    assert found.opens_again(at("2026-11-24 03:00")) is None
    assert found.closes(at("2026-11-24 03:00")) is None  # nothing ends where the next one begins
    only = hours("09:00", "09:00", "2")  # Tuesday
    assert only.opens_again(at("2026-11-25 08:59")) is None
    assert only.opens_again(at("2026-11-25 09:00")) == at("2026-12-01 09:00")


def test_days_are_those_on_which_the_hours_begin() -> None:
    friday_night = hours("22:00", "02:00", "5")
    assert friday_night.opens_again(at("2026-11-28 01:00")) is None  # Saturday, still Friday's night
    assert friday_night.opens_again(at("2026-11-28 03:00")) == at("2026-12-04 22:00")
    assert friday_night.opens_again(at("2026-11-24 12:00")) == at("2026-11-27 22:00")


def test_the_hour_that_comes_twice() -> None:
    """25 October 2026, 03:00 becomes 02:00: half past two is there twice, and the hours end at the first one."""
    found = hours("08:00", "02:30")
    first, second = utc("2026-10-25 00:30"), utc("2026-10-25 01:30")
    assert found.opens_again(first - 1) is None
    assert found.opens_again(first) == utc("2026-10-25 07:00")
    assert found.opens_again(second - 1) == utc("2026-10-25 07:00")  # not open again at "02:29"
    assert found.opens_again(second) == utc("2026-10-25 07:00")


def test_the_hour_that_is_left_out() -> None:
    """29 March 2026, 02:00 becomes 03:00: what begins at half past two begins at half past three by the new clock."""
    found = hours("02:30", "05:00")
    opens = found.opens_again(at("2026-03-29 01:00"))
    assert opens == utc("2026-03-29 01:30")
    assert found.opens_again(opens) is None
    assert found.closes(opens) == utc("2026-03-29 03:00")


@pytest.mark.parametrize(
    ("begins", "ends", "days"),
    [("8", "x", "1"), ("25:00", "08:00", "1"), ("08:00", "09:00", ""), ("08:00", "09:00", "89")],
)
def test_what_is_no_time_is_none(begins: str, ends: str, days: str) -> None:
    assert ServingHours.of_text(begins, ends, days) is None
