"""A machine of one's own in the window: seen, paused, its models loaded, fetched and removed, its log read."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QMenu
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.views.my_machine_dialog import MyMachineDialog
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.core.my_machines import machine_there
from qvac_core.core.my_machines_state import MachineThere
from qvac_core.core.state import GuestTerms, ProviderEntry
from qvac_core.delegation.messages import LogLine, ManagedDownload, ManagedModel, ManageReply
from qvac_core.errors import ProviderError
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import POPUP, Run, dialog_of, settle
from tests.gui.test_real_windows import network as network
from tests.gui.test_real_windows import picture, until

pytestmark = POPUP
DESKTOP = "ab" * 32


def own(core: FakeCore, *, mine: bool = True) -> None:
    entry = ProviderEntry(DESKTOP, "Studio desktop", "online", terms=GuestTerms(mine=mine))
    core.provider_list = (*core.provider_list, entry)


def texts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions()]


def test_only_a_machine_of_ones_own_is_offered(run: Run, fake_core: FakeCore) -> None:
    own(fake_core)
    other = ProviderEntry("cd" * 32, "Library", "online", terms=GuestTerms())
    fake_core.provider_list = (*fake_core.provider_list, other)

    async def test(window: MainWindow) -> None:
        for key, offered in ((DESKTOP, True), (other.public_key, False)):
            menu = QMenu(window)
            window.chat_page._fill_provider(menu, key)
            assert ("Manage this machine…" in texts(menu)) is offered

    run(test)


def test_everything_can_be_done_from_afar(run: Run, fake_core: FakeCore) -> None:
    own(fake_core)

    async def test(window: MainWindow) -> None:
        window.chat_page.manage(DESKTOP)
        await settle(window)
        await window.chat.settle()
        dialog: MyMachineDialog = dialog_of(window, MyMachineDialog)
        assert dialog.line.text == "It serves. 3 models, 1 of them loaded"
        states = [row.cells[0].state for row in dialog.models.rows.rows]
        assert states == ["loaded", "on disk", "could not be loaded"]

        dialog.models.pressed.emit("LLAMA_3_2_1B_INST_Q4_0")
        await window.chat.settle()
        assert dialog.models.rows.rows[1].cells[0].state == "loading…"
        dialog.models.pressed.emit("QWEN3_4B_INST_Q4_K_M")
        await window.chat.settle()
        assert dialog.models.rows.rows[0].cells[2].button == "Load"

        dialog.pause_menu().actions()[1].trigger()
        await window.chat.settle()
        assert fake_core.called("machine_pause") == [(DESKTOP, "", 60.0)]
        assert "paused there until" in dialog.line.text and dialog.resume.isVisible() and not dialog.pause.isVisible()
        dialog.resume.click()
        await window.chat.settle()
        assert dialog.pause.isVisible()

        dialog.wanted.setText(" registry://hf/some/model.gguf ")
        dialog.get.click()
        await window.chat.settle()
        (row,) = dialog.rows.values()
        assert row.amount.text() == "0.7 of 2.0 GB" and "10 MB/s" in row.state.text() and row.bar.value() == 350
        row.cancel.click()
        await window.chat.settle()
        assert not dialog.rows and fake_core.called("machine_cancel")[0][1] == "registry://hf/some/model.gguf"

        dialog.models.delete_wanted.emit("Mistral-Small-24B-Q5")
        assert dialog.question is not None and not fake_core.called("machine_remove")
        dialog.question.accept()
        await window.chat.settle()
        assert len(dialog.models.rows.rows) == 2

        dialog.views.chosen.emit("log")
        await window.chat.settle()
        ended = [row.cells[-1].text for row in dialog.log.rows.rows]
        assert ended == ["done", "guest left", "failed"] and dialog.log.rows.rows[2].cells[0].text == "–"
        dialog.reject()

    run(test)


def test_what_fails_is_said_and_what_was_seen_stays(run: Run, fake_core: FakeCore) -> None:
    own(fake_core)

    async def test(window: MainWindow) -> None:
        window.chat_page.manage(DESKTOP)
        await window.chat.settle()
        dialog: MyMachineDialog = dialog_of(window, MyMachineDialog)
        fake_core.fail["machine_load"] = ProviderError("The model needs more memory than is free.", name="NO_MEMORY")
        dialog.models.pressed.emit("LLAMA_3_2_1B_INST_Q4_0")
        await window.chat.settle()
        assert dialog.error.title.text() == "The model was not loaded there." and len(dialog.models.rows.rows) == 3
        fake_core.fail["machine_status"] = ProviderError("The connection ended.", name="ECONNRESET")
        dialog._presenter.look()
        await window.chat.settle()
        assert "cannot be seen now" in dialog.line.text and not dialog.models.isEnabled()
        dialog._presenter.look()
        await window.chat.settle()
        assert dialog.line.text.startswith("It serves.") and dialog.models.isEnabled()
        dialog.reject()

    run(test)


def test_what_another_program_tells_is_made_safe() -> None:
    reply = ManageReply(
        paused=True,
        paused_until=1e300,
        models=[ManagedModel("m\n" * 5000, "loaded", True, -5)],
        progress=[ManagedDownload("m", "t" * 9000, "no such state", 10**30, -1, float("inf"), -1)],
        log=[LogLine("k", "m", "x", 1e18, "eos")],
    )
    there = machine_there(reply, now=1.0)
    assert there.paused and there.paused_until is None and there.log[0].started_at == 0.0
    assert there.models[0].size_bytes == 0 and len(there.models[0].name) == 1024
    (download,) = there.downloads
    assert (download.state, download.downloaded, download.total, download.rate) == (None, 0, 0, 0.0)
    old = machine_there(ManageReply(downloads=["Qwen3 4B"]))
    assert old.downloads[0].title == "Qwen3 4B" and old.busy and not MachineThere().busy


def test_a_real_machine_of_ones_own(
    qloop: QEventLoop, theme: Theme, network: tuple[tuple[str, int], ...], small_model_path: Path, tmp_path: Path
) -> None:
    def core(name: str) -> CoreProxy:
        config = CoreConfig(tmp_path / name, bootstrap=network, local_network=False)
        return CoreProxy(CoreThread(lambda: Core(config)))

    async def play() -> None:
        owner, guest = core("owner"), core("guest")
        window = MainWindow(guest, theme)
        try:
            for proxy in owner, guest:
                await proxy.start()
            model = await owner.call(lambda core: core.add_model_file(small_model_path))
            await owner.call(lambda core: core.start_sharing())
            await owner.call(lambda core: core.allow_key(guest.public_key, "Laptop"))
            await owner.call(lambda core: core.limits.set_mine(guest.public_key, True))
            key = owner.public_key
            window.show()
            await window.load()
            await guest.call(lambda core: core.add_provider(key, "Studio"))
            await guest.call(lambda core: core.connect_provider(key))
            await until(lambda: (e := window.chat.provider(key)) is not None and e.terms is not None, "its terms")
            entry = window.chat.provider(key)
            assert entry is not None and entry.terms is not None and entry.terms.mine
            window.chat_page.manage(key)
            dialog: MyMachineDialog = dialog_of(window, MyMachineDialog)

            def state() -> str:
                rows = dialog.models.rows.rows
                return rows[0].cells[0].state if rows else ""

            await until(lambda: state() == "on disk", "its model")
            dialog.models.pressed.emit(model.name)
            await until(lambda: state() == "loaded", "that it is loaded there")
            picture(window, "my-machine")
            dialog.models.pressed.emit(model.name)
            await until(lambda: state() == "on disk", "that it is unloaded")
            dialog.pause_menu().actions()[0].trigger()
            await until(lambda: "paused there until" in dialog.line.text, "the pause")
            dialog.resume.click()
            await until(lambda: dialog.line.text.startswith("It serves"), "that it serves again")
            dialog.wanted.setText("no such model")
            dialog.get.click()
            await until(lambda: dialog.error.isVisible(), "that there is no such model")
            assert dialog.error.title.text() == "The download was not started there."
            dialog.reject()
        finally:
            window.hide()
            await window.unload()
            for proxy in guest, owner:
                assert await proxy.close(), "a core did not end in time"
            window.deleteLater()

    qloop.run_until_complete(play())
