"""Manners seen by a guest: refused by name with the time to ask again, answers that finish, and a way back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from qvac_core.core.state import (
    AnswerTokens,
    MannersChanged,
    PauseReason,
    PausesChanged,
    RequestEnded,
    RequestProgressed,
)
from tests.e2e.test_core import LONG, QUESTION, Watched, admitted, run


def clock(hours: float) -> str:
    """HH:MM so many hours from now, by the clock on the wall."""
    return f"{datetime.now() + timedelta(hours=hours):%H:%M}"


def test_outside_the_hours_guests_are_told_when_to_ask_again(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        running = await guest.core.ask(conversation, LONG)
        await owner.until(RequestProgressed, lambda event: event.request.tokens > 3)
        for name, value in (("hours_from", clock(2)), ("hours_to", clock(3)), ("hours", "true")):
            await owner.core.set_setting(f"manners.{name}", value)
        changed = await owner.until(PausesChanged, lambda event: bool(event.pauses))
        (pause,) = changed.pauses
        assert pause.reason is PauseReason.HOURS and pause.until is not None
        told = await owner.until(MannersChanged, lambda event: any(rule.holds for rule in event.rules))
        assert next(rule for rule in told.rules if rule.holds).until == pause.until

        # What runs goes on.
        seen = len(guest.events)
        await guest.until(AnswerTokens, lambda event: event in guest.events[seen:])
        # What comes is refused, by name, with the time at which it is welcome.
        other = (await guest.core.new_conversation((await guest.core.conversations())[0].target)).id
        answer = await guest.answer_of(await guest.core.ask(other, QUESTION))
        assert answer.status == "failed" and answer.error is not None
        assert "not taking requests" in answer.error.title
        assert "Ask again in" in answer.error.message
        await guest.core.stop_answer(running)

        # Back again, at once.
        await owner.core.set_setting("manners.hours", "false")
        assert owner.core.pausing.pauses == ()
        assert (await guest.answer_of(await guest.core.retry(other))).status == "done"

    run(test, tmp_path)


def test_a_pause_ends_what_runs_where_the_owner_says_so(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        await owner.core.set_setting("manners.cut_running", "true")
        running = await guest.core.ask(conversation, LONG)
        await owner.until(RequestProgressed, lambda event: event.request.tokens > 3)
        for name, value in (("hours_from", clock(2)), ("hours_to", clock(3)), ("hours", "true")):
            await owner.core.set_setting(f"manners.{name}", value)
        ended = await owner.until(RequestEnded)
        assert ended.entry.outcome == "stopped"
        answer = await guest.answer_of(running)
        assert answer.text and answer.status in ("failed", "stopped")

    run(test, tmp_path)
