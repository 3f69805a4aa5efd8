"""How this program is started again: by the system at login, or as a service. Knows no Qt."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from qvac_core.frozen import COMMAND, WINDOW, is_frozen
from qvac_core.frozen import executable as beside

IN_TRAY = "--in-tray"  # an option of the window: it begins without being seen
QUIT = "--quit"  # an option of a second start: the first is to end


def own_command(
    *,
    window: bool,
    environ: Mapping[str, str] = os.environ,
    frozen: bool | None = None,
    executable: str | None = None,
) -> tuple[str, ...]:
    """The program and what it needs before its options. window: without a console, where that is another program."""
    program = executable or sys.executable
    if is_frozen() if frozen is None else frozen:
        # An AppImage is mounted anew at each start, elsewhere.
        return (environ.get("APPIMAGE") or beside(WINDOW if window else COMMAND, program),)
    if window and os.name == "nt":
        without_console = Path(program).with_name("pythonw.exe")
        program = str(without_console) if without_console.exists() else program
    # -P: a folder named `app` where it is started must not stand before ours.
    return (program, "-P", "-m", "app")


def data_folder_options(explicit: bool, root: Path) -> Sequence[str]:
    return ("--data-dir", str(root)) if explicit else ()
