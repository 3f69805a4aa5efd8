"""A link between two UDP ports on loopback with delay and loss: the kernel's netem is absent on many machines.

A process of its own: `python -m tests.bench.link DELAY_MS LOSS PORT_A PORT_B SEED`. It binds two sockets and prints
them as JSON; what arrives at the first leaves from the second towards PORT_B, and the other way round, DELAY_MS later
each way, unless lost.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time

BATCH = 256  # datagrams read per wake-up and socket
BUFFER = 8 << 20  # bytes; the emulator must lose nothing but what it was told to


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def main(delay: float, loss: float, port_a: int, port_b: int, seed: int) -> None:
    """Runs until stdin closes. delay: seconds one way. loss: probability per datagram."""
    towards_a, towards_b = _socket(), _socket()
    # A datagram from peer A arrives at `towards_a` (that is where A sends to) and leaves from `towards_b`.
    ways = {
        towards_a: (towards_b, ("127.0.0.1", port_b)),
        towards_b: (towards_a, ("127.0.0.1", port_a)),
    }
    print(json.dumps({"event": "ready", "a": towards_a.getsockname()[1], "b": towards_b.getsockname()[1]}), flush=True)
    chance = random.Random(seed).random
    waiting: list[tuple[float, int, socket.socket, tuple[str, int], bytes]] = []
    order = 0
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
                    order += 1
                    heapq.heappush(waiting, (due, order, out, target, data))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _due, _order, out, target, data = heapq.heappop(waiting)
            out.sendto(data, target)


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000, float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
