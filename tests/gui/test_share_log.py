"""The log card: views, filters, pages, totals, export, and what is kept of contents; in the window with a fake core."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMenu

from app.presenters.share_log import PAGE, LogView
from app.presenters.share_rows import log_rows
from app.views.share_contents import ContentsDialog
from app.widgets.dialog import Dialog
from app.window import SHARE, MainWindow
from qvac_core.core.history_state import Contents, LogQuery
from qvac_core.core.state import ActiveRequest, LogEntry
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON, READING, STUDIO
from tests.gui.share_window import Run, dialog_of, settle


def texts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if not action.isSeparator()]


def choose(menu: QMenu, *path: str) -> None:
    for title in path[:-1]:
        action = next(action for action in menu.actions() if action.text() == title)
        found = action.menu()
        assert isinstance(found, QMenu)
        menu = found
    next(action for action in menu.actions() if action.text() == path[-1]).trigger()


def test_three_views_with_their_totals(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        assert card.table.isVisible() and not card.people.isVisible()
        assert card.foot_title.text() == "Today"
        assert card.foot.text().startswith("7 requests   3 people   9,142 tokens")
        card.view.button("people").click()
        await settle(window)
        assert card.people.isVisible() and not card.table.isVisible()
        first = card.people.rows.row(0)
        assert (first.key, first.cells[0].text, first.cells[1].text) == (STUDIO, "Studio laptop", "4")
        assert first.cells[2].text == "2,752 / 2,676"
        card.view.button("days").click()
        await settle(window)
        assert card.days.isVisible()
        assert [row.key for row in card.days.rows.rows] == ["2026-11-24"]

    run(test)


def test_filters_narrow_and_are_cleared(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        choose(card.filter_menu(), "Who", "Reading room")
        await settle(window)
        assert {row.cells[1].text for row in card.table.rows.rows} == {"Reading room"}
        choose(card.filter_menu(), "Ending", "The guest left")
        await settle(window)
        assert card.table.rows.rowCount() == 1
        assert card.foot_title.text() == "Found"
        assert card.foot.text().startswith("1 request   1 person")
        choose(card.filter_menu(), "Kind", "Speech")
        await settle(window)
        assert card.no_hit.isVisible() and card.no_hit.title.text() == "No request is like that"
        card.clear_search.click()
        await settle(window)
        assert card.table.rows.rowCount() == 7
        choose(card.filter_menu(), "Time", "Today")
        await settle(window)
        assert window.share.history.query.since is not None
        choose(card.filter_menu(), "Time", "Any time")
        choose(card.filter_menu(), "Model", "GPT-OSS 20B")
        await settle(window)
        assert card.table.rows.rowCount() == 1
        entry = window.share.history.entries[0]
        choose(card.filter_menu(), "Clear filter")
        assert texts(card.row_menu(entry)) == ["Only Studio laptop", "Only GPT-OSS 20B", "Receipt…"]
        choose(card.row_menu(entry), "Only Studio laptop")
        await settle(window)
        assert card.table.rows.rowCount() == 4

    run(test)


def test_the_newest_question_wins_and_what_ends_meanwhile_is_asked_for(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        log = window.share.history
        log.search("gpt")
        log.search("media")
        await settle(window)
        assert [entry.model for entry in log.entries] == ["Qwen3 8B"]
        busy.end_request("r1", "eos")
        await settle(window)
        assert all("memory" in entry.error for entry in log.entries)

    run(test)


def test_a_hundred_thousand_requests_come_page_by_page(run: Run, busy: FakeCore) -> None:
    entry = busy.log[0]
    busy.log = tuple(replace(entry, id=f"many-{i}", started_at=NOON - i) for i in range(100_000))

    async def test(window: MainWindow) -> None:
        card, asked = window.share_page.log, busy.history.asked
        assert card.table.rows.rowCount() == PAGE
        assert card.foot.text().startswith("51,181 requests")  # of today, which began at midnight
        bar = card.table.verticalScrollBar()
        bar.setValue(bar.maximum())
        await settle(window)
        assert card.table.rows.rowCount() == 2 * PAGE
        assert asked[-1] == (LogQuery(), PAGE, PAGE)
        assert bar.value() < bar.maximum()  # and the eye stays where it was

    run(test)


def test_failures_that_repeat_each_other_are_one_row() -> None:
    def failed(number: int, error: str, tokens: int = 0) -> LogEntry:
        return LogEntry(f"r{number}", STUDIO, "completionStream", "m", NOON - number, 5.0, 0, tokens, "error", error)

    crash = "QVAC Desktop ended before the request did."
    entries = [
        failed(1, crash),
        failed(2, crash),
        failed(3, crash),
        failed(4, "Not enough memory: 1"),
        failed(5, crash, 9),
    ]
    rows = log_rows(entries, lambda _: "Studio", NOON)
    assert [row.cells[5].text for row in rows] == ["3 × restart", "memory was full", "restart"]
    assert rows[0].cells[5].tooltip == crash
    assert rows[0].cells[0].tooltip.startswith("2026-11-24 14:12:57 to 2026-11-24 14:12:59")
    long = failed(6, "The vocabulary of this model is of a kind that nobody knows. Choose another.")
    (row,) = log_rows([long], lambda _: "Studio", NOON)
    assert (row.cells[5].text, row.cells[5].tooltip) == ("failed", long.error)


def test_export_asks_for_a_file_and_says_what_is_in_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        choose(card.filter_menu(), "Who", "Reading room")
        await settle(window)
        card.export.click()
        dialog = next(found for found in window.findChildren(QFileDialog) if found.isVisible())
        assert dialog.windowTitle() == "Export what is found"
        dialog.fileSelected.emit("/tmp/somewhere/log.json")
        dialog.reject()
        await settle(window)
        assert busy.history.exported == [(Path("/tmp/somewhere/log.json"), LogQuery(public_key=READING))]
        assert card.foot.text() == "2 requests are in log.json."

    run(test)


def test_how_long_it_is_kept(run: Run, busy: FakeCore) -> None:
    busy.settings |= {"sharing.log_days": "90", "sharing.log_rows": "100000"}

    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        assert card.kept.text() == "kept for 90 days"
        choose(card.card_menu(), "Keep for", "7 days")
        await settle(window)
        assert busy.called("set_setting")[-1] == ("sharing.log_days", "7")
        assert card.kept.text() == "kept for 7 days"
        choose(card.card_menu(), "Keep at most", "Any number of requests")
        await settle(window)
        assert busy.called("set_setting")[-1] == ("sharing.log_rows", "0")
        choose(card.card_menu(), "Keep for", "Until I clear it")
        await settle(window)
        assert card.kept.text() == "kept until you clear it"

    run(test)


def test_contents_are_kept_after_a_question_and_forgotten_after_another(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        assert card.hint.text() == "no prompts or answers"
        choose(card.card_menu(), "Keep questions and answers…")
        dialog = dialog_of(window, Dialog)
        assert "told before they send" in dialog.sentence.text()
        dialog.confirm.click()
        await settle(window)
        assert busy.called("set_setting")[-1] == ("sharing.keep_contents", "true")
        assert card.hint.text() == "with questions and answers"
        busy.history.kept["log-0.2"] = Contents("<b>What</b> is a seam?", "A mark.")
        await window.share.history.load()
        choose(card.row_menu(window.share.history.entries[0]), "Question and answer…")
        await settle(window)
        shown = dialog_of(window, ContentsDialog)
        assert shown.question.toPlainText() == "<b>What</b> is a seam?"
        shown.cancel.click()
        choose(card.card_menu(), "Forget questions and answers…")
        dialog_of(window, Dialog).confirm.click()
        await settle(window)
        assert busy.history.kept == {}
        choose(card.card_menu(), "Keep questions and answers…")  # off: at once
        await settle(window)
        assert busy.called("set_setting")[-1] == ("sharing.keep_contents", "false")

    run(test)


def test_views_survive_what_ends_meanwhile(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        log = window.share.history
        log.show(LogView.PEOPLE)
        await settle(window)
        before = sum(person.totals.requests for person in log.people)
        busy.end_request("r1", "eos")
        await settle(window)
        assert sum(person.totals.requests for person in log.people) == before + 1
        await asyncio.sleep(0)

    run(test)


def test_the_hours_of_today_stand_in_the_foot(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.choose(SHARE)
        await settle(window)
        log, bars = window.share.history, window.share_page.log.hours
        assert sum(log.hours) == log.today.requests > 0
        shown = bars.isVisible()
        assert shown and bars.hours == log.hours
        assert "Requests by hour" in bars.accessibleName()
        window.share_page.log.filter.setText("qwen")
        window.share_page.log._search()
        await settle(window)
        assert not window.share_page.log.hours.isVisible()  # those of what was found are not asked for

    run(test)


def test_a_request_counts_for_today_as_soon_as_it_is_shown(run: Run, fake_core: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        request = ActiveRequest("r1", "8a" * 32, "completion", "Qwen3 8B", fake_core.clock())
        fake_core.begin_request(request)
        fake_core.end_request("r1", "eos")
        assert window.share_page.log.foot.text().startswith("1 request")
        await settle(window)
        assert window.share_page.log.foot.text().startswith("1 request")

    run(test)
