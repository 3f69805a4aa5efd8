"""The log as its owner looks at it: what is found, summed, kept of contents, and written to files for spreadsheets.

qvac_core/store/request_history.py, qvac_core/core/history.py
"""

from __future__ import annotations

import csv
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.core.history import FIELDS, unharmed, write_export
from qvac_core.errors import StoreError
from qvac_core.store import AccessList, Database, RequestLog
from qvac_core.store.log_records import Contents, LogQuery
from qvac_core.store.records import LogEntry
from qvac_core.store.request_history import RequestHistory

ALICE, BOB = "a1" * 32, "b2" * 32
NOON = time.mktime((2026, 3, 14, 12, 0, 0, 0, 0, -1))
DAY = 86_400.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "a.db", now=NOON)
    yield database
    database.close()


@pytest.fixture
def history(database: Database) -> RequestHistory:
    """Alice chats twice today and once yesterday; Bob's transcript failed; one of Bob's still runs."""
    log = RequestLog(database)
    AccessList(database).allow(BOB, "Reading room", NOON)
    rows = (
        ("r1", ALICE, "completionStream", "Llama", NOON - DAY, "eos", 10, 20, 1000.0),
        ("r2", ALICE, "completionStream", "Qwen", NOON, "length", 1, 2, 500.0),
        ("r3", BOB, "transcribe", "Whisper", NOON + 1, "error", 0, 0, 250.0),
        ("r4", ALICE, "completionStream", "Qwen", NOON + 2, "stopped", 5, 5, 250.0),
    )
    for id, key, method, model, at, outcome, prompt, generated, ms in rows:
        log.start(id, key, method, model, at)
        log.finish(
            id, outcome, prompt_tokens=prompt, generated_tokens=generated, ms=ms, error="=x" if id == "r3" else ""
        )
    log.start("running", BOB, "completionStream", "Qwen", NOON + 3)
    return RequestHistory(database)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (LogQuery(), ["r4", "r3", "r2", "r1"]),
        (LogQuery(text="reading"), ["r3"]),
        (LogQuery(public_key=ALICE, ending="done"), ["r2", "r1"]),
        (LogQuery(ending="failed"), ["r3"]),
        (LogQuery(model="Qwen", since=NOON + 1), ["r4"]),
        (LogQuery(method="transcribe"), ["r3"]),
        (LogQuery(before=NOON), ["r1"]),
        (LogQuery(text="'; DROP TABLE requests; --"), []),
    ],
)
def test_what_is_found(history: RequestHistory, query: LogQuery, found: list[str]) -> None:
    assert [entry.id for entry in history.page(query, 0, 100)] == found
    assert [entry.id for entry in history.entries(query)] == found
    assert history.totals(query).requests == len(found)


def test_pages_and_sums(history: RequestHistory) -> None:
    assert [entry.id for entry in history.page(LogQuery(), 1, 2)] == ["r3", "r2"]
    totals = history.totals(LogQuery())
    assert (totals.requests, totals.people, totals.tokens, totals.ms) == (4, 2, 43, 2000.0)
    alice, bob = history.by_person(LogQuery())
    assert (alice.public_key, alice.totals.requests, alice.totals.tokens, alice.last_at) == (ALICE, 3, 43, NOON + 2)
    assert (bob.public_key, bob.totals.tokens) == (BOB, 0)
    today, yesterday = history.by_day(LogQuery())
    assert (today.day, today.totals.requests, today.totals.people) == ("2026-03-14", 3, 2)
    assert (yesterday.day, yesterday.totals.tokens) == ("2026-03-13", 30)
    hours = history.by_hour(LogQuery(since=NOON))
    assert len(hours) == 24 and sum(hours) == hours[12] == 3
    assert history.models() == ("Llama", "Qwen", "Whisper")
    assert history.totals(LogQuery(text="nothing")).tokens == 0


def test_contents_go_with_their_request(history: RequestHistory, database: Database) -> None:
    history.keep_contents("r2", "What is a seam?", "A mark.")
    history.keep_contents("gone", "?", "!")
    assert history.contents("r2") == Contents("What is a seam?", "A mark.")
    assert history.contents("r1") is None
    history.forget_contents()
    assert history.contents("r2") is None and not history.has_contents()
    history.keep_contents("r1", "old", "old")
    RequestLog(database).prune(NOON + 1, 1)
    assert not history.has_contents()


def test_what_is_cleared_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOON)
    log, history = RequestLog(database), RequestHistory(database)
    log.start("r", ALICE, "completionStream", "Llama", NOON)
    log.finish("r", "eos")
    history.keep_contents("r", "the-secret-question", "the-secret-answer")
    log.clear()
    for path in tmp_path.iterdir():
        assert b"the-secret" not in path.read_bytes(), path
    database.close()


def test_exports(history: RequestHistory, tmp_path: Path) -> None:
    names = {BOB: '=HYPERLINK("http://x","@y")'}
    target = tmp_path / "log.csv"
    assert write_export(target, history.entries(LogQuery()), names) == 4
    with target.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == FIELDS
    assert [row[1] for row in rows] == ["", "'" + names[BOB], "", ""]
    assert rows[1][-1] == "'=x" and rows[1][5] == "0"
    assert rows[0][0].startswith("2026-03-14T12:00:02")
    target = tmp_path / "log.JSON"
    assert write_export(target, history.entries(LogQuery(ending="failed")), names) == 1
    (only,) = json.loads(target.read_text(encoding="utf-8"))
    assert (only["who"], only["error"], only["seconds"]) == (names[BOB], "=x", 0.25)  # JSON is no spreadsheet
    assert write_export(tmp_path / "none.json", iter(()), {}) == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []
    if os.name != "nt":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_text_is_a_formula(text: str) -> None:
    assert unharmed(text) == f"'{text}"
    assert unharmed(-1.5) == -1.5
    assert unharmed("a=b") == "a=b"


def test_an_export_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "log.csv"
    target.write_text("before")

    def broken() -> Iterator[LogEntry]:
        yield LogEntry("r", ALICE, "m", "x", NOON, 1.0, 1, 1, "eos")
        raise StoreError("The disk refused.")

    with pytest.raises(StoreError):
        write_export(target, broken(), {})
    assert target.read_text() == "before"
    with pytest.raises(StoreError, match="write log"):
        write_export(tmp_path / "no folder" / "log.csv", iter(()), {})
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
