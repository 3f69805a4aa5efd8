"""The Library page in the window with a fake core: keyboard, mouse, questions, states, narrow, names for everybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, QRectF, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QFileDialog, QLineEdit, QMenu, QWidget

from app.presenters.library import DOWNLOADS, HERE, NEAR
from app.theme import Theme
from app.views.library_dialogs import FreeUpDialog
from app.views.library_page import LibraryPage
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.window import CHAT, SHARE, MainWindow
from qvac_core.core.library_state import DownloadState, MachineMemory
from qvac_core.core.state import ErrorInfo
from tests.gui.fake_core import FakeCore
from tests.gui.fake_library import GB, LM_STUDIO, OLLAMA, WORKSHOP
from tests.gui.library_scenes import GEMMA, QWEN_8B, WHISPER, library_core
from tests.gui.share_window import POPUP, Run, dialog_of, settle

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def full(fake_core: FakeCore) -> FakeCore:
    return library_core(fake_core)


async def open_library(window: MainWindow) -> LibraryPage:
    QTest.keyClick(window, Qt.Key.Key_L, CONTROL)
    await settled(window)
    return window.library_page


async def settled(window: MainWindow) -> None:
    await window.library.tasks.settle()
    await settle(window)


def texts(page: LibraryPage) -> list[str]:
    return [row.cells[0].text for row in page.catalog.table.rows.rows]


def button(parent: QWidget, text: str) -> Button:
    return next(b for b in parent.findChildren(Button) if b.text() == text and b.isVisible())


def click_cell(page: LibraryPage, title: str, column: int) -> None:
    table = page.catalog.table
    row = texts(page).index(title)
    index = table.rows.index(row, column)
    box = table.delegate.button_rect(QRectF(table.visualRect(index)), column, table.rows.cell(index))
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())


# --- Ways in and out


def test_ctrl_l_opens_it_with_the_focus_in_the_search_and_esc_goes_back(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.setCurrentIndex(SHARE)
        page = await open_library(window)
        search = page.catalog.search
        assert window.stack.currentWidget() is page and search.hasFocus()
        QTest.keyClicks(search, "qwen3")
        await settled(window)
        assert len(texts(page)) == 10 and page.catalog.foot.text() == "10 of 127 in the catalog."
        QTest.keyClick(search, Qt.Key.Key_Escape)  # empties it first
        await settled(window)
        assert search.text() == "" and len(texts(page)) == 127
        QTest.keyClick(search, Qt.Key.Key_Escape)
        assert window.stack.currentWidget() is window.share_page

    run(test)


@POPUP
def test_the_picker_and_share_s_models_lead_into_it(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.tabs.setCurrentIndex(SHARE)
        window.share_page.models.add.click()
        menu = next(m for m in window.findChildren(QMenu) if m.isVisible())
        acts = {action.text(): action for action in menu.actions()}
        assert list(acts) == ["From the library…", "Open a model file…", "Models of another server…"]
        acts["From the library…"].trigger()
        await settled(window)
        assert window.stack.currentWidget() is window.library_page
        assert window.focusWidget() is window.library_page.catalog.search
        window.tabs.choose(CHAT)
        bar = window.chat_page.conversation.bar
        bar.open_picker()
        bar.popup.library.click()
        await settled(window)
        assert window.stack.currentWidget() is window.library_page and not bar.popup.isVisible()

    run(test)


def test_the_tool_shows_how_far_downloads_are(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        tool = window.tools[window.library_page]
        assert tool.accessibleName() == "Library" and tool.accessibleDescription() == "64%"
        window.library.pause_all()
        await settled(window)
        assert tool.accessibleDescription() == ""

    run(test)


def test_acts_whose_texts_find_no_room_keep_their_icons(run: Run, full: FakeCore) -> None:
    """German ones are longer: the title beside them is read whole."""

    async def test(window: MainWindow) -> None:
        card = (await open_library(window)).here
        room, add, free_up = card.width() - 2, card.add, card.free_up
        card.fit_acts({add: "Add…", free_up: "Free up…"}, room)
        assert (add.text(), free_up.text()) == ("Add…", "Free up…")
        card.fit_acts({add: "Add a model file from somewhere…", free_up: "Free up…"}, room)
        assert (add.text(), add.toolTip(), free_up.text()) == ("", "Add a model file from somewhere…", "Free up…")
        assert add.accessibleName() and not add.icon().isNull()

    run(test)


# --- By keyboard alone


def test_search_table_detail_and_the_download_by_keyboard(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        search, table = page.catalog.search, page.catalog.table
        QTest.keyClicks(search, "qwen3")
        await settled(window)
        QTest.keyClick(search, Qt.Key.Key_Down)
        assert table.hasFocus() and window.library.chosen_id == "QWEN3_0_6B"
        for _press in range(4):
            QTest.keyClick(table, Qt.Key.Key_Down)
        assert window.library.chosen_id == "QWEN3_14B" and page.catalog.detail.isVisible()
        QTest.keyClick(table, Qt.Key.Key_Return)
        primary = page.catalog.detail.buttons[0]
        assert primary.hasFocus() and primary.text() == "Copy from Workshop PC, about 1 min 30 s"
        assert primary.kind == "primary" and page.catalog.detail.buttons[1].text() == "Download 9.0 GB, about 4 min"
        QTest.keyClick(primary, Qt.Key.Key_Return)
        await settled(window)
        assert full.called("library.download") == [("QWEN3_14B_Q4_K_M", WORKSHOP.id, False)]
        assert list(page.downloads.rows) == [QWEN_8B, GEMMA, WHISPER, "QWEN3_14B_Q4_K_M"]
        # The button gave way to another; the focus is still in the strip.
        assert page.catalog.detail.isAncestorOf(window.focusWidget() or window)
        table.setFocus()
        for _press in range(4):
            QTest.keyClick(table, Qt.Key.Key_Up)
        QTest.keyClick(table, Qt.Key.Key_Space)
        await settled(window)
        assert full.called("library.download")[-1] == ("QWEN3_0_6B_Q8_0", "", False)
        QTest.keyClick(table, Qt.Key.Key_Up)
        assert search.hasFocus()

    run(test)


def test_f6_walks_the_page(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        window.library.choose("QWEN3_14B")
        await settled(window)
        seen = []
        window.tabs.setFocus()
        for _press in range(6):
            QTest.keyClick(window, Qt.Key.Key_F6)
            seen.append(window.focusWidget())
        catalog = page.catalog
        expected = [catalog.search, catalog.table, catalog.detail.buttons[0]]
        assert seen == [*expected, page.downloads.all, page.here.table, page.near.table]

    run(test)


# --- Finding


def test_a_row_s_button_gets_it_and_one_that_does_not_fit_asks_first(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        window.library.search("qwen3")
        await settled(window)
        click_cell(page, "Qwen3 1.7B", 4)
        await settled(window)
        assert full.called("library.download") == [("QWEN3_1_7B_Q4_K_M", "", False)]
        click_cell(page, "Qwen3 235B A22B", 4)
        dialog = dialog_of(window, Dialog)
        assert "It needs 143 GB and this machine has 24.0 GB" in dialog.sentence.text()
        dialog.cancel.click()
        await settled(window)
        assert len(full.called("library.download")) == 1

    run(test)


def test_size_and_context_of_the_detail_change_what_fits(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        window.library.search("qwen3 14b")
        await settled(window)
        window.library.choose("QWEN3_14B")
        detail = page.catalog.detail
        detail.sizes.setCurrentIndex(2)
        detail.sizes.activated.emit(2)
        await settled(window)
        assert page.catalog.table.rows.rows[0].cells[1].text == "15.7 GB"
        detail.contexts.setCurrentIndex(detail.contexts.findData(32_768))
        detail.contexts.activated.emit(detail.contexts.currentIndex())
        await settled(window)
        assert page.catalog.table.rows.rows[0].cells[3].text == "fits, needs 20.3 GB"
        facts = {name.text(): value.text() for name, value in detail._fact_labels if value.isVisible()}
        assert facts["Graphics memory"] == "20.3 of 22.4 GB free"
        assert facts["Disk afterwards"] == "443 GB free" and facts["Checked by"] == "SHA-256"

    run(test)


def test_what_the_catalog_lacks_is_searched_at_hugging_face(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        QTest.keyClicks(page.catalog.search, "xyzzy")
        await settled(window)
        assert page.catalog.stack.currentWidget() is page.catalog.nothing
        button(page.catalog.nothing, "Search Hugging Face for “xyzzy”").click()
        await settled(window)
        assert [query.text for (query,) in full.called("library.search_hub")] == ["xyzzy"]  # type: ignore[attr-defined]
        assert page.catalog._nothing_state.title.text() == "Nothing was found at Hugging Face"
        page.catalog.elsewhere.click()
        await settled(window)
        assert page.catalog._nothing_state.title.text() == "The catalog has no “xyzzy”"

    run(test)


def test_a_pasted_address_is_looked_up_at_once(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        QGuiApplication.clipboard().setText(full.library.catalog[4].page)
        QTest.keyClick(page.catalog.search, Qt.Key.Key_V, CONTROL)
        await settled(window)
        assert texts(page) == ["Qwen3 14B"] and page.catalog.detail.title.text() == "Qwen3 14B"
        page.catalog.search.setText("https://nobody.invalid/x.gguf")
        page.catalog.search.textEdited.emit(page.catalog.search.text())
        await settled(window)
        assert page.catalog.error.isVisible()
        assert page.catalog.error.title.text() == "Nothing was found at this address."
        page.catalog.elsewhere.click()
        await settled(window)
        assert len(texts(page)) == 127 and not page.catalog.error.isVisible()

    run(test)


def test_a_machine_without_a_gpu_is_told_by_its_memory(run: Run, full: FakeCore) -> None:
    full.library.machine = MachineMemory(16 * GB, 11 * GB)

    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        assert page.catalog.table.rows.columns[3].title == "This machine, 16 GB of memory"

    run(test)


# --- Downloads


def test_a_download_pauses_resumes_and_asks_before_much_is_thrown_away(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        row = page.downloads.rows[QWEN_8B]
        assert (row.amount.text(), row.state.text()) == ("2.1 of 5.0 GB", "38 MB/s, about 1 min 16 s left")
        row.pause.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(row.pause, Qt.Key.Key_Space)
        await settled(window)
        assert row.resume.isVisible() and row.resume.hasFocus() and not row.pause.isVisible()
        assert row.bar.property("still") == "true"
        QTest.keyClick(row.resume, Qt.Key.Key_Space)
        await settled(window)
        assert row.pause.isVisible() and row.bar.property("still") == "false"
        row.cancel.click()
        dialog = dialog_of(window, Dialog)
        assert dialog.sentence.text() == "2.1 GB of it have arrived and would be thrown away."
        dialog.confirm.click()
        await settled(window)
        assert full.called("library.cancel") == [(QWEN_8B,)] and QWEN_8B not in page.downloads.rows

    run(test)


def test_little_that_came_is_thrown_away_without_a_question(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        full.library.advance(QWEN_8B, 90_000_000)
        page.downloads.rows[QWEN_8B].cancel.click()
        await settled(window)
        assert full.called("library.cancel") == [(QWEN_8B,)]

    run(test)


def test_a_full_disk_offers_what_would_make_room(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        error = ErrorInfo("DISK_FULL", 0, "There is no room left.", "")
        full.library.fail(QWEN_8B, error, needed_bytes=int(8.6 * GB))
        panel = page.downloads.rows[QWEN_8B].error
        assert panel.title.text() == "The disk is full: 8.6 GB more are needed."
        assert panel.message.text() == "What has arrived is kept."
        button(panel, "Free up 10.4 GB…").click()
        await settled(window)
        dialog = dialog_of(window, FreeUpDialog)
        dialog.reject()

    run(test)


@POPUP
def test_what_arrived_damaged_can_be_got_again_or_from_beside(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        window.library.get("QWEN3_14B_Q4_K_M")
        await settled(window)
        damaged = ErrorInfo("CHECKSUM", 0, "Qwen3 14B arrived damaged and was put aside.", "Its checksum differs.")
        full.library.fail("QWEN3_14B_Q4_K_M", damaged)
        panel = page.downloads.rows["QWEN3_14B_Q4_K_M"].error
        assert [b.text() for b in panel.findChildren(Button) if b.isVisible()] == [
            "Get it again",
            "From Workshop PC",
            "",
        ]
        button(panel, "").click()
        menu = next(m for m in window.findChildren(QMenu) if m.isVisible())
        assert [action.text() for action in menu.actions()] == ["Remove", "Copy details"]
        menu.close()
        button(panel, "From Workshop PC").click()
        await settled(window)
        assert full.called("library.resume") == [("QWEN3_14B_Q4_K_M", WORKSHOP.id)]
        assert not panel.isVisible()

    run(test)


def test_a_row_that_is_done_keeps_its_place_and_joins_the_models_later(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        full.library.finish(WHISPER)
        await settled(window)
        row = page.downloads.rows[WHISPER]
        assert row.state.text() == "Here, and every byte is right." and not row.cancel.isVisible()
        assert list(page.downloads.rows) == [QWEN_8B, GEMMA, WHISPER]
        window.library._dismiss(WHISPER)
        await settled(window)
        assert list(page.downloads.rows) == [QWEN_8B, GEMMA]
        assert page.here.hint.text() == "9 models, 45.7 GB"

    run(test)


# --- Here


@POPUP
def test_a_model_is_removed_after_a_question_that_says_what_it_frees_and_who_misses_it(
    run: Run, full: FakeCore
) -> None:
    full.library.answers["GPT-OSS 20B"] = 2
    full.library.talks["GPT-OSS 20B"] = ("Tax", "Poem")

    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        table = page.here.table
        assert [row.key for row in table.rows.rows] == ["GPT-OSS 20B", "QWEN3_4B_Q4_K_M", "Gemma 3 27B"]
        page.here.show_all.click()
        assert len(table.rows.rows) == 8
        table.setFocus()
        QTest.keyClick(table, Qt.Key.Key_Delete)
        await settled(window)
        dialog = dialog_of(window, Dialog)
        assert dialog.sentence.text() == (
            "It frees 12.1 GB of the disk. 2 answers are made with it now and end. It is shared: guests can ask it no "
            "longer. Conversations use it: “Tax”, “Poem”."
        )
        dialog.confirm.click()
        await settled(window)
        assert full.called("library.remove") == [("GPT-OSS 20B",)]
        page.here.ask_to_remove("Llama 3.2 1B")
        await settled(window)
        dialog = dialog_of(window, Dialog)
        assert dialog.sentence.text() == "Its file stays where it is: it belongs to LM Studio."
        dialog.reject()

    run(test)


@POPUP
def test_the_menu_of_a_model_chats_with_it_and_shares_it(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        page.here.open_menu("Gemma 3 27B", page.mapToGlobal(page.rect().center()))
        menu = next(m for m in window.findChildren(QMenu) if m.isVisible())
        acts = {action.text(): action for action in menu.actions() if action.text()}
        assert list(acts) == ["Chat with it", "Share it", "Show in its folder", "Copy its path", "Remove…"]
        acts["Share it"].trigger()
        await settled(window)
        assert full.called("set_model_shared") == [("Gemma 3 27B", True)]
        window.library.chat_with("Gemma 3 27B")
        assert window.stack.currentWidget() is window.chat_page and window.tabs.currentIndex() == CHAT
        assert window.chat.target.model == "Gemma 3 27B" and window.chat.target.provider_key == ""

    run(test)


def test_a_file_is_added_also_where_models_are(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        here = (await open_library(window)).here
        assert here.add.isVisibleTo(here) and here.add.accessibleName() == "Open a model file"
        here.add.click()
        await settled(window)
        (dialog,) = (each for each in window.findChildren(QFileDialog) if each.isVisible())
        dialog.reject()

    run(test)


def test_freeing_up_sums_what_is_checked(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        page.here.free_up.click()
        await settled(window)
        dialog = dialog_of(window, FreeUpDialog)
        assert not dialog.confirm.isEnabled()
        assert "Llama 3.2 1B" not in dialog.boxes  # it would free nothing
        QTest.keyClick(dialog.boxes["Gemma 3 27B"], Qt.Key.Key_Space)
        QTest.keyClick(dialog.boxes["Phi 4 mini"], Qt.Key.Key_Space)
        assert dialog.confirm.text() == "Free up 19.0 GB"
        assert dialog.boxes["Phi 4 mini"].accessibleName() == "Phi 4 mini, 2.5 GB, Q4_K_M, not used for 7 months"
        dialog.confirm.click()
        await settled(window)
        assert full.called("library.remove") == [("Phi 4 mini",), ("Gemma 3 27B",)]

    run(test)


@POPUP
def test_the_menu_of_the_detail_has_what_found_no_room(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.resize(720, 520)
        page = await open_library(window)
        window.library.choose("QWEN3_14B")
        await settled(window)
        detail = page.catalog.detail
        assert [b.text() for b in detail.buttons if b.isVisible()] == [
            "Copy from Workshop PC, about 1 min 30 s",
            "Download 9.0 GB, about 4 min",
            "",
        ]
        detail.resize(420, detail.height())
        assert [b.text() for b in detail.buttons if b.isVisible()] == ["Copy from Workshop PC, about 1 min 30 s", ""]
        detail.buttons[-1].click()
        menu = next(m for m in window.findChildren(QMenu) if m.isVisible())
        acts = {action.text(): action for action in menu.actions()}
        assert list(acts) == [
            "Download 9.0 GB, about 4 min",
            "Ask Hugging Face for exact facts",
            "Model page",
            "Copy its address",
            "Copy the file's name",
        ]
        acts["Ask Hugging Face for exact facts"].trigger()
        await settled(window)
        assert full.called("library.look_up") == [("QWEN3_14B", 8192)]

    run(test)


def test_making_the_page_opens_no_window_of_its_own(run: Run, full: FakeCore, qapp: QApplication) -> None:
    """A widget that is shown before it is in a layout is one, for a moment, and takes the focus with it."""
    shown: list[QObject] = []

    class Watch(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
                shown.append(watched)
            return False

    async def test(window: MainWindow) -> None:
        watch = Watch()
        qapp.installEventFilter(watch)
        await open_library(window)
        for width in (720, 1280):
            window.resize(width, 640)
        full.library.fail(QWEN_8B, ErrorInfo("X", 0, "It failed.", ""))
        window.library.choose("QWEN3_14B")
        await settled(window)
        qapp.removeEventFilter(watch)
        assert shown == []

    run(test)


def test_another_folder_asks_first_moves_and_can_be_cancelled(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        page.here.change_folder(Path("E:/Models"))
        dialog = dialog_of(window, Dialog)
        assert dialog.confirm.text() == "Move 42.6 GB"
        dialog.confirm.click()
        await settled(window)
        assert full.called("library.change_folder") == [(Path("E:/Models"),)]
        panel = page.here.move_panel
        assert panel.isVisible() and not page.here.disk.isVisible()
        full.library.move_on(10 * GB)
        assert panel.amount.text() == "10.0 of 42.6 GB"
        panel.cancel.click()
        await settled(window)
        assert not panel.isVisible() and page.here.disk.isVisible()

    run(test)


def test_a_first_library_offers_what_other_programs_have(run: Run, fake_core: FakeCore) -> None:
    fake_core.library.programs = (LM_STUDIO, OLLAMA)

    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        assert page.here.empty.isVisible() and not page.downloads.isVisible()
        assert page.here.use_found.text() == "Use the 5 found"
        page.here.use_found.click()
        await settled(window)
        assert len(window.library.models) == 5 and not page.here.empty.isVisible()
        assert not any(program.unused for program in window.library.programs)

    run(test)


def test_a_folder_that_is_gone_says_what_to_do(run: Run, full: FakeCore) -> None:
    full.library.models_folder = replace(full.library.models_folder, missing=True)

    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        assert page.here.error.title.text() == "The models folder is not there."
        assert button(page.here.error, "Other folder…").isVisible()

    run(test)


# --- Near


def test_a_neighbour_s_models_fill_the_table(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        page.near.table.setFocus()
        for _press in range(2):
            QTest.keyClick(page.near.table, Qt.Key.Key_Down)
        QTest.keyClick(page.near.table, Qt.Key.Key_Space)
        await settled(window)
        assert texts(page) == ["Qwen3 14B"] and page.catalog.elsewhere.text() == "Back to the catalog"

    run(test)


# --- Sizes, names, themes


def test_narrow_shows_one_part_at_a_time(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.resize(720, 520)
        page = await open_library(window)
        window.library.choose("QWEN3_14B")
        await settled(window)
        assert page.narrow and page.catalog.isVisible() and not page.area.isVisible()
        assert page.catalog.kind_combo.isVisible() and not page.catalog.kinds.isVisible()
        assert [page.parts.button(part).text() for part in (DOWNLOADS, HERE, NEAR)] == [
            "Downloads, 3",
            "On this machine, 8",
            "Found near you, 6",
        ]
        assert page.summary.text() == "38 MB/s, 459 GB free"
        assert page.minimumSizeHint().width() <= 720
        for part, card in ((DOWNLOADS, page.downloads), (HERE, page.here), (NEAR, page.near)):
            page.parts.button(part).click()
            assert card.isVisible() and not page.catalog.isVisible()
        page.near._act(WORKSHOP.id)
        await settled(window)
        assert page.catalog.isVisible() and page.catalog.search.hasFocus()

    run(test)


def test_no_control_is_cut_in_the_smallest_window(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.resize(720, 520)
        page = await open_library(window)
        window.library.choose("QWEN3_14B")
        await settled(window)
        for control in page.catalog.findChildren(QAbstractButton) + page.catalog.findChildren(QComboBox):
            if control.isVisible() and not isinstance(control.parent(), QLineEdit):
                assert control.width() >= control.minimumSizeHint().width(), control.accessibleName()
                corner = control.mapTo(page, control.rect().bottomRight())
                assert page.rect().contains(corner), control.accessibleName()

    run(test)


def test_every_control_has_a_name(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        window.library.choose("QWEN3_14B")
        await settled(window)
        kinds = (QAbstractButton, QComboBox, QLineEdit)
        controls = [w for kind in kinds for w in page.findChildren(kind) if w.isVisible()]
        assert len(controls) > 20
        names = {w: QAccessible.queryAccessibleInterface(w).text(QAccessible.Text.Name) for w in controls}
        assert not [w for w, name in names.items() if not name.strip()]
        table = page.catalog.table
        said = table.rows.data(table.rows.index(3, 4), Qt.ItemDataRole.AccessibleTextRole)
        assert said == "Download of Qwen3 8B: 42%"

    run(test)


def test_a_theme_change_reaches_all_of_it(run: Run, full: FakeCore, theme: Theme, qapp: QApplication) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        light = page.grab().toImage().pixelColor(3, 3)
        theme.choose("dark")
        assert page.grab().toImage().pixelColor(3, 3) != light

    run(test)


def test_paused_is_said_in_the_row_of_the_table_too(run: Run, full: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        page = await open_library(window)
        shown = {row.cells[0].text: row.cells[-1].text for row in page.catalog.table.rows.rows}
        assert (shown["Gemma 3 12B"], shown["Whisper large v3"]) == ("paused", "checking")
        full.library.fail(GEMMA, ErrorInfo("OFFLINE", 0, "The connection ended.", ""))
        assert window.library.downloads[GEMMA].state is DownloadState.FAILED
        shown = {row.cells[0].text: row.cells[-1].text for row in page.catalog.table.rows.rows}
        assert shown["Gemma 3 12B"] == "failed"

    run(test)
