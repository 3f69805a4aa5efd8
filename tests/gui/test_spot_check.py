"""Spot checks in the window: from a provider's menu and an answer's receipt, with progress and a verdict in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from PySide6.QtWidgets import QMenu

from app.presenters.spot_check import SAID, TITLES
from app.views.receipts_dialog import ReceiptsDialog
from app.views.spot_check_dialog import SpotCheckDialog
from app.window import MainWindow
from qvac_core.core.receipts_room import ReceiptSide
from qvac_core.core.spot_check import QUESTIONS, Finding, Pair, SpotCheck, SpotCheckAsked
from qvac_core.core.state import ProviderEntry, RemoteModel
from qvac_core.errors import ModelError
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import POPUP, Run, dialog_of, settle
from tests.gui.test_receipts_dialog import KEPT

pytestmark = POPUP
STUDIO, OFFICE = "ab" * 32, "cd" * 32
QWEN = RemoteModel("Qwen3 8B", "QWEN3_8B", sha256="ee" * 32)


def provided(core: FakeCore) -> None:
    core.provider_list = (
        ProviderEntry(STUDIO, "Studio", "online", models=(RemoteModel("Llama", "LLAMA"), QWEN)),
        ProviderEntry(OFFICE, "Office", "online", models=(QWEN,)),
    )


def found(theirs: str) -> SpotCheck:
    return SpotCheck("Qwen3 8B", "ee" * 32, OFFICE, (Pair("q", theirs, "a word"), Pair("q", "a word", "a word")))


def test_every_finding_has_words() -> None:
    assert set(TITLES) == set(SAID) == set(Finding)


def test_a_provider_is_compared_from_its_menu(run: Run, fake_core: FakeCore) -> None:
    provided(fake_core)
    gate = fake_core.slow["spot_check"] = asyncio.Event()
    fake_core.spot_checks.found = found("a word")

    async def test(window: MainWindow) -> None:
        menu = QMenu(window)
        window.chat_page._fill_provider(menu, STUDIO)
        next(action for action in menu.actions() if action.text().startswith("Compare with")).trigger()
        dialog: SpotCheckDialog = dialog_of(window, SpotCheckDialog)
        assert [dialog.other.itemText(place) for place in range(dialog.other.count())][1:] == ["Office"]
        dialog.model.setCurrentIndex(1)
        dialog.other.setCurrentIndex(1)
        dialog.go.click()
        await asyncio.sleep(0)
        assert dialog.bar.isVisible() and not dialog.go.isEnabled() and "Looking for" in dialog.doing.text()
        fake_core.emit(SpotCheckAsked(STUDIO, 1, QUESTIONS))
        assert dialog.doing.text() == "Question 2 of 3…" and dialog.bar.value() == 1
        gate.set()
        await window.chat.settle()
        assert fake_core.called("spot_check") == [(STUDIO, "QWEN3_8B", OFFICE)]
        assert dialog.verdict.text.startswith("The answers are the same to the last letter.")
        assert dialog.facts.text() == "Qwen3 8B, compared with Office: 2 of 2 answers are the same."
        fake_core.spot_checks.found = found("nothing alike")
        dialog.go.click()
        await window.chat.settle()
        assert "1 of 2" in dialog.facts.text() and not dialog.bar.isVisible()
        fake_core.fail["spot_check"] = ModelError("Nobody else has the file.", name="NOBODY_TO_COMPARE")
        dialog.go.click()
        await window.chat.settle()
        assert dialog.error.isVisible() and dialog.go.isEnabled() and not dialog.verdict.isVisible()
        dialog.reject()

    run(test)


def test_an_answers_receipt_leads_there(run: Run, fake_core: FakeCore) -> None:
    provided(fake_core)
    fake_core.receipts.kept = [replace(KEPT, side=ReceiptSide.TAKEN, request_id="a1", peer=STUDIO)]

    async def test(window: MainWindow) -> None:
        window.chat_page.conversation.show_receipt("a1")
        await settle(window)
        await window.chat.settle()
        receipts: ReceiptsDialog = dialog_of(window, ReceiptsDialog)
        assert receipts.compare.isVisible()
        receipts.compare.click()
        dialog: SpotCheckDialog = dialog_of(window, SpotCheckDialog)
        assert "Studio" in dialog.accessibleName() and not receipts.isVisible()
        dialog.reject()

    run(test)
