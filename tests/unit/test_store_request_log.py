"""The request log: what is kept, found, counted and forgotten.

qvac_core/store/request_log.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.store import AccessList, Database, LogEntry, RequestLog

ALICE, BOB = "a1" * 32, "b2" * 32
# Noon of a local day, so that an hour more or less stays in it.
NOON = time.mktime((2026, 3, 14, 12, 0, 0, 0, 0, -1))
DAY = 86_400.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "a.db", now=NOON)
    yield database
    database.close()


@pytest.fixture
def log(database: Database) -> RequestLog:
    return RequestLog(database)


def done(log: RequestLog, id: str, key: str, at: float, tokens: int = 10, model: str = "Llama") -> LogEntry | None:
    log.start(id, key, "completionStream", model, at)
    return log.finish(id, "eos", prompt_tokens=tokens, generated_tokens=tokens, ms=1500.0)


def test_finished_request_is_an_entry(log: RequestLog) -> None:
    log.start("r1", ALICE, "completionStream", "Llama", NOON)
    assert log.entries() == ()
    entry = log.finish("r1", "error", prompt_tokens=3, generated_tokens=4, ms=12.5, error="WORKER_CRASHED")
    assert entry == LogEntry("r1", ALICE, "completionStream", "Llama", NOON, 12.5, 3, 4, "error", "WORKER_CRASHED")
    assert log.entries() == (entry,)


def test_finishing_what_never_started_or_ended_already(log: RequestLog) -> None:
    assert log.finish("nothing", "eos") is None
    done(log, "r1", ALICE, NOON)
    assert log.finish("r1", "error") is None
    assert [entry.outcome for entry in log.entries()] == ["eos"]


def test_an_id_used_again_is_another_request(log: RequestLog) -> None:
    done(log, "r1", ALICE, NOON)
    done(log, "r1", BOB, NOON + 1)
    assert [entry.remote_public_key for entry in log.entries()] == [BOB, ALICE]


def test_pages_newest_first(log: RequestLog) -> None:
    for number in range(5):
        done(log, f"r{number}", ALICE, NOON + number)
    first = log.entries(limit=2)
    assert [entry.id for entry in first] == ["r4", "r3"]
    assert [entry.id for entry in log.entries(limit=2, before=first[-1].started_at)] == ["r2", "r1"]


def test_search(log: RequestLog, database: Database) -> None:
    AccessList(database).allow(BOB, "Bob's Büro", NOON)
    done(log, "r1", ALICE, NOON, model="Llama-3.2-1B")
    done(log, "r2", BOB, NOON + 1, model="100%_sure")

    def found(search: str) -> list[str]:
        return [entry.id for entry in log.entries(search=search)]

    assert found("llama-3") == ["r1"]
    assert found("BÜRO") == ["r2"]
    assert found("a1a1 a1a1") == ["r1"]
    assert found("B2B2") == ["r2"]
    assert found("COMPLETIONSTREAM") == ["r2", "r1"]
    assert found("%") == ["r2"]
    assert found("0_") == []
    assert found("  ") == ["r2", "r1"]
    assert found("'; DROP TABLE requests; --") == []


def test_tokens_of_today_by_key(log: RequestLog) -> None:
    done(log, "r0", ALICE, NOON - DAY, tokens=1000)
    done(log, "r1", ALICE, NOON, tokens=5)
    done(log, "r2", ALICE, NOON + 60, tokens=6)
    done(log, "r3", BOB, NOON, tokens=1)
    assert log.tokens_today(ALICE, NOON + 3600) == 22
    assert log.tokens_today(BOB, NOON) == 2
    assert log.tokens_today("c3" * 32, NOON) == 0
    assert log.tokens_today_by_key(NOON) == {ALICE: 22, BOB: 2}
    assert log.tokens_today(ALICE, NOON + DAY) == 0


def test_clearing_the_log_refills_no_quota(log: RequestLog) -> None:
    done(log, "r1", ALICE, NOON, tokens=5)
    log.start("running", BOB, "completionStream", "Llama", NOON)
    log.clear()
    assert log.entries() == ()
    assert log.tokens_today(ALICE, NOON) == 10
    assert log.finish("running", "cancelled") is not None


def test_retention(log: RequestLog) -> None:
    done(log, "old", ALICE, NOON - 8 * DAY)
    done(log, "new", ALICE, NOON - 6 * DAY)
    assert log.prune(NOON, 0) == 0
    assert log.prune(NOON, 7) == 1
    assert [entry.id for entry in log.entries()] == ["new"]
    assert log.tokens_today(ALICE, NOON - 8 * DAY) == 0


def test_only_so_many_rows_are_kept(log: RequestLog) -> None:
    for number in range(7):
        done(log, f"r{number}", ALICE, NOON + number)
    log.start("running", BOB, "completionStream", "Llama", NOON)
    assert log.prune(NOON, 0, 10) == 0
    assert log.prune(NOON, 0, 3) == 4
    assert [entry.id for entry in log.entries()] == ["r6", "r5", "r4"]
    assert log.finish("running", "eos") is not None


def test_requests_cut_off_by_a_crash_end_as_errors(log: RequestLog) -> None:
    log.start("r1", ALICE, "completionStream", "Llama", NOON)
    assert log.close_unfinished() == 1
    (entry,) = log.entries()
    assert entry.outcome == "error"
    assert "ended before" in entry.error
    assert log.close_unfinished() == 0
