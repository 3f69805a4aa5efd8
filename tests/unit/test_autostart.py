"""Start at login: the entry of each system, what people and systems do to it elsewhere, and a program that moved."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.autostart import (
    APPROVED,
    IN_TRAY,
    RUN,
    Autostart,
    Entries,
    Entry,
    LaunchAgents,
    RunKey,
    XdgAutostart,
    join_exec,
    split_exec,
    split_windows,
)
from app.own_command import own_command
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir

LABEL = "io.github.qvac-desktop"


class Registry:
    """HKEY_CURRENT_USER in memory."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], object] = {}

    def read(self, key: str, name: str) -> object:
        return self.values.get((key, name))

    def write(self, key: str, name: str, value: str) -> None:
        self.values[key, name] = value

    def remove(self, key: str, name: str) -> None:
        self.values.pop((key, name), None)


class Launchctl:
    """launchd's list of agents that were switched off."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.off: set[str] = set()

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(arguments)
        if arguments[0] == "enable":
            self.off.discard(arguments[1].rpartition("/")[2])
        return "disabled services = {\n" + "".join(f'\t"{label}" => disabled\n' for label in sorted(self.off)) + "}\n"


def kinds(home: Path) -> dict[str, Entries]:
    return {
        "xdg": XdgAutostart(home / "config with space", "qvac-desktop"),
        "run": RunKey("QVAC Desktop", Registry()),
        "launchd": LaunchAgents(home / "Agents", LABEL, Launchctl(), 501),
    }


@pytest.mark.parametrize("kind", ["xdg", "run", "launchd"])
def test_on_and_off_again(kind: str, tmp_path: Path) -> None:
    program = tmp_path / "a program" / "qvac"
    program.parent.mkdir()
    program.touch()
    command = (str(program), "--data-dir", str(tmp_path / 'my "data" $HOME 100%'), IN_TRAY)
    entries = kinds(tmp_path)[kind]
    autostart = Autostart(entries, command)
    assert not autostart.state().on
    autostart.turn_on()
    assert autostart.state().on and not autostart.state().reason
    assert entries.read() == Entry(command, True)
    assert not autostart.mend()
    autostart.turn_off()
    assert not autostart.state().on
    assert entries.read() is None
    autostart.turn_off()  # twice is fine


@pytest.mark.parametrize("kind", ["xdg", "run", "launchd"])
def test_a_program_that_was_moved_is_found_again(kind: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    new.touch()
    entries = kinds(tmp_path)[kind]
    Autostart(entries, (str(old), IN_TRAY)).turn_on()
    moved = Autostart(entries, (str(new), IN_TRAY))
    assert not moved.mend()  # another copy, which is there
    assert str(old) in moved.state().reason and moved.state().on
    old.unlink()
    assert moved.mend()
    assert entries.read() == Entry((str(new), IN_TRAY), True)


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_a_desktop_may_switch_it_off(line: str, tmp_path: Path) -> None:
    entries = XdgAutostart(tmp_path, "qvac-desktop")
    autostart = Autostart(entries, ("/opt/qvac", IN_TRAY))
    autostart.turn_on()
    text = entries.file.read_text().replace("X-GNOME-Autostart-enabled=true", line)
    entries.file.write_text(text)
    assert not autostart.state().on
    assert not autostart.mend()  # what a person switched off stays off
    autostart.turn_on()
    assert autostart.state().on


def test_a_desktop_passes_over_a_program_that_is_gone(tmp_path: Path) -> None:
    entries = XdgAutostart(tmp_path, "qvac-desktop")
    entries.write(("/opt/my apps/qvac\\x", IN_TRAY))
    assert "TryExec=/opt/my apps/qvac\\\\x\n" in entries.file.read_text()
    assert entries.read() == Entry(("/opt/my apps/qvac\\x", IN_TRAY), True)


def test_what_a_person_made_of_the_file_is_read(tmp_path: Path) -> None:
    entries = XdgAutostart(tmp_path, "qvac-desktop")
    entries.file.parent.mkdir()
    entries.file.write_bytes(
        b"# mine\r\n[Desktop Action x]\nExec=/wrong\n[Desktop Entry]\n Exec = /opt/qvac  --in-tray %u\n\xff=\n"
    )
    assert entries.read() == Entry(("/opt/qvac", "--in-tray"), True)
    for broken in (b"", b"[Desktop Entry]\n", b'[Desktop Entry]\nExec="open', b"\x00\xff"):
        entries.file.write_bytes(broken)
        assert entries.read() == Entry((), True)
        state = Autostart(entries, ("/opt/qvac",)).state()
        assert state.on and "cannot be read" in state.reason


@pytest.mark.skipif(shutil.which("desktop-file-validate") is None, reason="desktop-file-utils")
def test_the_desktop_file_is_valid(tmp_path: Path) -> None:
    entries = XdgAutostart(tmp_path, "qvac-desktop")
    entries.write(("/opt/my program/qvac", "--data-dir", 'a "b" \\ $c `d` 100%', IN_TRAY))
    checked = subprocess.run(["desktop-file-validate", str(entries.file)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_task_manager_may_switch_it_off() -> None:
    registry = Registry()
    autostart = Autostart(RunKey("QVAC Desktop", registry), (r"C:\Program Files\QVAC\qvac.exe", IN_TRAY))
    autostart.turn_on()
    assert registry.values == {(RUN, "QVAC Desktop"): rf'"C:\Program Files\QVAC\qvac.exe" {IN_TRAY}'}
    registry.values[APPROVED, "QVAC Desktop"] = b"\x02" + bytes(11)
    assert autostart.state().on
    registry.values[APPROVED, "QVAC Desktop"] = b"\x03" + bytes(11)
    assert not autostart.state().on
    autostart.turn_on()
    assert autostart.state().on


def test_the_system_settings_of_a_mac_may_switch_it_off(tmp_path: Path) -> None:
    launchctl = Launchctl()
    entries = LaunchAgents(tmp_path, LABEL, launchctl, 501)
    autostart = Autostart(entries, ("/Applications/QVAC.app/Contents/MacOS/qvac", IN_TRAY))
    autostart.turn_on()
    agent = plistlib.loads(entries.file.read_bytes())
    assert agent["Label"] == LABEL and agent["RunAtLoad"] is True
    assert launchctl.asked == [["enable", f"gui/501/{LABEL}"]]
    launchctl.off = {LABEL}
    assert not autostart.state().on
    autostart.turn_on()
    assert autostart.state().on
    entries.file.write_bytes(b"no plist")
    assert not autostart.state().on


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "autostart").write_text("in the way")
    with pytest.raises(StoreError, match="change what is started at login"):
        Autostart(XdgAutostart(tmp_path, "qvac-desktop"), ("/opt/qvac",)).turn_on()
    state = Autostart(XdgAutostart(tmp_path, "qvac-desktop"), ("/opt/qvac",)).state()
    assert not state.on
    assert not Autostart(None, ("/opt/qvac",)).state().possible


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
def test_arguments_of_any_letters_come_back(arguments: list[str]) -> None:
    assert split_exec(join_exec(arguments)) == tuple(arguments)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
def test_and_on_windows(arguments: list[str]) -> None:
    assert split_windows(subprocess.list2cmdline(arguments)) == tuple(arguments)


def test_how_this_program_is_started_again() -> None:
    python = own_command(window=True, environ={}, frozen=False, executable="/venv/bin/python")
    assert python == ("/venv/bin/python", "-P", "-m", "app")
    assert own_command(window=True, environ={}, frozen=True, executable="/opt/qvac") == ("/opt/qvac",)
    image = {"APPIMAGE": "/home/me/QVAC.AppImage"}
    assert own_command(window=False, environ=image, frozen=True, executable="/tmp/.mount/qvac") == (image["APPIMAGE"],)
    ended = subprocess.run([*own_command(window=False), "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("qvac-desktop ")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at XDG's places")
def test_each_named_data_folder_has_an_entry_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("QVAC_DESKTOP_HOME", raising=False)
    for folder in (DataDir.locate(tmp_path / "one"), DataDir.locate(tmp_path / "two"), DataDir.locate()):
        Autostart.of(folder).turn_on()
    texts = sorted(file.read_text() for file in (tmp_path / "config" / "autostart").iterdir())
    assert len(texts) == 3
    assert sum(str(tmp_path / "two") in text for text in texts) == 1
    assert sum("--data-dir" not in text for text in texts) == 1
