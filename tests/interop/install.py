"""Where the npm packages of the JavaScript peers are: installed once from package-lock.json, inside the clone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "interop-js"
INSTALL_TIMEOUT = 170.0


def install_js_peers() -> Path:
    """A folder whose node_modules hold the packages of tests/interop/package.json; made when it is not there.

    Scripts find them with `createRequire(process.env.JS_HOME + '/')`.
    """
    manifests = [HERE / "package.json", HERE / "package-lock.json"]
    version = hashlib.sha256(b"".join(m.read_bytes() for m in manifests)).hexdigest()[:16]
    home = CACHE / version
    if home.exists():
        return home
    CACHE.mkdir(parents=True, exist_ok=True)
    # into a folder of its own, then renamed: another session may be installing the same
    building = Path(tempfile.mkdtemp(prefix="install-", dir=CACHE))
    for manifest in manifests:
        shutil.copy(manifest, building)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=building, check=True, timeout=INSTALL_TIMEOUT
    )
    try:
        building.rename(home)
    except OSError:  # somebody was faster
        shutil.rmtree(building)
    return home
