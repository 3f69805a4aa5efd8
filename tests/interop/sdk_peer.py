"""The real @qvac/sdk 0.16 as a process: its provider, its consumer, and a client for hand-written requests.

The kit in sdk-peer/ is installed once: into SDK_PEER_HOME if that is set, else into a cache inside the clone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from qvac_core.codec import Address
from tests.caches import CACHE, fetching
from tests.limits import EVENT

KIT = Path(__file__).parent / "sdk-peer"
INSTALL_LIMIT = 900.0
EVENT_LIMIT = EVENT
END_LIMIT = 10.0


@pytest.fixture(scope="session")
def sdk_peer_home() -> Path:
    """A folder with the kit's scripts and its node_modules (228 MB; half a minute the first time)."""
    given = os.environ.get("SDK_PEER_HOME")
    home = Path(given) if given else CACHE / "sdk-peer" / _version()
    if (home / "node_modules").exists():
        return home
    with fetching(home.parent):
        if not (home / "node_modules").exists():
            _install(home)
    return home


def _install(home: Path) -> None:
    # into a folder of its own, then renamed: an install that was cut off is not taken for one that is done
    building = Path(tempfile.mkdtemp(prefix="install-", dir=home.parent))
    environment = {**os.environ, "SDK_PEER_HOME": str(building)}
    subprocess.run(["sh", str(KIT / "setup.sh")], env=environment, check=True, timeout=INSTALL_LIMIT)
    building.rename(home)


def _version() -> str:
    files = sorted(path for path in KIT.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


class SdkPeer:
    """`async with SdkPeer(home, data, bootstrap, "provider.mjs") as peer: await peer.until("ready")`."""

    def __init__(self, home: Path, data: Path, bootstrap: Sequence[Address], script: str, *arguments: str) -> None:
        self._home = home
        self._command = ("node", script, *arguments)
        nodes = [{"host": host, "port": port} for host, port in bootstrap]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("QVAC_")},
            "SDK_PEER_BOOTSTRAP": json.dumps(nodes),
            "SDK_PEER_DATA": str(data),
        }
        self.events: list[dict[str, Any]] = []
        self._arrived: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._stderr: list[str] = []

    async def __aenter__(self) -> SdkPeer:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._home,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
            start_new_session=True,
        )
        self._readers = [asyncio.create_task(self._read_events()), asyncio.create_task(self._read_errors())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask it to end, then end it and the worker it started: a session of its own holds nothing else."""
        if self.process.returncode is None:
            self.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), END_LIMIT)
        self.kill()
        await self.process.wait()
        await asyncio.gather(*self._readers)
        assert self.process.stdin is not None
        self.process.stdin.close()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    def kill(self) -> None:
        """SIGKILL, worker included: nothing is said to anybody."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")

    async def until(self, name: str, *, limit: float = EVENT_LIMIT, **wanted: Any) -> dict[str, Any]:
        """The next event of this name with these fields. AssertionError with everything it said if it does not come."""
        try:
            async with asyncio.timeout(limit):
                while (event := await self._arrived.get()) is not None:
                    self.events.append(event)
                    if event.get("event") == name and wanted.items() <= event.items():
                        return event
        except TimeoutError:
            raise AssertionError(f"no {name}: {self.events[-20:]} {''.join(self._stderr[-20:])}") from None
        raise AssertionError(f"ended before {name}: {self.events[-20:]} {''.join(self._stderr[-20:])}")

    async def finish(self, *, limit: float = EVENT_LIMIT) -> int:
        """Wait for its end; all it said is in `events` then."""
        async with asyncio.timeout(limit):
            while (event := await self._arrived.get()) is not None:
                self.events.append(event)
            return await self.process.wait()

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("event") == name]

    async def _read_events(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith("{"):
                self._arrived.put_nowait(json.loads(text))
        self._arrived.put_nowait(None)

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self._stderr.append(line.decode(errors="replace"))
