"""Where the window of a data folder is called: a local socket, or a pipe of Windows. Knows no Qt: verbs call it too."""

from __future__ import annotations

import json
import os
import re
from typing import Final

from qvac_core.store.folders import DataDir

_NAME: Final = re.compile(r"qvac-desktop-[0-9a-f]{16}")


def instance_address(folder: DataDir) -> str:
    """Where the instance that last had this folder listens; "" when it is not known, or the folder is a copy."""
    try:
        known = json.loads(folder.instance_file.read_bytes())
        address, root = known["server"], known["folder"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    if not isinstance(address, str) or not _NAME.fullmatch(re.split(r"[/\\]", address)[-1]):
        return ""
    return address if root == os.path.realpath(folder.root) else ""
