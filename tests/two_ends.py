"""How pytest-xdist's workers share the tests: whole files, and from two ends.

At one end is what waits for real programs, sockets and screens, at the other what only computes. A worker is at work at
each as long as both last: two real networks seldom compete for the cores, and while one waits the other end computes.
`bootstrap.py test` asks for it by `--dist loadfile`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

REAL = ("tests/interop/", "tests/e2e/", "tests/bench/", "tests/gui/")
"""The folders of one end, in the order in which they are begun. Qt's lie where the ends meet."""

LONGEST = (
    "tests/interop/test_sdk_consumer.py",
    "tests/e2e/test_serve_clients.py",
    "tests/interop/test_hyperdht.py",
    "tests/interop/test_sdk_same_words.py",
    "tests/interop/test_sdk_provider.py",
    "tests/interop/test_nat_namespaces.py",
    "tests/interop/test_sdk_tools.py",
    "tests/e2e/test_engine_failures.py",
    "tests/e2e/test_engine_tools.py",
    "tests/gui/test_screen_reader_tree.py",
)
"""Begun first: what is long must not be left for the end, when one worker has nothing more to do."""


def file_of(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def in_order(nodeids: list[str]) -> list[str]:
    """From what is real to what only computes, file by file: long files at the ends, short ones where they meet."""
    counts = Counter(map(file_of, nodeids))

    def place(nodeid: str) -> tuple[int, int, str]:
        file = file_of(nodeid)
        if file in LONGEST:
            return -1, LONGEST.index(file), file
        for number, folder in enumerate(REAL):
            if file.startswith(folder):
                return number, -counts[file], file
        return len(REAL), counts[file], file

    return sorted(nodeids, key=place)


def import_own_share(config: pytest.Config, number: int, workers: int) -> None:
    """Import every `workers`-th test module, before all are collected: of a fresh clone nothing is compiled yet.

    Pytest rewrites each module that it imports first (half a minute of a core for all) and keeps the result beside it.
    Workers that began at the same file would each rewrite every one; so they meet what the others have done by then.
    """
    if config.args != config.getini("testpaths"):
        return
    for file in sorted((config.rootpath / "tests").rglob("test_*.py"))[number::workers]:
        name = ".".join(Path(file).relative_to(config.rootpath).with_suffix("").parts)
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection says what is wrong
            import_module(name)


def put_in_order(items: list[pytest.Item]) -> None:
    """What every worker does with the tests it found."""
    place = {nodeid: number for number, nodeid in enumerate(in_order([item.nodeid for item in items]))}
    items.sort(key=lambda item: place[item.nodeid])


class TwoEnds(LoadFileScheduling):  # type: ignore[misc]
    """Workers with an even number take files from the front, those with an odd one from the back."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)  # without one it prints what it does
        config.option.loadscopereorder = False  # the order is that of `put_in_order`

    def remove_node(self, node: WorkerController) -> str | None:
        """The test in which this worker died, which is not run again: xdist 3.8 would, until no worker is left."""
        workload: dict[str, dict[str, bool]] = self.assigned_work.pop(node)
        unfinished = [nodeid for tests in workload.values() for nodeid, done in tests.items() if not done]
        if not unfinished:
            return None
        died = unfinished[0]
        workload[file_of(died)][died] = True
        self.workqueue.update((file, tests) for file, tests in workload.items() if not all(tests.values()))
        for other in self.assigned_work:
            self._reschedule(other)
        return died

    def _reschedule(self, node: WorkerController) -> None:
        if node in self.registered_collections:  # one that takes a dead one's place may still be collecting
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
