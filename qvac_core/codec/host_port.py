"""HOST:PORT as people write it: IPv4, a name, or IPv6 in brackets (RFC 3986 section 3.2.2).

And IP@NAME:PORT (dht-rpc 6.27.0 `parseNode`), of which the address is taken.
"""

from __future__ import annotations

import ipaddress
import re

from qvac_core.codec import Address
from qvac_core.codec.key_text import without_wrapping
from qvac_core.errors import NetworkError

_HOST = re.compile(r"[^\s/:@\[\]?#%]+")


def parse_host_port(text: str) -> Address:
    """(host, port) of `text`; an IPv6 host comes without its brackets, a name in lower case.

    Raises NetworkError BAD_ADDRESS with a sentence that says what is wrong.
    """
    plain = without_wrapping(text)
    if "://" in plain:
        raise _wrong(text, f"leave out {plain.split('://')[0]}://")
    host, colon, port = plain.rpartition(":")
    if not colon or not host:
        raise _wrong(text, "the port is missing" if plain and not colon else "")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise _wrong(text, "a port is a number from 1 to 65535")
    if host[0] == "[" and host[-1] == "]":
        return _ipv6(text, host[1:-1]), int(port)
    ip, at, name = host.rpartition("@")
    if at and _HOST.fullmatch(name):
        return _ipv4(text, ip), int(port)
    if ":" in host:
        raise _wrong(text, "an IPv6 address stands in brackets, such as [::1]:49737")
    if not _HOST.fullmatch(host):
        raise _wrong(text)
    if re.fullmatch(r"[\d.]+", host):
        return _ipv4(text, host), int(port)
    return host, int(port)


def is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _ipv4(text: str, host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise _wrong(text, f"{host} is no IPv4 address") from None


def _ipv6(text: str, host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise _wrong(text, f"{host} is no IPv6 address") from None


def _wrong(text: str, why: str = "") -> NetworkError:
    return NetworkError(
        f"'{text.strip()}' is not HOST:PORT, such as 127.0.0.1:49737{f' ({why})' if why else ''}", name="BAD_ADDRESS"
    )
