"""Network and relays on the Settings page, with a fake core: what it says, the relays, the ways that lead to it."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from app.network_words import headline, offer_line
from app.views.settings_network import AddRelayEntry, ConnectionEntry, RelayOfferEntry, RelaysEntry
from app.views.settings_row import GIVEN
from app.widgets.switch import Switch
from app.window import CHAT, MainWindow
from qvac_core.core.relay_offer_state import RelayOffer, RelayPhase
from qvac_core.core.state import ErrorInfo, Message, Nat, NetworkReport, SharingPhase, SharingState, Target
from qvac_core.errors import NetworkError, StoreError
from tests.gui.fake_core import MY_KEY, FakeCore
from tests.gui.fake_relay_offer import RELAY_KEY
from tests.gui.populated import NOON
from tests.gui.share_window import Run, settle

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


def connection(window: MainWindow) -> ConnectionEntry:
    return window.settings.page.findChildren(ConnectionEntry)[0]


def relays(window: MainWindow) -> RelaysEntry:
    return window.settings.page.findChildren(RelaysEntry)[0]


def add_row(window: MainWindow) -> AddRelayEntry:
    return window.settings.page.findChildren(AddRelayEntry)[0]


def switch(window: MainWindow) -> Switch:
    control = window.settings.page.row("local_network").controls[0]
    assert isinstance(control, Switch)
    return control


def test_it_looks_when_it_opens_and_again_when_asked(run: Run, busy: FakeCore) -> None:
    busy.slow["network_report"] = asyncio.Event()

    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        entry = connection(window)
        assert "Looking at the network" in entry.line.text
        assert not entry.again.isEnabled()
        busy.slow.pop("network_report").set()
        await turns()
        assert entry.line.text.startswith("Connected. 18 of 20 nodes answer.")
        busy.report = NetworkReport(3, 0, None, True, Nat.UNKNOWN)
        entry.again.click()
        await turns()
        assert entry.line.text.startswith("Nobody answers.")
        # All of it can be read: the row grew with the text.
        assert entry.line.height() >= entry.line.heightForWidth(entry.line.width())
        busy.fail["network_report"] = NetworkError("This node is closed.", name="NODE_DESTROYED")
        entry.again.click()
        await turns()
        assert entry.line.text.startswith("The network could not be looked at.")
        assert entry.error.isVisible()
        assert entry.again.isEnabled()

    run(test)


def test_nobody_looks_before_it_is_seen(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_settings()
        await turns()
        assert busy.called("network_report") == []

    run(test)


def test_relays_are_added_by_key_and_removed(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        row = add_row(window)
        assert not row.add.isEnabled()
        row.key.set_key(MY_KEY)
        assert not row.add.isEnabled()
        assert "your own key" in row.note.text()
        for relay in (RELAY, OTHER):
            row.key.set_key(relay)
            QTest.keyClick(row.key, Qt.Key.Key_Return)
            await turns()
        assert list(busy.relay_keys) == list(relays(window).removes) == [RELAY, OTHER]
        row.key.set_key(OTHER)
        assert not row.add.isEnabled()
        assert "already" in row.note.text()
        row.key.clear()
        relays(window).removes[RELAY].click()
        await turns()
        assert list(busy.relay_keys) == list(relays(window).removes) == [OTHER]
        busy.fail["set_relays"] = StoreError("The disk is full. Free some space and try again.")
        relays(window).removes[OTHER].click()
        await turns()
        assert "disk is full" in row.note.text()
        assert list(busy.relay_keys) == [OTHER]

    run(test)


def offer_row(window: MainWindow) -> RelayOfferEntry:
    return window.settings.page.findChildren(RelayOfferEntry)[0]


@pytest.mark.parametrize(
    ("offer", "said", "tone"),
    [
        (RelayOffer(RelayPhase.OFF, RELAY_KEY), "Off.", "text3"),
        (RelayOffer(RelayPhase.STARTING, RELAY_KEY), "Starting. The network is told of it.", "text3"),
        (RelayOffer(RelayPhase.ON, RELAY_KEY), "Ready. Nobody goes through it now.", "accent"),
        (
            RelayOffer(RelayPhase.ON, RELAY_KEY, 3, 1, 4_200_000_000),
            "In use. 3 machines are connected, 1 pair is joined. 4.2 GB today.",
            "accent",
        ),
        (RelayOffer(RelayPhase.USED_UP, RELAY_KEY, 0, 0, 5 * 10**9), "What it forwards in a day is used up.", "warn"),
        (RelayOffer(RelayPhase.NOT_FOUND, RELAY_KEY), "Nobody finds it.", "warn"),
    ],
)
def test_words_of_the_relay_for_others(offer: RelayOffer, said: str, tone: str) -> None:
    _icon, clause, facts, colour = offer_line(offer)
    assert f"{clause} {facts}".startswith(said) and colour == tone


def test_this_machine_is_made_a_relay_with_its_limits(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        entry, page = offer_row(window), window.settings.page
        assert entry.line.text == "Off."
        assert not entry.copy.isVisible()
        on = page.row("relay.on").controls[0]
        assert isinstance(on, Switch) and not on.isChecked()
        assert not page.row("relay.mb_per_second").controls[0].isEnabled()
        on.click()
        await turns()
        assert busy.settings["relay.on"] == "true"
        assert page.row("relay.mb_per_second").controls[0].isEnabled()
        busy.relay_offer.set(RelayOffer(RelayPhase.ON, RELAY_KEY, 2, 1, 61_000_000))
        assert entry.line.text == "In use. 2 machines are connected, 1 pair is joined. 61 MB today."
        assert entry.copy.isVisible()
        entry.copy.click()
        assert QGuiApplication.clipboard().text() == RELAY_KEY
        # What is forwarded grows without an event, and is asked for while somebody looks.
        busy.relay_offer.offer = RelayOffer(RelayPhase.ON, RELAY_KEY, 2, 1, 77_000_000)
        assert entry._timer.isActive()
        entry._timer.timeout.emit()
        await turns()
        assert "77 MB today." in entry.line.text
        window.close_page()
        await turns()
        assert not entry._timer.isActive()

    run(test)


def test_the_local_network_has_a_switch(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        assert switch(window).isChecked()
        switch(window).click()
        await turns()
        assert busy.settings["local_network"] == "false"
        assert not switch(window).isChecked()
        busy.fail["set_setting"] = StoreError("The disk is full. Free some space and try again.")
        switch(window).click()
        await turns()
        assert not switch(window).isChecked()  # what holds, not what was wished
        assert "disk is full" in window.settings.page.row("local_network").note.text()

    run(test)


def test_ways_that_lead_to_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        busy.set_sharing(SharingState(SharingPhase.UNREACHABLE, NOON, "This machine has no network."))
        await settle(window)
        window.share_page.status.network.click()
        await turns()
        assert connection(window).isVisible()

    run(test)


def test_a_dialog_that_leads_to_it_is_back_with_all_that_was_written(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.setCurrentIndex(CHAT)
        dialog = window.chat_page.add_provider(OTHER)
        dialog.name.setText("Attic")
        dialog.network_wanted.emit()
        await turns()
        assert connection(window).isVisible()
        assert not dialog.isVisible()
        QTest.keyClick(window.settings.page.search, Qt.Key.Key_Escape)
        await turns()
        assert dialog.isVisible()
        assert (dialog.key.key, dialog.name.text()) == (OTHER, "Attic")
        dialog.close()

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
        assert connection(window).isVisible()

    run(test)


@pytest.mark.parametrize(("given", "kept"), [("false", "true"), ("false", ""), ("true", "false")])
def test_what_the_command_line_decided_is_shown_and_cannot_be_changed(
    run: Run, busy: FakeCore, given: str, kept: str
) -> None:
    busy.given_options = {"local_network": given, "bootstrap": "127.0.0.1:9", "port": "4000", "relays": RELAY}
    busy.settings["local_network"] = kept
    busy.relay_keys = (RELAY,)

    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        assert switch(window).isChecked() == (given == "true")
        row = window.settings.page.row
        for key in ("local_network", "network.port", "network.bootstrap"):
            assert not row(key).controls[0].isEnabled()
            assert row(key).note.text() == GIVEN
        switch(window).click()
        assert "local_network" not in {name for name, _value in busy.called("set_setting")}
        assert row("network.port").value_words() == "4000"
        assert row("network.bootstrap").value_words() == "127.0.0.1:9"
        assert relays(window).given.isVisible()
        assert not add_row(window).key.isEnabled()
        assert not relays(window).removes[RELAY].isEnabled()
        add_row(window).key.set_key(OTHER)
        assert not add_row(window).add.isEnabled()

    run(test)


def test_nothing_was_decided_elsewhere(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.open_network()
        await turns()
        assert switch(window).isEnabled()
        assert add_row(window).key.isEnabled()
        assert not relays(window).given.isVisible()
        assert not any(row.note.isVisible() for row in window.settings.page.rows.values())

    run(test)
