"""Amounts and times as words."""

from __future__ import annotations

from datetime import datetime

import pytest

from app import words

NOW = datetime(2026, 11, 24, 14, 0).timestamp()


@pytest.mark.parametrize(
    ("value", "text"),
    [(98_000_000, "98 MB"), (6.1e9, "6.1 GB"), (120e9, "120 GB"), (12_300, "12 kB")],
)
def test_size(value: float, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (9_999, "9,999"), (41_200, "41k"), (2_500_000, "2.5M")])
def test_short_count(value: int, text: str) -> None:
    assert words.short_count(value) == text


@pytest.mark.parametrize(("value", "text"), [(8192, "8k"), (0, "–"), (1000, "1,000")])
def test_context(value: int, text: str) -> None:
    assert words.context(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.31 s"), (4.13, "4.1 s"), (76, "1 min 16 s"), (1200, "20 min"), (7500, "2 h 5 min"), (7200, "2 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [(1, "just now"), (20, "20 s ago"), (65, "1 min ago"), (7300, "2 h ago"), (-5, "just now")],
)
def test_ago(passed: float, text: str) -> None:
    assert words.ago(NOW - passed, NOW) == text


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (datetime(2026, 11, 24, 9, 5), "09:05"),
        (datetime(2026, 11, 23, 23, 59), "yesterday"),
        (datetime(2026, 11, 20, 12, 0), "Friday"),
        (datetime(2026, 11, 1, 12, 0), "1 Nov"),
        (datetime(2025, 12, 31, 12, 0), "31 Dec 2025"),
    ],
)
def test_day(then: datetime, text: str) -> None:
    assert words.day(then.timestamp(), NOW) == text


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, "never"),
        (-1, "expired"),
        (30, "in 1 min"),
        (3 * 3600, "in 3 h"),
        (86400, "in 1 day"),
        (6 * 86400, "in 6 days"),
    ],
)
def test_expiry(left: float | None, text: str) -> None:
    assert words.expiry(None if left is None else NOW + left, NOW) == text
