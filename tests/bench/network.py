"""`python -m tests.bench.network [--quick]`: our hyperdht against the original on the same testnet, in one run.

Both do the same work in turns, each with a client and a server of its own kind, in a network of the original's nodes.
`--quick` only shows that every benchmark runs: its figures mean nothing.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import udx_speed
from tests.bench.delayed_network import DelayedNetwork, why_not
from tests.bench.driver import BenchPeer
from tests.bench.link import ceiling
from tests.bench.table import Row, print_table
from tests.interop.install import install_js_peers
from tests.interop.udx_driver import CHUNK

FAR_RTT = 50.0  # ms
LINKS = (("50 ms", 0.0), ("50 ms, 1 % loss", 0.01), ("50 ms, 5 % loss", 0.05))


@dataclass(frozen=True, slots=True)
class Effort:
    runs: int
    nodes: int  # of the testnet
    round_trips: int
    providers: int  # that one consumer meets at once
    idle: int  # connections that are held open
    rate_seconds: float
    stream_mb: int
    far_stream_mb: int


FULL = Effort(
    runs=7,
    nodes=20,
    round_trips=500,
    providers=100,
    idle=500,
    rate_seconds=3.0,
    stream_mb=64,
    far_stream_mb=30,
)
QUICK = Effort(
    runs=1,
    nodes=4,
    round_trips=20,
    providers=4,
    idle=4,
    rate_seconds=0.2,
    stream_mb=1,
    far_stream_mb=1,
)

Figures = dict[str, list[float]]
Start = Callable[..., BenchPeer]
"""Starts a peer: (kind, *more arguments)."""

WHAT = {
    "cold": ("connect, first time", "ms", "<= 2"),
    "warm": ("connect, known provider", "ms", "<= 2"),
    "restart": ("connect after a restart of the process", "ms", "< 1"),
    "announce": ("announce a topic", "ms", ""),
    "lookup": ("look a topic up", "ms", ""),
    "providers": ("first connections to {providers} providers at once", "ms", "< 1"),
    "burst": ("{providers} connections to one provider at once", "ms", "< 1"),
    "rate": ("connections made and dropped, 8 at a time", "1/s", ""),
    "rtt": ("100-byte round trip p50", "ms", ""),
    "rtt99": ("100-byte round trip p99", "ms", ""),
    "stream": ("one encrypted stream, loopback", "MB/s", ">= 1"),
    "plain": ("the same, segmentation offload off", "MB/s", ">= 0.4"),
    "client": ("memory per idle connection, client", "kB", ""),
    "server": ("memory per idle connection, server", "kB", ""),
}
FAR = ("cold", "warm", "restart", "announce", "lookup", "providers", "burst")


class Bench:
    """What one implementation did, as figures by name."""

    def __init__(self, kind: str, effort: Effort, start_server: Start, start_client: Start) -> None:
        self.figures: Figures = {}
        self._kind = kind
        self._effort = effort
        self._start_server = start_server
        self._start_client = start_client

    def note(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def meet(self) -> None:
        """Everything whose cost are round trips through the network."""
        effort = self._effort
        with self._start_server(self._kind) as server, self._start_client(self._kind) as client:
            keys = server.do("listen", count=effort.providers)["keys"]
            client.do("ready")
            self.note("cold", client.do("connect", key=keys[0], fresh=True)["ms"])
            for _ in range(3):
                self.note("warm", client.do("connect", key=keys[0], fresh=False)["ms"])
            for _ in range(3):
                topic = secrets.token_hex(32)
                self.note("announce", server.do("announce", topic=topic)["ms"])
                self.note("lookup", client.do("lookup", topic=topic)["ms"])
            self.note("burst", client.do("burst", keys=keys[:1], count=effort.providers)["ms"])
            saved = client.do("saved", key=keys[0])["saved"]
            with self._start_client(self._kind) as other:
                other.do("ready")
                self.note("providers", other.do("burst", keys=keys, count=effort.providers)["ms"])
            for _ in range(2):
                with self._start_client(self._kind) as again:
                    self.note("restart", again.do("restart", key=keys[0], saved=saved)["ms"])

    def use(self) -> None:
        """What costs the machine: messages, streams, connections by the second and in memory."""
        effort = self._effort
        with self._start_server(self._kind) as server, self._start_client(self._kind) as client:
            (key,) = server.do("listen", count=1)["keys"]
            client.do("connect", key=key, fresh=False)
            said = client.do("rtt", count=effort.round_trips, size=100)
            self.note("rtt", said["p50"])
            self.note("rtt99", said["p99"])
            self.note("stream", self._speed(client))
            before = client.memory(), server.memory()
            client.do("idle", key=key, count=effort.idle)
            after = client.memory(), server.memory()
            for who, was, now in zip(("client", "server"), before, after, strict=True):
                self.note(who, (now - was) / effort.idle)
            client.do("drop")
            self.note("rate", client.do("rate", key=key, seconds=effort.rate_seconds, workers=8)["rate"])

    def use_plainly(self) -> None:
        """One stream without segmentation offload; the original has none in any case."""
        options = ("--no-offload",) if self._kind == "py" else ()
        with (
            self._start_server(self._kind, *options) as server,
            self._start_client(self._kind, *options) as client,
        ):
            (key,) = server.do("listen", count=1)["keys"]
            client.do("connect", key=key, fresh=False)
            self.note("plain", self._speed(client))

    def _speed(self, client: BenchPeer) -> float:
        size = self._effort.stream_mb * 1_000_000
        return float(size / 1e3 / client.do("send", bytes=size)["ms"])


def near(effort: Effort, js_home: Path) -> list[Row]:
    """Everything on loopback."""
    with BenchPeer("js", "--testnet", str(effort.nodes), js_home=js_home) as net:
        (bootstrap,) = net.hello["bootstrap"][:1]

        def start(kind: str, *options: str) -> BenchPeer:
            return BenchPeer(kind, bootstrap, *options, js_home=js_home)

        benches = [Bench(kind, effort, start, start) for kind in ("py", "js")]
        for _ in range(effort.runs):
            for step in (Bench.meet, Bench.use, Bench.use_plainly):
                for bench in benches:
                    step(bench)
    return rows(benches, effort, tuple(WHAT))


def far(effort: Effort, js_home: Path) -> list[Row]:
    """Meeting, with FAR_RTT between any two of client, server and the testnet. Raises OSError where that cannot be."""
    with (
        DelayedNetwork(3, FAR_RTT) as network,
        BenchPeer(
            "js", "--testnet", str(effort.nodes), network.hosts[0], js_home=js_home, inside=network.inside(0)
        ) as net,
    ):
        (bootstrap,) = net.hello["bootstrap"][:1]

        def on(machine: int) -> Start:
            def start(kind: str, *options: str) -> BenchPeer:
                host = network.hosts[machine]
                return BenchPeer(kind, bootstrap, host, *options, js_home=js_home, inside=network.inside(machine))

            return start

        benches = [Bench(kind, effort, on(1), on(2)) for kind in ("py", "js")]
        for _ in range(max(1, effort.runs // 2)):
            for bench in benches:
                bench.meet()
    return rows(benches, effort, FAR)


def rows(benches: list[Bench], effort: Effort, names: tuple[str, ...]) -> list[Row]:
    ours, theirs = (bench.figures for bench in benches)
    return [
        Row(title.format(providers=effort.providers), unit, tuple(ours[name]), tuple(theirs[name]), aim)
        for name in names
        for title, unit, aim in [WHAT[name]]
    ]


def links(effort: Effort, js_home: Path) -> list[Row]:
    """One UDX stream through the link emulator."""
    size = effort.far_stream_mb * 1_000_000
    size -= size % CHUNK
    speeds: Figures = {}
    for seed in range(effort.runs):
        for name, loss in LINKS:
            for kind in ("py", "js"):
                speed = udx_speed.measure(kind, kind, size, str(js_home), (FAR_RTT, loss), seed)
                speeds.setdefault(f"{kind} {name}", []).append(speed)
    return [
        Row(f"one stream, {name}", "MB/s", tuple(speeds[f"py {name}"]), tuple(speeds[f"js {name}"]), ">= 0.8")
        for name, _ in LINKS
    ]


def main(effort: Effort = FULL) -> None:
    js_home = install_js_peers()
    show = {"ours": "ours", "theirs": "JavaScript"}
    print("### On loopback\n")
    print_table(near(effort, js_home), **show)
    print(f"\n### {FAR_RTT:g} ms between any two\n")
    reason = why_not()
    if reason is None:
        print_table(far(effort, js_home), **show)
    else:
        print(f"Not run: {reason}")
    print("\n### UDX through the link emulator\n")
    print_table(links(effort, js_home), **show)
    print(f"\nThe link emulator passes {ceiling():.0f} MB/s at most.")


if __name__ == "__main__":
    main(QUICK if sys.argv[1:] == ["--quick"] else FULL)
