"""The cards of the Share tab in the real window with a fake core: what a person sees, clicks and types."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app.code_reader import read_codes
from app.views.share_dialogs import KeyDialog, NameDialog, QrDialog
from app.widgets.dialog import Dialog
from app.window import CHAT, SHARE, MainWindow
from qvac_core.codec.key_links import link_of, qr_text
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import AccessMode, AccessRules, Pause, PauseReason, SharingPhase, SharingState
from qvac_core.errors import ModelError, NetworkError, StoreError
from tests.gui.fake_core import MY_KEY, FakeCore
from tests.gui.populated import MEDIA, NOON, READING, STRANGER, STUDIO
from tests.gui.share_window import Run, dialog_of, settle

# --- The switch and its line


def test_the_switch_acts_at_once_and_the_line_follows(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings["tab"] = "share"

    async def test(window: MainWindow) -> None:
        card = window.share_page.status
        assert card.state.text() == "Sharing is off"
        assert card.line.text.startswith("Off.")
        card.switch.click()
        await settle(window)
        assert fake_core.called("start_sharing") == [()]
        assert card.state.text() == "Sharing is on"
        assert card.line.text.startswith("Your key can be found.")
        assert card.switch.isChecked()

    run(test)


def test_a_switch_that_failed_goes_back_and_says_why(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings["tab"] = "share"
    fake_core.fail["start_sharing"] = NetworkError("The port is in use by another program.", name="EADDRINUSE")

    async def test(window: MainWindow) -> None:
        card = window.share_page.status
        card.switch.click()
        await settle(window)
        assert not card.switch.isChecked()
        assert card.error.isVisible()
        assert card.error.title.text() == "Sharing could not start."
        assert "port is in use" in card.error.message.text()
        # The next try takes the old message away.
        card.switch.click()
        await settle(window)
        assert not card.error.isVisible()
        assert card.switch.isChecked()

    run(test)


def test_a_pause_is_said_and_can_be_ended(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.status
        assert not card.resume.isVisible()
        busy.pausing.set(Pause(PauseReason.BATTERY))
        assert card.state.text() == "Sharing is paused"
        assert card.line.text.startswith("Paused while on battery.")
        assert not card.resume.isVisible()  # no hand can end it
        busy.pausing.set(Pause(PauseReason.OWNER))
        assert card.line.text == ("Paused until you resume it. Guests stay connected, and are told when to ask again.")
        assert card.switch.isChecked()
        card.resume.click()
        await settle(window)
        assert busy.called("resume") == [()]
        assert card.state.text() == "Sharing is on"
        assert not card.resume.isVisible()

    run(test)


def test_unreachable_says_why_and_offers_another_try(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.status
        assert not card.again.isVisible()
        busy.set_sharing(SharingState(SharingPhase.UNREACHABLE, NOON, "This machine has no network."))
        assert card.line.text == "Not reachable. This machine has no network."
        card.again.click()
        await settle(window)
        assert [call[0] for call in busy.calls if "sharing" in str(call[0])] == ["stop_sharing", "start_sharing"]

    run(test)


# --- My key


def test_my_key_is_copied_bare_and_shown_large(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.key
        card.copy.click()
        assert QGuiApplication.clipboard().text() == MY_KEY
        assert "2744 ccd1" in card.grid.accessibleName()
        card.qr.click()
        dialog = dialog_of(window, QrDialog)
        dialog.cancel.click()
        assert not dialog.isVisible()

    run(test)


# --- Models


def test_a_models_switch_asks_the_core(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        table = window.share_page.models.table
        middle = table.visualRect(table.rows.index(3, 0)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        await settle(window)
        assert busy.called("set_model_shared") == [("gemma", True)]
        assert table.rows.row(3).cells[0].switch is True

    run(test)


def test_an_empty_library_offers_a_small_model(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings["tab"] = "share"
    gate = fake_core.slow["download"] = asyncio.Event()

    async def test(window: MainWindow) -> None:
        card = window.share_page.models
        assert card.empty.isVisible()
        assert card.add.isVisible()  # models of the library and of another server are to be had there, too
        card.get.click()
        await asyncio.sleep(0.02)
        assert card.progress.isVisible()
        assert card.progress.amount.text() == "49 of 98 MB"
        assert card.progress.rate.text() == "10 MB/s, about 5 s left"
        gate.set()
        await settle(window)
        assert not card.progress.isVisible()
        assert card.table.isVisible()

    run(test)


def test_a_broken_file_is_refused_where_it_was_added(run: Run, busy: FakeCore, tmp_path: Any) -> None:
    busy.fail["add_model_file"] = ModelError("This file is not a GGUF model.")

    async def test(window: MainWindow) -> None:
        window.share.add_model_file(tmp_path / "notes.gguf")
        await settle(window)
        panel = window.share_page.models.error
        assert panel.isVisible()
        assert panel.title.text() == "notes.gguf was not added."

    run(test)


# --- Who may use it


def test_opening_to_everybody_is_asked_once_and_visibly(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.access
        card.mode.button("deny").click()
        assert card.question.isVisible()
        assert busy.called("set_access_mode") == []
        card.question.cancel.click()
        assert not card.question.isVisible()
        assert card.mode.choice == "allow"
        card.mode.button("deny").click()
        card.question.open.click()
        await settle(window)
        assert busy.called("set_access_mode") == [(AccessMode.DENY,)]
        assert card.opened.isVisible()
        assert card.add.text() == "Block a key…"
        # Back needs no question.
        card.mode.button("allow").click()
        await settle(window)
        assert busy.rules.mode is AccessMode.ALLOW
        assert not card.opened.isVisible()

    run(test)


def test_a_key_is_checked_as_it_is_typed(run: Run, busy: FakeCore) -> None:
    key = "ab12" * 16

    async def test(window: MainWindow) -> None:
        window.share_page.access.add.click()
        dialog = dialog_of(window, KeyDialog)
        assert not dialog.confirm.isEnabled()
        dialog.name.setText("New laptop")
        dialog.key.setText("xyz")
        assert dialog.said.text().startswith("A key has only")
        dialog.key.set_key(MY_KEY)
        assert dialog.said.text() == "This is your own key: you need no permission."
        assert not dialog.confirm.isEnabled()
        dialog.key.set_key(key[:20])
        assert dialog.said.text() == "20 of 64 characters."
        dialog.key.set_key(key.upper())
        assert dialog.confirm.isEnabled()
        dialog.duration.setCurrentIndex(2)
        dialog.confirm.click()
        await settle(window)
        assert busy.called("allow_key") == [(key, "New laptop", 24.0)]
        assert window.share.name_of(key) == "New laptop"

    run(test)


def test_the_rows_menu_renames_copies_blocks_and_removes(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.access

        def act(public_key: str, text: str) -> None:
            key = window.share.key_of(public_key)
            assert key is not None
            menu = card.menu_of(key)
            next(action for action in menu.actions() if action.text() == text).trigger()
            menu.deleteLater()

        act(STUDIO, "Copy key")
        assert QGuiApplication.clipboard().text() == STUDIO
        act(STUDIO, "Rename…")
        dialog = dialog_of(window, NameDialog)
        dialog.name.setText("  Big laptop ")
        dialog.confirm.click()
        act(READING, "Block")
        act(MEDIA, "Remove")
        await settle(window)
        assert busy.called("rename_key") == [(STUDIO, "Big laptop")]
        assert busy.called("block_key") == [(READING, "Reading room")]
        assert busy.called("remove_key") == [(MEDIA,)]
        act(READING, "Allow")
        await settle(window)
        assert busy.called("allow_key") == [(READING, "Reading room", None)]

    run(test)


def test_delete_blocks_after_a_question(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        table = window.share_page.access.table
        table.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(table, Qt.Key.Key_Delete)
        dialog = dialog_of(window, Dialog)
        # Enter takes the safe way out.
        assert dialog.cancel.isDefault()
        assert busy.called("block_key") == []
        dialog.confirm.click()
        await settle(window)
        assert busy.called("block_key") == [(STUDIO, "Studio laptop")]

    run(test)


def test_nobody_yet_offers_my_key(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings["tab"] = "share"

    async def test(window: MainWindow) -> None:
        card = window.share_page.access
        assert card.nobody.isVisible()
        card.copy_key.click()
        assert QGuiApplication.clipboard().text() == MY_KEY
        card.mode.button("deny").click()
        card.question.open.click()
        await settle(window)
        assert card.everybody.isVisible()
        assert not card.nobody.isVisible()

    run(test)


# --- Knocks


def test_an_answer_to_who_knocks_is_the_one_filled_button(run: Run, busy: FakeCore) -> None:
    busy.rules = AccessRules(AccessMode.ALLOW, True, ())

    async def test(window: MainWindow) -> None:
        assert window.share_page.access.nobody.isVisible()
        assert window.share_page.knocks.cards[0].allow.kind == "primary"
        assert window.share_page.access.copy_key.kind == "quiet"
        window.share_page.knocks.cards[0].deny.click()
        await settle(window)
        assert window.share_page.access.copy_key.kind == "primary"

    run(test)


def test_a_knock_is_seen_on_the_chat_tab(run: Run, busy: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    second, third = "12" * 32, "34" * 32
    alerts: list[QWidget] = []
    monkeypatch.setattr(QApplication, "alert", alerts.append)
    busy.open_knocks = ()

    async def test(window: MainWindow) -> None:
        window.tabs.setCurrentIndex(CHAT)
        notice = window.knocks
        assert not notice.isVisible()
        busy.knock(STRANGER)
        await settle(window)
        assert notice.isVisible()
        assert alerts == [window]
        assert notice.key.text() == short_key(STRANGER)
        assert "1 asks to use it" in window.tabs.accessibleTabName(SHARE)
        # Put away, it comes back for another key only.
        notice.close_button.click()
        busy.knock(STRANGER)
        await settle(window)
        assert not notice.isVisible() and len(alerts) == 1
        busy.open_knocks = busy.open_knocks[:1]
        busy.knock(second, busy.clock() + 1)
        await settle(window)
        assert notice.isVisible() and len(alerts) == 2
        assert notice.more.text() == "1 more"
        assert "2 ask to use it" in window.tabs.accessibleTabName(SHARE)
        notice.deny.click()
        await settle(window)
        assert busy.called("dismiss_knock") == [(second,)]
        assert notice.key.text() == short_key(STRANGER) and not notice.more.isVisible()
        notice.allow.click()
        dialog = dialog_of(window, KeyDialog)
        dialog.name.setText("Attic PC")
        dialog.confirm.click()
        await settle(window)
        assert busy.called("allow_key") == [(STRANGER, "Attic PC", None)]
        assert not notice.isVisible()
        assert "use it" not in window.tabs.accessibleTabName(SHARE)
        # The Share tab has its own cards.
        busy.knock(third)
        await settle(window)
        assert notice.isVisible()
        window.tabs.setCurrentIndex(SHARE)
        assert not notice.isVisible()

    run(test)


def test_knocks_of_an_earlier_run_are_shown_without_an_alarm(
    run: Run, busy: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts: list[QWidget] = []
    monkeypatch.setattr(QApplication, "alert", alerts.append)
    busy.settings["tab"] = "chat"

    async def test(window: MainWindow) -> None:
        assert window.knocks.isVisible()
        assert alerts == []

    run(test)


def test_a_knock_that_could_not_be_answered_is_said_on_the_chat_tab(run: Run, busy: FakeCore) -> None:
    busy.settings["tab"] = "chat"
    busy.fail["dismiss_knock"] = StoreError("The disk is full.")

    async def test(window: MainWindow) -> None:
        window.knocks.deny.click()
        await settle(window)
        assert "The disk is full." in window.notice.message.text()
        assert window.knocks.isVisible()

    run(test)


def test_a_knock_is_allowed_by_name_for_an_hour_or_denied(run: Run, busy: FakeCore) -> None:
    second, third = "12" * 32, "34" * 32
    busy.knock(second, NOON - 50)
    busy.knock(third, NOON - 60)

    async def test(window: MainWindow) -> None:
        knocks = window.share_page.knocks
        assert [card.public_key for card in knocks.cards] == [STRANGER, second, third]
        assert [card.allow.kind for card in knocks.cards] == ["primary", "quiet", "quiet"]
        first = knocks.cards[0]
        first.allow.click()
        dialog = dialog_of(window, KeyDialog)
        assert not dialog.confirm.isEnabled()
        dialog.name.setText("Attic PC")
        dialog.confirm.click()
        await settle(window)
        knocks.cards[0].hour.click()
        await settle(window)
        knocks.cards[0].deny.click()
        await settle(window)
        assert busy.called("allow_key") == [(STRANGER, "Attic PC", None), (second, "Guest 1212", 1.0)]
        assert busy.called("dismiss_knock") == [(third,)]
        assert not knocks.isVisible()

    run(test)


def test_three_knocks_are_shown_and_the_others_wait(run: Run, busy: FakeCore) -> None:
    for number in range(10, 14):
        busy.knock(str(number) * 32, NOON - number)

    async def test(window: MainWindow) -> None:
        knocks = window.share_page.knocks
        shown = len(knocks.cards)
        assert shown == 3
        assert knocks.more.text() == "2 more"
        knocks.more.click()
        assert len(knocks.cards) == 5
        assert not knocks.more.isVisible()
        knocks.deny_all.click()
        await settle(window)
        assert len(busy.called("dismiss_knock")) == 5
        assert window.share.knocks == () and window.share_page.knocks.isHidden()

    run(test)


def test_a_knock_acts_by_keyboard_while_the_focus_is_inside(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.knocks.cards[0]
        QTest.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
        await settle(window)
        assert busy.called("dismiss_knock") == []
        card.hour.setFocus()
        QTest.keyClick(card.hour, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
        await settle(window)
        assert busy.called("dismiss_knock") == [(STRANGER,)]

    run(test)


def test_a_new_knock_takes_no_click_meant_for_another(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        old = window.share_page.knocks.cards[0]
        busy.knock("56" * 32, NOON)
        assert window.share_page.knocks.cards[1] is old
        assert old.allow.kind == "quiet"

    run(test)


# --- Running and log


def test_stop_stops(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = window.share_page
        table = page.running.table
        assert page.running.slots.text() == "2 of 7 slots"
        index = table.rows.index(0, 5)
        box = table.delegate.button_rect(table.visualRect(index).toRectF(), 5, table.rows.cell(index))
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())
        await settle(window)
        assert busy.called("stop_request") == [("r1",)]
        assert [row.key for row in table.rows.rows] == ["r2"]
        assert page.log.table.rows.row(0).cells[5].text == "You stopped it."

    run(test)


def test_the_log_is_filtered_and_cleared_after_a_question(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        card.filter.setText("kiln")
        card._wait.timeout.emit()
        await settle(window)
        assert card.no_hit.isVisible()
        assert card.no_hit.title.text() == "Nothing contains “kiln”"
        card.clear_search.click()
        card._wait.timeout.emit()
        await settle(window)
        assert card.table.rows.rowCount() == 7
        card.ask_clear()
        dialog_of(window, Dialog).confirm.click()
        await settle(window)
        assert busy.called("clear_log") == [()]
        assert card.quiet.isVisible()
        assert card.quiet.title.text() == "No request has ended yet"  # two run above it

    run(test)


def test_off_with_an_empty_log_offers_to_start(run: Run, fake_core: FakeCore) -> None:
    fake_core.settings["tab"] = "share"

    async def test(window: MainWindow) -> None:
        card = window.share_page.log
        assert card.off.isVisible()
        assert not window.share_page.running.isVisible()
        card.start.click()
        await settle(window)
        assert fake_core.called("start_sharing") == [()]
        assert card.quiet.isVisible()
        assert card.quiet.title.text() == "No requests yet"

    run(test)


def test_a_long_log_stays_quick(run: Run, busy: FakeCore) -> None:
    entry = busy.log[0]
    busy.log = tuple(replace(entry, id=f"many-{i}", started_at=NOON - i) for i in range(400))

    async def test(window: MainWindow) -> None:
        table = window.share_page.log.table
        assert table.rows.rowCount() == 200  # the first page
        inserted: list[tuple[int, int]] = []
        resets: list[bool] = []
        table.rows.rowsInserted.connect(lambda _parent, first, last: inserted.append((first, last)))
        table.rows.modelReset.connect(lambda: resets.append(True))
        busy.end_request("r1", "eos")
        await settle(window)
        assert (inserted, resets) == ([(0, 0)], [])

    run(test)


def test_my_key_is_given_away_as_a_link_and_as_a_picture(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    key = bytes.fromhex(MY_KEY)

    async def test(window: MainWindow) -> None:
        card = window.share_page.key
        card.link.click()
        assert QGuiApplication.clipboard().text() == f"qvac://{MY_KEY}"
        card.large.click()
        dialog = dialog_of(window, QrDialog)
        dialog.name.setText("Büro 2")
        dialog.link.click()
        assert QGuiApplication.clipboard().text() == link_of(key, "Büro 2")
        dialog.copy.click()
        assert QGuiApplication.clipboard().text() == MY_KEY
        dialog.picture.click()
        copied = tmp_path / "copied.png"
        assert QGuiApplication.clipboard().image().save(str(copied))
        saved = tmp_path / "saved.png"
        dialog.write(saved)
        assert dialog.said.text() == "saved.png was saved."
        assert read_codes(copied.read_bytes()) == read_codes(saved.read_bytes()) == [qr_text(key)]
        dialog.write(tmp_path / "no" / "folder.png")
        assert dialog.said.property("tone") == "danger" and saved.exists()
        dialog.close()
        await settle(window)
        assert busy.settings["machine_name"] == "Büro 2"
        card.link.click()
        assert QGuiApplication.clipboard().text() == link_of(key, "Büro 2")

    run(test)


def test_the_name_of_this_machine_is_remembered(run: Run, busy: FakeCore) -> None:
    busy.settings["machine_name"] = "Studio desktop"

    async def test(window: MainWindow) -> None:
        assert window.share_page.key.link.value == link_of(bytes.fromhex(MY_KEY), "Studio desktop")
        window.share_page.key.large.click()
        dialog = dialog_of(window, QrDialog)
        assert dialog.name.text() == "Studio desktop"
        dialog.close()
        await settle(window)
        assert "set_setting" not in [call[0] for call in busy.calls if "machine_name" in call]

    run(test)


def test_guests_may_copy_a_model_only_if_its_owner_says_so(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.models
        for wanted in (True, False):
            menu = card.menu_of(window.share.models[0])
            action = next(action for action in menu.actions() if action.text() == "Guests may copy its file")
            assert action.isChecked() is not wanted
            action.trigger()
            menu.deleteLater()
            await settle(window)
        name = window.share.models[0].name
        assert busy.called("set_copyable") == [(name, True), (name, False)]
        busy.fail["set_copyable"] = ModelError("It lies in several files; only models of one file can be copied.")
        window.share.set_model_copyable(name, True)
        await settle(window)
        assert card.error.isVisible()

    run(test)
