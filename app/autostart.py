"""Start at login: an entry of the system's own kind, and what the system makes of it. Knows no Qt.

XDG Autostart 0.5 and Desktop Entry 1.5; Windows' Run key with what its Task Manager says of it; launchd's LaunchAgents.
Nothing of it is kept in our settings: a person may switch it off elsewhere, and that is what is shown.
"""

from __future__ import annotations

import hashlib
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from xml.parsers.expat import ExpatError

from app.i18n import tr
from app.own_command import IN_TRAY as IN_TRAY
from app.own_command import data_folder_options, own_command
from qvac_core.errors import StoreError
from qvac_core.store.disk import store_error
from qvac_core.store.folders import APP_NAME, DataDir

TITLE: Final = "QVAC Desktop"
LABEL: Final = "io.github.qvac-desktop"  # of launchd; reversed domain, as is the habit there
ACTION = "change what is started at login"


@dataclass(frozen=True, slots=True)
class StartAtLogin:
    """What the system will do. reason: a sentence where it is not possible, or starts something else than this."""

    on: bool
    possible: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is found. command: program and arguments, () where it cannot be read."""

    command: tuple[str, ...]
    enabled: bool


class Entries(Protocol):
    """One system's place for such entries; the methods raise OSError."""

    def read(self) -> Entry | None: ...
    def write(self, command: Sequence[str]) -> None: ...
    def remove(self) -> None: ...


class Autostart:
    """`state`, `turn_on`, `turn_off`, and `mend` once at each start of the program."""

    def __init__(self, entries: Entries | None, command: Sequence[str]) -> None:
        """entries: None where the system has no such thing. command: what is to be started."""
        self._entries = entries
        self._command = tuple(command)

    @classmethod
    def of(cls, folder: DataDir) -> Autostart:
        """This program, for this data folder, on this system."""
        options = data_folder_options(folder.explicit, folder.root)
        command = (*own_command(window=True), *options, IN_TRAY)
        return cls(entries_here(folder_suffix(folder)), command)

    def state(self) -> StartAtLogin:
        if self._entries is None:
            return StartAtLogin(False, possible=False, reason=tr("This system starts no programs at login."))
        try:
            entry = self._entries.read()
        except OSError as error:
            return StartAtLogin(False, possible=False, reason=store_error(error, "read what is started").message)
        if entry is None or not entry.enabled:
            return StartAtLogin(False)
        if entry.command[:1] != self._command[:1]:
            other = entry.command[0] if entry.command else tr("something that cannot be read")
            reason = tr("At login another copy is started: {path}. Switch off and on for this.", path=other)
            return StartAtLogin(True, reason=reason)
        return StartAtLogin(True)

    def turn_on(self) -> None:
        """Raises StoreError."""
        if self._entries is None:
            raise StoreError(tr("This system starts no programs at login."))
        try:
            self._entries.write(self._command)
        except OSError as error:
            raise store_error(error, ACTION) from error

    def turn_off(self) -> None:
        """Raises StoreError."""
        try:
            if self._entries is not None:
                self._entries.remove()
        except OSError as error:
            raise store_error(error, ACTION) from error

    def mend(self) -> bool:
        """Write the entry anew where its program is gone: this one was moved. Another copy that is there stays.

        Raises StoreError.
        """
        try:
            entry = self._entries.read() if self._entries is not None else None
        except OSError as error:
            raise store_error(error, "read what is started") from error
        if entry is None or not entry.enabled or entry.command == self._command:
            return False
        if entry.command and entry.command[0] != self._command[0] and Path(entry.command[0]).exists():
            return False
        self.turn_on()
        return True


def folder_suffix(folder: DataDir) -> str:
    """Each data folder that was named has an entry of its own; "" for the one of everybody."""
    return f"-{hashlib.sha256(str(folder.root).encode()).hexdigest()[:8]}" if folder.explicit else ""


def entries_here(suffix: str) -> Entries | None:
    if sys.platform == "win32":
        return RunKey(TITLE + suffix, _registry())
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "LaunchAgents"
        return LaunchAgents(folder, LABEL + suffix)
    if os.name == "posix":
        return XdgAutostart(xdg_config_home(), APP_NAME + suffix)
    return None


# --- XDG: Linux and the BSDs


def xdg_config_home(environ: Mapping[str, str] = os.environ) -> Path:
    chosen = environ.get("XDG_CONFIG_HOME", "")
    return Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".config"


class XdgAutostart:
    """`autostart/NAME.desktop`. Desktops switch an entry off by Hidden, GNOME by a key of its own."""

    def __init__(self, config_home: Path, name: str) -> None:
        self.file = config_home / "autostart" / f"{name}.desktop"

    def read(self) -> Entry | None:
        try:
            text = self.file.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        keys = _desktop_entry(text)
        off = keys.get("Hidden") == "true" or keys.get("X-GNOME-Autostart-enabled") == "false"
        return Entry(split_exec(keys.get("Exec", "")), not off)

    def write(self, command: Sequence[str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        text = (
            "[Desktop Entry]\n"
            "Type=Application\n"
            f"Name={TITLE}\n"
            "Comment=Use a friend's GPU, or share yours\n"
            # A desktop passes over an entry whose program is gone: removing the package removes nobody's files.
            f"TryExec={_escaped(command[0])}\n"
            f"Exec={join_exec(command)}\n"
            f"Icon={APP_NAME}\n"
            "Terminal=false\n"
            "X-GNOME-Autostart-enabled=true\n"
        )
        self.file.write_bytes(text.encode("utf-8", "replace"))

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)


def _desktop_entry(text: str) -> dict[str, str]:
    """The keys of its main group."""
    keys: dict[str, str] = {}
    inside = False
    for line in text.split("\n"):
        if line.startswith("["):
            inside = line.strip() == "[Desktop Entry]"
        elif inside and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            keys[name.strip()] = value.strip()
    return keys


def join_exec(command: Sequence[str]) -> str:
    """Arguments as the value of an Exec key: quoted as for that key, then escaped as every string value is."""
    return _escaped(" ".join(_quoted(argument) for argument in command))


def _escaped(text: str) -> str:
    for letter, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(letter, escaped)
    return text


def _quoted(argument: str) -> str:
    escaped = re.sub(r'(["`$\\])', r"\\\1", argument).replace("%", "%%")
    return f'"{escaped}"' if not re.fullmatch(r"[\w@/.:=+,-]+", argument, re.ASCII) else escaped


def split_exec(value: str) -> tuple[str, ...]:
    """The arguments of an Exec key, as `join_exec` writes them and people do; () for what is no such value."""
    names = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
    text = re.sub(r"\\(.)", lambda found: names.get(found.group(1), found.group(0)), value)
    arguments: list[str] = []
    position = 0
    token = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)', re.DOTALL)
    while text[position:].strip():
        found = token.match(text, position)
        if found is None:
            return ()
        quoted, plain = found.groups()
        argument = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else plain
        # A field code (%u) is filled in by the desktop, with nothing at login.
        if not re.fullmatch(r"%[a-zA-Z]", argument):
            arguments.append(argument.replace("%%", "%"))
        position = found.end()
    return tuple(arguments)


# --- Windows

RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED: Final = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"


class Registry(Protocol):
    """Values below HKEY_CURRENT_USER. `read` is None for what is not there; the methods raise OSError."""

    def read(self, key: str, name: str) -> object: ...
    def write(self, key: str, name: str, value: str) -> None: ...
    def remove(self, key: str, name: str) -> None: ...


class RunKey:
    """A value of the Run key. The Task Manager switches it off elsewhere: an odd first byte there means off."""

    def __init__(self, name: str, registry: Registry) -> None:
        self._name, self._registry = name, registry

    def read(self) -> Entry | None:
        value = self._registry.read(RUN, self._name)
        if not isinstance(value, str):
            return None
        approved = self._registry.read(APPROVED, self._name)
        off = isinstance(approved, bytes) and bool(approved) and approved[0] % 2 == 1
        return Entry(split_windows(value), not off)

    def write(self, command: Sequence[str]) -> None:
        self._registry.write(RUN, self._name, subprocess.list2cmdline(command))
        self._registry.remove(APPROVED, self._name)

    def remove(self) -> None:
        self._registry.remove(RUN, self._name)
        self._registry.remove(APPROVED, self._name)


def split_windows(text: str) -> tuple[str, ...]:
    """Arguments as CommandLineToArgvW finds them, for what `list2cmdline` writes."""
    arguments: list[str] = []
    argument: str | None = None
    inside = False
    # Backslashes count only before a quotation mark: half of them stand, and an odd one makes the mark a letter.
    for slashes, letter in re.findall(r"(\\*)(.|$)", text, re.DOTALL):
        if letter == '"':
            argument = (argument or "") + "\\" * (len(slashes) // 2)
            if len(slashes) % 2:
                argument += letter
            else:
                inside = not inside
        elif letter in (" ", "\t") and not inside:
            if slashes or argument is not None:
                arguments.append((argument or "") + slashes)
            argument = None
        elif slashes or letter:
            argument = (argument or "") + slashes + letter
    return (*arguments, argument) if argument is not None else tuple(arguments)


if sys.platform == "win32":
    import winreg

    class _WindowsRegistry:
        def read(self, key: str, name: str) -> object:
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as handle:
                    return winreg.QueryValueEx(handle, name)[0]
            except FileNotFoundError:
                return None

        def write(self, key: str, name: str, value: str) -> None:
            with winreg.CreateKey(winreg.HKEY_CURRENT_USER, key) as handle:
                winreg.SetValueEx(handle, name, 0, winreg.REG_SZ, value)

        def remove(self, key: str, name: str) -> None:
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key, 0, winreg.KEY_SET_VALUE) as handle:
                    winreg.DeleteValue(handle, name)
            except FileNotFoundError:
                return

    def _registry() -> Registry:
        return _WindowsRegistry()


# --- macOS

Launchctl = Callable[[Sequence[str]], str]


def launchctl(arguments: Sequence[str]) -> str:
    """What it prints. Raises OSError where it fails."""
    ended = subprocess.run(
        ["launchctl", *arguments], capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
    )
    if ended.returncode:
        raise OSError(ended.returncode, ended.stderr.strip() or "launchctl failed")
    return ended.stdout


class LaunchAgents:
    """`~/Library/LaunchAgents/LABEL.plist`. System Settings switches an agent off in launchd's own list."""

    def __init__(self, folder: Path, label: str, run: Launchctl = launchctl, user: int | None = None) -> None:
        self.file = folder / f"{label}.plist"
        self._label, self._run = label, run
        self._domain = f"gui/{os.getuid() if user is None and hasattr(os, 'getuid') else user}"

    def read(self) -> Entry | None:
        try:
            content = plistlib.loads(self.file.read_bytes())
        except FileNotFoundError:
            return None
        except (plistlib.InvalidFileException, ExpatError, ValueError):
            return Entry((), False)
        arguments = content.get("ProgramArguments") if isinstance(content, dict) else None
        command = tuple(arguments) if isinstance(arguments, list) and all(map(_is_text, arguments)) else ()
        on = isinstance(content, dict) and content.get("RunAtLoad") is True and not content.get("Disabled")
        return Entry(command, on and not self._switched_off())

    def write(self, command: Sequence[str]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        agent = {
            "Label": self._label,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
        }
        self.file.write_bytes(plistlib.dumps(agent))
        # Not loaded now: that would start a second one at once.
        self._run(["enable", f"{self._domain}/{self._label}"])

    def remove(self) -> None:
        self.file.unlink(missing_ok=True)

    def _switched_off(self) -> bool:
        try:
            listed = self._run(["print-disabled", self._domain])
        except OSError:
            return False  # launchd says nothing: the file is what counts
        found = re.search(rf'"{re.escape(self._label)}"\s*=>\s*(\w+)', listed)
        return found is not None and found.group(1) in ("true", "disabled")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
