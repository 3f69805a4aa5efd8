"""Where the npm packages of the JavaScript peers are: installed once from package-lock.json, inside the clone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.caches import CACHE, fetching

HERE = Path(__file__).parent
PEERS = CACHE / "interop-js"
INSTALL_TIMEOUT = 170.0


def install_js_peers() -> Path:
    """A folder whose node_modules hold the packages of tests/interop/package.json; made when it is not there.

    Scripts find them with `createRequire(process.env.JS_HOME + '/')`.
    """
    manifests = [HERE / "package.json", HERE / "package-lock.json"]
    version = hashlib.sha256(b"".join(m.read_bytes() for m in manifests)).hexdigest()[:16]
    home = PEERS / version
    with fetching(PEERS):
        if not home.exists():
            _install(home, manifests)
    return home


def _install(home: Path, manifests: list[Path]) -> None:
    # into a folder of its own, then renamed: an install that was cut off is not taken for one that is done
    building = Path(tempfile.mkdtemp(prefix="install-", dir=PEERS))
    for manifest in manifests:
        shutil.copy(manifest, building)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=building, check=True, timeout=INSTALL_TIMEOUT
    )
    building.rename(home)
