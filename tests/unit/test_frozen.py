"""The packaged program: which executable does what, and what other programs are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.own_command import own_command
from qvac_core import frozen


def test_the_executables_lie_beside_each_other(tmp_path: Path) -> None:
    for name in ("qvac-desktop", "qvac-desktop-window"):
        (tmp_path / name).touch()
    window = str(tmp_path / "qvac-desktop-window")
    assert frozen.executable(frozen.COMMAND, window) == str(tmp_path / "qvac-desktop")
    assert frozen.executable(frozen.WINDOW, str(tmp_path / "qvac-desktop")) == window


def test_windows_has_endings(tmp_path: Path) -> None:
    for name in ("qvac-desktop.exe", "qvac-desktop-window.exe"):
        (tmp_path / name).touch()
    window = str(tmp_path / "qvac-desktop-window.exe")
    assert frozen.executable(frozen.COMMAND, window) == str(tmp_path / "qvac-desktop.exe")


def test_one_alone_does_everything(tmp_path: Path) -> None:
    (tmp_path / "app").touch()
    assert frozen.executable(frozen.COMMAND, str(tmp_path / "app")) == str(tmp_path / "app")


def test_at_login_the_window_starts_and_as_a_service_the_command(tmp_path: Path) -> None:
    for name in ("qvac-desktop", "qvac-desktop-window"):
        (tmp_path / name).touch()
    running = str(tmp_path / "qvac-desktop-window")
    assert own_command(window=False, environ={}, frozen=True, executable=running) == (str(tmp_path / "qvac-desktop"),)
    assert own_command(window=True, environ={}, frozen=True, executable=running) == (running,)


@pytest.mark.parametrize("before", [None, "/opt/cuda/lib"])
def test_other_programs_find_the_systems_libraries(before: str | None) -> None:
    environ = {"LD_LIBRARY_PATH": "/usr/lib/qvac-desktop/_internal", "PATH": "/usr/bin"}
    environ["_PYI_PARENT_PROCESS_LEVEL"] = "1"  # or our own workers would find their libraries nowhere
    if before is not None:
        environ["LD_LIBRARY_PATH_ORIG"] = before
    frozen.restore_environment(environ, frozen=True)
    assert environ == {"PATH": "/usr/bin", **({"LD_LIBRARY_PATH": before} if before is not None else {})}


def test_from_sources_nothing_is_changed() -> None:
    environ = {"LD_LIBRARY_PATH": "/opt/cuda/lib"}
    frozen.restore_environment(environ)
    assert environ == {"LD_LIBRARY_PATH": "/opt/cuda/lib"}


def test_the_licences_lie_beside_the_program_and_on_macos_with_the_resources(tmp_path: Path) -> None:
    assert frozen.packaged_licences("/usr/lib/qvac-desktop/qvac-desktop-window", frozen=False) is None
    linux = frozen.packaged_licences("/usr/lib/qvac-desktop/qvac-desktop-window", frozen=True)
    assert linux == Path("/usr/lib/qvac-desktop/LICENCES.txt")
    app = "/Applications/QVAC Desktop.app/Contents"
    assert frozen.packaged_licences(f"{app}/MacOS/qvac-desktop", frozen=True) == Path(f"{app}/Resources/LICENCES.txt")
