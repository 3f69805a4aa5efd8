"""Receipts in the window: of a request of the log, of all, and of an answer; seen, and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.presenters.receipts import STATES, WHY, receipt_rows
from app.theme import Theme
from app.views.receipts_dialog import ReceiptsDialog
from app.widgets.chat.answer_row import AnswerFacts, AnswerRow
from app.window import MainWindow
from qvac_core.core.receipts_room import KeptReceipt, ReceiptQuery, ReceiptsChanged, ReceiptSide, ReceiptState
from qvac_core.core.state import AnswerStats, Message
from qvac_core.delegation.receipts import Objection
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON, STUDIO
from tests.gui.share_window import Run, dialog_of, settle

KEPT = KeptReceipt(
    ReceiptSide.GIVEN,
    STUDIO,
    "request-1",
    *("07" * 16, "completionStream", "QWEN3_4B_INST_Q4_K_M", NOON, NOON + 3, 1024, 200, 0.0, "", "eos"),
    state=ReceiptState.SIGNED,
    body=b"body",
)


def test_every_state_and_every_refusal_has_words() -> None:
    assert set(STATES) == set(ReceiptState)
    assert set(WHY) == {why.value for why in Objection}


def test_a_refusal_says_why() -> None:
    (row,) = receipt_rows([replace(KEPT, state=ReceiptState.REFUSED, reason="model")], lambda _: "", lambda name: name)
    assert row.cells[-1].text == "refused by the guest" and row.tooltip == "It names another model file."
    assert row.cells[3].text == "1,024 / 200"


def test_the_log_shows_receipts_of_one_request_and_of_all(run: Run, busy: FakeCore) -> None:
    entry = busy.log[0]
    busy.receipts.kept = [KEPT, replace(KEPT, id=entry.id, state=ReceiptState.UNSIGNED)]

    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        menu = card.row_menu(entry)
        next(action for action in menu.actions() if action.text() == "Receipt…").trigger()
        await settle(window)
        dialog = dialog_of(window, ReceiptsDialog)
        assert [row.cells[-1].text for row in dialog.table.rows.rows] == ["not signed by the guest"]
        busy.receipts.kept[1] = replace(KEPT, id=entry.id)
        busy.emit(ReceiptsChanged())
        await settle(window)
        assert [row.cells[-1].text for row in dialog.table.rows.rows] == ["by both"]
        dialog.reject()
        menu = card.card_menu()
        next(action for action in menu.actions() if action.text() == "Receipts…").trigger()
        await settle(window)
        dialog = dialog_of(window, ReceiptsDialog)
        assert len(dialog.table.rows.rows) == 2 and "your guest sign" in dialog.sentence.text()
        dialog.export.click()
        file = next(found for found in dialog.findChildren(QFileDialog) if found.isVisible())
        file.fileSelected.emit("/tmp/somewhere/mine.jsonl")
        file.reject()
        await settle(window)
        assert busy.receipts.exported == [(Path("/tmp/somewhere/mine.jsonl"), ReceiptQuery(ReceiptSide.GIVEN))]
        assert dialog.told.text() == "2 receipts are in mine.jsonl."
        dialog.reject()

    run(test)


def test_where_there_is_none_it_is_said(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.share_page.log.show_receipts("nothing")
        await settle(window)
        dialog = dialog_of(window, ReceiptsDialog)
        assert dialog.nothing.isVisible() and not dialog.table.isVisible() and not dialog.export.isEnabled()
        dialog.reject()

    run(test)


def test_an_answers_receipt_is_one_of_each_machine_that_had_a_part(run: Run, busy: FakeCore) -> None:
    taken = replace(KEPT, side=ReceiptSide.TAKEN, request_id="a1")
    busy.receipts.kept = [taken, replace(taken, id="08" * 16, peer="ee" * 32), KEPT]

    async def test(window: MainWindow) -> None:
        window.chat_page.conversation.show_receipt("a1")
        await settle(window)
        dialog = dialog_of(window, ReceiptsDialog)
        dialog._presenter.load()
        await settle(window)
        assert len(dialog.table.rows.rows) == 2 and "the provider sign" in dialog.sentence.text()
        dialog.reject()

    run(test)


@pytest.mark.parametrize(("provider", "offered"), [("ab" * 32, True), ("", False)])
def test_an_answer_of_another_machine_offers_it(qtbot: QtBot, theme: Theme, provider: str, offered: bool) -> None:
    stats = AnswerStats("Studio desktop", "delegated", "direct", "m", 1.0, 1.0, 1, 1, provider_key=provider)
    message = Message("a1", "assistant", "Hello.", 1.0, stats=stats)
    row = AnswerRow(theme, message, AnswerFacts("Studio desktop", provider, not provider, ("direct",), ""))
    qtbot.addWidget(row)
    row.show()
    assert row.stats.more.isVisibleTo(row.stats) is offered
