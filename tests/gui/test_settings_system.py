"""Settings that change this machine: the build of an engine, the service without a window, what holds the folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from app import application
from app.application import AGAIN, FAILED, refuse
from app.engine_build import EngineBuild, Kind, Progress
from app.moving import move_data
from app.service import Installed
from app.theme import Theme
from app.views import settings_system
from app.views.settings_engine import BuildRow, EngineRow
from app.views.settings_service import ServiceRow
from app.views.settings_system import FolderRow, TextDialog, licences
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.data_move import plan_move
from qvac_core.store.folders import DataDir
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run, dialog_of


class ScriptedBuild(EngineBuild):
    """Goes as far as the test says."""

    def __init__(self, obstacle: str = "", *kinds: Kind) -> None:
        super().__init__()
        self.missing, self.offered = obstacle, kinds
        self.told, self.over = threading.Event(), threading.Event()
        self.built: list[str] = []
        self.cancelled = False
        self.failure: QvacError | None = None

    def obstacle(self) -> str:
        return self.missing

    def kinds(self) -> tuple[Kind, ...]:
        return self.offered

    def run(self, kind: str, progress: Callable[[Progress], None]) -> None:
        self.built.append(kind)
        progress(Progress(61.0, 0.5))
        self.told.set()
        assert self.over.wait(30)
        if self.cancelled:
            raise QvacError("The build was cancelled.", name="BUILD_CANCELLED")
        if self.failure is not None:
            raise self.failure

    def cancel(self) -> None:
        self.cancelled = self.told.is_set() and not self.over.is_set()
        self.over.set()

    def log(self, kind: str) -> str:
        return f"the log of {kind}"


CUDA, CPU = Kind("cuda", "CUDA (NVIDIA)"), Kind("cpu", "the processor")


def row_of(window: MainWindow, build: ScriptedBuild) -> BuildRow:
    window.settings.rows.build = build
    window.open_settings("models")
    return window.settings.page.findChildren(BuildRow)[0]


async def told(build: ScriptedBuild) -> None:
    assert await asyncio.to_thread(build.told.wait, 30)
    await asyncio.sleep(0)


def test_where_nothing_can_be_built_a_sentence_says_why(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        row = row_of(window, ScriptedBuild("A build needs a C++ compiler."))
        assert row.hint.text() == "A build needs a C++ compiler."
        assert not row.begin.isVisible() and not row.bar.isVisible() and not row.cancel.isVisible()

    run(test)


def test_a_packaged_program_offers_no_build(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        build = window.settings.rows.build = ScriptedBuild("A build needs a C++ compiler.")
        build.packaged = True
        window.open_settings("models")
        assert window.settings.page.findChildren(EngineRow)
        assert window.settings.page.findChildren(BuildRow) == []

    run(test)


def test_the_licences_of_a_package_are_those_of_all_its_parts(
    run: Run, busy: FakeCore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "LICENCES.txt"
    monkeypatch.setattr(settings_system, "packaged_licences", lambda: file)
    assert "Apache" in licences(), "a package without the file still has ours"
    file.write_text("Everything in here, Qt too")

    async def test(window: MainWindow) -> None:
        window.open_settings("about")
        about = window.settings.rows.about
        assert about is not None
        dialog = about.open()
        assert isinstance(dialog, TextDialog)
        assert dialog.text.toPlainText() == "Everything in here, Qt too"
        dialog.close()

    run(test)


def test_a_build_shows_how_far_it_is_and_what_comes_of_it(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        build = ScriptedBuild("", CUDA, CPU)
        row = row_of(window, build)
        row.kind.setCurrentIndex(1)
        row.kind.setCurrentIndex(0)
        row.begin.setFocus()
        row.begin.click()
        await told(build)
        row._show_progress()
        assert build.built == ["cuda"]
        assert row.bar.isVisible() and row.bar.value() == 50 and not row.begin.isVisible()
        assert row.note.text() == "Compiling, 50 % after 1 min 1 s."
        assert row.cancel.hasFocus()  # the keyboard stays where the button was
        build.over.set()
        await window.settings.settle()
        assert row.note.text() == "The engine is built. Models that are loaded from now on use it."
        assert row.begin.isVisible() and not row.bar.isVisible()

    run(test)


def test_a_cancelled_and_a_failed_build_say_so(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        build = ScriptedBuild("", CPU)
        row = row_of(window, build)
        assert not row.kind.isVisible()  # nothing to choose
        row.begin.click()
        await told(build)
        row.cancel.click()
        await window.settings.settle()
        assert row.note.text() == "The build was cancelled." and not row.act.isVisible()
        build.over.clear()
        build.told.clear()
        build.cancelled, build.failure = False, QvacError("The engine was not built. The log says why.")
        row.begin.click()
        await told(build)
        build.over.set()
        await window.settings.settle()
        assert "log says why" in row.note.text()
        row.act.click()
        dialog = dialog_of(window, TextDialog)
        assert dialog.text.toPlainText() == "the log of cpu"
        dialog.close()

    run(test)


def test_a_window_that_closes_ends_its_build(run: Run, busy: FakeCore) -> None:
    build = ScriptedBuild("", CPU)

    async def test(window: MainWindow) -> None:
        row = row_of(window, build)
        row.begin.click()
        await told(build)

    run(test)
    assert build.cancelled


class ScriptedServices:
    """A system's services."""

    def __init__(self) -> None:
        self.command: tuple[str, ...] = ()
        self.refusal = ""
        self.stopped = 0

    def check(self) -> None:
        if self.refusal:
            raise QvacError(self.refusal)

    def there(self) -> bool:
        return bool(self.command)

    def install(self, command: Sequence[str], log: Path) -> Installed:
        if "full" in self.refusal:
            raise StoreError(self.refusal)
        self.command = tuple(command)
        return Installed("", ())

    def start(self) -> None: ...

    def stop(self) -> None:
        if self.refusal:
            raise QvacError(self.refusal)
        self.stopped += 1

    def remove(self) -> bool:
        there, self.command = self.there(), ()
        return there


def service_row(window: MainWindow, services: ScriptedServices, folder: DataDir) -> ServiceRow:
    window.settings.use(folder)
    window.settings.rows.services = lambda _folder: services
    window.open_settings("startup")
    return window.settings.page.findChildren(ServiceRow)[0]


def test_the_service_is_installed_and_removed(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    services = ScriptedServices()

    async def test(window: MainWindow) -> None:
        row = service_row(window, services, DataDir(tmp_path, explicit=True))
        await window.settings.settle()
        assert row.install.isVisible() and row.install.isEnabled() and not row.remove.isVisible()
        row.install.click()
        dialog_of(window, Dialog).confirm.click()
        await window.settings.settle()
        assert services.command[-4:] == ("provider", "--data-dir", str(tmp_path), "--wait")
        assert row.remove.isVisible() and not row.install.isVisible()
        assert row.note.text().startswith("Installed.")
        row.remove.click()
        await window.settings.settle()
        assert services.command == () and row.install.isVisible()
        assert row.note.text() == "The service is removed."

    run(test)


def test_a_system_without_services_says_why_and_a_refusal_is_shown(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    services = ScriptedServices()
    services.refusal = "This system has no systemd to run a service."

    async def test(window: MainWindow) -> None:
        row = service_row(window, services, DataDir(tmp_path))
        await window.settings.settle()
        assert not row.install.isEnabled() and "runs no services" in row.note.text()
        services.refusal = ""
        row.read()
        await window.settings.settle()
        row.install.click()
        services.refusal = "The disk is full."
        dialog_of(window, Dialog).confirm.click()
        await window.settings.settle()
        assert row.note.text() == "The disk is full." and row.note.property("tone") == "danger"

    run(test)


# --- The data folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_args, **_more: tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "qvac.db").write_bytes(bytes(2_000_000))
    return tmp_path / "home"


def test_the_data_folder_is_asked_to_move(run: Run, busy: FakeCore, home: Path, tmp_path: Path) -> None:
    restarts: list[bool] = []

    async def test(window: MainWindow) -> None:
        window.settings.use(DataDir(home))
        window.open_settings("privacy")
        page = window.settings.page
        page.restart_wanted.disconnect()
        page.restart_wanted.connect(lambda: restarts.append(True))
        row = page.findChildren(FolderRow)[0]
        await window.settings.settle()
        row.plan(home / "inner")
        await window.settings.settle()
        assert "lie in each other" in row.note.text() and row.note.property("tone") == "danger"
        row.plan(tmp_path / "disk")
        await window.settings.settle()
        dialog = dialog_of(window, Dialog)
        assert f"2 MB to {tmp_path / 'disk'}" in dialog.sentence.text()
        assert window.settings.moves is None  # not before it is agreed to
        dialog.confirm.click()
        assert restarts == [True]
        assert getattr(window.settings.moves, "target", None) == tmp_path / "disk"

    run(test)


def test_a_folder_that_was_named_is_moved_by_who_named_it(run: Run, busy: FakeCore, tmp_path: Path) -> None:
    async def test(window: MainWindow) -> None:
        window.settings.use(DataDir(tmp_path, explicit=True))
        window.open_settings("privacy")
        row = window.settings.page.findChildren(FolderRow)[0]
        assert not row.move_away.isEnabled() and "chosen by --data-dir" in row.note.text()
        await window.settings.settle()

    run(test)


def test_between_two_runs_it_moves_or_says_why_not(theme: Theme, home: Path, tmp_path: Path) -> None:
    async def test() -> None:
        assert await move_data(plan_move(DataDir.locate(), tmp_path / "disk"), theme)
        assert DataDir.locate().root == tmp_path / "disk"
        plan = plan_move(DataDir.locate(), tmp_path / "other")
        (tmp_path / "other" / "photo.jpg").touch()  # somebody else was faster
        moving = asyncio.ensure_future(move_data(plan, theme))
        while not any(isinstance(one, Dialog) and one.cancel.text() == "Open QVAC Desktop" for one in shown()):
            await asyncio.sleep(0.01)
        press("cancel")
        assert not await asyncio.wait_for(moving, 30)
        assert DataDir.locate().root == tmp_path / "disk"
        assert [path.name for path in (tmp_path / "other").iterdir()] == ["photo.jpg"]

    asyncio.run(test())


def shown() -> list[QWidget]:
    return [one for one in QApplication.topLevelWidgets() if one.isVisible()]


# --- What holds the folder


ALREADY = StoreError("QVAC Desktop is already running.", name="ALREADY_RUNNING")


def press(button: str) -> None:
    (dialog,) = (one for one in QApplication.topLevelWidgets() if isinstance(one, Dialog) and one.isVisible())
    getattr(dialog, button).click()


@pytest.mark.parametrize(("button", "code", "stops"), [("confirm", AGAIN, 1), ("cancel", FAILED, 0)])
def test_a_service_that_holds_the_folder_can_be_stopped_for_a_window(
    theme: Theme, button: str, code: int, stops: int
) -> None:
    services = ScriptedServices()

    async def test() -> None:
        ending = asyncio.ensure_future(refuse(ALREADY, theme, services))
        await asyncio.sleep(0)
        press(button)
        assert await asyncio.wait_for(ending, 30) == code

    asyncio.run(test())
    assert services.stopped == stops


def test_only_what_a_service_may_hold_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = ScriptedServices()
    monkeypatch.setattr("app.service.services_here", lambda _folder: services)
    folder = DataDir(tmp_path)
    assert application.service_of(folder, ALREADY) is None  # none is installed
    services.command = ("provider",)
    assert application.service_of(folder, ALREADY) is services
    assert application.service_of(folder, StoreError("The disk is full.")) is None
    assert application.service_of(None, ALREADY) is None
