"""The first nodes to ask, as addresses or names (docs/wire/hyperdht.md section 1.10)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qvac_core.codec import Address
from qvac_core.codec.host_port import is_ipv4, is_ipv6, parse_host_port
from qvac_core.errors import NetworkError

logger = logging.getLogger(__name__)

# Testnet nodes that once got mixed into the public network (hyperdht/index.js `filterNode`).
_STRAYS = {("134.209.28.98", 49738), ("167.99.142.185", 49738), ("35.233.47.252", 9400)}
_STRAY_HOST = "150.136.142.116"
RESOLVE_LIMIT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Bootstrap:
    addresses: tuple[Address, ...] = ()
    names: tuple[Address, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.addresses and not self.names

    @classmethod
    def parse(cls, entries: Sequence[Address | str]) -> Bootstrap:
        """Entries are (host, port) or text. Raises NetworkError BAD_BOOTSTRAP for what can be no node."""
        if isinstance(entries, str) or not isinstance(entries, Iterable):
            raise NetworkError("Bootstrap nodes are given as a list of HOST:PORT texts or pairs.", name="BAD_BOOTSTRAP")
        addresses: list[Address] = []
        names: list[Address] = []
        for entry in entries:
            host, port = _split(entry)
            if is_ipv6(host):
                raise NetworkError(
                    f"The network's nodes have IPv4 addresses: [{host}]:{port} cannot be one of them.",
                    name="BAD_BOOTSTRAP",
                )
            (addresses if is_ipv4(host) else names).append((host, port))
        return cls(tuple(addresses), tuple(names))


def _split(entry: Address | str) -> Address:
    if not isinstance(entry, str):
        try:
            host, port = entry
        except (TypeError, ValueError):
            raise NetworkError("A bootstrap node is HOST:PORT or a pair of both.", name="BAD_BOOTSTRAP") from None
        entry = f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}"
    try:
        return parse_host_port(entry)
    except NetworkError as error:
        raise NetworkError(f"A bootstrap node: {error.message}.", name="BAD_BOOTSTRAP") from error


async def resolve(bootstrap: Bootstrap) -> list[Address]:
    """All addresses; names that cannot be resolved are left out."""
    if not bootstrap.names:
        return list(bootstrap.addresses)
    found = await asyncio.gather(*map(_look_up, bootstrap.names))
    return [*bootstrap.addresses, *(address for address in found if address is not None)]


async def _look_up(name: Address) -> Address | None:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_LIMIT):
            infos = await loop.getaddrinfo(*name, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError) as error:
        logger.warning("bootstrap node %s is unknown: %s", name[0], error)
        return None
    host, port = infos[0][4][:2]
    return str(host), int(port)


def is_no_stray(address: Address) -> bool:
    return address not in _STRAYS and address[0] != _STRAY_HOST
