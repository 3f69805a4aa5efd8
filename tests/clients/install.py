"""Where the clients are installed: once per list, inside the clone; Python's in one venv, npm's in one folder."""

from __future__ import annotations

import ast
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.caches import CACHE, fetching
from tests.interop.install import INSTALL_TIMEOUT

HERE = Path(__file__).parent
CLIENTS = CACHE / "clients"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def install_python_clients() -> Path:
    """The Python that has them. By uv where it can be had: 2 s of processor time instead of pip's 60."""
    home = _installed("py", [HERE / "requirements.txt"], _install_python)
    return _python(home)


def install_js_clients() -> Path:
    """A folder with node_modules."""
    return _installed("js", [HERE / "package.json", HERE / "package-lock.json"], _install_js)


def _installed(kind: str, lists: Sequence[Path], install: Callable[[Path], None]) -> Path:
    version = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()[:16]
    home = CLIENTS / f"{kind}-{version}"
    done = home / ".installed"
    with fetching(CLIENTS):
        if not done.exists():
            # A venv cannot be renamed: the mark says that it is whole.
            shutil.rmtree(home, ignore_errors=True)
            install(home)
            done.touch()
    return home


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _install_python(home: Path) -> None:
    venv.create(home)  # without a pip of its own, which takes longer than all that is installed
    python = str(_python(home))
    wanted = ["-r", str(HERE / "requirements.txt")]
    pip = [*PIP, "--python", python, "install", "-q", "--no-compile"]
    subprocess.run([*pip, "uv==0.13.9"], check=True, timeout=INSTALL_TIMEOUT)
    uv = [python, "-m", "uv", "pip", "install", "-q", "--python", python, *_places_of_pip(), *wanted]
    # Where pip is told of its packages in yet another way, only pip finds them.
    if subprocess.run(uv, check=False, timeout=INSTALL_TIMEOUT, capture_output=True).returncode:
        subprocess.run([*pip, *wanted], check=True, timeout=INSTALL_TIMEOUT)


def _places_of_pip() -> list[str]:
    """Where pip's configuration says that packages lie, for uv, which does not read it."""
    command = [*PIP, "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = ["--index-strategy", "unsafe-best-match"]  # as pip: the same from everywhere
    for line in told.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in ("index-url", "extra-index-url", "find-links"):
            options += [part for place in ast.literal_eval(value).split() for part in (f"--{option}", place)]
    return options


def _install_js(home: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix="install-", dir=CLIENTS))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, building)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=building, check=True, timeout=INSTALL_TIMEOUT)
    building.rename(home)
