"""Manners, pauses, gauges, model settings and the identity of the Share tab: in the window with a fake core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMenu

from app import core_library_words
from app.presenters.share_gauges import GPU, HEAT, MEMORY, POWER
from app.views.share_gauges import LEAST_GAP
from app.views.share_identity import ChangedDialog, MachineNameDialog, NewIdentityDialog, RestoreDialog
from app.views.share_manners import MannersDialog
from app.views.share_options import ModelOptionsDialog
from app.window import MainWindow
from qvac_core.core import machine_use, manners
from qvac_core.core.identity_state import FoundBackup
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.model_options import ModelOptions
from qvac_core.core.state import MannersChanged, Pause, PauseReason
from qvac_core.errors import ModelError, StoreError
from tests.gui.fake_core import FakeCore
from tests.gui.fake_identity import NEW_KEY
from tests.gui.populated import NOON, fullest
from tests.gui.share_window import Run, dialog_of, settle

HOUR = 3600.0


@pytest.fixture
def full(fake_core: FakeCore) -> FakeCore:
    return fullest(fake_core)


def choose(menu: QMenu, title: str) -> None:
    next(action for action in menu.actions() if action.text() == title).trigger()


# --- Pauses


def test_pause_for_an_hour_says_until_when_and_resumes(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.status
        assert card.pause.text() == "Pause"
        choose(card.pause_menu(), "For an hour")
        await settle(window)
        assert full.called("pause") == [(NOON + HOUR, False)]
        assert card.state.text() == "Sharing is paused"
        assert card.line.text == "Paused until 15:13. Guests stay connected, and are told when to ask again."
        assert card.resume.isVisible() and not card.pause.isVisible()
        card.resume.click()
        await settle(window)
        assert full.called("resume") == [()]
        assert card.state.text() == "Sharing is on"
        choose(card.pause_menu(), "For an hour, and end what runs")
        await settle(window)
        assert full.called("pause")[-1] == (NOON + HOUR, True)

    run(test)


def test_a_rule_that_holds_is_why_sharing_waits(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = window.share_page
        rules = (MannersRule(PauseReason.HOURS, True, True, NOON + 2 * HOUR), *full.manners.now[1:])
        full.emit(MannersChanged(rules))
        full.pausing.set(Pause(PauseReason.HOURS, NOON + 2 * HOUR))
        await settle(window)
        assert page.status.line.text.startswith("Paused until 16:13, outside of the serving hours.")
        assert page.status.pause.isVisible()  # the owner may still pause on their own
        (hours, *_) = page.manners.lines
        assert (hours.state, hours.tone) == ("begins in 2 h", "warn")
        full.pausing.set(Pause(PauseReason.ACTIVE))
        await settle(window)
        assert page.status.line.text.startswith("Paused while you use this machine. Guests stay connected")

    run(test)


# --- Manners


def test_the_card_tells_how_each_rule_stands(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.manners
        assert [(line.text, line.state) for line in card.lines] == [
            ("Serves 08:00 to 23:00", "pauses in 7 h 18 min"),
            ("Pauses while I use this machine", "not now"),
            ("Pauses for other programs that need the GPU", "not now"),
            ("Pauses on battery", "plugged in"),
        ]
        unknown = replace(full.manners.now[1], unknown=machine_use.WAYLAND)
        full.emit(MannersChanged((unknown,)))
        assert (card.lines[0].state, card.lines[0].tooltip) == ("not known here", machine_use.WAYLAND)
        full.emit(MannersChanged(()))
        assert card.none.isVisible()

    run(test)


def test_the_dialog_sets_each_rule_at_once(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.share_page.manners.edit.click()
        dialog = dialog_of(window, MannersDialog)
        dialog.switches["on_battery"].click()
        await settle(window)
        assert full.settings["manners.on_battery"] == "false"
        dialog.days[7].click()
        await settle(window)
        assert full.settings["manners.hours_days"] == "123456"
        dialog.minutes.chosen.emit(20)
        dialog.begin.chosen.emit("09:30")
        await settle(window)
        assert (full.settings["manners.active_minutes"], full.settings["manners.hours_from"]) == ("20", "09:30")
        full.fail["set_setting"] = StoreError("The disk is full.")
        dialog.switches["hours"].click()
        await settle(window)
        assert dialog.error.isVisible() and dialog.switches["hours"].isChecked()
        dialog.cancel.click()

    run(test)


def test_all_that_cannot_be_known_has_its_words() -> None:
    sentences = {manners.NO_BATTERY, manners.NO_GPU, manners.NO_HOURS}
    sentences |= {machine_use.WAYLAND, machine_use.NO_SCREEN, machine_use.NO_LIBRARY, machine_use.NO_ANSWER}
    assert sentences <= set(core_library_words.WHOLE)


# --- Gauges


def test_gauges_warn_above_four_fifths_and_tell_memory_alone_without_a_gpu(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        row = window.share_page.status.gauges
        window.share.gauges.refresh()
        await settle(window)
        assert [name for name, meter in row.meters.items() if meter.isVisible()] == [GPU, MEMORY, POWER, HEAT]
        memory = row.meters[MEMORY]
        assert memory.value.text() == "20.1 / 24 GB"
        assert memory.bar._parts[0].tone == "warn"
        assert row.meters[GPU].bar._parts[0].tone == "accent"
        assert "GeForce RTX 4090" in window.share_page.status.gpu.text()
        assert window.share_page.models.memory.rest.text() == "cap 20.0 GB, 1.5 GB free"
        # Where the texts of all do not fit beside each other, power goes, then heat; none is cut.
        for width, shown in ((row._needed((GPU, MEMORY, HEAT), LEAST_GAP), [GPU, MEMORY, HEAT]), (1, [GPU, MEMORY])):
            row.resize(width, row.height())
            assert [name for name, meter in row.meters.items() if not meter.isHidden()] == shown
        full.gauges.now = replace(full.gauges.now, gpus=())
        window.share.gauges.refresh()
        await settle(window)
        assert [name for name, meter in row.meters.items() if meter.isVisible()] == [MEMORY]
        assert row.meters[MEMORY].value.text() == "9.0 / 16 GB"

    run(test)


# --- Settings of a model


def test_a_models_settings_are_its_own_or_those_of_all(run: Run, full: FakeCore) -> None:
    full.model_options.loaded["qwen3-8b"] = (4096, 4)
    full.model_options.in_use.add("qwen3-8b")

    async def test(window: MainWindow) -> None:
        card = window.share_page.models
        choose(card.menu_of(window.share.models[0]), "Settings…")
        await settle(window)
        dialog = dialog_of(window, ModelOptionsDialog)
        assert dialog.rows["slots"].otherwise.text() == "4"
        assert dialog.rows["memory_mb"].otherwise.text() == "no limit"
        dialog.rows["context_tokens"].switch.click()
        dialog.rows["context_tokens"].field.setValue(8192)
        full.model_options.fail = ModelError("The context is too long for this model.")
        dialog.confirm.click()
        await settle(window)
        assert dialog.isVisible() and dialog.error.isVisible()  # what was set is still there
        dialog.confirm.click()
        await settle(window)
        assert full.model_options.own["qwen3-8b"] == ModelOptions(context_tokens=8192)
        choose(card.menu_of(window.share.models[0]), "Settings…")
        await settle(window)
        again = dialog_of(window, ModelOptionsDialog)
        assert again.rows["context_tokens"].value == 8192
        assert "somebody uses it now" in again.sentence.text()
        again.cancel.click()
        choose(card.menu_of(window.share.models[1]), "Settings…")  # speech: no context, no slots
        await settle(window)
        assert set(dialog_of(window, ModelOptionsDialog).rows) == {"memory_mb", "idle_minutes"}

    run(test)


# --- The line


def test_the_line_shows_places_and_requests_are_removed(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.running
        assert (card.slots.text(), card.waiting.text()) == ("1 of 4 slots", "2 wait")
        assert card.hint.text() == "Qwen3 8B has 1 slot"
        rows = card.table.rows.rows
        assert [row.cells[2].text for row in rows] == ["612 tokens", "1st in line", "2nd in line"]
        assert [row.cells[3].text for row in rows] == ["66 tok/s", "about 12 s to go", "about 31 s to go"]
        assert [row.cells[5].button for row in rows] == ["Stop", "Remove", "Remove"]
        card.table.pressed.emit("r2")
        await settle(window)
        assert full.called("stop_request") == [("r2",)]
        for request in list(full.requests):
            full.end_request(request.id, "eos")
        await settle(window)
        assert card.hint.text() == "nothing is running" and not card.table.isVisible()
        assert card.height() < 60  # its title row

    run(test)


# --- Identity


def test_a_new_identity_wants_the_machines_name_typed(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        card = window.share_page.key
        assert card.hint.text() == "shown to guests as Studio desktop"
        choose(card.card_menu(), "New identity…")
        dialog = dialog_of(window, NewIdentityDialog)
        assert not dialog.confirm.isEnabled()
        dialog.typed.setText("studio desktop")
        assert not dialog.confirm.isEnabled()
        dialog.typed.setText("Studio desktop ")
        dialog.backup.click()
        chooser = next(found for found in window.findChildren(QFileDialog) if found.isVisible())
        chooser.fileSelected.emit("/tmp/somewhere/mine.json")
        chooser.reject()
        await settle(window)
        assert full.identity.written == [Path("/tmp/somewhere/mine.json")]
        assert "mine.json" in dialog.said.text()
        dialog.confirm.click()
        await settle(window)
        assert full.identity.now.next_key == NEW_KEY
        dialog_of(window, ChangedDialog).cancel.click()
        assert card.next.isVisible() and "eeee eeee" in card.next.text()

    run(test)


def test_a_backup_is_looked_into_before_it_is_restored(run: Run, full: FakeCore) -> None:
    good, bad = Path("/tmp/somewhere/good.json"), Path("/tmp/somewhere/bad.json")
    full.identity.backups[good] = FoundBackup("ab" * 32, "Old studio", "", False)

    async def test(window: MainWindow) -> None:
        card = window.share_page.key
        for path in (bad, good):
            choose(card.card_menu(), "Restore an identity…")
            chooser = next(found for found in window.findChildren(QFileDialog) if found.isVisible())
            chooser.fileSelected.emit(str(path))
            chooser.reject()
            await settle(window)
            assert card.error.isVisible() is (path is bad)
            card.error.dismissed.emit()
        dialog = dialog_of(window, RestoreDialog)
        assert "Old studio, abab abab" in dialog.sentence.text()
        assert "present key 2744 ccd1" in dialog.sentence.text()
        dialog.confirm.click()
        await settle(window)
        assert full.identity.now.next_key == "ab" * 32
        dialog_of(window, ChangedDialog).cancel.click()
        same = RestoreDialog(window.share.identity, window.theme, good, FoundBackup("ab" * 32, "", "", True), window)
        assert not same.confirm.isVisibleTo(same)

    run(test)


def test_the_machine_gets_a_name(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        choose(window.share_page.key.card_menu(), "Name of this machine…")
        dialog = dialog_of(window, MachineNameDialog)
        dialog.name.setText(" Attic ")
        dialog.confirm.click()
        await settle(window)
        assert full.settings["machine_name"] == "Attic"
        assert window.share_page.key.hint.text() == "shown to guests as Attic"

    run(test)
