"""A provider that runs without a window, as a service of its user: systemd, launchd, or Windows' Task Scheduler.

systemd.service(5) and systemd.syntax(7); launchd.plist(5); the Task Scheduler schema 1.2. Knows no Qt.
"""

from __future__ import annotations

import getpass
import os
import plistlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from xml.sax.saxutils import escape

from app.autostart import LABEL, TITLE, folder_suffix, xdg_config_home
from app.own_command import own_command
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.disk import store_error, write_atomically
from qvac_core.store.folders import APP_NAME, DataDir

ACTION: Final = "install the service"
INTERRUPTED: Final = 130  # how the provider ends when it is asked to; main.py
WRONG_USAGE: Final = 2
ANSWER_LIMIT: Final = 60.0  # seconds for a tool of the system
WAIT: Final = "--wait"
LOG: Final = "provider.log"  # in the data folder, where the system keeps none
LINGER: Final = Path("/var/lib/systemd/linger")

Run = Callable[[Sequence[str]], tuple[int, str]]


def run_tool(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and what it said. Raises OSError where it is not there, subprocess.TimeoutExpired."""
    ended = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=ANSWER_LIMIT, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return ended.returncode, (ended.stderr.strip() or ended.stdout.strip())


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done, in lines for a person. where: the file, "" where the system keeps it to itself."""

    where: str
    lines: tuple[str, ...]


class Services(Protocol):
    """One system's services of a user; the methods raise QvacError with a sentence."""

    def check(self) -> None:
        """Raises where there is no such thing here."""

    def install(self, command: Sequence[str], log: Path) -> Installed:
        """Write it and start it; in place of an earlier one. log: where it writes, if the system keeps no log."""

    def there(self) -> bool:
        """Whether one is installed; asks the system, raises nothing."""

    def start(self) -> None:
        """One that is installed and was stopped; does nothing where there is none."""

    def stop(self) -> None:
        """One that runs; does nothing where there is none."""

    def remove(self) -> bool:
        """False: there was none."""


def services_here(folder: DataDir, run: Run = run_tool) -> Services:
    """Raises QvacError on a system that has none."""
    suffix = folder_suffix(folder)
    if sys.platform == "win32":
        return TaskScheduler(f"{TITLE} provider{suffix}", folder.root, run)
    if sys.platform == "darwin":
        return Launchd(Path.home() / "Library" / "LaunchAgents", f"{LABEL}.provider{suffix}", run)
    return Systemd(xdg_config_home() / "systemd" / "user", f"{APP_NAME}-provider{suffix}.service", run)


def _asked(run: Run, command: Sequence[str], what: str) -> str:
    """What it said; raises a sentence where it failed."""
    try:
        code, said = run(command)
    except subprocess.TimeoutExpired as error:
        raise QvacError(f"{what}: `{' '.join(command)}` did not end within {ANSWER_LIMIT:.0f} s.") from error
    except OSError as error:
        raise QvacError(f"{what}: {command[0]} cannot be run ({error.strerror or error}).") from error
    if code:
        raise QvacError(f"{what}: `{' '.join(command)}` said: {said or f'exit code {code}'}")
    return said


def service_command(options: Sequence[str], folder: DataDir) -> tuple[str, ...]:
    """What a service runs. options: of the verb `provider`, paths that mean the same from anywhere.

    It waits for the data folder: a window may have it, now or when the service begins.
    """
    arguments = ("provider", *options)
    if folder.explicit and "--data-dir" not in arguments:
        arguments += ("--data-dir", str(folder.root))
    return (*own_command(window=os.name == "nt"), *arguments, WAIT)


# --- Linux


class Systemd:
    def __init__(self, folder: Path, name: str, run: Run = run_tool, linger: Path = LINGER) -> None:
        self.file = folder / name
        self._name, self._run, self._linger = name, run, linger

    def check(self) -> None:
        try:
            if shutil.which("systemctl"):
                _asked(self._run, ["systemctl", "--user", "show-environment"], "systemd")
                return
        except QvacError as error:
            raise QvacError(
                f"No systemd runs services for this user here. {error.message} "
                "Start `qvac-desktop provider` by what starts programs on this system."
            ) from error
        raise QvacError(
            "This system has no systemd to run a service. Start `qvac-desktop provider` by what starts programs here."
        )

    def install(self, command: Sequence[str], log: Path) -> Installed:
        _write(self.file, systemd_unit(command).encode("utf-8", "surrogateescape"))
        self._systemctl("daemon-reload")
        self._systemctl("enable", self._name)
        self._systemctl("restart", self._name)
        user = getpass.getuser()
        lines = [f"See what it says:  journalctl --user --unit {self._name} --follow"]
        if not (self._linger / user).exists():
            lines.append(f"It runs while you are logged in. Also without that:  loginctl enable-linger {user}")
        return Installed(str(self.file), tuple(lines))

    def there(self) -> bool:
        return self.file.exists()

    def start(self) -> None:
        if self.file.exists():
            self._systemctl("start", self._name)

    def stop(self) -> None:
        if self.file.exists():
            self._systemctl("stop", self._name)

    def remove(self) -> bool:
        if not self.file.exists():
            return False
        self._systemctl("disable", "--now", self._name)
        _remove(self.file)
        self._systemctl("daemon-reload")
        return True

    def _systemctl(self, *arguments: str) -> None:
        _asked(self._run, ["systemctl", "--user", *arguments], "The service was not changed")


def systemd_unit(command: Sequence[str]) -> str:
    return (
        "[Unit]\n"
        f"Description={TITLE}: shares models\n"
        "StartLimitIntervalSec=300\n"
        "StartLimitBurst=10\n"
        # Where the program was removed, the unit rests without a failure.
        f"ConditionFileIsExecutable={command[0].replace('%', '%%')}\n"
        "\n"
        "[Service]\n"
        f"ExecStart={' '.join(_systemd_quoted(argument) for argument in command)}\n"
        "Restart=on-failure\n"
        "RestartSec=5\n"
        f"SuccessExitStatus={INTERRUPTED}\n"
        f"RestartPreventExitStatus={WRONG_USAGE}\n"
        "NoNewPrivileges=yes\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


def _systemd_quoted(argument: str) -> str:
    """As ExecStart wants it: "%" and "$" mean something there, and quotes take C's escapes."""
    text = argument.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@/.:=+,%$-]+", text, re.ASCII):
        return text
    for letter, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(letter, escaped)
    return f'"{text}"'


# --- macOS


class Launchd:
    def __init__(self, folder: Path, label: str, run: Run = run_tool, user: int | None = None) -> None:
        self.file = folder / f"{label}.plist"
        self._label, self._run = label, run
        self._domain = f"gui/{os.getuid() if user is None and hasattr(os, 'getuid') else user}"

    def check(self) -> None:
        _asked(self._run, ["launchctl", "print", self._domain], "No launchd runs services for this user here")

    def install(self, command: Sequence[str], log: Path) -> Installed:
        agent = {
            "Label": self._label,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            # Again after a failure, not after an end that was asked for.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "StandardOutPath": str(log),
            "StandardErrorPath": str(log),
        }
        _write(self.file, plistlib.dumps(agent))
        what = "The service was not started"
        _asked(self._run, ["launchctl", "enable", f"{self._domain}/{self._label}"], what)
        _asked(self._run, ["launchctl", "bootstrap", self._domain, str(self.file)], what)
        return Installed(str(self.file), (f"See what it says:  tail -f '{log}'",))

    def there(self) -> bool:
        return self.file.exists()

    def start(self) -> None:
        if self.file.exists():
            _asked(self._run, ["launchctl", "bootstrap", self._domain, str(self.file)], "The service was not started")

    def stop(self) -> None:
        if self.file.exists():
            # It fails for one that is not loaded, which is as well.
            self._run(["launchctl", "bootout", f"{self._domain}/{self._label}"])

    def remove(self) -> bool:
        if not self.file.exists():
            return False
        self.stop()
        _remove(self.file)
        return True


# --- Windows


class TaskScheduler:
    """A task of the user's, started at log-on. It is given to `schtasks` as a file, which goes again."""

    def __init__(self, name: str, folder: Path, run: Run = run_tool) -> None:
        self._name, self._folder, self._run = name, folder, run

    def check(self) -> None:
        _asked(self._run, ["schtasks", "/Query", "/FO", "LIST", "/TN", "\\"], "The Task Scheduler does not answer")

    def install(self, command: Sequence[str], log: Path) -> Installed:
        file = self._folder / "service.xml"
        # schtasks reads UTF-16 with its mark, and nothing else.
        _write(file, task_xml((*command, "--log-file", str(log)), _windows_user()).encode("utf-16"))
        try:
            what = "The task was not made"
            _asked(self._run, ["schtasks", "/Create", "/TN", self._name, "/XML", str(file), "/F"], what)
            _asked(self._run, ["schtasks", "/Run", "/TN", self._name], "The task was made and does not start")
        finally:
            file.unlink(missing_ok=True)
        return Installed("", (f'It is the task "{self._name}" of the Task Scheduler.', f"What it says is in  {log}"))

    def there(self) -> bool:
        try:
            return self._run(["schtasks", "/Query", "/TN", self._name])[0] == 0
        except (OSError, subprocess.TimeoutExpired):  # no Task Scheduler holds none
            return False

    def start(self) -> None:
        if self.there():
            _asked(self._run, ["schtasks", "/Run", "/TN", self._name], "The task does not start")

    def stop(self) -> None:
        self._run(["schtasks", "/End", "/TN", self._name])  # fails for one that is not there, which is as well

    def remove(self) -> bool:
        if not self.there():
            return False
        self.stop()
        _asked(self._run, ["schtasks", "/Delete", "/TN", self._name, "/F"], "The task was not removed")
        return True


def task_xml(command: Sequence[str], user: str) -> str:
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>{TITLE}: shares models</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled><UserId>{escape(user)}</UserId></LogonTrigger></Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>10</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(command[0])}</Command>
      <Arguments>{escape(subprocess.list2cmdline(command[1:]))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _windows_user() -> str:
    domain = os.environ.get("USERDOMAIN", "")
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()


# --- Files


def _write(file: Path, content: bytes) -> None:
    """Readable by its owner alone: keys of friends stand in it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store_error(error, ACTION) from error
    write_atomically(file, content, action=ACTION)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The service is stopped, but {file} could not be removed: {error.strerror}.") from error
