"""A service as a person installs it, in a home of its own; and a provider that prints to a file."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.program import LIMIT, Program, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd, with a tool of the test's in its place")

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/asked"
"""


def home(tmp_path: Path, *, systemctl: bool) -> dict[str, str]:
    tools = tmp_path / "bin"
    tools.mkdir()
    if systemctl:
        (tools / "systemctl").write_text(SYSTEMCTL)
        (tools / "systemctl").chmod(0o755)
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": f"{tools}:/bin" if systemctl else str(tools),
    }


def test_it_is_written_started_and_removed(tmp_path: Path) -> None:
    environment = home(tmp_path, systemctl=True)
    data = str(tmp_path / "data")
    done = run("provider", "--install-service", "--allow-all", "--data-dir", data, env=environment)
    assert done.returncode == 0, done.stderr
    (unit,) = (tmp_path / "config" / "systemd" / "user").iterdir()
    assert f"provider --allow-all --data-dir {data}" in unit.read_text()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1] == f"--user restart {unit.name}"
    done = run("provider", "--uninstall-service", "--data-dir", data, env=environment)
    assert (done.returncode, done.stdout) == (0, "The service is stopped and removed.\n")
    assert not unit.exists()


def test_without_systemd_it_says_so(tmp_path: Path) -> None:
    done = run("provider", "--install-service", env=home(tmp_path, systemctl=False))
    assert done.returncode == 1
    assert "no systemd" in done.stderr
    assert not (tmp_path / "config").exists()


def test_both_flags_at_once_are_wrong_usage() -> None:
    done = run("provider", "--install-service", "--uninstall-service")
    assert done.returncode == 2


def test_a_provider_prints_into_a_file(tmp_path: Path) -> None:
    log = tmp_path / "provider.log"
    log.write_bytes(b"x" * 10_000_001)
    command = [sys.executable, "-P", "-m", "app", "provider", "--log-file", str(log)]
    with Program(
        [*command, "--data-dir", str(tmp_path / "data"), "--bootstrap", "127.0.0.1:9", "--no-local-network"],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    ) as program:
        end = time.monotonic() + LIMIT
        while "cannot be found by others yet" not in (log.read_text() if log.exists() else ""):
            assert time.monotonic() < end, "nothing was printed"
            time.sleep(0.05)
        program.process.terminate()
        assert program.finish() == 130
    assert [event for event in program.events if event["event"] == "text"] == []
    assert log.with_name("provider.log.1").stat().st_size == 10_000_001


def test_a_provider_that_is_paused_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.toml").write_text('[pause]\nuntil = "0"\n')
    options = ("--data-dir", str(data), "--bootstrap", "127.0.0.1:9", "--no-local-network")
    with Program([sys.executable, "-P", "-m", "app", "provider", *options]) as program:
        end = time.monotonic() + LIMIT
        while "Paused until you resume it. Guests are told when to ask again." not in program.stderr:
            assert time.monotonic() < end, program.stderr
            time.sleep(0.05)


def test_a_service_begins_when_the_window_has_left_the_folder(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data", explicit=True).create()
    command = [sys.executable, "-P", "-m", "app", "provider", "--wait", "--json", "--data-dir", str(folder.root)]
    with InstanceLock(folder.lock_file):
        program = Program([*command, "--bootstrap", "127.0.0.1:9", "--no-local-network"])
        program.until("waiting")
    with program:
        program.until("sharing", phase="starting")


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    done = run("provider", "--log-file", str(tmp_path / "none" / "log"), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
