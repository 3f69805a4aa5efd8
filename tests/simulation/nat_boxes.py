"""NAT boxes between simulated hosts and the simulated internet, of every kind that peers meet at home and on mobiles.

After RFC 4787: how a box maps (one outside port per socket, or one per socket and destination) and whom it lets back
in. A box is plugged into the internet or into another box, which makes a carrier-grade NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from qvac_core.codec import Address

from .datagram_network import MAPPING_LIFE, Host, Internet, Port, Wire, on_the_way
from .virtual_loop import world_time

_LAN_DELAY = 0.0005
_RANDOM_PORTS = (1024, 65535)


class Kind(Enum):
    OPEN = "open"
    """No box at all."""
    FULL_CONE = "full cone"
    ADDRESS_RESTRICTED = "address restricted"
    PORT_RESTRICTED = "port restricted"
    SYMMETRIC = "symmetric"
    """A random outside port for every destination, from which alone answers are let in."""
    CGNAT = "cgnat"
    """A port-restricted box at home behind a port-restricted box of the carrier."""
    MOBILE = "mobile"
    """A port-restricted box at home, or in the phone, behind a symmetric one of the carrier."""
    WEB_ONLY = "web only"
    """Port-restricted, and datagrams leave for ports 53 and 443 alone."""
    BLOCKED = "blocked"
    """No datagram passes in either direction."""


RANDOM = (Kind.SYMMETRIC, Kind.MOBILE)
_WEB_PORTS = (53, 443)


class NatBox:
    """A network of its own for those inside, one address for those outside."""

    def __init__(
        self,
        internet: Internet,
        kind: Kind,
        *,
        outer: NatBox | None = None,
        hairpin: bool = False,
        isolated: bool = False,
        carrier: bool = False,
    ) -> None:
        """`hairpin`: those inside reach each other's outside ports. `isolated`: never directly, as on a guest Wi-Fi.

        `carrier`: those inside are boxes with carrier-grade addresses (of kind CGNAT it always is one).
        """
        self.kind = kind
        self.hairpin = hairpin
        self.isolated = isolated
        self._internet = internet
        self._outer: Wire = outer or internet
        self.address = outer.inside_address() if outer is not None else internet.next_address()
        self._prefix = "100.64.0" if carrier or kind is Kind.CGNAT else "192.168.1"
        self._inside = 1
        self._ports: dict[Address, Port] = {}
        self._by_key: dict[tuple[Address, Address | None], Mapping] = {}
        self._by_port: dict[int, Mapping] = {}

    def inside_address(self) -> str:
        self._inside += 1
        return f"{self._prefix}.{self._inside}"

    def host(self) -> Host:
        return Host(self, self.inside_address())

    def remap(self) -> None:
        """Forget every mapping, as a box that was restarted."""
        for mapping in list(self._by_port.values()):
            self.drop(mapping)

    @property
    def mappings(self) -> int:
        return len(self._by_port)

    # What is plugged in inside

    def bind(self, port: Port) -> None:
        self._ports[port.outside] = port

    def unbind(self, port: Port) -> None:
        self._ports.pop(port.outside, None)

    def is_free(self, address: Address) -> bool:
        return address not in self._ports

    def send(self, source: Address, datagrams: Sequence[bytes], to: Address, ttl: int) -> None:
        if to[0].rpartition(".")[0] == self._prefix:
            if not self.isolated:
                self._hand_over(source, datagrams, to)
            return
        if ttl <= 1 or self.kind is Kind.BLOCKED or (self.kind is Kind.WEB_ONLY and to[1] not in _WEB_PORTS):
            return
        mapping = self._map(source, to)
        mapping.contacted[to] = mapping.used = world_time()
        if to[0] != self.address:
            self._outer.send(mapping.outside, datagrams, to, ttl - 1)
        elif self.hairpin:
            back = self._by_port.get(to[1])
            if back is not None and back.lets_in(mapping.outside):
                self._hand_over(mapping.outside, datagrams, back.inside)

    def _hand_over(self, source: Address, datagrams: Sequence[bytes], to: Address) -> None:
        batch = [(datagram, source) for datagram in datagrams]
        on_the_way(_LAN_DELAY, self.arrived, to, batch)

    def arrived(self, to: Address, batch: list[tuple[bytes, Address]]) -> None:
        port = self._ports.get(to)
        if port is not None and port.lets_in(batch[0][1]):
            port.receive(batch)

    # Mappings

    def _map(self, source: Address, to: Address) -> Mapping:
        key = (source, to if self.kind is Kind.SYMMETRIC else None)
        mapping = self._by_key.get(key)
        if mapping is not None and world_time() - mapping.used < MAPPING_LIFE:
            return mapping
        if mapping is not None:
            self.drop(mapping)
        mapping = self._by_key[key] = Mapping(self, key, (self.address, self._pick_port(source[1])))
        self._by_port[mapping.outside[1]] = mapping
        self._outer.bind(mapping)
        return mapping

    def _pick_port(self, wanted: int) -> int:
        chance = self._internet.random
        port = wanted if self.kind is not Kind.SYMMETRIC else chance.randint(*_RANDOM_PORTS)
        while port in self._by_port:
            port = chance.randint(*_RANDOM_PORTS)
        return port

    def drop(self, mapping: Mapping) -> None:
        self._outer.unbind(mapping)
        self._by_key.pop(mapping.key, None)
        self._by_port.pop(mapping.outside[1], None)


class Mapping:
    """One outside port of a box, and whom it has written to."""

    def __init__(self, box: NatBox, key: tuple[Address, Address | None], outside: Address) -> None:
        self.key = key
        self.inside = key[0]
        self.outside = outside
        self.contacted: dict[Address, float] = {}
        self.used = 0.0
        self._box = box

    def lets_in(self, source: Address) -> bool:
        now = world_time()
        if now - self.used >= MAPPING_LIFE:
            return False
        match self._box.kind:
            case Kind.FULL_CONE:
                return True
            case Kind.ADDRESS_RESTRICTED:
                return any(host == source[0] and now - at < MAPPING_LIFE for (host, _), at in self.contacted.items())
        return now - self.contacted.get(source, -MAPPING_LIFE) < MAPPING_LIFE

    def receive(self, batch: list[tuple[bytes, Address]]) -> None:
        self._box.arrived(self.inside, batch)


def home(internet: Internet, kind: Kind, *, hairpin: bool = False) -> Host:
    """A machine of its own behind a box of this kind."""
    if kind is Kind.OPEN:
        return internet.host()
    if kind in (Kind.CGNAT, Kind.MOBILE):
        carrier = NatBox(internet, Kind.CGNAT if kind is Kind.CGNAT else Kind.SYMMETRIC, hairpin=hairpin, carrier=True)
        return NatBox(internet, Kind.PORT_RESTRICTED, outer=carrier).host()
    return NatBox(internet, kind, hairpin=hairpin).host()
