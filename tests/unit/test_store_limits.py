"""What is kept of limits: per key, over restarts, crashes and clocks that are set; and denials that hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.errors import StoreError
from qvac_core.store.access_list import AccessList
from qvac_core.store.database import Database
from qvac_core.store.days import begin_of_day, day_of, end_of_day
from qvac_core.store.knocks import MAX_DENIED, Knocks
from qvac_core.store.log_records import LogQuery
from qvac_core.store.records import KeyLimits
from qvac_core.store.request_history import RequestHistory
from qvac_core.store.request_log import RequestLog

NOW = 1_750_000_000.0
ALICE, BOB = "a1" * 32, "b2" * 32
DAY = 86_400


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "a.db", now=NOW)
    yield database
    database.close()


def test_every_limit_is_kept(database: Database) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW)
    limits = KeyLimits(0, 2, 4096, 512, ("a", "b"), "22:00-06:30")
    access.set_limits(ALICE, limits)
    access.set_expiry(ALICE, NOW + 60)
    record = access.get(ALICE)
    assert record is not None and record.limits == limits and record.expires_at == NOW + 60
    access.set_limits(ALICE, KeyLimits(models=()))
    record = access.get(ALICE)
    assert record is not None and record.limits == KeyLimits(models=())


@pytest.mark.parametrize(
    "limits",
    [
        KeyLimits(tokens_per_day=-1),
        KeyLimits(parallel=0),
        KeyLimits(context_tokens=0),
        KeyLimits(answer_tokens=0),
        KeyLimits(tokens_per_day=10**13),
        KeyLimits(hours="8-20"),
        KeyLimits(hours="08:00-24:00"),
        KeyLimits(hours="08:00-20:00\n"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(database: Database, limits: KeyLimits) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW)
    with pytest.raises(StoreError):
        access.set_limits(ALICE, limits)
    record = access.get(ALICE)
    assert record is not None and record.limits == KeyLimits()


def test_own_machines_have_no_end_and_a_blocked_key_is_none(database: Database) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW, expires_at=NOW + 60)
    access.set_mine(ALICE, True)
    record = access.get(ALICE)
    assert record is not None and record.mine and record.expires_at is None
    access.block(ALICE, "", NOW)
    record = access.get(ALICE)
    assert record is not None and record.blocked and not record.mine
    access.set_mine(ALICE, True)
    record = access.get(ALICE)
    assert record is not None and not record.mine


def test_more_for_one_day_is_for_that_day(database: Database) -> None:
    access = AccessList(database)
    access.allow(ALICE, "Alice", NOW)
    access.give_extra(ALICE, "2026-11-30", 100)
    access.give_extra(ALICE, "2026-11-30", 50)
    record = access.get(ALICE)
    assert record is not None and (record.extra_day, record.extra_tokens) == ("2026-11-30", 150)
    access.give_extra(ALICE, "2026-12-01", 10)
    record = access.get(ALICE)
    assert record is not None and (record.extra_day, record.extra_tokens) == ("2026-12-01", 10)


def test_what_was_made_before_a_power_cut_counts(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    log = RequestLog(database)
    log.start("r1", ALICE, "completionStream", "m", NOW)
    log.advance("r1", 70)
    log.advance("r1", 90)
    log.start("r2", ALICE, "completionStream", "m", NOW)
    database._connection.close()  # the power is cut: nobody finishes anything
    again = Database.open(tmp_path / "a.db", now=NOW)
    log = RequestLog(again)
    assert log.close_unfinished() == 2 and log.tokens_today(ALICE, NOW) == 90
    assert log.close_unfinished() == 0 and log.tokens_today(ALICE, NOW) == 90
    log.advance("r1", 500)
    assert {entry.generated_tokens for entry in log.entries()} == {0, 90}
    again.close()


def test_a_request_counts_on_the_day_of_the_clock_by_which_it_ended(database: Database) -> None:
    log = RequestLog(database)
    log.start("r1", ALICE, "completionStream", "m", NOW)
    log.finish("r1", "eos", prompt_tokens=5, generated_tokens=5, ms=10.0, ended_at=NOW - 3 * DAY)
    assert log.tokens_today(ALICE, NOW) == 0 and log.tokens_today(ALICE, NOW - 3 * DAY) == 10
    assert log.tokens_by_day() == {day_of(NOW - 3 * DAY): {ALICE: 10}}


def test_a_day_ends_where_the_next_begins() -> None:
    for hour in range(0, 400 * 24, 5):
        moment = NOW + hour * 3600
        assert begin_of_day(moment) <= moment < end_of_day(moment)
        assert day_of(end_of_day(moment)) != day_of(end_of_day(moment) - 1) == day_of(moment)


def test_what_a_key_used_by_model(database: Database) -> None:
    log = RequestLog(database)
    for id, key, model, tokens in (
        ("1", ALICE, "a", 3),
        ("2", ALICE, "b", 9),
        ("3", ALICE, "a", 4),
        ("4", BOB, "a", 1),
    ):
        log.start(id, key, "completionStream", model, NOW)
        log.finish(id, "eos", generated_tokens=tokens)
    log.start("5", ALICE, "transcribe", "w", NOW)
    log.finish("5", "eos", amount=61.0, unit="seconds")
    found = RequestHistory(database).by_model(LogQuery(public_key=ALICE))
    assert [(m.model, m.totals.tokens, m.amount, m.unit) for m in found] == [
        ("b", 9, 0.0, ""),
        ("a", 7, 0.0, ""),
        ("w", 0, 61.0, "seconds"),
    ]


def test_denials_hold_over_a_restart_and_are_bounded(database: Database) -> None:
    knocks = Knocks(database)
    knocks.deny(ALICE, NOW, 3600.0)
    assert knocks.denials(NOW + 3599) == {ALICE: NOW + 3600}
    assert knocks.denials(NOW + 3600) == {}
    knocks.lift(ALICE)
    assert knocks.denials(NOW) == {}
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO denials VALUES (?, ?)", [(f"{n:064x}", NOW + 10) for n in range(MAX_DENIED + 50)]
        )
    knocks.deny(BOB, NOW, 3600.0)
    held = knocks.denials(NOW)
    assert len(held) == MAX_DENIED and BOB in held


def test_another_programs_change_is_seen_once(tmp_path: Path, database: Database) -> None:
    assert not database.changed_by_others()
    database.execute("DELETE FROM knocks")
    assert not database.changed_by_others()
    other = Database.open(tmp_path / "a.db", now=NOW)
    AccessList(other).allow(ALICE, "Alice", NOW)
    other.close()
    assert database.changed_by_others() and not database.changed_by_others()


def test_what_another_process_wrote_before_the_first_look_is_not_missed(tmp_path: Path) -> None:
    ours = Database.open(tmp_path / "one.sqlite", now=1.0)
    theirs = Database.open(tmp_path / "one.sqlite", now=1.0)
    AccessList(theirs).allow(ALICE, "Alice", NOW)
    theirs.close()
    assert ours.changed_by_others()
    assert not ours.changed_by_others()
    ours.close()
