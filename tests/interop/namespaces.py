"""Network namespaces of Linux as an internet in a box: a public one and homes behind real NATs (nftables masquerade).

Every socket of these tests lives in here. Where namespaces or nftables are not permitted, `why_not` says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from itertools import count
from types import TracebackType

PUBLIC_HOST = "60.0.0.1"
"""The DHT's nodes. Neither private nor reserved: peers must take it for real."""

_CARRIER_GATEWAY = "100.64.0.1"
_COMMAND_LIMIT = 20.0
_numbers = count(1)


class Nat(Enum):
    """What stands before a machine. Boxes let in only from where something was sent to, unless it says otherwise."""

    OPEN = "open"
    """Nothing: the machine has a public address itself."""
    FULL_CONE = "full cone"
    """Keeps ports, and lets everybody in to a port that was used."""
    ADDRESS_RESTRICTED = "address restricted"
    """Keeps ports, and lets in from every port of a host that was written to."""
    KEEPING = "keeping"
    """Keeps ports: a port-restricted NAT."""
    RANDOM = "random"
    """A new random port for every destination: a symmetric NAT."""
    CGNAT = "cgnat"
    """A box that keeps ports behind a carrier's that does."""
    MOBILE = "mobile"
    """A box that keeps ports behind a carrier's with random ones."""
    BLOCKED = "blocked"
    """No datagram leaves."""
    WEB_ONLY = "web only"
    """Datagrams leave for the ports 53 and 443 alone."""


_RULES = """
table ip nat {{
  map ports {{ type inet_service : ipv4_addr; flags dynamic, timeout; timeout 60s; }}
  set heard {{ type ipv4_addr; flags dynamic, timeout; timeout 60s; }}
  chain remember {{
    type filter hook forward priority filter;
    iifname != "wan" meta l4proto udp update @ports {{ udp sport : ip saddr }}
    iifname != "wan" update @heard {{ ip daddr }}
  }}
  chain in {{ type nat hook prerouting priority dstnat; {dnat} }}
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade {flags}
    oifname != "wan" ct status dnat ct original ip daddr {outside} iifname != "wan" snat to {outside}
  }}
}}
table ip filter {{
  # Unsolicited datagrams go before conntrack confirms them: it would keep their ports from the box's own mappings.
  # What comes from inside for the box's own address goes, too: a box that cannot turn it round is silent.
  chain mine {{
    type filter hook input priority filter;
    iifname "wan" ct state new drop
    iifname != "wan" ip daddr {outside} drop
  }}
  chain through {{
    type filter hook forward priority filter;
    iifname "wan" ct status dnat accept
    iifname "wan" ct state new drop
    oifname "wan" {block}
  }}
}}
"""

_DNAT = {
    Nat.FULL_CONE: 'iifname "wan" dnat to udp dport map @ports;',
    Nat.ADDRESS_RESTRICTED: 'iifname "wan" ip saddr @heard dnat to udp dport map @ports;',
}
_HAIRPIN = 'iifname != "wan" ip daddr {outside} dnat to udp dport map @ports;'
_BLOCK = {Nat.BLOCKED: "meta l4proto udp drop", Nat.WEB_ONLY: "udp dport != { 53, 443 } drop"}


def _rules(nat: Nat, outside: str, *, hairpin: bool) -> str:
    return _RULES.format(
        dnat=_DNAT.get(nat, "") + (_HAIRPIN.format(outside=outside) if hairpin else ""),
        flags="fully-random" if nat is Nat.RANDOM else "",
        outside=outside,
        block=_BLOCK.get(nat, "accept"),
    )


_RULES6 = """
table ip6 filter {
  chain through { type filter hook forward priority filter; iifname "wan" ct state new drop; }
}
"""
_LOSS = """
table ip loss {{
  chain through {{
    type filter hook forward priority filter
    iifname "lan1" oifname "lan0" quota until {bytes} bytes drop
  }}
}}
"""


def run(*command: str, stdin: str | None = None) -> str:
    """What it printed. Raises OSError with what it complained about."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_COMMAND_LIMIT, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def why_not() -> str | None:
    """Why namespaces cannot be used here; None when they can."""
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"the program `{tool}` is missing"
    try:
        with Internet() as internet:
            run("ip", "-n", internet.public, "link", "add", "one", "type", "veth", "peer", "name", "two")
            run(*inside(internet.public), "nft", "-f", "-", stdin=_rules(Nat.FULL_CONE, PUBLIC_HOST, hairpin=True))
    except OSError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class _Street:
    """What boxes are plugged into: the namespace there, its own address, and the pattern of theirs."""

    space: str
    gateway: str
    addresses: str


class Internet:
    """`with Internet() as internet: host = internet.home(Nat.RANDOM)`; commands run in `host` by `inside(host)`."""

    def __init__(self) -> None:
        self._prefix = f"qvac-{os.getpid()}-{next(_numbers)}"
        self._spaces: list[str] = []
        self._boxes = 0
        self.public = ""

    def __enter__(self) -> Internet:
        try:
            self.public = self._space("public")
            self._ip(self.public, "addr", "add", f"{PUBLIC_HOST}/32", "dev", "lo")
            self._forward(self.public)
            self._street = _Street(self.public, PUBLIC_HOST, "60.0.{}.2")
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
            delete_space(self._spaces.pop())

    def add_public_host(self, host: str) -> None:
        """One more address for the public namespace."""
        self._ip(self.public, "addr", "add", f"{host}/32", "dev", "lo")

    def home(self, nat: Nat, *, ipv6: bool = False) -> str:
        """The namespace of a machine behind a box of its own, if any. `ipv6` is for one that has a box."""
        if ipv6:
            machine = self.house(nat, 1)[0]
            self._add_ipv6(machine)
            return machine
        if nat is Nat.OPEN:
            return self._plug(self._space(f"open{self._boxes + 1}"), "eth0", self._street)[0]
        if nat in (Nat.CGNAT, Nat.MOBILE):
            return self.carrier(Nat.RANDOM if nat is Nat.MOBILE else Nat.KEEPING, 1)[0]
        return self.house(nat, 1)[0]

    def house(self, nat: Nat, machines: int, *, hairpin: bool = False, lost_bytes: int = 0) -> list[str]:
        """The namespaces of several machines behind one box.

        With `hairpin` they reach each other's outside ports; `lost_bytes` of the second to the first are lost at first.
        """
        rooms = self._house(nat, machines, self._street, hairpin=hairpin)
        if lost_bytes:
            box = f"{self._prefix}-box{self._boxes}"
            run(*inside(box), "nft", "-f", "-", stdin=_LOSS.format(bytes=lost_bytes))
        return rooms

    def move(self, machine: str, nat: Nat) -> None:
        """Into another house, as from Wi-Fi to mobile: the interface goes, another one comes with another address."""
        self._ip(machine, "link", "del", "eth0")
        self._house(nat, 0, self._street)
        self._move_in(f"{self._prefix}-box{self._boxes}", machine, 9)

    def change_address(self, machine: str, host: str) -> None:
        """Another lease of the same router, the one that was set up last."""
        box = f"{self._prefix}-box{self._boxes}"
        self._ip(box, "route", "add", f"{host}/32", "dev", "lan0", "src", "192.168.1.1")
        self._ip(machine, "addr", "flush", "dev", "eth0")
        self._ip(machine, "addr", "add", f"{host}/24", "dev", "eth0")
        self._ip(machine, "route", "add", "default", "via", "192.168.1.1")

    def _add_ipv6(self, machine: str) -> None:
        """An address that everybody can write to, if the box lets them: only who was written to first."""
        number, box = self._boxes, machine.replace("home", "box").removesuffix("-0")
        inner, outer = f"fd00:{number}::2", f"fd00:{number}::1"
        for space in (self.public, box):
            run(*inside(space), "sysctl", "-q", "-w", "net.ipv6.conf.all.forwarding=1")
        self._ip(machine, "addr", "add", f"{inner}/64", "dev", "eth0", "nodad")
        self._ip(box, "addr", "add", f"{outer}/64", "dev", "lan0", "nodad")
        self._ip(machine, "route", "add", "default", "via", outer)
        self._ip(self.public, "addr", "add", f"fd01:{number}::1/64", "dev", f"to{number}", "nodad")
        self._ip(box, "addr", "add", f"fd01:{number}::2/64", "dev", "wan", "nodad")
        self._ip(box, "route", "add", "default", "via", f"fd01:{number}::1")
        self._ip(self.public, "route", "add", f"fd00:{number}::/64", "via", f"fd01:{number}::2")
        run(*inside(box), "nft", "-f", "-", stdin=_RULES6)

    def carrier(self, nat: Nat, houses: int, *, hairpin: bool = False, alike: bool = False) -> list[str]:
        """The namespaces of machines that each have a box of their own which keeps ports, behind one of this kind.

        `alike`: all of them have the same address in their house.
        """
        box, outside = self._plug(self._space(f"carrier{self._boxes + 1}"), "wan", self._street)
        street = _Street(box, _CARRIER_GATEWAY, "100.64.{}.2")
        self._set_up_box(box, nat, outside, _CARRIER_GATEWAY, hairpin=hairpin)
        return [self._house(Nat.KEEPING, 1, street, first=0 if alike else n)[0] for n in range(houses)]

    def _house(self, nat: Nat, machines: int, street: _Street, *, hairpin: bool = False, first: int = 0) -> list[str]:
        box, outside = self._plug(self._space(f"box{self._boxes + 1}"), "wan", street)
        number = self._boxes
        self._set_up_box(box, nat, outside, "192.168.1.1", hairpin=hairpin)
        return [self._room(box, f"home{number}-{n}", n) for n in range(first, first + machines)]

    def _plug(self, space: str, device: str, street: _Street) -> tuple[str, str]:
        """Gives a machine or a box an address in a street, which is where its packets leave for the world."""
        self._boxes += 1
        there, outside = f"to{self._boxes}", street.addresses.format(self._boxes)
        self._ip(street.space, "link", "add", there, "type", "veth", "peer", "name", device, "netns", space)
        self._ip(street.space, "link", "set", there, "up")
        self._ip(street.space, "route", "add", f"{outside}/32", "dev", there, "src", street.gateway)
        self._ip(space, "addr", "add", f"{outside}/32", "dev", device)
        self._ip(space, "link", "set", device, "up")
        self._ip(space, "route", "add", f"{street.gateway}/32", "dev", device)
        self._ip(space, "route", "add", "default", "via", street.gateway, "dev", device)
        return space, outside

    def _set_up_box(self, box: str, nat: Nat, outside: str, inside_address: str, *, hairpin: bool) -> None:
        self._ip(box, "addr", "add", f"{inside_address}/32", "dev", "lo")
        # The box answers for the machines among each other (proxy ARP): bridges are missing from many kernels.
        run(*inside(box), "sysctl", "-q", "-w", "net.ipv4.conf.default.proxy_arp=1")
        self._forward(box)
        run(*inside(box), "nft", "-f", "-", stdin=_rules(nat, outside, hairpin=hairpin))

    def _room(self, box: str, name: str, n: int) -> str:
        machine = self._space(name)
        self._move_in(box, machine, n)
        return machine

    def _move_in(self, box: str, machine: str, n: int) -> None:
        address = f"192.168.1.{2 + n}"
        self._ip(box, "link", "add", f"lan{n}", "type", "veth", "peer", "name", "eth0", "netns", machine)
        self._ip(box, "link", "set", f"lan{n}", "up")
        # The kernel would wait up to 0.8 s before it answers for another; no house does.
        run(*inside(box), "sysctl", "-q", "-w", f"net.ipv4.neigh.lan{n}.proxy_delay=0")
        self._ip(box, "route", "add", f"{address}/32", "dev", f"lan{n}", "src", "192.168.1.1")
        self._ip(machine, "addr", "add", f"{address}/24", "dev", "eth0")
        self._ip(machine, "link", "set", "eth0", "up")
        self._ip(machine, "route", "add", "default", "via", "192.168.1.1")

    def _space(self, name: str) -> str:
        space = f"{self._prefix}-{name}"
        run("ip", "netns", "add", space)
        self._spaces.append(space)
        self._ip(space, "link", "set", "lo", "up")
        return space

    @staticmethod
    def _ip(space: str, *command: str) -> None:
        run("ip", "-n", space, *command)

    @staticmethod
    def _forward(space: str) -> None:
        run(*inside(space), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def delete_space(space: str) -> None:
    """Whether or not it is there."""
    subprocess.run(["ip", "netns", "del", space], capture_output=True, timeout=_COMMAND_LIMIT, check=False)


def inside(space: str) -> tuple[str, ...]:
    """What to put before a command."""
    return ("ip", "netns", "exec", space)
