"""The program once more, with the command line that it was given: for settings that hold from a start on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from app.own_command import own_command


def begin_again(arguments: Sequence[str]) -> int:
    """Called when all has ended and the data folder is free. Returns the exit code where this process goes on."""
    command = [*own_command(window=True), *arguments]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # Windows gives a program without a console none
            stream.flush()
    if os.name == "nt":
        # Windows has no exec that keeps the process: the caller of this one is told that it is done.
        subprocess.Popen(command, close_fds=True)
        return 0
    try:
        os.execv(command[0], command)
    except OSError as error:  # the program was moved or removed meanwhile
        print(f"QVAC Desktop could not start again: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
