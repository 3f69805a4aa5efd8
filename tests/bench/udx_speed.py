"""UDX alone, one stream between two processes on loopback: ours against udx-native, in every pairing.

python -m tests.bench.udx_speed [MEGABYTES] [RUNS] [RTT_MS LOSS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import Any

from qvac_core.udx import EndReceived
from tests.bench.link import Link, ceiling
from tests.bench.table import Row, print_table
from tests.interop.install import install_js_peers
from tests.interop.udx_driver import CHUNK, SocketDriver

ROOT = Path(__file__).parent.parent.parent
JS_PEER = ROOT / "tests" / "interop" / "udx_peer.mjs"
SENDER, RECEIVER = 0x0A0A0A0A, 0x0B0B0B0B
TIMEOUT = 120.0


def be_peer(options: dict[str, Any]) -> None:
    """What udx_peer.mjs does with `plain`, over our own port."""
    driver = SocketDriver(options["localId"])
    first: list[float] = []
    received = [0]

    def on_data(data: bytes) -> None:
        if not first:
            first.append(time.perf_counter())
        received[0] += len(data)

    driver.on_data = on_data
    print(json.dumps({"event": "listening", "port": driver.port}), flush=True)
    driver.connect(options["remoteId"], json.loads(sys.stdin.readline())["port"])
    if options["mode"] == "send":
        driver.send(repeat(bytes(CHUNK), options["bytes"] // CHUNK))
    else:
        driver.run(TIMEOUT, lambda: driver.saw(EndReceived))
        seconds = time.perf_counter() - first[0]
        print(json.dumps({"event": "end", "received": received[0], "seconds": seconds}), flush=True)
        driver.stream.end(time.monotonic())
    driver.run(TIMEOUT, lambda: driver.closed is not None)
    print(json.dumps({"event": "close", "stats": str(driver.stream.stats)}), flush=True)


def start(kind: str, mode: str, size: int, local_id: int, remote_id: int, js_home: str) -> subprocess.Popen[str]:
    options = json.dumps({"localId": local_id, "remoteId": remote_id, "mode": mode, "bytes": size, "plain": True})
    command = ["node", str(JS_PEER)] if kind == "js" else [sys.executable, "-m", "tests.bench.udx_speed", "--peer"]
    return subprocess.Popen(
        [*command, options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "JS_HOME": js_home},
    )


def measure(
    sender: str, receiver: str, size: int, js_home: str, path: tuple[float, float] | None = None, seed: int = 0
) -> float:
    """Megabytes per second from the first byte to the end, as the receiver saw it. path: (RTT in ms, loss)."""
    link: Link | None = None
    receiving = start(receiver, "sink", size, RECEIVER, SENDER, js_home)
    sending = start(sender, "send", size, SENDER, RECEIVER, js_home)
    try:
        ports = []
        for process in (receiving, sending):
            assert process.stdout is not None
            ports.append(json.loads(process.stdout.readline())["port"])
        if path is not None:
            link = Link(ports, *path, seed)
            ports = link.ports
        for process, port in zip((receiving, sending), reversed(ports), strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps({"port": port}) + "\n")
            process.stdin.flush()
        assert receiving.stdout is not None
        end = json.loads(receiving.stdout.readline())
        assert end["received"] == size // CHUNK * CHUNK, end
        sending_said, _ = sending.communicate(timeout=TIMEOUT)
        if os.environ.get("UDX_SPEED_STATS"):
            print(sender, receiver, sending_said.strip())
        return float(end["received"] / end["seconds"] / 1e6)
    finally:
        for process in (receiving, sending):
            process.kill()
            process.communicate()
        if link is not None:
            link.close()


def main(megabytes: float = 100.0, runs: int = 5, path: tuple[float, float] | None = None) -> None:
    """path: round-trip time in ms and loss as a fraction, through the link emulator; None = loopback as it is."""
    js_home = str(install_js_peers())
    size = int(megabytes * 1e6)
    size -= size % CHUNK
    pairs = [("py", "py"), ("py", "js"), ("js", "py"), ("js", "js")]
    speeds: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    for seed in range(runs):
        for pair in pairs:
            speeds[pair].append(measure(*pair, size, js_home, path, seed))
    baseline = tuple(speeds["js", "js"])
    aim = ">= 0.4" if path is None else ">= 0.8"
    names = {"py": "ours", "js": "udx-native"}
    rows = [Row(f"{names[a]} sends to {names[b]}", "MB/s", tuple(speeds[a, b]), baseline, aim) for a, b in pairs[:-1]]
    print_table(rows, ours="ours", theirs="js to js")
    if path is not None:
        print(f"\nThe link emulator passes {ceiling():.0f} MB/s at most.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        be_peer(json.loads(sys.argv[2]))
    else:
        defaults = ["100", "5", "0", "0"]
        megabytes, runs, rtt_ms, loss = [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]]
        main(float(megabytes), int(runs), (float(rtt_ms), float(loss)) if float(rtt_ms) else None)
