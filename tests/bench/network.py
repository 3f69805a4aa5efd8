"""`python -m tests.bench.network`: our hyperdht against the original on the same testnet, in one run."""

from __future__ import annotations

from pathlib import Path

from tests.bench.driver import BenchPeer
from tests.bench.table import Row, print_table
from tests.interop.install import install_js_peers

RUNS = 9
STREAM_BYTES = 64 << 20
ROUND_TRIPS = 300
BURST = 100


def measure(kind: str, bootstrap: str, js_home: Path, results: dict[str, list[float]]) -> None:
    """One client and one server of the same kind: every figure once."""
    with (
        BenchPeer(kind, bootstrap, js_home=js_home) as server,
        BenchPeer(kind, bootstrap, js_home=js_home) as client,
    ):
        key = server.do("listen")["key"]
        client.do("ready")

        def note(name: str, value: float) -> None:
            results.setdefault(name, []).append(value)

        note("cold", client.do("connect", key=key, fresh=True)["ms"])
        for _ in range(3):
            note("warm", client.do("connect", key=key, fresh=False)["ms"])
        note("rtt", client.do("rtt", count=ROUND_TRIPS, size=100)["p50"])
        note("stream", STREAM_BYTES / 1e6 / (client.do("send", bytes=STREAM_BYTES)["ms"] / 1000))
        note("burst", client.do("burst", key=key, count=BURST)["ms"])


def main() -> None:
    js_home = install_js_peers()
    with BenchPeer("js", "--testnet", "8", js_home=js_home) as net:
        (bootstrap,) = net.hello["bootstrap"][:1]
        ours: dict[str, list[float]] = {}
        theirs: dict[str, list[float]] = {}
        for _ in range(RUNS):
            measure("py", bootstrap, js_home, ours)
            measure("js", bootstrap, js_home, theirs)
    rows = [
        Row(title, unit, tuple(ours[key]), tuple(theirs[key]), aim)
        for key, title, unit, aim in (
            ("cold", "connect, first time", "ms", "<= 2"),
            ("warm", "connect, known provider", "ms", "<= 2"),
            ("rtt", "100-byte round trip p50", "ms", ""),
            ("stream", "one stream, loopback", "MB/s", ">= 0.4"),
            ("burst", f"{BURST} connections at once", "ms", ""),
        )
    ]
    print_table(rows, ours="ours", theirs="JavaScript")


if __name__ == "__main__":
    main()
