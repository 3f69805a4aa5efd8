"""Which addresses may be shared, dialled or preferred, and the written forms of a peer's key.

From docs/wire/hyperdht.md sections 2.6, 6.2 and 6.3 (bogon, hypercore-id-encoding, hyperdht-address; `matchAddress` and
`getFirstRemoteAddress` of hyperdht 6.34.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network

from qvac_core.codec import Address, Reader, Writer
from qvac_core.codec.key_text import bare_key, decode_z_base_32, parse_public_key
from qvac_core.errors import IdentityError, RemoteProtocolError

_MAX_NODES = 64
_UNICAST6 = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))


def _octets(host: str) -> tuple[int, ...]:
    parts = host.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        return ()
    return tuple(int(part) for part in parts)


def is_private(host: str) -> bool:
    """Private use, carrier-grade NAT, link local and loopback: reachable at most from nearby."""
    match _octets(host):
        case (10 | 127, *_) | (192, 168, *_) | (169, 254, *_):
            return True
        case (100, second, *_):
            return 64 <= second <= 127
        case (172, second, *_):
            return 16 <= second <= 31
    return False


def is_reserved(host: str) -> bool:
    """Ranges in which no peer can live at all (and what is not an IPv4 address)."""
    match _octets(host):
        case (0, *_) | (192, 0, 0 | 2, _) | (198, 18 | 19, *_) | (198, 51, 100, _) | (203, 0, 113, _):
            return True
        case (first, *_):
            return first >= 224
    return True


def is_bogon(host: str) -> bool:
    return is_private(host) or is_reserved(host)


def is_dialable(address: Address) -> bool:
    """Whether an address that somebody told us can be sent to at all."""
    return 0 < address[1] < 65536 and not is_reserved(address[0])


def is_dialable6(address: Address) -> bool:
    """Whether an IPv6 address that somebody told us can be a peer's: global unicast, or of a private network."""
    try:
        host = IPv6Address(address[0])
    except ValueError:
        return False
    return 0 < address[1] < 65536 and any(host in network for network in _UNICAST6)


def usable_hosts6(hosts: Sequence[str]) -> list[str]:
    """Our own addresses that others may reach: global ones first, then those of a private network."""
    usable = [host for host in hosts if is_dialable6((host, 1))]
    return sorted(usable, key=lambda host: not IPv6Address(host).is_global)


def match_address(mine: Sequence[Address], theirs: Sequence[Address]) -> Address | None:
    """The address of theirs that shares most leading octets with one of mine; None when no first octet agrees."""
    best: Address | None = None
    best_segments = 0
    for local in mine:
        a = local[0].split(".")
        for remote in theirs:
            b = remote[0].split(".")
            shared = next((i for i in range(3) if a[i : i + 1] != b[i : i + 1]), 3)
            if shared == 3:
                return remote
            if shared > best_segments:
                best, best_segments = remote, shared
    return best


def lan_address(mine: Sequence[Address], theirs: Sequence[Address]) -> Address | None:
    """Where to try a peer that shares our public address: the best match, else the first address that can exist.

    Not where we are ourselves: a peer in another house of the same carrier may have our very address.
    """
    usable = [address for address in theirs if is_dialable(address) and address not in mine]
    if not usable:
        return None
    return match_address(mine, usable) or usable[0]


def first_public_address(addresses: Sequence[Address], otherwise: Address) -> Address:
    return next((a for a in addresses if not is_bogon(a[0]) and is_dialable(a)), otherwise)


def encode_key_address(public_key: bytes, nodes: Sequence[Address] = ()) -> bytes:
    """A key together with nodes that know its owner."""
    writer = Writer().fixed(public_key).uint(1 if nodes else 0)
    if nodes:
        writer.array(nodes, Writer.ipv4)
    return writer.finish()


def decode_key(key: bytes | str) -> tuple[bytes, tuple[Address, ...]]:
    """The 32-byte key, and nodes to ask first, from any written form of it.

    Forms: 32 bytes; a key with nodes (more bytes); either of these as hex or as z-base-32 text, as people paste it.
    Raises IdentityError for anything else.
    """
    raw = key if isinstance(key, bytes) else _decode_text(key)
    if len(raw) < 32:
        raise IdentityError("A public key has 32 bytes: 64 hexadecimal digits or 52 letters of z-base-32.")
    if len(raw) == 32:
        return raw, ()
    reader = Reader(raw)
    try:
        public_key, flags = reader.fixed(32), reader.uint()
        nodes = tuple(reader.array(Reader.ipv4, _MAX_NODES)) if flags & 1 else ()
    except RemoteProtocolError as error:
        raise IdentityError("This is longer than a public key, and no address of a peer either.") from error
    return public_key, nodes


def _decode_text(text: str) -> bytes:
    bare = bare_key(text)
    if len(bare) <= 64:
        return parse_public_key(text)
    try:
        return bytes.fromhex(bare)
    except ValueError:
        return decode_z_base_32(bare)
