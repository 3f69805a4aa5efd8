"""Layouts of what hyperdht puts into the value of a request, and inside the Noise handshake.

From docs/wire/hyperdht.md sections 2.1, 3.4 and 6.4 (hyperdht/lib/messages.js 6.34.0).
Every decoder raises RemoteProtocolError on bytes that do not fit; trailing bytes are ignored: new fields arrive there.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.codec import Address, Reader, Writer
from qvac_core.errors import RemoteProtocolError

NOISE_PAYLOAD_VERSION = 1

# No datagram holds more addresses than this; the original accepts 0x100000.
_MAX_ADDRESSES = 256


def _addresses4(reader: Reader) -> tuple[Address, ...]:
    return tuple(reader.array(Reader.ipv4, _MAX_ADDRESSES))


def _value(reader: Reader) -> bytes:
    """A buffer field that may not be absent."""
    return reader.buffer() or b""


@dataclass(frozen=True, slots=True)
class HandshakeMessage:
    """Value of PEER_HANDSHAKE: one Noise message and where it comes from or goes to."""

    mode: int
    noise: bytes
    peer_address: Address | None = None
    relay_address: Address | None = None

    def encode(self) -> bytes:
        flags = (1 if self.peer_address else 0) | (2 if self.relay_address else 0)
        writer = Writer().uint(flags).uint(self.mode).buffer(self.noise)
        if self.peer_address:
            writer.ipv4(self.peer_address)
        if self.relay_address:
            writer.ipv4(self.relay_address)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> HandshakeMessage:
        reader = Reader(data)
        flags = reader.uint()
        return cls(
            mode=reader.uint(),
            noise=_value(reader),
            peer_address=reader.ipv4() if flags & 1 else None,
            relay_address=reader.ipv4() if flags & 2 else None,
        )


@dataclass(frozen=True, slots=True)
class HolepunchMessage:
    """Value of PEER_HOLEPUNCH: a sealed HolepunchPayload and its hop."""

    mode: int
    id: int
    payload: bytes
    peer_address: Address | None = None

    def encode(self) -> bytes:
        writer = Writer().uint(1 if self.peer_address else 0).uint(self.mode).uint(self.id).buffer(self.payload)
        if self.peer_address:
            writer.ipv4(self.peer_address)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> HolepunchMessage:
        reader = Reader(data)
        flags = reader.uint()
        return cls(
            mode=reader.uint(),
            id=reader.uint(),
            payload=_value(reader),
            peer_address=reader.ipv4() if flags & 1 else None,
        )


@dataclass(frozen=True, slots=True)
class RelayInfo:
    """A node that relays to a server, and the server's address as that node sees it."""

    relay_address: Address
    peer_address: Address


@dataclass(frozen=True, slots=True)
class HolepunchInfo:
    id: int
    relays: tuple[RelayInfo, ...]


_REUSABLE = 1
# Far from what the original may use next; all of it stays one byte.
_NEEDS_RELAY = 0x20
_RESUMABLE = 0x40


@dataclass(frozen=True, slots=True)
class UdxInfo:
    """The sender's own stream id: what its peer has to write into packets.

    Ours, and ignored by the original: `resumable` says that a handshake which names the stream of an open connection
    looks for another path for it; `needs_relay` says in such a handshake that the relay in use is gone.
    """

    id: int
    seq: int = 0
    reusable_socket: bool = False
    version: int = 1
    resumable: bool = False
    needs_relay: bool = False


@dataclass(frozen=True, slots=True)
class RelayThrough:
    public_key: bytes
    token: bytes
    version: int = 1


@dataclass(frozen=True, slots=True)
class NoisePayload:
    """What client and server tell each other inside the Noise handshake.

    Of a version other than 1 nothing but the version was read.
    """

    version: int = NOISE_PAYLOAD_VERSION
    error: int = 0
    firewall: int = 0
    holepunch: HolepunchInfo | None = None
    addresses4: tuple[Address, ...] = ()
    addresses6: tuple[Address, ...] = ()
    udx: UdxInfo | None = None
    secret_stream: bool = False
    relay_through: RelayThrough | None = None
    relay_addresses: tuple[Address, ...] | None = None

    def encode(self) -> bytes:
        present = (
            self.holepunch is not None,
            bool(self.addresses4),
            bool(self.addresses6),
            self.udx is not None,
            self.secret_stream,
            self.relay_through is not None,
            self.relay_addresses is not None,
        )
        flags = sum(1 << bit for bit, there in enumerate(present) if there)
        writer = Writer().uint(self.version).uint(flags).uint(self.error).uint(self.firewall)
        if self.holepunch is not None:
            writer.uint(self.holepunch.id).array(self.holepunch.relays, _write_relay)
        if self.addresses4:
            writer.array(self.addresses4, Writer.ipv4)
        if self.addresses6:
            writer.array(self.addresses6, Writer.ipv6)
        if self.udx is not None:
            writer.uint(self.udx.version).uint(_features(self.udx))
            writer.uint(self.udx.id).uint(self.udx.seq)
        if self.secret_stream:
            writer.uint(1)
        if self.relay_through is not None:
            writer.uint(self.relay_through.version).uint(0)
            writer.fixed(self.relay_through.public_key).fixed(self.relay_through.token)
        if self.relay_addresses is not None:
            writer.array(self.relay_addresses, Writer.ipv4)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> NoisePayload:
        reader = Reader(data)
        version = reader.uint()
        if version != NOISE_PAYLOAD_VERSION:
            return cls(version=version)
        flags = reader.uint()
        error, firewall = reader.uint(), reader.uint()
        holepunch = _read_holepunch_info(reader) if flags & 1 else None
        addresses4 = _addresses4(reader) if flags & 2 else ()
        addresses6 = tuple(reader.array(Reader.ipv6, _MAX_ADDRESSES)) if flags & 4 else ()
        udx = _read_udx(reader) if flags & 8 else None
        if flags & 16:
            reader.uint()
        return cls(
            version=version,
            error=error,
            firewall=firewall,
            holepunch=holepunch,
            addresses4=addresses4,
            addresses6=addresses6,
            udx=udx,
            secret_stream=bool(flags & 16),
            relay_through=_read_relay_through(reader) if flags & 32 else None,
            relay_addresses=_addresses4(reader) if flags & 64 else None,
        )


def _write_relay(writer: Writer, relay: RelayInfo) -> None:
    writer.ipv4(relay.relay_address).ipv4(relay.peer_address)


def _read_relay(reader: Reader) -> RelayInfo:
    return RelayInfo(relay_address=reader.ipv4(), peer_address=reader.ipv4())


def _read_holepunch_info(reader: Reader) -> HolepunchInfo:
    return HolepunchInfo(id=reader.uint(), relays=tuple(reader.array(_read_relay, _MAX_ADDRESSES)))


def _features(udx: UdxInfo) -> int:
    reusable, resumable = _REUSABLE * udx.reusable_socket, _RESUMABLE * udx.resumable
    return reusable | resumable | _NEEDS_RELAY * udx.needs_relay


def _read_udx(reader: Reader) -> UdxInfo:
    version, features = reader.uint(), reader.uint()
    stream_id, seq = reader.uint(), reader.uint()
    if stream_id > 0xFFFFFFFF:
        raise RemoteProtocolError("a stream id has 32 bits")
    return UdxInfo(
        id=stream_id,
        seq=seq,
        reusable_socket=bool(features & _REUSABLE),
        version=version,
        resumable=bool(features & _RESUMABLE),
        needs_relay=bool(features & _NEEDS_RELAY),
    )


def _read_relay_through(reader: Reader) -> RelayThrough:
    version = reader.uint()
    reader.uint()
    return RelayThrough(public_key=reader.fixed(32), token=reader.fixed(32), version=version)


@dataclass(frozen=True, slots=True)
class HolepunchPayload:
    """What two punching peers tell each other, sealed with the holepunch secret."""

    error: int = 0
    firewall: int = 0
    round: int = 0
    connected: bool = False
    punching: bool = False
    addresses: tuple[Address, ...] | None = None
    remote_address: Address | None = None
    token: bytes | None = None
    remote_token: bytes | None = None

    def encode(self) -> bytes:
        present = (
            self.connected,
            self.punching,
            self.addresses is not None,
            self.remote_address is not None,
            self.token is not None,
            self.remote_token is not None,
        )
        flags = sum(1 << bit for bit, there in enumerate(present) if there)
        writer = Writer().uint(flags).uint(self.error).uint(self.firewall).uint(self.round)
        if self.addresses is not None:
            writer.array(self.addresses, Writer.ipv4)
        if self.remote_address is not None:
            writer.ipv4(self.remote_address)
        if self.token is not None:
            writer.fixed(self.token)
        if self.remote_token is not None:
            writer.fixed(self.remote_token)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> HolepunchPayload:
        reader = Reader(data)
        flags = reader.uint()
        return cls(
            error=reader.uint(),
            firewall=reader.uint(),
            round=reader.uint(),
            connected=bool(flags & 1),
            punching=bool(flags & 2),
            addresses=_addresses4(reader) if flags & 4 else None,
            remote_address=reader.ipv4() if flags & 8 else None,
            token=reader.fixed(32) if flags & 16 else None,
            remote_token=reader.fixed(32) if flags & 32 else None,
        )


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A public key with the nodes that relay to it; delimits itself on the wire."""

    public_key: bytes
    relay_addresses: tuple[Address, ...] = ()

    def encode(self) -> bytes:
        return Writer().fixed(self.public_key).array(self.relay_addresses, Writer.ipv4).finish()

    @classmethod
    def decode(cls, data: bytes) -> PeerRecord:
        return cls.read(Reader(data))

    @classmethod
    def read(cls, reader: Reader) -> PeerRecord:
        return cls(public_key=reader.fixed(32), relay_addresses=_addresses4(reader))


@dataclass(frozen=True, slots=True)
class LookupReply:
    """Reply value of LOOKUP: records one after another without lengths, then the bump (0 when missing)."""

    peers: tuple[PeerRecord, ...]
    bump: int = 0

    @staticmethod
    def encode_raw(records: list[bytes], bump: int) -> bytes:
        writer = Writer().uint(len(records))
        for record in records:
            writer.raw(record)
        return writer.uint(bump).finish()

    @classmethod
    def decode(cls, data: bytes) -> LookupReply:
        reader = Reader(data)
        peers = tuple(reader.array(PeerRecord.read, _MAX_ADDRESSES))
        return cls(peers=peers, bump=reader.uint() if reader.remaining else 0)


@dataclass(frozen=True, slots=True)
class Announce:
    """Request value of ANNOUNCE and UNANNOUNCE. `bump` is milliseconds since the epoch."""

    peer: PeerRecord | None = None
    refresh: bytes | None = None
    signature: bytes | None = None
    bump: int = 0

    def encode(self) -> bytes:
        present = (self.peer is not None, self.refresh is not None, self.signature is not None, self.bump > 0)
        writer = Writer().uint(sum(1 << bit for bit, there in enumerate(present) if there))
        if self.peer is not None:
            writer.raw(self.peer.encode())
        if self.refresh is not None:
            writer.fixed(self.refresh)
        if self.signature is not None:
            writer.fixed(self.signature)
        if self.bump:
            writer.uint(self.bump)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> Announce:
        reader = Reader(data)
        flags = reader.uint()
        return cls(
            peer=PeerRecord.read(reader) if flags & 1 else None,
            refresh=reader.fixed(32) if flags & 2 else None,
            signature=reader.fixed(64) if flags & 4 else None,
            bump=reader.uint() if flags & 8 else 0,
        )


@dataclass(frozen=True, slots=True)
class MutablePut:
    public_key: bytes
    seq: int
    value: bytes
    signature: bytes

    def encode(self) -> bytes:
        writer = Writer().fixed(self.public_key).uint(self.seq)
        return writer.buffer(self.value).fixed(self.signature).finish()

    @classmethod
    def decode(cls, data: bytes) -> MutablePut:
        reader = Reader(data)
        return cls(reader.fixed(32), reader.uint(), _value(reader), reader.fixed(64))


@dataclass(frozen=True, slots=True)
class MutableRecord:
    """Reply value of MUTABLE_GET, and what a node stores."""

    seq: int
    value: bytes
    signature: bytes

    def encode(self) -> bytes:
        return Writer().uint(self.seq).buffer(self.value).fixed(self.signature).finish()

    @classmethod
    def decode(cls, data: bytes) -> MutableRecord:
        reader = Reader(data)
        return cls(reader.uint(), _value(reader), reader.fixed(64))


@dataclass(frozen=True, slots=True)
class PluginRequest:
    plugin: str
    version: int
    command: int
    value: bytes | None = None

    def encode(self) -> bytes:
        writer = Writer().string(self.plugin).uint(self.version).uint(self.command)
        writer.uint(1 if self.value else 0)
        if self.value:
            writer.buffer(self.value)
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> PluginRequest:
        reader = Reader(data)
        plugin, version, command = reader.string(), reader.uint(), reader.uint()
        return cls(plugin, version, command, reader.buffer() if reader.uint() & 1 else None)
