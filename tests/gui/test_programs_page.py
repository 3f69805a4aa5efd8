"""The page For programs with a fake core: the switch, the token, what is copied, calls, a port that is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QWidget

from app.presenters.program_snippets import KINDS, snippet
from app.presenters.programs import AT_START
from app.views.programs_endpoint import OriginsDialog, PortDialog
from app.views.programs_page import ProgramsPage
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.core.state import ProgramsChanged
from qvac_core.endpoint.interface import Call
from qvac_core.errors import StoreError
from tests.gui.fake_core import FakeCore
from tests.gui.fake_programs import ANOTHER, TOKEN
from tests.gui.populated import NOON
from tests.gui.programs_scenes import RUNNING, programs_core
from tests.gui.share_window import Run, dialog_of, settle


@pytest.fixture
def full(fake_core: FakeCore) -> FakeCore:
    return programs_core(fake_core)


async def open_page(window: MainWindow) -> ProgramsPage:
    QTest.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    await settled(window)
    return window.programs_page


async def settled(window: MainWindow) -> None:
    await window.programs._tasks.settle()
    await settle(window)


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def test_the_switch_acts_at_once_and_says_what_holds(fake_core: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_page(window)
        card = page.endpoint
        assert card.status.text.startswith("Off.")
        assert not page.connect_card.copy.isEnabled()
        assert "Switch it on first" in page.connect_card.copy.toolTip()
        QTest.mouseClick(card.switch, Qt.MouseButton.LeftButton)
        await settled(window)
        assert fake_core.called("switch_programs") == [(True, 0)]
        assert card.status.text.startswith("Listening, on this machine only. No program has called yet.")
        assert page.connect_card.copy.isEnabled()
        QTest.keyClick(card.switch, Qt.Key.Key_Space)
        await settled(window)
        assert fake_core.called("switch_programs")[-1] == (False, 0)
        assert not card.switch.isChecked()

    run(test)


def test_a_port_that_is_taken_is_told_and_another_one_is_a_click_away(fake_core: FakeCore, run: Run) -> None:
    fake_core.programs.taken = 8123

    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).endpoint
        QTest.mouseClick(card.switch, Qt.MouseButton.LeftButton)
        await settled(window)
        assert "uses port 8123" in card.status.text
        assert not card.switch.isChecked()
        assert card.other_port.text() == "Use port 8124"
        assert (card.other_port.kind, card.copy_token.kind) == ("primary", "quiet")
        QTest.mouseClick(card.other_port, Qt.MouseButton.LeftButton)
        await settled(window)
        assert card.address.text() == "http://127.0.0.1:8124/v1"
        assert card.other_port.isHidden()
        assert card.copy_token.kind == "primary"

    run(test)


def test_the_token_is_shown_for_a_while_and_copied_whole(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_page(window)
        card = page.endpoint
        assert card.token.text().endswith("•7f3a")
        assert TOKEN not in card.token.text()
        QTest.mouseClick(card.show_token, Qt.MouseButton.LeftButton)
        await settled(window)
        assert card.token.text() == TOKEN
        assert window.programs._hide.isActive()
        window.programs._hide.timeout.emit()
        assert TOKEN not in card.token.text()
        QTest.mouseClick(card.copy_token, Qt.MouseButton.LeftButton)
        await settled(window)
        assert clipboard() == TOKEN
        assert card.copy_token.text() == "Copied"
        window.programs.show_token()
        await settled(window)
        window.close_page()
        assert window.programs.token == ""

    run(test)


def test_a_new_token_asks_first(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).endpoint
        QTest.mouseClick(card.new_token, Qt.MouseButton.LeftButton)
        await settle(window)
        dialog = dialog_of(window, Dialog)
        assert not full.called("new_program_token")
        dialog.confirm.click()
        await settled(window)
        assert full.called("new_program_token") == [()]
        assert card.token.text().endswith(ANOTHER[-4:])

    run(test)


def test_snippets_show_no_token_and_are_copied_with_it(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).connect_card
        for kind, _name in KINDS:
            card.show_kind(kind)
            shown = card.block.code
            assert "Studio desktop/Qwen3 8B" in shown
            assert "http://127.0.0.1:8123/v1" in shown
            assert TOKEN not in shown
            QTest.mouseClick(card.copy, Qt.MouseButton.LeftButton)
            await settled(window)
            assert (TOKEN in clipboard()) is (kind != "zed")
        card.model.setCurrentIndex(1)
        assert "This machine/SmolLM2 135M Instruct" in card.block.code

    run(test)


def test_a_real_call_shows_that_it_works_or_why_not(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).connect_card
        assert card.result.isHidden()
        QTest.mouseClick(card.try_it, Qt.MouseButton.LeftButton)
        await settled(window)
        assert full.called("try_model") == [("Studio desktop/Qwen3 8B",)]
        assert card.result.text == "It works. Studio desktop answered after 0.31 s, 64 tok/s."
        full.fail["try_model"] = StoreError("The machine went offline. Try again.")
        QTest.mouseClick(card.try_it, Qt.MouseButton.LeftButton)
        await settled(window)
        assert card.result.isHidden()
        assert card.error.isVisibleTo(card)
        assert card.try_it.isEnabled() and card.try_it.hasFocus()

    run(test)


def test_calls_come_change_and_go_and_one_that_runs_can_be_stopped(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_page(window)
        table = page.calls.table
        first = table.rows.row(0)
        assert [cell.text for cell in first.cells][1:5] == ["Zed 0.210", "chat", "Studio desktop", "512 / 96"]
        index = table.rows.index(0, 6)
        box = table.delegate.button_rect(QRectF(table.visualRect(index)), 6, first.cells[6])
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())
        await settled(window)
        assert full.called("stop_call") == [("c0",)]
        full.programs.call(replace(RUNNING, ended=NOON, outcome="stopped"))
        await settle(window)
        assert table.rows.row(0).cells[6].text == "stopped here"
        stranger = Call("s", NOON, "<b>evil</b>\nx" * 9, "", ended=NOON, outcome="refused", reason="origin_not_allowed")
        full.programs.call(replace(stranger, origin="https://evil.example"))
        await settle(window)
        cells = table.rows.row(0).cells
        assert "\n" not in cells[1].text
        assert cells[6].text == "refused: a web page"
        assert "evil.example" in cells[6].tooltip
        QTest.mouseClick(page.calls.clear, Qt.MouseButton.LeftButton)
        await settled(window)
        assert full.called("clear_calls") == [()]
        assert page.calls.nothing.isVisibleTo(page)

    run(test)


def test_models_are_filtered_and_their_names_copied(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).models
        assert card.table.rows.rowCount() == 3
        assert card.hint.text() == "6 models from 3 machines"
        QTest.mouseClick(card.show_all, Qt.MouseButton.LeftButton)
        assert card.table.rows.rowCount() == 6
        assert card.table.rows.row(5).cells[2].text == "away now"
        card.filter.setText("qwen 4b")
        assert [row.key for row in card.table.rows.rows] == ["Workshop PC/Qwen3 4B"]
        card.table.setFocus()
        card.table.setCurrentIndex(card.table.rows.index(0, 0))
        card._copy("Workshop PC/Qwen3 4B")
        assert clipboard() == "Workshop PC/Qwen3 4B"

    run(test)


def test_pages_are_named_one_a_line_and_checked_as_they_are_typed(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).endpoint
        card.card_menu().actions()[0].trigger()
        await settle(window)
        dialog = dialog_of(window, OriginsDialog)
        dialog.pages.setPlainText("example.com")
        assert "is no address of a page" in dialog.said.text()
        assert not dialog.confirm.isEnabled()
        dialog.pages.setPlainText("https://chat.example.com/\n")
        dialog.confirm.click()
        await settled(window)
        assert full.called("set_origins") == [(("https://chat.example.com/",),)]
        assert card.pages.text().startswith("1 web page may call it.")

    run(test)


def test_another_port_is_used_at_once(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        card = (await open_page(window)).endpoint
        card.card_menu().actions()[1].trigger()
        await settle(window)
        dialog = dialog_of(window, PortDialog)
        for wrong in ("", "0", "65536", "٣", "8x"):
            dialog.port.setText(wrong)
            assert not dialog.confirm.isEnabled()
        dialog.port.setText("9000")
        dialog.confirm.click()
        await settled(window)
        assert full.called("switch_programs") == [(False, 0), (True, 9000)]
        assert card.address.text() == "http://127.0.0.1:9000/v1"

    run(test)


def test_it_is_on_at_the_start_where_its_owner_wants_that(fake_core: FakeCore, run: Run) -> None:
    fake_core.settings[AT_START] = "true"

    async def test(window: MainWindow) -> None:
        await window.programs._tasks.settle()
        assert fake_core.called("switch_programs") == [(True, 0)]  # the page was never looked at
        card = (await open_page(window)).endpoint
        assert card.at_start.isChecked()
        QTest.mouseClick(card.at_start, Qt.MouseButton.LeftButton)
        await settled(window)
        assert fake_core.settings[AT_START] == "false"

    run(test)


def test_what_fails_stands_where_it_happened(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        full.fail["program_token"] = StoreError("The keyring does not answer. Unlock it.", name="KEYRING_SILENT")
        card = (await open_page(window)).endpoint
        QTest.mouseClick(card.copy_token, Qt.MouseButton.LeftButton)
        await settled(window)
        assert card.error.isVisibleTo(card)
        full.programs.set(on=False)
        full.emit(ProgramsChanged(full.programs.state))
        await settle(window)
        assert not card.switch.isChecked()

    run(test)


def test_narrow_it_is_one_column_and_every_control_has_a_name(full: FakeCore, run: Run) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_page(window)
        window.resize(720, 520)
        await settle(window)
        assert page.narrow
        assert page.connect_card.kind_combo.isVisibleTo(page)
        assert page.connect_card.kinds.isHidden()
        assert page.endpoint.width() <= page.width()
        for kind in (QAbstractButton, QLineEdit, QComboBox):
            for control in page.findChildren(kind):
                assert isinstance(control, QWidget)
                if control.isVisible() and control.focusPolicy() & Qt.FocusPolicy.TabFocus:
                    interface = QAccessible.queryAccessibleInterface(control)
                    assert interface.text(QAccessible.Text.Name), control
        assert next(region for region in page.regions() if region.isVisible()) is page.endpoint.copy_token

    run(test)


def test_what_is_pasted_is_whole_whatever_a_model_is_called() -> None:
    for kind, _name in KINDS:
        code = snippet(kind, "http://127.0.0.1:1/v1", TOKEN, 'It\'s "odd"/name').code
        assert code
    assert "'\\''" in snippet("curl", "a", TOKEN, "It's/name").code
