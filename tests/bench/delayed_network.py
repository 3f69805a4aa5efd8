"""Machines that are far from each other: one network namespace each, and a switch that lets every datagram wait.

The switch is a process of its own (`python -m tests.bench.delayed_network DELAY_MS LOSS SEED SPACE=ADDRESS…`): it holds
the other end of each machine's only interface, a TUN device, and passes packets on by their destination. Needs root on
Linux; where that is missing, `why_not` says so.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
_NUMBERS = count(1)
_COMMAND_LIMIT = 20.0
_QUEUE = 20000  # packets that an interface holds while the switch is busy
_BATCH = 256

# <linux/if_tun.h>, <linux/sched.h>
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_DEVICE = "far0"
_DESTINATION = slice(16, 20)  # of an IPv4 header


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_LIMIT, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def why_not() -> str | None:
    """Why such a network cannot be had here; None when it can."""
    try:
        with DelayedNetwork(1, 0.0):
            return None
    except OSError as error:
        return str(error)


class DelayedNetwork:
    """`machines` of them, every one `rtt_ms` from every other; `hosts[i]` is the address in the namespace `spaces[i]`.

    Neither private nor reserved addresses: peers must take them for real. Raises OSError where it cannot be made.
    """

    def __init__(self, machines: int, rtt_ms: float, loss: float = 0.0, seed: int = 0) -> None:
        prefix = f"qvac-far-{os.getpid()}-{next(_NUMBERS)}"
        self.hosts = [f"60.2.0.{number + 1}" for number in range(machines)]
        self.spaces = [f"{prefix}-{number}" for number in range(machines)]
        self._settings = (str(rtt_ms / 2), str(loss), str(seed))
        self._switch: subprocess.Popen[str] | None = None

    def __enter__(self) -> DelayedNetwork:
        try:
            self._open()
        except OSError:
            self.close()
            raise
        return self

    def _open(self) -> None:
        for space in self.spaces:
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        ends = [f"{space}={host}" for space, host in zip(self.spaces, self.hosts, strict=True)]
        self._switch = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.delayed_network", *self._settings, *ends],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._switch.stdout is not None
        said = json.loads(self._switch.stdout.readline() or '{"error": "the switch did not start"}')
        if "error" in said:
            raise OSError(said["error"])
        for space, host in zip(self.spaces, self.hosts, strict=True):
            _run("ip", "-n", space, "addr", "add", f"{host}/24", "dev", _DEVICE)
            _run("ip", "-n", space, "link", "set", _DEVICE, "up", "txqueuelen", str(_QUEUE))

    def inside(self, machine: int) -> tuple[str, ...]:
        """What to put before a command."""
        return ("ip", "netns", "exec", self.spaces[machine])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._switch is not None:
            self._switch.kill()
            self._switch.communicate()
            self._switch = None
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=_COMMAND_LIMIT, check=False)


def _open_device(space: str) -> int:
    """The switch's end of the interface that this makes in the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{space}", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns is not permitted")
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
        return device
    finally:
        libc.setns(here, _CLONE_NEWNET)
        os.close(here)
        os.close(there)


def switch(delay: float, loss: float, seed: int, ends: dict[str, str]) -> None:
    """Runs until stdin closes. delay: seconds one way. loss: probability per packet. ends: namespace -> address."""
    try:
        devices = {bytes(map(int, host.split("."))): _open_device(space) for space, host in ends.items()}
    except OSError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({"event": "ready"}), flush=True)
    chance = random.Random(seed).random
    waiting: deque[tuple[float, int, bytes]] = deque()
    sources = [sys.stdin.fileno(), *devices.values()]
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select(sources, [], [], timeout)
        if sources[0] in readable:
            return
        for device in readable:
            due = time.monotonic() + delay
            for _ in range(_BATCH):
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                target = devices.get(packet[_DESTINATION])
                if target is not None and (not loss or chance() >= loss):
                    waiting.append((due, target, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _due, target, packet = waiting.popleft()
            try:
                os.write(target, packet)
            except OSError:
                continue  # the machine's interface is not up yet, or no more


if __name__ == "__main__":
    switch(
        float(sys.argv[1]) / 1000,
        float(sys.argv[2]),
        int(sys.argv[3]),
        dict(end.split("=", 1) for end in sys.argv[4:]),
    )
