"""The two datagrams of dht-rpc: request and response, as bytes and as values.

docs/wire/hyperdht.md sections 1.2 and 1.3; dht-rpc 6.27.0 `lib/io.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from qvac_core.codec import ARRAY_LIMIT, Address, Reader, Writer, blake2b
from qvac_core.errors import RemoteProtocolError

VERSION = 3
REQUEST = 0 << 4 | VERSION
RESPONSE = 1 << 4 | VERSION

ID_SIZE = 32
TOKEN_SIZE = 32
ADDRESS_SIZE = 6

_FLAG_ID = 1
_FLAG_TOKEN = 2
_FLAG_INTERNAL = 4
_FLAG_CLOSER_NODES = 4
_FLAG_TARGET = 8
_FLAG_ERROR = 8
_FLAG_VALUE = 16

_CACHED_ADDRESSES = 1 << 14
"""In each of the memories here: strangers can fill them, so they are some megabytes, and not more."""


@lru_cache(maxsize=_CACHED_ADDRESSES)
def pack_address(address: Address) -> bytes:
    """The six bytes of an address, also what its node id is the hash of."""
    return Writer().ipv4(address).finish()


@lru_cache(maxsize=_CACHED_ADDRESSES)
def unpack_address(raw: bytes) -> Address:
    return Reader(raw).ipv4()


@lru_cache(maxsize=_CACHED_ADDRESSES)
def peer_id(address: Address) -> bytes:
    """The id that a node at this address must have."""
    return blake2b(pack_address(address))


@lru_cache(maxsize=_CACHED_ADDRESSES)
def peer_key(address: Address) -> int:
    """The same id as a number: what distances are computed with."""
    return int.from_bytes(peer_id(address))


@lru_cache(maxsize=_CACHED_ADDRESSES)
def is_reachable(address: Address) -> bool:
    """Whether a datagram can be meant for this address at all: no port 0, no "this network", multicast, broadcast."""
    host, port = address
    first = int(host[: host.index(".")])
    return port != 0 and 0 < first < 224


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request as it travels. `id` is what the sender says, None when it does not fit its address."""

    tid: int
    to: Address
    command: int
    internal: bool = False
    id: bytes | None = None
    token: bytes | None = None
    target: bytes | None = None
    value: bytes | None = None

    def encode(self) -> bytes:
        flags = (
            (_FLAG_ID if self.id is not None else 0)
            | (_FLAG_TOKEN if self.token is not None else 0)
            | (_FLAG_INTERNAL if self.internal else 0)
            | (_FLAG_TARGET if self.target is not None else 0)
            | (_FLAG_VALUE if self.value is not None else 0)
        )
        out = Writer().uint8(REQUEST).uint8(flags).uint16(self.tid).raw(pack_address(self.to))
        if self.id is not None:
            out.fixed(self.id)
        if self.token is not None:
            out.fixed(self.token)
        out.uint(self.command)
        if self.target is not None:
            out.fixed(self.target)
        if self.value is not None:
            out.buffer(self.value)
        return out.finish()


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """A response as it travels. `to` is the requester's address as the responder saw it."""

    tid: int
    to: Address
    id: bytes | None = None
    token: bytes | None = None
    closer_nodes: Collection[Address] = ()
    error: int = 0
    value: bytes | None = None

    def encode(self) -> bytes:
        flags = (
            (_FLAG_ID if self.id is not None else 0)
            | (_FLAG_TOKEN if self.token is not None else 0)
            | (_FLAG_CLOSER_NODES if self.closer_nodes else 0)
            | (_FLAG_ERROR if self.error else 0)
            | (_FLAG_VALUE if self.value is not None else 0)
        )
        out = Writer().uint8(RESPONSE).uint8(flags).uint16(self.tid).raw(pack_address(self.to))
        if self.id is not None:
            out.fixed(self.id)
        if self.token is not None:
            out.fixed(self.token)
        if self.closer_nodes:
            out.uint(len(self.closer_nodes)).raw(b"".join(map(pack_address, self.closer_nodes)))
        if self.error:
            out.uint(self.error)
        if self.value is not None:
            out.buffer(self.value)
        return out.finish()


def _read_addresses(reader: Reader) -> tuple[Address, ...]:
    """Codec's array of addresses, but by slices: this is what a node does most."""
    count = reader.uint()
    if count > ARRAY_LIMIT:
        raise RemoteProtocolError(f"{count} closer nodes, {ARRAY_LIMIT} are allowed")
    raw = reader.fixed(count * ADDRESS_SIZE)
    return tuple(unpack_address(raw[at : at + ADDRESS_SIZE]) for at in range(0, len(raw), ADDRESS_SIZE))


def _verified(claimed: bytes, sender: Address) -> bytes | None:
    """An id that does not belong to the sender's address is treated as absent; the message still counts."""
    expected = peer_id(sender)
    return expected if claimed == expected else None


def decode(
    datagram: bytes, sender: Address, awaits: Callable[[int, Address], bool] | None = None
) -> RequestMessage | ResponseMessage:
    """The message in a datagram that came from `sender`. RemoteProtocolError: not one of ours.

    `awaits(tid, sender)` says whether a response is wanted; the 240 addresses of one that is not are never read.
    """
    reader = Reader(datagram)
    kind = reader.uint8()
    if kind == REQUEST:
        return _decode_request(reader, sender)
    if kind == RESPONSE:
        return _decode_response(reader, sender, awaits)
    raise RemoteProtocolError(f"neither request nor response: first byte {kind:#04x}")


def _decode_request(reader: Reader, sender: Address) -> RequestMessage:
    flags = reader.uint()
    tid = reader.uint16()
    to = unpack_address(reader.fixed(ADDRESS_SIZE))
    id = _verified(reader.fixed(ID_SIZE), sender) if flags & _FLAG_ID else None
    token = reader.fixed(TOKEN_SIZE) if flags & _FLAG_TOKEN else None
    command = reader.uint()
    target = reader.fixed(ID_SIZE) if flags & _FLAG_TARGET else None
    value = reader.buffer() if flags & _FLAG_VALUE else None
    return RequestMessage(tid, to, command, bool(flags & _FLAG_INTERNAL), id, token, target, value)


def _decode_response(reader: Reader, sender: Address, awaits: Callable[[int, Address], bool] | None) -> ResponseMessage:
    flags = reader.uint()
    tid = reader.uint16()
    if awaits is not None and not awaits(tid, sender):
        raise RemoteProtocolError("an answer to nothing that we asked")
    to = unpack_address(reader.fixed(ADDRESS_SIZE))
    id = _verified(reader.fixed(ID_SIZE), sender) if flags & _FLAG_ID else None
    token = reader.fixed(TOKEN_SIZE) if flags & _FLAG_TOKEN else None
    closer_nodes = _read_addresses(reader) if flags & _FLAG_CLOSER_NODES else ()
    error = reader.uint() if flags & _FLAG_ERROR else 0
    value = reader.buffer() if flags & _FLAG_VALUE else None
    return ResponseMessage(tid, to, id, token, closer_nodes, error, value)
