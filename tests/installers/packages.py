"""The packages that the tests install: built once for all of them, or those that lie in $QVAC_TEST_PACKAGES already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from installers import build

ROOT = Path(__file__).parents[2]
VARIABLE = "QVAC_TEST_PACKAGES"
RUNTIME = "QVAC_TEST_APPIMAGE_RUNTIME"  # type2-runtime, where an AppImage is to be tried, too
WHEEL = "QVAC_TEST_SCHEDULER_WHEEL"
LATER = 3600.0  # seconds for all builds


@dataclass(frozen=True)
class Packages:
    folder: Path
    both_engines: bool

    @property
    def deb(self) -> Path:
        return self._the("*.deb")

    @property
    def rpm(self) -> Path:
        return self._the("*.rpm")

    @property
    def portable(self) -> Path:
        return self._the("*-linux-*.tar.xz")

    @property
    def appimage(self) -> Path | None:
        return next(iter(self.folder.glob("*.AppImage")), None)

    def _the(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found


def wheel() -> Path | None:
    """Of llama-cpp-python, where one lies: the user's cache of `bootstrap.py engine`, or beside the clone."""
    if given := os.environ.get(WHEEL):
        return Path(given)
    folders = (Path.home() / ".cache/qvac-desktop/wheels/cpu", ROOT.parent / "shared" / "wheels")
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("llama_cpp_python-*.whl"))]
    return found[-1] if found else None


def packages() -> Packages:
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else build.OUT
    engine, runtime = wheel(), os.environ.get(RUNTIME)
    if not given:
        shutil.rmtree(folder, ignore_errors=True)
        targets = ["deb", "rpm", "portable", *(["appimage"] if runtime else [])]
        options = [*(["--scheduler", str(engine)] if engine else []), *(["--runtime", runtime] if runtime else [])]
        command = [sys.executable, str(ROOT / "installers" / "build.py"), *targets, *options]
        told = subprocess.run(command, capture_output=True, text=True, timeout=LATER, check=False)
        assert told.returncode == 0, told.stderr[-4000:]
    return Packages(folder, both_engines=engine is not None)


def as_older(deb: Path, version: str, folder: Path) -> Path:
    """The same package as an earlier version, with a file that is shipped no more."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    text = "\n".join(f"Version: {version}" if line.startswith("Version:") else line for line in lines) + "\n"
    control.write_text(text)
    (tree / "DEBIAN/md5sums").unlink(missing_ok=True)
    (tree / "usr/lib/qvac-desktop/_internal/of-the-older-one.txt").write_text("gone\n")
    made = folder / "older.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(tree)
    return made
