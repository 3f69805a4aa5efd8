"""Wake-on-LAN: the magic packet, where it is sent from here, and the addresses by which this machine can be woken.

Six bytes of ones and sixteen times the address of the sleeper's network card (AMD, Magic Packet Technology, 1995), as a
broadcast to UDP port 9: it reaches the networks of this machine and no other, so whoever sends it has to be there.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from qvac_core.errors import LocalProtocolError, NetworkError

logger = logging.getLogger(__name__)

PORT: Final = 9  # "discard": nobody answers there
TIMES: Final = 3  # one packet of a broadcast is lost easily, on a wireless network above all
MOST_ADDRESSES: Final = 4  # of one machine
MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Lan:
    """A network of this machine: its own address there, the broadcast address, and that of its card ("" = none)."""

    address: str
    broadcast: str
    mac: str
    port: int = PORT


def magic_packet(mac: str) -> bytes:
    """Raises LocalProtocolError for what is no address of one network card."""
    if not MAC.fullmatch(mac) or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:  # the last: of a group
        raise LocalProtocolError(f"'{mac[:40]}' is not the address of a network card.", name="NO_MAC")
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def own_networks() -> tuple[Lan, ...]:
    """Those that are up, have an IPv4 broadcast address, and are not this machine alone. Raises OSError."""
    import psutil  # slow to import

    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        if name not in up:
            continue
        macs = [one.address.replace("-", ":").lower() for one in addresses if one.family == psutil.AF_LINK]
        mac = next((mac for mac in macs if is_card(mac)), "")
        found += [
            Lan(one.address, one.broadcast, mac)
            for one in addresses
            if one.family == socket.AF_INET and one.broadcast and not one.address.startswith("127.")
        ]
    return tuple(found)


def own_addresses(networks: Sequence[Lan]) -> tuple[str, ...]:
    """By which this machine is woken: those of real cards, else those that its system made up (bridges, containers)."""
    macs = list(dict.fromkeys(one.mac for one in networks if one.mac))
    real = [mac for mac in macs if not int(mac[:2], 16) & 2]
    return tuple((real or macs)[:MOST_ADDRESSES])


def send_wake_up(macs: Sequence[str], networks: Callable[[], Sequence[Lan]] = own_networks) -> int:
    """Into how many networks of this machine it was sent. Raises NetworkError where it could be sent nowhere, and
    LocalProtocolError for what is no address."""
    packets = [magic_packet(mac) for mac in macs[:MOST_ADDRESSES]]
    sent, trouble = 0, "it has no network of its own"
    there: Sequence[Lan] = ()
    try:
        there = networks()
    except OSError as error:  # a sandbox may keep them from us
        trouble = str(error)
    for network in there:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                out.setblocking(False)
                out.bind((network.address, 0))
                for packet in packets * TIMES:
                    out.sendto(packet, (network.broadcast, network.port))
        except OSError as error:
            trouble = str(error)
            logger.info("no wake-up call into %s: %s", network.broadcast, error)
        else:
            sent += 1
    if not sent:
        raise NetworkError(f"This machine could send no wake-up call: {trouble}.", name="WAKE_NOT_SENT")
    return sent


def is_card(mac: str) -> bool:
    """Whether it is the address of one network card, as it is written here."""
    try:
        magic_packet(mac)
    except LocalProtocolError:
        return False
    return True
