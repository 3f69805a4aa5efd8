"""A person's page and the page of invites, as full as in the design's pictures. For screenshots and tests."""

from __future__ import annotations

import random
from dataclasses import replace

from app.window import MainWindow
from qvac_core.core.invites_room import InviteRecord, Offer
from qvac_core.core.limits import KeyUsage
from qvac_core.core.state import KeyLimits
from qvac_core.store.days import day_of, end_of_day
from qvac_core.store.log_records import DayTotals, LogTotals, ModelTotals
from tests.gui.fake_core import HOUR, FakeCore
from tests.gui.populated import MEDIA, NOON, READING, STUDIO, WORKSHOP, fullest

DAY = 24 * HOUR
GUEST_LINK = f"qvac://{STUDIO}/i/{'mfrggzdf' * 24}?name=Studio%20desktop"


def person_core(core: FakeCore | None = None) -> FakeCore:
    """Of Reading room, near the end of its tokens."""
    core = fullest(core or FakeCore())
    chosen = random.Random(7)
    days = []
    for back in range(30):
        tokens = 17_204 if not back else chosen.choice([0, 0, *range(4_000, 20_500, 900)])
        totals = LogTotals(chosen.randint(1, 12) if tokens else 0, 1, tokens // 3, tokens - tokens // 3, tokens * 15.0)
        days.append(DayTotals(day_of(NOON - back * DAY), totals))
    models = (
        ModelTotals("qwen3-8b", LogTotals(8, 1, 5_000, 9_820, 200_000.0)),
        ModelTotals("whisper", LogTotals(1, 1, 0, 0, 52_000.0), 1186.0, "seconds"),
    )
    core.limits.used[READING] = KeyUsage(
        LogTotals(9, 1, 5_700, 11_504, 252_000.0), models, tuple(days), end_of_day(NOON)
    )
    keys = []
    for key in core.rules.keys:
        if key.public_key == READING:
            key = replace(
                key,
                added_at=NOON - 8 * DAY,
                tokens_today=17_204,
                context_tokens=8192,
                models=("qwen3-8b", "whisper"),
                hours="08:00-20:00",
                expires_at=NOON + 7 * DAY + 4 * HOUR,
                came_with="Reading group",
            )
        if key.public_key == STUDIO:
            key = replace(key, mine=True)
        keys.append(key)
    core.rules = replace(core.rules, keys=tuple(keys))
    return core


def invites() -> tuple[InviteRecord, ...]:
    both, eight = ("qwen3-8b", "whisper"), ("qwen3-8b",)

    def invite(
        number: int,
        name: str,
        until: float | None,
        places: int,
        limits: KeyLimits,
        claims: tuple[tuple[str, float], ...] = (),
        taken_back: float | None = None,
    ) -> InviteRecord:
        turned = NOON - 720 if name == "Exhibition kiosk" else None
        made = NOON - number * HOUR
        letters = "mfrggzdf" * 24
        return InviteRecord(
            f"{number:032x}", name, made, until, places, 30 * DAY, letters, taken_back, turned, limits, claims
        )

    return (
        invite(1, "Reading group", NOON + 7 * DAY, 3, KeyLimits(50_000, 1, models=both), ((READING, NOON - HOUR),)),
        invite(2, "For the workshop", None, 1, KeyLimits(200_000, 2), ((WORKSHOP, NOON - DAY),)),
        invite(3, "Night batch", NOON + 6 * DAY, 1, KeyLimits(1_000_000, 2, models=("gpt-oss",))),
        invite(
            *(4, "Exhibition kiosk", NOON + 3 * HOUR, 3, KeyLimits(20_000, 1, models=eight)),
            ((MEDIA, NOON - HOUR), ("31" * 32, NOON), ("32" * 32, NOON)),
        ),
        invite(5, "Media lab, guest", NOON - 3 * DAY, 1, KeyLimits(50_000, 1, models=eight)),
        invite(
            *(6, "Fair, Saturday", NOON - 2 * DAY, 5, KeyLimits(5_000, 1, models=eight)),
            (("41" * 32, NOON - 3 * DAY), ("42" * 32, NOON - 3 * DAY)),
            NOON - 2 * DAY,
        ),
    )


def invites_core(core: FakeCore | None = None) -> FakeCore:
    core = person_core(core)
    core.invites.kept = invites()
    return core


def guest_core(core: FakeCore | None = None) -> FakeCore:
    core = core or FakeCore(clock=lambda: NOON)
    limits = KeyLimits(50_000, 1, models=("Qwen3 8B", "Whisper large v3 turbo"), hours="08:00-20:00")
    core.invites.offers[GUEST_LINK] = Offer(STUDIO, "Studio desktop", NOON + 7 * DAY, 30 * DAY, limits, 2)
    return core


def open_person(window: MainWindow) -> None:
    window.share_page.open_person(READING)


def open_own(window: MainWindow) -> None:
    window.share_page.open_person(STUDIO)


def open_invites(window: MainWindow) -> None:
    window.share_page.open_invites()


def open_offer(window: MainWindow) -> None:
    window.open_given(GUEST_LINK)
