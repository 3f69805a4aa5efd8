"""A recording where it lies, decoded by a process of its own (`app.sound_reader`), off the window's thread."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.core_words import told
from app.i18n import tr
from qvac_core.errors import QvacError
from qvac_core.frozen import COMMAND, executable, is_frozen
from qvac_core.late_dataclass import dataclass

OPTION = "--sound-reader"
SOUND, PEAKS = "sound", "peaks"
SAMPLE_BYTES = 2
"""SOUND is 16 kHz mono of 16 bits, of this machine's byte order."""
PEAK_MS = 100
"""PEAKS is a byte for each of these: the largest sample, 255 = full scale."""
UNREADABLE = 1  # exit code
STDERR_KEPT = 4096  # bytes


class UnplayableError(QvacError):
    """The message says why, in the user's language."""


@dataclass(frozen=True, slots=True)
class Recording:
    """size_bytes: as it was when it was transcribed."""

    path: Path
    size_bytes: int

    def check(self) -> None:
        """Waits for the disk. Raises UnplayableError when it is not there any more, or is another file by now."""
        name = self.path.name
        try:
            there = self.path.is_file()
            same = there and self.path.stat().st_size == self.size_bytes
        except (OSError, ValueError):
            there = same = False
        if not there:
            raise _unplayable(
                tr("{name} is not where it was: moved, renamed or deleted. Its transcript stays.", name=name)
            )
        if not same:
            raise _unplayable(tr("{name} has changed since. Drop it here again to hear it with its text.", name=name))


class Reading:
    """One process. `read` waits and is for one thread; `leave` may be called from any."""

    def __init__(self, recording: Recording, kind: str, start_ms: int = 0) -> None:
        """Raises UnplayableError."""
        recording.check()
        self._name = recording.path.name
        self._left = False
        command = _command((kind, str(start_ms), str(recording.path)))
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # Of the many threads of the numbers' library none is needed.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
        except (OSError, ValueError) as error:
            raise _unplayable(tr("{name} cannot be played.", name=self._name)) from error

    def read(self, most: int) -> bytes:
        """b"" at the end, or once it was left. Raises UnplayableError for what is no sound."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        data = self._process.stdout.read(most)
        if data or self._left:
            return data
        said = self._process.stderr.read(STDERR_KEPT).decode(errors="replace").strip()
        if self._process.wait() and not self._left:
            because = told(said.splitlines()[-1]) if self._process.returncode == UNREADABLE and said else ""
            raise _unplayable(because or tr("{name} cannot be played: it is damaged.", name=self._name))
        return b""

    def leave(self) -> None:
        """What waits in `read` comes back."""
        self._left = True
        if self._process.poll() is None:
            self._process.kill()

    def close(self) -> None:
        """After the last `read`."""
        self.leave()
        self._process.communicate()


def _command(arguments: Sequence[str]) -> list[str]:
    if is_frozen():
        return [executable(COMMAND), OPTION, *arguments]
    return [sys.executable, "-P", "-X", "utf8", "-m", "app.sound_reader", *arguments]


def _unplayable(sentence: str) -> UnplayableError:
    return UnplayableError(sentence, name="RECORDING_UNPLAYABLE")
