"""A build of the engine for this machine: `bootstrap.py engine` of the clone that runs here, watched. Knows no Qt.

Only a clone with its own `.venv` and a C++ compiler can do it; everywhere else `possible` has the sentence that says
what is missing. The build goes on in processes of its own; it ends with us.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from app.i18n import tr
from qvac_core.errors import QvacError
from qvac_core.frozen import is_frozen

COMPILERS: Final = ("c++", "g++", "clang++", "cl")
# What `bootstrap.py engine --NAME` builds → the program that says its toolkit is here.
TOOLKITS: Final = (("cuda", "nvcc"), ("hip", "hipcc"), ("vulkan", "glslc"))
CPU: Final = "cpu"
PAUSE: Final = 0.5  # seconds between two looks at the log
PATIENCE: Final = 5.0  # seconds from asking the build to end until it is ended
LAST_LINES: Final = 40
_STEP = re.compile(rb"\[(\d+)/(\d+)\]|\[ *(\d+)%\]")  # of Ninja, of Make


@dataclass(frozen=True, slots=True)
class Kind:
    """A build that can be made here. `name`: what `bootstrap.py engine` calls it; `title`: a proper name."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Progress:
    """share: of what is compiled, 0 to 1; -1 until it is known. seconds: since the build began."""

    seconds: float
    share: float = -1.0


class EngineBuild:
    """`possible` first; then `run` in a thread, once at a time, and `cancel` from any other."""

    def __init__(
        self,
        clone: Path | None = None,
        *,
        which: Callable[[str], str | None] = shutil.which,
        python: Path | None = None,
        platform: str = sys.platform,
        packaged: bool | None = None,
    ) -> None:
        """clone: where bootstrap.py lies; None = beside this package. python: of the environment that is built into."""
        self._clone = clone or Path(__file__).resolve().parents[1]
        self._which, self._platform = which, platform
        # The engines of a packaged program came with it and are replaced with it: nothing is offered there.
        self.packaged = is_frozen() if packaged is None else packaged
        self._python = python or Path(sys.executable)
        self._process: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()
        self._cancelled = False
        self._lines: deque[str] = deque(maxlen=LAST_LINES)

    # --- Whether, and which

    def obstacle(self) -> str:
        """Why no engine can be built here, as a sentence; "" where one can."""
        script = self._clone / "bootstrap.py"
        if not script.is_file():
            return tr(
                "This copy was installed as a package, which holds no sources. A build needs a clone of the project: "
                "there, this button compiles one."
            )
        own = self._clone / ".venv"
        if own not in self._python.absolute().parents:
            return tr("This program runs from another environment than the clone's own. Start it by bootstrap.py run.")
        if not any(self._which(name) for name in COMPILERS):
            return tr("A build needs a C++ compiler, and none is installed here. {how}", how=self._how_to_get_one())
        return ""

    def kinds(self) -> tuple[Kind, ...]:
        """What the toolkits on this machine allow, the best first; the processor's always."""
        titles = {"cuda": "CUDA", "hip": "ROCm", "vulkan": "Vulkan"}
        found = [Kind(name, titles[name]) for name, program in TOOLKITS if self._which(program)]
        if self._platform == "darwin":
            found.insert(0, Kind("metal", "Metal"))
        return (*found, Kind(CPU, tr("the processor, for many chats at once")))

    def lacking(self) -> str:
        """What would have to be installed for a GPU, where the processor is the only choice; else ""."""
        if len(self.kinds()) > 1:
            return ""
        return tr("For a GPU install its toolkit first: CUDA (nvcc), ROCm (hipcc) or the Vulkan SDK (glslc).")

    def _how_to_get_one(self) -> str:
        tool = {
            "darwin": "xcode-select --install",
            "win32": "https://visualstudio.microsoft.com/visual-cpp-build-tools",
        }
        by_hand = "sudo apt-get install g++" if self._which("apt-get") else "sudo dnf install gcc-c++"
        return tool.get(self._platform, by_hand)

    # --- The build

    def run(self, kind: str, progress: Callable[[Progress], None]) -> None:
        """Until it is installed. Raises QvacError with a sentence, `BUILD_CANCELLED` after `cancel`.

        progress: called from this thread every half second.
        """
        self._lines.clear()
        begun = time.monotonic()
        log = self.log_file(kind)
        old = _changed(log)
        with self._guard:
            self._cancelled = False
            try:
                self._process = process = subprocess.Popen(
                    self._command(kind), cwd=self._clone, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace", **_group(),
                )  # fmt: skip
            except OSError as error:
                raise QvacError(tr("The build could not be started: {why}.", why=error.strerror or error)) from error
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(PAUSE)
                break
            share = _share(log) if _changed(log) != old else -1.0
            progress(Progress(time.monotonic() - begun, share))
        reader.join(PATIENCE)
        with self._guard:
            self._process = None
            cancelled = self._cancelled
        if cancelled:
            raise QvacError(tr("The build was cancelled. The engine that was there is still in use."),
                            name="BUILD_CANCELLED")  # fmt: skip
        if code:
            raise QvacError(tr("The engine was not built. The log says why."), name="BUILD_FAILED")
        importlib.invalidate_caches()  # what was installed is found from now on

    def cancel(self) -> None:
        """Ends the build with all that it started. Does nothing where none runs."""
        with self._guard:
            process = self._process
            if process is None:
                return
            self._cancelled = True
        _end(process)

    @property
    def running(self) -> bool:
        return self._process is not None

    def log(self, kind: str) -> str:
        """What the build said, and below the end of the compiler's own log."""
        try:
            compiled = self.log_file(kind).read_text("utf-8", errors="replace").splitlines()[-200:]
        except OSError:  # nothing was compiled yet
            compiled = []
        return "\n".join((*self._lines, "", *compiled)).strip()

    def log_file(self, kind: str) -> Path:
        """Of the compiler."""
        return Path(str(self._bootstrap().cache_folder())) / kind / "build.log"

    def _command(self, kind: str) -> Sequence[str]:
        return (str(self._python), "-u", str(self._clone / "bootstrap.py"), "engine", f"--{kind}")

    def _bootstrap(self) -> ModuleType:
        """The script itself says where it keeps things."""
        spec = importlib.util.spec_from_file_location("qvac_bootstrap", self._clone / "bootstrap.py")
        assert spec is not None and spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        return script

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self._lines.append(line.rstrip())


def _group() -> dict[str, Any]:
    """Of its own, so that compilers end with it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _end(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(process.pid)], check=False, capture_output=True,
            creationflags=subprocess.CREATE_NO_WINDOW,
        )  # fmt: skip
        return
    # An interrupt first: pip puts back what it was about to replace.
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, PATIENCE)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if number == signal.SIGKILL:
                return


def _changed(file: Path) -> float:
    """When; 0 where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _share(log: Path) -> float:
    """How much of it is compiled, by the last step that the log tells of."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            steps = _STEP.findall(file.read())
    except OSError:
        return -1.0
    if not steps:
        return -1.0
    done, whole, percent = steps[-1]
    if percent:
        return min(1.0, int(percent) / 100)
    return min(1.0, int(done) / max(1, int(whole)))
