"""A link between two UDP ports on loopback with delay and loss: the kernel's netem is absent on many machines.

A process of its own: `python -m tests.bench.link DELAY_MS LOSS PORT_A PORT_B SEED`. It binds two sockets and prints
them as JSON; what arrives at the first leaves from the second towards PORT_B, and the other way round, DELAY_MS later
each way, unless lost. `ceiling()` tells how much passes through one at all.
"""

from __future__ import annotations

import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BATCH = 256  # datagrams read per wake-up and socket
BUFFER = 8 << 20  # bytes; the emulator must lose nothing but what it was told to

CEILING_DATAGRAM = 1472  # bytes: a full packet of the streams that are measured
CEILING_IN_FLIGHT = 128


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def run(delay: float, loss: float, port_a: int, port_b: int, seed: int) -> None:
    """Runs until stdin closes. delay: seconds one way. loss: probability per datagram."""
    towards_a, towards_b = _socket(), _socket()
    # A datagram from peer A arrives at `towards_a` (that is where A sends to) and leaves from `towards_b`.
    ways = {
        towards_a: (towards_b, ("127.0.0.1", port_b)),
        towards_b: (towards_a, ("127.0.0.1", port_a)),
    }
    print(json.dumps({"event": "ready", "a": towards_a.getsockname()[1], "b": towards_b.getsockname()[1]}), flush=True)
    chance = random.Random(seed).random
    # All wait equally long: they leave in the order in which they came.
    waiting: deque[tuple[float, socket.socket, tuple[str, int], bytes]] = deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([towards_a, towards_b, sys.stdin], [], [], timeout)
        if sys.stdin in readable:
            return
        for sock in (way for way in ways if way in readable):
            out, target = ways[sock]
            due = time.monotonic() + delay
            for _ in range(BATCH):
                try:
                    data = sock.recv(2048)
                except BlockingIOError:
                    break
                if chance() >= loss:
                    waiting.append((due, out, target, data))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _due, out, target, data = waiting.popleft()
            out.sendto(data, target)


class Link:
    """The emulator's process between two ports of loopback; `ports` are those behind which A and B are now."""

    def __init__(self, ports: list[int], rtt_ms: float, loss: float, seed: int = 0) -> None:
        arguments: list[Any] = [rtt_ms / 2, loss, *ports, seed]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.link", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.ports = [ready["b"], ready["a"]]  # who sends to "a" reaches the second port

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def ceiling(seconds: float = 1.0) -> float:
    """Megabytes per second that the emulator passes on, in datagrams of a stream's size."""
    ends = [_socket(), _socket()]
    link = Link([end.getsockname()[1] for end in ends], 0.0, 0.0)
    try:
        target = ("127.0.0.1", link.ports[1])
        datagram = bytes(CEILING_DATAGRAM)
        in_flight = arrived = 0
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            for _ in range(CEILING_IN_FLIGHT - in_flight):
                ends[0].sendto(datagram, target)
            in_flight = CEILING_IN_FLIGHT
            if not select.select([ends[1]], [], [], seconds)[0]:
                raise RuntimeError("the link emulator lost datagrams by itself")
            while in_flight:
                try:
                    ends[1].recv(2048)
                except BlockingIOError:
                    break
                in_flight -= 1
                arrived += 1
        return arrived * CEILING_DATAGRAM / 1e6 / (now - start)
    finally:
        link.close()
        for end in ends:
            end.close()


if __name__ == "__main__":
    run(float(sys.argv[1]) / 1000, float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
