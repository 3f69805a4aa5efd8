"""The real servers of this folder as processes: started, asked until they answer, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

LIMIT = 120.0  # seconds until one answers; a hang fails, slowness does not


class RealServer:
    """address: with /v1, and the same after `start` again."""

    def __init__(self, command: list[str], port: int, key: str = "") -> None:
        self._command, self._port, self.key = command, port, key
        self.address = f"http://127.0.0.1:{port}/v1"
        self.start()

    def start(self) -> None:
        # Threads of one model that wait for each other sleep meanwhile; spinning, they take the cores of other tests.
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"OMP_WAIT_POLICY": "passive", **environment},
        )

    def ready(self) -> None:
        until = time.monotonic() + LIMIT
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        while True:
            assert self.process.poll() is None, f"{self._command} ended"
            try:
                if httpx.get(f"{self.address}/models", headers=headers, trust_env=False).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < until, f"{self._command} does not answer"
            time.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, key: str) -> Iterator[RealServer]:
    server = RealServer(command, port, key)
    try:
        server.ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


@contextmanager
def xllamacpp_server(model: Path, *, key: str = "", **options: object) -> Iterator[RealServer]:
    """options: those of `xllamacpp_server.py`."""
    port = _free_port()
    given = [f"{name}={value}" for name, value in (options | ({"key": key} if key else {})).items()]
    script = str(Path(__file__).with_name("xllamacpp_server.py"))
    with _running([sys.executable, script, str(model), f"port={port}", *given], port, key) as server:
        yield server


@contextmanager
def llama_cpp_python_server(model: Path, *, n_ctx: int = 512, key: str = "") -> Iterator[RealServer]:
    port = _free_port()
    options = {"model": model, "model_alias": "smol", "host": "127.0.0.1", "port": port, "n_ctx": n_ctx, "n_threads": 1}
    command = [sys.executable, "-m", "llama_cpp.server"]
    for name, value in (options | ({"api_key": key} if key else {})).items():
        command += [f"--{name}", str(value)]
    with _running(command, port, key) as server:
        yield server
