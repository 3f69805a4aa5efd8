"""The Network dialog in the real window with a fake core: what it says, the relays, and the ways that lead to it."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.network_words import headline
from app.views.network_dialog import NetworkDialog
from app.window import MainWindow
from qvac_core.core.state import ErrorInfo, Message, Nat, NetworkReport, SharingPhase, SharingState, Target
from qvac_core.errors import NetworkError, StoreError
from tests.gui.fake_core import MY_KEY, FakeCore
from tests.gui.populated import NOON
from tests.gui.share_window import POPUP, Run, dialog_of, settle

RELAY, OTHER = "ab" * 32, "cd" * 32


async def turns(count: int = 4) -> None:
    for _turn in range(count):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("report", "clause", "tone"),
    [
        (NetworkReport(20, 18, ("203.0.113.7", 49737), False, Nat.OPEN), "Connected.", "accent"),
        (NetworkReport(20, 20, ("203.0.113.7", 0), True, Nat.RANDOM), "Connected, behind a strict router.", "warn"),
        (NetworkReport(3, 0, None, True, Nat.UNKNOWN), "Nobody answers.", "danger"),
    ],
)
def test_words(report: NetworkReport, clause: str, tone: str) -> None:
    _icon, said, facts, colour = headline(report)
    assert (said, colour) == (clause, tone)
    assert ("203.0.113.7" in facts) == (report.address is not None)
    assert ("relay" in facts) == (report.nat is Nat.RANDOM)


def test_it_looks_when_it_opens_and_again_when_asked(run: Run, busy: FakeCore) -> None:
    busy.slow["network_report"] = asyncio.Event()

    async def test(window: MainWindow) -> None:
        dialog = window.open_network()
        await turns()
        assert "Looking at the network" in dialog.line.text
        assert not dialog.again.isEnabled()
        busy.slow.pop("network_report").set()
        await turns()
        assert dialog.line.text.startswith("Connected. 18 of 20 nodes answer.")
        busy.report = NetworkReport(3, 0, None, True, Nat.UNKNOWN)
        dialog.again.click()
        await turns()
        assert dialog.line.text.startswith("Nobody answers.")
        # All of it can be read: the dialog grew with the text.
        assert dialog.line.height() >= dialog.line.heightForWidth(dialog.line.width())
        busy.fail["network_report"] = NetworkError("This node is closed.", name="NODE_DESTROYED")
        dialog.again.click()
        await turns()
        assert dialog.line.text.startswith("The network could not be looked at.")
        assert dialog.again.isEnabled()
        dialog.close()

    run(test)


def test_relays_are_added_by_key_and_removed(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.open_network()
        await turns()
        assert not dialog.add.isEnabled()
        dialog.key.set_key(MY_KEY)
        assert not dialog.add.isEnabled() and "your own key" in dialog.said.text()
        for relay in (RELAY, OTHER):
            dialog.key.set_key(relay)
            QTest.keyClick(dialog.key, Qt.Key.Key_Return)  # adds, and the dialog stays
            await turns()
        assert dialog.isVisible()
        assert list(busy.relay_keys) == list(dialog.removes) == [RELAY, OTHER]
        dialog.key.set_key(OTHER)
        assert not dialog.add.isEnabled() and "already" in dialog.said.text()
        dialog.removes[RELAY].click()
        await turns()
        assert list(busy.relay_keys) == list(dialog.removes) == [OTHER]
        busy.fail["set_relays"] = StoreError("The disk is full. Free some space and try again.")
        dialog.removes[OTHER].click()
        await turns()
        assert dialog.error.isVisible()
        assert list(busy.relay_keys) == [OTHER]
        dialog.close()

    run(test)


def test_the_local_network_has_a_switch(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.open_network()
        await turns()
        assert dialog.nearby.isChecked()
        dialog.nearby.click()
        await turns()
        assert busy.settings["local_network"] == "false" and not dialog.nearby.isChecked()
        busy.fail["set_setting"] = StoreError("The disk is full. Free some space and try again.")
        dialog.nearby.click()
        await turns()
        assert not dialog.nearby.isChecked()  # what holds, not what was wished
        assert dialog.error.isVisible()
        dialog.close()

    run(test)


@POPUP
def test_ways_that_lead_to_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_settings()
        window.settings.network.click()
        await turns()
        assert not window.settings.isVisible()
        dialog_of(window, NetworkDialog).close()
        await turns()
        busy.set_sharing(SharingState(SharingPhase.UNREACHABLE, NOON, "This machine has no network."))
        await settle(window)
        window.share_page.status.network.click()
        await turns()
        dialog_of(window, NetworkDialog).close()

    run(test)


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (ErrorInfo("CANNOT_HOLEPUNCH", 0, "Both routers block a direct path and no relay is set.", ""), "Add a relay"),
        (ErrorInfo("NETWORK_OFFLINE", 0, "This machine has no network.", ""), "Try again"),
    ],
)
def test_a_failed_answer_leads_to_it(run: Run, busy: FakeCore, error: ErrorInfo, first: str) -> None:
    async def test(window: MainWindow) -> None:
        conversation = await busy.new_conversation(Target(OTHER, "a model"))
        failed = Message("answer", "assistant", "", NOON, status="failed", error=error)
        busy.message_lists[conversation.id] = (Message("question", "user", "Why?", NOON - 1), failed)
        window.chat.open(conversation.id)
        await turns()
        acts = window.chat_page.conversation._remedies.acts(failed)
        assert acts[0].text == first
        next(act for act in acts if act.text in ("Add a relay", "Network")).do()
        await turns()
        dialog_of(window, NetworkDialog).close()

    run(test)


@pytest.mark.parametrize(("given", "kept"), [("false", "true"), ("false", ""), ("true", "false")])
def test_what_the_command_line_decided_is_shown_and_cannot_be_changed(
    run: Run, busy: FakeCore, given: str, kept: str
) -> None:
    busy.given_options = {"local_network": given, "bootstrap": "127.0.0.1:9", "port": "4000", "relays": RELAY}
    busy.settings["local_network"] = kept
    busy.relay_keys = (RELAY,)

    async def test(window: MainWindow) -> None:
        dialog = window.open_network()
        await turns()
        assert dialog.nearby.isChecked() == (given == "true")
        assert not dialog.nearby.isEnabled()
        assert dialog.nearby_given.isVisible() and dialog.relays_given.isVisible()
        dialog.nearby.click()
        assert "local_network" not in {name for name, _value in busy.called("set_setting")}
        assert dialog.given.text() == ("Set on the command line: the network is entered at 127.0.0.1:9, UDP port 4000.")
        assert not dialog.key.isEnabled() and not dialog.removes[RELAY].isEnabled()
        dialog.key.set_key(OTHER)
        assert not dialog.add.isEnabled()
        dialog.close()

    run(test)


def test_nothing_was_decided_elsewhere(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        dialog = window.open_network()
        await turns()
        assert dialog.nearby.isEnabled() and dialog.key.isEnabled()
        said = (dialog.given, dialog.nearby_given, dialog.relays_given)
        assert not any(label.isVisible() for label in said)
        dialog.close()

    run(test)
