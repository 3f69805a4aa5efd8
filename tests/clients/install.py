"""Where the clients are installed: once per list, inside the clone; Python's in one venv, npm's in one folder."""

from __future__ import annotations

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
    venv.create(home, with_pip=True)
    python = str(_python(home))
    wanted = ["-r", str(HERE / "requirements.txt")]
    pip = [python, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, "uv==0.13.9"], check=True, timeout=INSTALL_TIMEOUT)
    uv = [python, "-m", "uv", "pip", "install", "-q", "--python", python, *wanted]
    # uv reads none of pip's configuration: where the packages lie behind a mirror of pip's, only pip finds them.
    if subprocess.run(uv, check=False, timeout=INSTALL_TIMEOUT, capture_output=True).returncode:
        subprocess.run([*pip, *wanted], check=True, timeout=INSTALL_TIMEOUT)


def _install_js(home: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix="install-", dir=CLIENTS))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, building)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=building, check=True, timeout=INSTALL_TIMEOUT)
    building.rename(home)
