"""The packaged program: which of its two executables does what, and the environment that it was started with.

PyInstaller makes one folder with both: `qvac-desktop` knows no Qt and is the command line and every worker process,
`qvac-desktop-window` is the window. Nothing here does anything in a program that is run from its sources.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

COMMAND: Final = "qvac-desktop"
WINDOW: Final = "qvac-desktop-window"
# What PyInstaller's start (onedir too) puts in the way of every program that is started from here: with our libraries
# before the system's, a browser or a file manager does not come up.
_SEARCH_PATHS: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")
_ORIGINAL: Final = "_ORIG"
_OWN: Final = "_PYI_"


def is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def executable(name: str, this: str | None = None) -> str:
    """The path of COMMAND or WINDOW beside the one that runs (`this`); the running one where it is not there."""
    running = Path(this or sys.executable)
    wanted = running.with_name(name + running.suffix.lower() if running.suffix.lower() == ".exe" else name)
    return str(wanted) if wanted.is_file() else str(running)


def packaged_licences(this: str | None = None, *, frozen: bool | None = None) -> Path | None:
    """The file that the build wrote, with the licences of everything in the package; None from the sources."""
    if not (is_frozen() if frozen is None else frozen):
        return None
    running = Path(this or sys.executable).parent
    inside = running.parent / "Resources" if running.name == "MacOS" else running
    return inside / "LICENCES.txt"


def restore_environment(environ: MutableMapping[str, str] = os.environ, *, frozen: bool | None = None) -> None:
    """Take our own folders out of where other programs look for their libraries.

    The loader of this process has read them already, and our own executables set them again for themselves.
    """
    if not (is_frozen() if frozen is None else frozen):
        return
    for name in _SEARCH_PATHS:
        original = environ.pop(name + _ORIGINAL, None)
        if original is not None:
            environ[name] = original
        else:
            environ.pop(name, None)
    # By these an executable of ours that is started from here takes itself for a part of this process: it would not set
    # the path for itself, and find its libraries only on machines that have them, too (PyInstaller 6.22.3).
    for name in [name for name in environ if name.startswith(_OWN)]:
        del environ[name]
