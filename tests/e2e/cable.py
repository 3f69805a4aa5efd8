"""Two machines joined by a cable: network namespaces of Linux with no route out, and no bootstrap node."""

from __future__ import annotations

import os
import re
from itertools import count
from types import TracebackType

from tests.interop.namespaces import delete_space, inside, run, why_not

HOSTS = ("192.168.77.1", "192.168.77.2")
_COUNT_MDNS = """
table ip watch {
  chain out { type filter hook output priority filter; udp dport 5353 counter; }
}
"""
_numbers = count(1)

__all__ = ["HOSTS", "Cable", "inside", "why_not"]


class Cable:
    """`with Cable() as cable:` the namespaces are `cable.machines`, with the addresses HOSTS."""

    def __init__(self) -> None:
        prefix = f"qvac-cable-{os.getpid()}-{next(_numbers)}"
        self.machines = (f"{prefix}-a", f"{prefix}-b")

    def __enter__(self) -> Cable:
        first, second = self.machines
        try:
            for machine in self.machines:
                run("ip", "netns", "add", machine)
                run("ip", "-n", machine, "link", "set", "lo", "up")
            run("ip", "-n", first, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", second)
            for machine, host in zip(self.machines, HOSTS, strict=True):
                run("ip", "-n", machine, "addr", "add", f"{host}/24", "dev", "eth0")
                run("ip", "-n", machine, "link", "set", "eth0", "up")
                run(*inside(machine), "nft", "-f", "-", stdin=_COUNT_MDNS)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for machine in self.machines:
            delete_space(machine)

    def questions(self, machine: str) -> int:
        """Datagrams that this machine sent to port 5353, of anybody, through any interface."""
        found = re.search(r"counter packets (\d+)", run(*inside(machine), "nft", "list", "table", "ip", "watch"))
        assert found is not None
        return int(found[1])
