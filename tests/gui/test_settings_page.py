"""The Settings page in the real window with a fake core: search, changes at once, what fails or waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTime
from PySide6.QtGui import QFontDatabase
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app import recent_log
from app.audio.system_input import SystemInput
from app.autostart import Autostart, Entry
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import SECTIONS, Special, keys
from app.theme import DARK_HIGH, LIGHT_HIGH, Theme
from app.tokens import LIGHT
from app.views.settings_hours import DaysRow, HoursRow
from app.views.settings_identity import IdentityRow
from app.views.settings_page import SectionView, SettingsPage
from app.views.settings_row import WAITS, SettingsEntry, SettingsRow
from app.views.settings_system import AutostartRow, FolderRow, ReportRow, TextDialog
from app.views.share_identity import NewIdentityDialog
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.dialog import Dialog
from app.widgets.key_cap import KeyCap
from app.widgets.number import Number
from app.widgets.segmented import Segmented
from app.widgets.slider import SliderNumber
from app.widgets.switch import Switch
from app.window import SHARE, MainWindow
from qvac_core.core.state import SettingChanged
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.settings import definition
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run, dialog_of, settle


@pytest.fixture(autouse=True)
def plain_look(theme: Theme) -> Iterator[None]:
    """The one theme of all tests is left as it was."""
    yield
    theme.use("light", 100, "normal", "")


def opened(window: MainWindow, section: str = "") -> SettingsPage:
    window.open_settings(section)
    return window.settings.page


def seen(page: SettingsPage) -> list[SettingsEntry]:
    return [entry for view in page.sections.values() for entry in view.entries if entry.isVisible()]


def search(page: SettingsPage, text: str) -> None:
    """Until all sections were looked through."""
    page.search.setText(text)
    page.finish_search()


def column(page: SettingsPage) -> list[SectionView]:
    layout = page._column_layout
    items = (layout.itemAt(place) for place in range(layout.count()))
    found = (item.widget() for item in items if item is not None)
    return [view for view in found if isinstance(view, SectionView)]


def labels(page: SettingsPage) -> list[str]:
    return [entry.texts()[0] for entry in seen(page)]


# --- What there is


def test_every_row_is_a_setting_of_the_core_or_made_by_the_page() -> None:
    free_texts = {"speech_language", "pause.cut"}
    for section in SECTIONS:
        for group in section.groups:
            for row in group.rows:
                if isinstance(row.control, Special):
                    assert not row.key
                else:
                    assert definition(row.key) is not None or row.key in free_texts, row.key


def test_the_page_is_made_when_it_is_opened(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        assert window.settings.page.sections == {}
        page = opened(window)
        names = [section.name for section in SECTIONS]
        assert list(page.list.buttons) == names
        assert list(page.sections) == names[:1]
        assert page.search.hasFocus()
        for _turn in range(500):  # the others while nothing else happens
            if len(page.sections) == len(names):
                break
            await asyncio.sleep(0.01)
        assert [view.section.name for view in column(page)] == names
        assert page.sections[names[0]].isVisible() and not page.sections[names[1]].isVisible()

    run(test)


def test_sections_are_walked_by_keyboard(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        QTest.keyClick(window, Qt.Key.Key_F6)
        first = window.focusWidget()
        assert first is page.list.buttons[SECTIONS[0].name]
        QTest.keyClick(first, Qt.Key.Key_Down)
        assert page.list.current == SECTIONS[1].name
        assert page.sections[SECTIONS[1].name].isVisible()
        assert not page.sections[SECTIONS[0].name].isVisible()

    run(test)


# --- The search


def test_words_of_the_command_line_are_found_and_hits_are_counted(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "--port")
        assert labels(page) == ["UDP port"]
        assert page.found_title.text() == "1 setting contains “--port”"
        assert page.list.buttons["network"].hits == 1
        assert page.list.buttons["general"].hits == 0
        assert page.list.buttons["network"].accessibleDescription() == "1 setting found"

    run(test)


def test_values_and_hints_are_searched_and_marked(run: Run, busy: FakeCore) -> None:
    busy.settings["theme"] = "dark"

    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "dark")
        assert "Theme" in labels(page)
        search(page, "OUTLINES soft")
        assert labels(page) == ["High contrast"]
        assert page.row("contrast").hint.marks()
        assert page.row("contrast").hint.text() == "Stronger outlines, no soft fills."  # what is read aloud
        page.search.clear()
        assert not page.row("contrast").hint.marks()
        assert page.sections["general"].isVisible()

    run(test)


def test_what_was_found_is_changed_in_place_and_a_heading_opens_its_section(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "motion")
        control = page.row("reduced_motion").controls[0]
        assert isinstance(control, Switch) and control.isVisible()
        control.click()
        await window.settings.presenter.settle()
        assert busy.settings["reduced_motion"] == "true"
        assert page.search.text() == "motion"
        page.sections["appearance"].link.click()
        assert page.search.text() == ""
        assert "Theme" in labels(page) and page.list.current == "appearance"

    run(test)


def test_the_first_hits_are_there_at_once_and_the_others_follow(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        page._ahead.stop()
        page.search.setText("--port")
        assert labels(page) == ["UDP port"]  # though its section is the fifth, and the others are not made yet
        assert set(page.sections) == {"general", "network"} and page._waiting
        page.search.setText("qqq")
        assert not page._found.isVisible()  # nothing is said of what was not looked at
        page._ahead.start()
        for _turn in range(500):
            if page._found.isVisible():
                break
            await asyncio.sleep(0.01)
        assert page.found_title.text() == "No setting contains “qqq”"
        assert set(page.sections) == {section.name for section in SECTIONS}

    run(test)


def test_the_name_of_a_section_finds_all_of_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "tools")
        assert page.list.buttons["tools"].hits == len(page.sections["tools"].entries) > 0
        assert page.sections["tools"].isVisible() and not page.sections["about"].isVisible()

    run(test)


def test_nothing_found_says_so(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "qqq <b>")
        assert seen(page) == []
        assert page.found_title.text() == "No setting contains “qqq <b>”"

    run(test)


def test_escape_empties_the_search_then_leaves(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.setCurrentIndex(SHARE)
        page = opened(window)
        QTest.keyClicks(page.search, "port")
        QTest.keyClick(page.search, Qt.Key.Key_Escape)
        assert page.search.text() == "" and page.isVisible()
        QTest.keyClick(page.search, Qt.Key.Key_Escape)
        assert window.stack.currentWidget() is window.share_page

    run(test)


@pytest.mark.parametrize("where", ["list", "switch"])
def test_typing_goes_to_the_search(run: Run, busy: FakeCore, where: str) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "appearance")
        on: QWidget = page.row("reduced_motion").controls[0]
        if where == "list":
            on = page.list.buttons["appearance"]
        on.setFocus()
        QTest.keyClicks(on, "po")
        assert page.search.text() == "po" and page.search.hasFocus()
        QTest.keyClick(page, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
        assert page.search.selectedText() == "po"

    run(test)


# --- Changes


def test_every_kind_of_control_acts_at_once(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "general")
        choice = page.row("chat.send_key").controls[0]
        assert isinstance(choice, Segmented)
        choice.button("ctrl+enter").click()
        combo = page.row("contrast").controls[0]
        assert isinstance(combo, Combo)
        combo.activated.emit(combo.findData("high"))
        number = page.row("network.port").controls[0]
        assert isinstance(number, Number)
        number.setValue(4000)
        slider = page.row("text_size").controls[0]
        assert isinstance(slider, SliderNumber)
        slider.number.setValue(150)
        field = page.row("network.bootstrap").controls[0]
        assert isinstance(field, QLineEdit)
        field.setText(" 127.0.0.1:9 ")
        field.editingFinished.emit()
        await window.settings.presenter.settle()
        assert busy.settings["chat.send_key"] == "ctrl+enter"
        assert busy.settings["contrast"] == "high"
        assert busy.settings["network.port"] == "4000"
        assert busy.settings["text_size"] == "150"
        assert busy.settings["network.bootstrap"] == "127.0.0.1:9"

    run(test)


def test_what_cannot_be_kept_is_told_in_its_row_and_goes_back(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "general")
        busy.fail["set_setting"] = StoreError("The disk is full. Free some space and try again.")
        control = page.row("chat.fallback").controls[0]
        assert isinstance(control, Switch) and control.isChecked()
        control.click()
        await window.settings.presenter.settle()
        assert control.isChecked()
        assert "disk is full" in page.row("chat.fallback").note.text()

    run(test)


def test_what_holds_after_a_start_says_so_until_it_is_put_back(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "network")
        row = page.row("network.port")
        number = row.controls[0]
        assert isinstance(number, Number)
        wanted: list[bool] = []
        page.restart_wanted.connect(lambda: wanted.append(True))
        number.setValue(4000)
        assert row.note.text() == WAITS and row.act.isVisible()
        row.act.click()
        assert wanted == [True]
        number.setValue(0)
        assert not row.note.isVisible() and not row.act.isVisible()

    run(test)


def test_changes_from_elsewhere_are_shown_when_the_page_opens(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "language")
        window.close_page()
        window.chat.dictation.choose_language("de")
        await window.chat.dictation.settle()
        opened(window, "language")
        await window.settings.settle()
        assert page.row("speech_language").value_words() == "German"

    run(test)


def test_a_change_from_elsewhere_is_shown_at_once(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "sharing")
        switch = page.row("manners.on_battery").controls[0]
        assert isinstance(switch, Switch) and not switch.isChecked()
        await busy.set_setting("manners.on_battery", "true")
        busy.emit(SettingChanged("manners.on_battery"))
        await window.settings.settle()
        assert switch.isChecked()

    run(test)


def test_the_identity_is_backed_up_and_renewed_from_here(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "sharing")
        row = page.findChildren(IdentityRow)[0]
        assert row.backup.isEnabled() and row.renew.isEnabled()
        row.renew.click()
        dialog = dialog_of(window, NewIdentityDialog)
        dialog.typed.setText(dialog.wanted)
        dialog.confirm.click()
        await settle(window)
        assert row.note.text().startswith("From the next start on the key is ") and row.act.isVisible()
        for open_dialog in window.findChildren(Dialog):
            open_dialog.close()

    run(test)


def test_a_value_that_is_gone_is_shown_and_kept(run: Run, busy: FakeCore) -> None:
    busy.settings["chat.local_model"] = "gone-model"

    async def test(window: MainWindow) -> None:
        page = opened(window, "general")
        assert page.row("chat.local_model").value_words() == "gone-model, not here now"

    run(test)


@pytest.mark.parametrize("damage", ["", "many", "-5", "10000000000000"])
def test_a_damaged_value_breaks_nothing(run: Run, busy: FakeCore, damage: str) -> None:
    # What the log keeps is told to another page by a core that has checked it.
    busy.settings |= {key: damage for key in keys() if not key.startswith("sharing.log_")}

    async def test(window: MainWindow) -> None:
        page = opened(window)
        for section in SECTIONS:
            page.show_section(section.name)
        await asyncio.sleep(0.01)
        assert window.isVisible()

    run(test)


def test_the_newest_of_many_changes_is_kept(qloop: object, proxy: DirectProxy, fake_core: FakeCore) -> None:
    async def test() -> None:
        presenter = SettingsPresenter(proxy, ["text_size"])
        await proxy.start()
        await presenter.load()
        gate = fake_core.slow["set_setting"] = asyncio.Event()
        for size in range(101, 150):
            presenter.set("text_size", str(size))
        assert presenter.value("text_size") == "149"
        gate.set()
        await presenter.settle()
        assert fake_core.settings["text_size"] == "149"
        assert len(fake_core.called("set_setting")) <= 2
        await presenter.close()
        await proxy.close()

    qloop.run_until_complete(test())  # type: ignore[attr-defined]


def test_serving_hours_and_days(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "sharing")
        hours, days = page.findChildren(HoursRow)[0], page.findChildren(DaysRow)[0]
        assert not hours.begin.isEnabled() and not days.boxes["1"].isEnabled()
        hours.switch.click()
        hours.begin.setTime(QTime(22, 30))
        hours.end.setTime(QTime(6, 0))
        for day in "123456":
            days.boxes[day].click()
        assert not days.boxes["7"].isEnabled()  # the last one stays
        await window.settings.settle()
        assert {key: value for key, value in busy.settings.items() if key.startswith("manners.")} == {
            "manners.hours": "true",
            "manners.hours_from": "22:30",
            "manners.hours_to": "06:00",
            "manners.hours_days": "7",
        }
        busy.fail["set_setting"] = StoreError("The disk is full. Free some space and try again.")
        hours.switch.click()
        await window.settings.settle()
        assert hours.switch.isChecked() and "disk is full" in hours.note.text()

    run(test)


def test_what_depends_on_a_switch_follows_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "sharing")
        minutes = page.row("manners.active_minutes").controls[0]
        assert not minutes.isEnabled()
        switch = page.row("manners.while_active").controls[0]
        assert isinstance(switch, Switch)
        switch.click()
        assert minutes.isEnabled()
        await window.settings.settle()

    run(test)


class Entries:
    """A system's place for what starts at login."""

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.full = False

    def read(self) -> Entry | None:
        return self.entry

    def write(self, command: Sequence[str]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.entry = Entry(tuple(command), True)

    def remove(self) -> None:
        self.entry = None


def test_start_at_login_shows_what_the_system_has(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    entries = Entries()

    async def test(window: MainWindow) -> None:
        window.settings.use(DataDir(tmp_path))
        window.settings.rows.autostart = Autostart(entries, ("qvac", "--in-tray"))
        page = opened(window, "startup")
        await window.settings.settle()
        row = page.findChildren(AutostartRow)[0]
        assert not row.switch.isChecked()
        row.switch.click()
        await window.settings.settle()
        assert entries.entry == Entry(("qvac", "--in-tray"), True)
        entries.entry = None  # somebody took it away elsewhere
        row.read()
        await window.settings.settle()
        assert not row.switch.isChecked()
        entries.full = True
        row.switch.click()
        await window.settings.settle()
        assert not row.switch.isChecked() and "space" in row.note.text()

    run(test)


def test_a_report_is_seen_before_it_is_sent_and_tells_no_key(run: Run, busy: FakeCore) -> None:
    busy.settings |= {"machine_name": "My secret place", "text_size": "120"}
    recent_log.install()
    logging.getLogger("test").info("connected to %s", "ab" * 32)

    async def test(window: MainWindow) -> None:
        page = opened(window, "privacy")
        row = page.findChildren(ReportRow)[0]
        row.show_report.click()
        text = window.findChildren(TextDialog)[0].text.toPlainText()
        assert "connected to abab abab … abab" in text and "ab" * 32 not in text
        assert "text_size = 120" in text and "secret" not in text
        window.findChildren(TextDialog)[0].close()

    run(test)


def test_licences_of_what_comes_along_can_be_read(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        opened(window, "about")
        assert window.settings.rows.about is not None
        window.settings.rows.about.licences.click()
        text = window.findChildren(TextDialog)[0].text.toPlainText()
        assert "Lucide" in text and "Apache License" in text
        window.findChildren(TextDialog)[0].close()

    run(test)


def test_the_data_folder_is_told_with_its_size(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.gguf").write_bytes(bytes(2_000_000))

    async def test(window: MainWindow) -> None:
        window.settings.use(DataDir(tmp_path))
        page = opened(window, "privacy")
        await window.settings.settle()
        assert page.findChildren(FolderRow)[0].hint.text() == f"{tmp_path}: 2 MB, of them models 2 MB"

    run(test)


def test_who_may_use_it_leads_to_the_share_page(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window)
        search(page, "--allow-all")
        (row,) = seen(page)
        assert isinstance(row, SettingsRow)
        button = row.controls[0]
        assert isinstance(button, Button)
        button.click()
        assert window.stack.currentWidget() is window.share_page

    run(test)


# --- What they do


def test_the_look_changes_live(run: Run, busy: FakeCore, theme: Theme) -> None:
    async def test(window: MainWindow) -> None:
        presenter = window.settings.presenter
        points = theme.base_points
        presenter.set("text_size", "150")
        assert theme.base_points == pytest.approx(points * 1.5)
        presenter.set("contrast", "high")
        assert theme.tokens is LIGHT_HIGH
        presenter.set("theme", "dark")
        assert theme.tokens is DARK_HIGH and theme.dark
        presenter.set("contrast", "normal")
        presenter.set("theme", "light")
        presenter.set("text_size", "100")
        assert theme.tokens is LIGHT and theme.base_points == pytest.approx(points)
        await presenter.settle()

    run(test)


def test_fonts_of_their_own_follow_the_text_size(qtbot: QtBot, theme: Theme) -> None:
    cap = KeyCap(theme, "Ctrl+1")
    qtbot.addWidget(cap)
    cap.show()
    points, tall = cap.font().pointSizeF(), cap.sizeHint().height()
    theme.use("light", 200, "normal", "")
    assert cap.font().pointSizeF() == pytest.approx(2 * points)
    assert cap.sizeHint().height() > tall


def test_the_look_that_was_kept_is_there_after_the_start(run: Run, busy: FakeCore, theme: Theme) -> None:
    busy.settings |= {"contrast": "high", "text_size": "120", "theme": "dark"}
    points = theme.base_points

    async def test(_window: MainWindow) -> None:
        assert theme.tokens is DARK_HIGH
        assert theme.base_points == pytest.approx(points * 1.2)

    run(test)


def test_the_key_that_sends_is_chosen(run: Run, busy: FakeCore) -> None:
    busy.settings["chat.send_key"] = "ctrl+enter"

    async def test(window: MainWindow) -> None:
        text = window.chat_page.conversation.composer.text
        sent: list[bool] = []
        text.send.connect(lambda: sent.append(True))
        text.setPlainText("one")
        QTest.keyClick(text, Qt.Key.Key_End)
        QTest.keyClick(text, Qt.Key.Key_Return)
        assert (sent, text.toPlainText()) == ([], "one\n")
        QTest.keyClick(text, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        assert sent == [True]
        window.settings.presenter.set("chat.send_key", "enter")
        QTest.keyClick(text, Qt.Key.Key_Return)
        assert sent == [True, True]
        await window.settings.presenter.settle()

    run(test)


def test_the_code_font_is_chosen(run: Run, busy: FakeCore, theme: Theme) -> None:
    async def test(window: MainWindow) -> None:
        fixed = next(name for name in QFontDatabase.families() if QFontDatabase.isFixedPitch(name))
        window.settings.presenter.set("code_font", fixed)
        assert theme.fixed_font().family() == fixed
        window.settings.presenter.set("code_font", "No such font")
        assert theme.fixed_font().family() != "No such font"
        await window.settings.presenter.settle()

    run(test)


def test_the_language_waits_for_a_start(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "language")
        combo = page.row("language").controls[0]
        assert isinstance(combo, Combo)
        assert combo.currentText() == "As the system"
        combo.activated.emit(combo.findText("Deutsch"))
        await window.settings.settle()
        assert busy.settings["language"] == "de"
        assert page.row("language").note.text() == WAITS

    run(test)


def test_the_microphone_is_chosen(run: Run, busy: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemInput, "names", lambda _self: ("Headset", "Webcam"))

    async def test(window: MainWindow) -> None:
        page = opened(window, "language")
        await window.settings.settle()
        combo = page.row("speech.microphone").controls[0]
        assert isinstance(combo, Combo)
        assert [combo.itemText(place) for place in range(combo.count())] == ["As the system", "Headset", "Webcam"]
        combo.activated.emit(2)
        sound = window.chat.dictation.sound
        assert isinstance(sound, SystemInput)
        assert sound.wanted == "Webcam"
        await window.settings.settle()

    run(test)


def test_a_narrow_window_has_a_picker_in_place_of_the_list(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = opened(window, "appearance")
        window.resize(720, 520)
        await asyncio.sleep(0.01)
        assert page.picker.isVisible() and not page.list.isVisible() and page.search.isVisible()
        assert page.picker.currentText() == "Appearance"
        assert page.area.horizontalScrollBar().maximum() == 0
        page.picker.activated.emit(page.picker.findData("network"))
        assert page.sections["network"].isVisible()
        assert page.regions()[1] is page.picker

    run(test)
