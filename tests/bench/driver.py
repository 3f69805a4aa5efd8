"""Runs a benchmark peer (peer.mjs or peer.py) as a process and sends it commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

HERE = Path(__file__).parent
_COMMANDS = {"js": ["node", "--expose-gc", str(HERE / "peer.mjs")], "py": [sys.executable, "-m", "tests.bench.peer"]}


class BenchPeer:
    """One peer process. `do(verb, **fields)` waits for its answer; RuntimeError when it failed or died."""

    def __init__(self, kind: str, *arguments: str, js_home: Path, inside: Sequence[str] = ()) -> None:
        """kind: "js" or "py". inside: a command to run it in (a network namespace)."""
        self.process = subprocess.Popen(
            [*inside, *_COMMANDS[kind], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent.parent,
            env={**os.environ, "JS_HOME": str(js_home)},
        )
        self.hello = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"benchmark peer ended with {self.process.wait(10)}")
        answer: dict[str, Any] = json.loads(line)
        if answer["event"] == "failed":
            raise RuntimeError(answer["message"])
        return answer

    def do(self, verb: str, **fields: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": verb, **fields}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def memory(self) -> float:
        """Kilobytes of memory that the process has in use, garbage collected before."""
        self.do("collect")
        return float(psutil.Process(self.process.pid).memory_info().rss / 1000)

    def __enter__(self) -> BenchPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
