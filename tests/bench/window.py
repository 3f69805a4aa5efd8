"""The window: processor time until it is seen, against an older checkout; what it takes at rest; one more window.

QVAC_OLDER_CHECKOUT: the folder of the other one (a `git worktree`); without it there is no ratio.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.hyperdht import create_testnet
from tests.bench.table import Row, print_table

ROOT = Path(__file__).parents[2]
WORK = Path(__file__).with_name("window_work.py")
MOST_STALL = 100.0  # milliseconds
# What window_work.py does, in words.
STALLS = {
    "settings": "Settings opened for the first time",
    "first-search": "its first search",
    "many-hits": "a search that finds most of it",
    "second-opening": "opened and searched once more",
    "library": "Library opened for the first time",
    "paste": "1 MB pasted",
}
CHATS = Path(__file__).with_name("window_chats.py")
LONG_BUILT, MOST_TYPING = 3.7, 50.0  # seconds that 200 messages took to be built once; milliseconds
PROBE = Path(__file__).with_name("window_life.py")
RUNS = 7
SECONDS = 60.0
NOWHERE = "127.0.0.1:9"
MOST_START = 0.5  # seconds; measured: 0.45
MOST_PERCENT, MOST_MB = 0.1, 110.0
MOST_SECONDS, MOST_MB_MORE = 0.3, 10.0  # of one more window; measured: 0.21 s, 7.2 MB


def figures(what: str, checkout: Path, folder: str, bootstrap: str, more: Mapping[str, str] = {}) -> tuple[float, ...]:
    """What a window prints of itself. Raises subprocess errors."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", **more}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a warm start has compiled before
    options = ("--data-dir", folder, "--no-local-network", "--bootstrap", bootstrap)
    command = [sys.executable, "-P", str(PROBE), what, *options]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return tuple(float(figure) for figure in done.stdout.split())


def start(older: Path | None, runs: int = RUNS) -> list[Row]:
    """Against a bound, and an older checkout; alternating, both warm."""
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        both = [(ROOT, ours), *([(older, theirs)] if older is not None else [])]
        for checkout, folder in both:
            figures("paint", checkout, folder, NOWHERE)
        seconds = [[figures("paint", *one, NOWHERE)[0] for one in both] for _ in range(runs)]
    now = tuple(run[0] for run in seconds)
    rows = [Row("until the window is seen", "s of a core", now, (MOST_START,), "<= 1")]
    if older is not None:
        before = tuple(run[1] for run in seconds)
        rows.append(Row("until the window is seen, against the older one", "s of a core", now, before, "<= 0.6"))
    return rows


def more(runs: int = 3) -> list[Row]:
    """Windows beside the first one: a chat each."""
    with tempfile.TemporaryDirectory() as folder:
        seen = [figures("second", ROOT, folder, NOWHERE) for _ in range(runs)]
    seconds = tuple(run[0] for run in seen) + tuple(run[1] for run in seen)
    return [
        Row("one more window", "s of a core", seconds, (MOST_SECONDS,), "<= 1"),
        Row("one more window", "MB", tuple(run[2] for run in seen), (MOST_MB_MORE,), "<= 1"),
    ]


def stalls(runs: int = 3) -> list[Row]:
    """How long it stands still over what a person does, at the longest."""
    told: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _run in range(runs):
            options = ("--data-dir", folder, "--no-local-network", "--bootstrap", NOWHERE)
            done = subprocess.run(
                [sys.executable, "-P", str(WORK), *options], cwd=ROOT, capture_output=True, text=True, check=True,
                env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, timeout=300,
            )  # fmt: skip
            for line in done.stdout.splitlines():
                name, seconds = line.split()
                told.setdefault(name, []).append(float(seconds) * 1000)
    return [
        Row(f"stands still: {what}", "ms of a core", tuple(told[name]), (MOST_STALL,), "<= 1")
        for name, what in STALLS.items()
    ]


def chats(runs: int = 3) -> list[Row]:
    """Among ten thousand conversations: one of 200 messages is opened, a search is typed."""
    told: dict[str, list[float]] = {}
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-P", str(CHATS), "fill", folder], cwd=ROOT, check=True, timeout=300)
        for _run in range(runs):
            options = ("--data-dir", folder, "--no-local-network", "--bootstrap", NOWHERE)
            done = subprocess.run(
                [sys.executable, "-P", str(CHATS), *options], cwd=ROOT, capture_output=True, text=True, check=True,
                env=environment, timeout=300,
            )  # fmt: skip
            for line in done.stdout.splitlines():
                name, seconds = line.split()
                told.setdefault(name, []).append(float(seconds))
    typing = tuple(seconds * 1000 for seconds in told["typing"])
    return [
        Row("200 messages opened", "s of a core", tuple(told["opened"]), (LONG_BUILT,), "<= 0.2"),
        Row("200 messages, up to their beginning", "s of a core", tuple(told["whole"]), (LONG_BUILT,), "<= 1"),
        Row("stands still: 10,000 conversations searched while typing", "ms of a core", typing, (MOST_TYPING,), "<= 1"),
    ]


async def rest(seconds: float = SECONDS) -> list[Row]:
    """In front and hidden, connected to a provider on a network of loopback."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as provider:
        async with await create_testnet(3) as net:
            config = CoreConfig(
                data_dir=Path(provider),
                bootstrap=tuple(net.bootstrap),
                rules=RuleOverride(allow_all=True),
                local_network=False,
                seed=bytes(range(32)),
            )
            async with Core(config) as core:
                await core.start_sharing()
                host, port = next(iter(net.bootstrap))
                for name, hidden in (("in front", ""), ("hidden", "1")):
                    more = {"PROVIDER_KEY": core.public_key, "SECONDS": str(seconds), "HIDDEN": hidden}
                    percent, megabytes = await asyncio.to_thread(figures, "idle", ROOT, folder, f"{host}:{port}", more)
                    rows.append(Row(f"at rest, {name}", "% of a core", (percent,), (MOST_PERCENT,), "<= 1"))
                    rows.append(Row(f"at rest, {name}", "MB", (megabytes,), (MOST_MB,), "<= 1"))
    return rows


def main() -> None:
    older = os.environ.get("QVAC_OLDER_CHECKOUT")
    print_table(start(Path(older) if older else None), ours="now", theirs="bound or older")
    print_table([*more(), *stalls(), *chats(), *asyncio.run(rest())], ours="now", theirs="bound")
