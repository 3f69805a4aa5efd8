"""A provider as a service: what is written for each system, what its tools are asked, and where there is none."""

from __future__ import annotations

import os
import plistlib
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.autostart import split_windows
from app.cli.install_service import change_service, service_arguments
from app.cli.options import parse_options
from app.cli.output import Output
from app.service import Launchd, Services, Systemd, TaskScheduler, systemd_unit, task_xml
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.folders import DataDir, InstanceLock

KEY = "2744ccd10c7533bd736ad890f9dd5cab2adb27b07d500b9493f29cdc420cb2e0"
ODD = ("/opt/my app/qvac", "provider", "--model", 'a "b" \\c $HOME 100% ü', "--allow", KEY)


class Tool:
    """Notes what a system's tool is asked; `fail`: the word of a command that does not work → what it says."""

    def __init__(self, **fail: str) -> None:
        self.asked: list[list[str]] = []
        self.fail = fail

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        self.asked.append(list(command))
        for word, said in self.fail.items():
            if word in {part.strip("/-").lower().replace("-", "_") for part in command}:
                return 1, said
        return 0, ""


def systemd(tmp_path: Path, tool: Tool) -> Systemd:
    return Systemd(tmp_path / "systemd" / "user", "qvac-desktop-provider.service", tool, tmp_path / "linger")


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_nobody_else_can_read_it_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        monkeypatch.setattr(Path, "chmod", lambda *_: None)  # too late: whoever had opened it reads on
        services = systemd(tmp_path, Tool())
        services.install(ODD, tmp_path / "log")
    finally:
        os.umask(before)
    assert stat.S_IMODE(services.file.stat().st_mode) == 0o600


def test_systemd(tmp_path: Path) -> None:
    tool = Tool()
    services = systemd(tmp_path, tool)
    done = services.install(ODD, tmp_path / "log")
    assert done.where == str(services.file)
    assert any(line.startswith("See what it says:  journalctl --user") for line in done.lines)
    assert any("enable-linger" in line for line in done.lines)
    assert stat.S_IMODE(services.file.stat().st_mode) == 0o600
    name = services.file.name
    assert [command[2:] for command in tool.asked] == [["daemon-reload"], ["enable", name], ["restart", name]]
    assert services.remove()
    assert not services.file.exists()
    assert tool.asked[-2][2:] == ["disable", "--now", name]
    assert not services.remove()


def test_the_unit() -> None:
    lines = systemd_unit(ODD).splitlines()
    assert ('ExecStart="/opt/my app/qvac" provider --model "a \\"b\\" \\\\c $$HOME 100%% ü" --allow ' + KEY) in lines
    assert "ConditionFileIsExecutable=/opt/my app/qvac" in lines, "where the program is gone it rests"
    assert "SuccessExitStatus=130" in lines and "WantedBy=default.target" in lines


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd's own check")
def test_systemd_finds_no_fault_in_it(tmp_path: Path) -> None:
    unit = tmp_path / "qvac-desktop-provider.service"
    unit.write_text(systemd_unit((sys.executable, *ODD[1:])))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")


def test_launchd(tmp_path: Path) -> None:
    tool = Tool()
    services = Launchd(tmp_path, "io.github.qvac-desktop.provider", tool, 501)
    done = services.install(ODD, tmp_path / "provider.log")
    agent = plistlib.loads(services.file.read_bytes())
    assert agent["ProgramArguments"] == list(ODD)
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["StandardErrorPath"] == str(tmp_path / "provider.log")
    assert tool.asked == [
        ["launchctl", "enable", "gui/501/io.github.qvac-desktop.provider"],
        ["launchctl", "bootstrap", "gui/501", str(services.file)],
    ]
    assert "tail -f" in done.lines[0]
    assert services.remove() and not services.remove()
    assert tool.asked[-1][1] == "bootout"


def test_the_task_scheduler(tmp_path: Path) -> None:
    tool = Tool()
    services = TaskScheduler("QVAC Desktop provider", tmp_path, tool)
    services.install(ODD, tmp_path / "provider.log")
    assert [command[1] for command in tool.asked] == ["/Create", "/Run"]
    assert list(tmp_path.iterdir()) == []  # the file was for schtasks alone
    assert services.remove()
    assert [command[1] for command in tool.asked][-3:] == ["/Query", "/End", "/Delete"]
    assert not TaskScheduler("QVAC Desktop provider", tmp_path, Tool(query="not found")).remove()


def test_the_task() -> None:
    task = ElementTree.fromstring(task_xml(ODD, r"HOME\Ann & Bo").replace('encoding="UTF-16"', ""))
    names = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    assert task.findtext(".//t:Command", namespaces=names) == ODD[0]
    assert split_windows(task.findtext(".//t:Arguments", "", names)) == ODD[1:]
    assert task.findtext(".//t:Principal/t:UserId", namespaces=names) == r"HOME\Ann & Bo"
    assert task.findtext(".//t:ExecutionTimeLimit", namespaces=names) == "PT0S"


@pytest.mark.parametrize(
    "services",
    [
        Systemd(Path("/nowhere"), "x.service", Tool(show_environment="Failed to connect to bus")),
        Launchd(Path("/nowhere"), "x", Tool(print="Could not find domain"), 501),
        TaskScheduler("x", Path("/nowhere"), Tool(query="Access is denied.")),
    ],
)
def test_a_system_without_it_is_a_sentence(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/systemctl")
    with pytest.raises(QvacError, match=r"Failed to connect to bus|Could not find domain|Access is denied"):
        services.check()


def test_a_system_without_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(QvacError, match="has no systemd"):
        systemd(tmp_path, Tool()).check()


def test_what_was_typed_goes_into_it_with_paths_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").touch()
    folder = DataDir.locate(Path("data"))
    typed = ["--data-dir", "data", "provider", "--install-service", "--model", "model.gguf", "--model=QWEN", "--knock"]
    assert service_arguments(typed, folder) == (
        "--data-dir",
        str(tmp_path / "data"),
        "provider",
        "--model",
        str(tmp_path / "model.gguf"),
        "--model=QWEN",
        "--knock",
        "--wait",
    )
    assert service_arguments(["provider", "--install-service"], folder) == (
        "provider",
        "--data-dir",
        str(tmp_path / "data"),
        "--wait",
    )
    assert service_arguments(["provider", "--install-service"], DataDir(tmp_path)) == ("provider", "--wait")


def change(services: Services, *arguments: str) -> int:
    typed = ["provider", *arguments]
    return change_service(parse_options(typed), Output(as_json=False), typed, services)


def test_installed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QVAC_HYPERSWARM_SEED", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/systemctl")
    services = systemd(tmp_path, Tool())
    data = str(tmp_path / "data")
    assert change(services, "--install-service", "--allow", KEY, "--data-dir", data) == 0
    told = capsys.readouterr().out
    assert str(services.file) in told and "journalctl" in told and "--uninstall-service" in told
    assert f"-P -m app provider --allow {KEY} --data-dir {data}" in services.file.read_text()
    assert change(services, "--uninstall-service", "--data-dir", data) == 0
    assert "stopped and removed" in capsys.readouterr().out
    assert change(services, "--uninstall-service", "--data-dir", data) == 0
    assert "no service to remove" in capsys.readouterr().out


def test_a_seed_is_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/systemctl")
    services = systemd(tmp_path, Tool())
    with pytest.raises(QvacError, match="seed would stand in its file"):
        change(services, "--install-service", "--seed", "11" * 32, "--data-dir", str(tmp_path))
    assert not services.file.exists()


def test_a_running_window_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QVAC_HYPERSWARM_SEED", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/systemctl")
    services = systemd(tmp_path, Tool())
    folder = DataDir(tmp_path / "data", explicit=True).create()
    with InstanceLock(folder.lock_file), pytest.raises(StoreError, match="Quit it first"):
        change(services, "--install-service", "--data-dir", str(folder.root))
    assert not services.file.exists()


def test_a_tool_that_refuses_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(QvacError, match=r"The service was not changed.*Unit is masked"):
        systemd(tmp_path, Tool(enable="Unit is masked")).install(ODD, tmp_path / "log")
