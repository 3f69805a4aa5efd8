"""A Debian 12 with nothing in it but what the package asks for: no Python, no compiler, no network but loopback.

Made by debootstrap once per clone (`.cache/bare-root`); every test gets a layer of its own over it, in one set of
namespaces (mounts, network, System V), so that copies in different roots meet on loopback, and nothing is left mounted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from installers.linux_packages import DEPENDS
from tests.caches import CACHE, fetching
from tests.e2e.program import Program

LIMIT = 600.0  # seconds for one command in there; self-tests load libraries from a slow disk
PERSON = 1000
HOME = "/home/person"
# What dpkg, apt and the desktop's caches write for themselves about any package.
BOOKKEEPING = ("var/lib/dpkg", "var/lib/apt", "var/log", "var/cache", "tmp", "etc/ld.so.cache", "root")


def why_not() -> str | None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a bare root is made by root on Linux"
    for tool in ("debootstrap", "unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if subprocess.run(["unshare", "--mount", "--net", "true"], check=False, capture_output=True).returncode:
        return "namespaces are not permitted here"
    return None


def base() -> Path:
    """The root that all are layers over."""
    names = ",".join(name.partition(" ")[0] for name in DEPENDS)
    folder = CACHE / "bare-root"
    made = folder / "made"
    with fetching(folder):
        if not (made.is_file() and made.read_text() == names):
            shutil.rmtree(folder / "root", ignore_errors=True)
            command = ["debootstrap", "--variant=minbase", f"--include={names}", "bookworm", str(folder / "root")]
            told = subprocess.run([*command, _mirror()], capture_output=True, text=True, check=False)
            assert told.returncode == 0, told.stdout[-2000:]
            for archive in (folder / "root/var/cache/apt/archives").glob("*.deb"):
                archive.unlink()
            made.write_text(names)
    return folder / "root"


def _mirror() -> str:
    """The one that this machine's apt takes."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return next((one for one in said if "security" not in one), "http://deb.debian.org/debian")


class Room:
    """The namespaces. Roots are opened in it; all ends with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        script = "ip link set lo up && echo ready && exec sleep infinity"
        command = ["unshare", "--mount", "--net", "--ipc", "sh", "-c", script]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"

    def __enter__(self) -> Room:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._holder.kill()
        self._holder.wait(30)
        if self._holder.stdout is not None:
            self._holder.stdout.close()

    def within(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self._holder.pid), "--mount", "--net", "--ipc")

    def run(self, *command: str | Path) -> str:
        """As root of the host, in the namespaces."""
        line = [*self.within(), *map(str, command)]
        told = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert told.returncode == 0, f"{command}: {told.stdout}{told.stderr}"
        return told.stdout

    def network(self) -> Program:
        """A DHT on this room's loopback, of the host's Python."""
        inside = ("nsenter", "--target", str(self._holder.pid), "--net")
        return Program([*inside, sys.executable, "-m", "tests.e2e.testnet"])

    def root(self, name: str) -> Root:
        place = self._folder / name
        for part in ("upper", "work", "root"):
            (place / part).mkdir(parents=True)
        layers = f"lowerdir={base()},upperdir={place / 'upper'},workdir={place / 'work'}"
        self.run("mount", "-t", "overlay", "overlay", "-o", layers, place / "root")
        self.run("mount", "-t", "proc", "proc", place / "root/proc")
        self.run("mount", "--rbind", "/dev", place / "root/dev")
        return Root(self, place)


class Root:
    """One root. `tree` is seen with its mounts only in the room; `upper` is what differs from the bare one."""

    def __init__(self, room: Room, place: Path) -> None:
        self.room = room
        self.tree = place / "root"
        self.upper = place / "upper"
        self.as_root("useradd", "--create-home", "--uid", str(PERSON), "person")

    def command(self, *command: str, home: str = HOME, **environment: str) -> list[str]:
        """As the person: what is run on the host to run that."""
        return self._command(command, PERSON, home, environment)

    def root_command(self, *command: str, **environment: str) -> list[str]:
        return self._command(command, 0, "/root", environment)

    def _command(self, command: Sequence[str], user: int, home: str, environment: Mapping[str, str]) -> list[str]:
        variables = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **environment}
        settings = [f"{key}={value}" for key, value in variables.items()]
        chroot = ("chroot", f"--userspec={user}:{user}", str(self.tree))
        return [*self.room.within(), *chroot, "env", "-i", f"--chdir={home if user else '/'}", *settings, *command]

    def run(self, *command: str, home: str = HOME, **environment: str) -> subprocess.CompletedProcess[str]:
        """As the person."""
        line = self.command(*command, home=home, **environment)
        return subprocess.run(line, capture_output=True, text=True, timeout=LIMIT, check=False)

    def as_root(self, *command: str, **environment: str) -> str:
        line = self.root_command(*command, **environment)
        told = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert told.returncode == 0, f"{command}: {told.stdout}{told.stderr}"
        return told.stdout

    def apt(self, *arguments: str) -> str:
        """apt-get, which has no network here."""
        command = ("apt-get", "--yes", "--no-install-recommends", *arguments)
        return self.as_root(*command, DEBIAN_FRONTEND="noninteractive")

    def bring(self, file: Path, place: str) -> str:
        """Mount a file or folder of the host there, read-only. Returns the place."""
        target = self.tree / place.lstrip("/")
        make = ("mkdir", "-p", target) if file.is_dir() else ("install", "-D", "/dev/null", target)
        self.room.run(*make)
        self.room.run("mount", "--bind", "-o", "ro", file.resolve(), target)
        self.room.run("mount", "-o", "remount,bind,ro", target)
        return place

    def left(self) -> list[str]:
        """What differs from the bare root, without what dpkg and apt keep for themselves and the person's home."""
        beside = (*BOOKKEEPING, HOME.lstrip("/"), *_OF_USERADD)
        return sorted(place for place in _differing(self.upper) if not _is_in(place, beside))


_OF_USERADD = tuple(f"etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"))


def _differing(upper: Path) -> Iterator[str]:
    lower = base()
    for path in upper.rglob("*"):
        place = path.relative_to(upper)
        if path.is_dir() and not path.is_symlink() and (lower / place).is_dir():
            continue  # copied up because something changed in it
        yield str(place)


def _is_in(place: str, folders: Sequence[str]) -> bool:
    return any(place.rstrip("-") == folder or place.startswith(f"{folder}/") for folder in folders)
