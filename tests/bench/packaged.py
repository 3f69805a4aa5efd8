"""The packaged program against the same one from its sources: until the window is on the screen, cold and warm.

QVAC_PACKAGED: the program (`…/qvac-desktop`); else the one that installers/build.py left in `build`. Needs Xvfb and
xwininfo. Cold: what both read from the disk is taken out of the page cache before each start, for these files alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.table import Row, print_table

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build/installers/app/qvac-desktop/qvac-desktop"
RUNS = 5
LIMIT = 300.0  # seconds for one start
OPTIONS = ("--no-local-network", "--bootstrap", "127.0.0.1:9")
TITLE = '"QVAC Desktop"'
MOST = 1.5
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@contextmanager
def screen() -> Iterator[str]:
    """A display of its own."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-ac", "-nolisten", "tcp", "-screen", "0", "1280x900x24"]
    server = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as said:
            yield f":{said.readline().strip()}"
    finally:
        server.terminate()
        server.wait(30)


def until_seen(command: Sequence[str], environment: Mapping[str, str], display: str) -> tuple[float, float]:
    """Seconds, and seconds of a core, until a window of the program is mapped. Raises RuntimeError."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=log, stderr=log)
        try:
            while not _is_seen(display):
                if process.poll() is not None or time.monotonic() - begun > LIMIT:
                    log.seek(0)
                    raise RuntimeError(f"no window: {log.read().decode(errors='replace')[-500:]}")
                time.sleep(0.02)
            taken = time.monotonic() - begun
            # The command line becomes the window in the same process: exec keeps its number and its times.
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            return taken, (int(fields[11]) + int(fields[12])) / _TICKS
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(60)


def _is_seen(display: str) -> bool:
    command = ["xwininfo", "-root", "-tree", "-display", display]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for line in told.splitlines():
        sizes = [part for part in line.split() if "x" in part and "+" in part]
        if TITLE in line and sizes and int(sizes[0].partition("x")[0]) > 300:
            number = line.split()[0]
            shown = subprocess.run(
                ["xwininfo", "-id", number, "-display", display], capture_output=True, text=True, check=False
            ).stdout
            return "IsViewable" in shown
    return False


def forget(folders: Sequence[Path]) -> None:
    """Out of the page cache, as far as nobody else holds them."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rows(program: Path, runs: int = RUNS) -> list[Row]:
    """Alternating. Raises RuntimeError where there is no window."""
    sources = [
        Path(sysconfig.get_path("purelib")),
        Path(sysconfig.get_path("stdlib")),
        ROOT / "app",
        ROOT / "qvac_core",
    ]
    both = [([str(program)], [program.parent]), ([sys.executable, "-P", "-m", "app"], sources)]
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        display = stack.enter_context(screen())
        homes = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in both]
        for run in range(runs + 1):
            for which, (command, files) in enumerate(both):
                environment = {**os.environ, "DISPLAY": display, "HOME": homes[which], "QT_QPA_PLATFORM": "xcb"}
                environment = {name: value for name, value in environment.items() if not name.startswith("XDG_")}
                environment["PYTHONPATH"] = str(ROOT) if which else ""
                for kind in ("cold", "warm"):
                    if kind == "cold":
                        forget(files)
                    taken = until_seen([*command, *OPTIONS], environment, display)
                    if run:  # the first one makes the data folder, and compiles
                        found.setdefault((kind, which), []).append(taken)
    result = []
    for unit, part in (("s", 0), ("s of a core", 1)):
        for kind in ("cold", "warm"):
            packaged, source = (tuple(one[part] for one in found[kind, which]) for which in (0, 1))
            result.append(Row(f"packaged window, {kind}", unit, packaged, source, f"<= {MOST}"))
    return result


def main() -> None:
    program = Path(os.environ.get("QVAC_PACKAGED", BUILT))
    if not program.is_file():
        sys.stdout.write(
            f"There is no packaged program {program}: installers/build.py makes it, QVAC_PACKAGED names it.\n"
        )
        return
    print_table(rows(program), ours="packaged", theirs="from its sources")
