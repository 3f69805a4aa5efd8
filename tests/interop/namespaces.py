"""Network namespaces of Linux as an internet in a box: a public one and homes behind real NATs (nftables masquerade).

Every socket of these tests lives in here. Where namespaces or nftables are not permitted, `why_not` says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from enum import Enum
from itertools import count
from types import TracebackType

PUBLIC_HOST = "60.0.0.1"
"""The DHT's nodes. Neither private nor reserved: peers must take it for real."""

_COMMAND_LIMIT = 20.0
_numbers = count(1)


class Nat(Enum):
    """What the box does with ports; both let in only from where something was sent to."""

    KEEPING = "keeping"
    RANDOM = "random"
    """A new random port for every destination: a symmetric NAT."""


_RULES = """
table ip nat {{
  chain out {{ type nat hook postrouting priority srcnat; oifname "wan" masquerade {flags}; }}
}}
table ip filter {{
  # Unsolicited datagrams go before conntrack confirms them: it would keep their ports from the box's own mappings.
  chain mine {{ type filter hook input priority filter; iifname "wan" ct state new drop; }}
  chain through {{ type filter hook forward priority filter; iifname "wan" ct state new drop; }}
}}
"""


_LOSS = """
table ip loss {{
  chain through {{
    type filter hook forward priority filter
    iifname "lan1" oifname "lan0" quota until {bytes} bytes drop
  }}
}}
"""


def _run(*command: str, stdin: str | None = None) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_COMMAND_LIMIT, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def why_not() -> str | None:
    """Why namespaces cannot be used here; None when they can."""
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"the program `{tool}` is missing"
    try:
        with Internet() as internet:
            _run("ip", "-n", internet.public, "link", "add", "one", "type", "veth", "peer", "name", "two")
            _run(*inside(internet.public), "nft", "-f", "-", stdin=_RULES.format(flags=""))
    except OSError as error:
        return str(error)
    return None


class Internet:
    """`with Internet() as internet: host = internet.home(Nat.RANDOM)`; commands run in `host` by `inside(host)`."""

    def __init__(self) -> None:
        self._prefix = f"qvac-{os.getpid()}-{next(_numbers)}"
        self._spaces: list[str] = []
        self._homes = 0
        self.public = ""

    def __enter__(self) -> Internet:
        try:
            self.public = self._space("public")
            self._ip(self.public, "addr", "add", f"{PUBLIC_HOST}/32", "dev", "lo")
            self._forward(self.public)
        except OSError:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._spaces:
            subprocess.run(
                ["ip", "netns", "del", self._spaces.pop()], capture_output=True, timeout=_COMMAND_LIMIT, check=False
            )

    def home(self, nat: Nat) -> str:
        """The namespace of a machine behind a box of its own."""
        return self.house(nat, 1)[0]

    def house(self, nat: Nat, machines: int, *, lost_bytes: int = 0) -> list[str]:
        """The namespaces of several machines behind one box, which loses the first bytes of the second to the first."""
        self._homes += 1
        number = self._homes
        box = self._space(f"box{number}")
        outside = f"60.0.{number}.2"
        self._ip(self.public, "link", "add", f"to{number}", "type", "veth", "peer", "name", "wan", "netns", box)
        self._ip(self.public, "link", "set", f"to{number}", "up")
        self._ip(self.public, "route", "add", f"{outside}/32", "dev", f"to{number}", "src", PUBLIC_HOST)
        self._ip(box, "addr", "add", f"{outside}/32", "dev", "wan")
        self._ip(box, "link", "set", "wan", "up")
        self._ip(box, "route", "add", f"{PUBLIC_HOST}/32", "dev", "wan")
        self._ip(box, "route", "add", "default", "via", PUBLIC_HOST, "dev", "wan")
        self._ip(box, "addr", "add", "192.168.1.1/32", "dev", "lo")
        # The box answers for the machines among each other (proxy ARP): bridges are missing from many kernels.
        _run(*inside(box), "sysctl", "-q", "-w", "net.ipv4.conf.default.proxy_arp=1")
        rooms = [self._room(box, f"home{number}-{n}", n) for n in range(machines)]
        self._forward(box)
        rules = _RULES.format(flags="fully-random" if nat is Nat.RANDOM else "")
        _run(*inside(box), "nft", "-f", "-", stdin=rules + (_LOSS.format(bytes=lost_bytes) if lost_bytes else ""))
        return rooms

    def _room(self, box: str, name: str, n: int) -> str:
        machine = self._space(name)
        address = f"192.168.1.{2 + n}"
        self._ip(box, "link", "add", f"lan{n}", "type", "veth", "peer", "name", "eth0", "netns", machine)
        self._ip(box, "link", "set", f"lan{n}", "up")
        # The kernel would wait up to 0.8 s before it answers for another; no house does.
        _run(*inside(box), "sysctl", "-q", "-w", f"net.ipv4.neigh.lan{n}.proxy_delay=0")
        self._ip(box, "route", "add", f"{address}/32", "dev", f"lan{n}", "src", "192.168.1.1")
        self._ip(machine, "addr", "add", f"{address}/24", "dev", "eth0")
        self._ip(machine, "link", "set", "eth0", "up")
        self._ip(machine, "route", "add", "default", "via", "192.168.1.1")
        return machine

    def _space(self, name: str) -> str:
        space = f"{self._prefix}-{name}"
        _run("ip", "netns", "add", space)
        self._spaces.append(space)
        self._ip(space, "link", "set", "lo", "up")
        return space

    @staticmethod
    def _ip(space: str, *command: str) -> None:
        _run("ip", "-n", space, *command)

    @staticmethod
    def _forward(space: str) -> None:
        _run(*inside(space), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def inside(space: str) -> tuple[str, ...]:
    """What to put before a command."""
    return ("ip", "netns", "exec", space)
