"""Where this build of the program asks for newer versions: what its packager wrote beside it, else nowhere. No Qt."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qvac_core.core.newer import UpdateSource

FILE = "updates.json"


def update_source(text: str | None = None) -> UpdateSource | None:
    """text: the content of the packager's file; None = as it lies in resources, where there is one."""
    if text is None:
        file = files("resources") / FILE
        if not file.is_file():
            return None
        text = file.read_text("utf-8")
    # Not before the window is seen, where nobody asks: they come with cryptography and all of e-mail.
    from importlib.metadata import version

    from qvac_core.core.newer import PRODUCT, UpdateSource

    try:
        said = json.loads(text)
        address, key = str(said["address"]), str(said["key"])
    except (ValueError, KeyError, TypeError):
        return None
    if not address.startswith("https://") or not re.fullmatch(r"[0-9a-f]{64}", key):
        return None
    return UpdateSource(address, key, version(PRODUCT))
