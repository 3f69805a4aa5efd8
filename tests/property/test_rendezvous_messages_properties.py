"""Every rendezvous message round-trips, and no bytes of a stranger's do anything but raise RemoteProtocolError."""

from __future__ import annotations

from typing import Protocol, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.errors import IdentityError, RemoteProtocolError
from qvac_core.rendezvous.addresses import decode_key, is_private, is_reserved, match_address
from qvac_core.rendezvous.messages import (
    Announce,
    HandshakeMessage,
    HolepunchInfo,
    HolepunchMessage,
    HolepunchPayload,
    LookupReply,
    MutablePut,
    MutableRecord,
    NoisePayload,
    PeerRecord,
    PluginRequest,
    RelayInfo,
    RelayThrough,
    UdxInfo,
)
from qvac_core.rendezvous.secure_payload import SecurePayload

Addresses = tuple[tuple[str, int], ...]
M = TypeVar("M", covariant=True)


class Decoder(Protocol[M]):
    def decode(self, data: bytes) -> M: ...


DECODERS: list[Decoder[object]] = [
    Announce,
    HandshakeMessage,
    HolepunchMessage,
    HolepunchPayload,
    LookupReply,
    MutablePut,
    MutableRecord,
    NoisePayload,
    PeerRecord,
    PluginRequest,
]

uint = st.integers(0, 2**64 - 1)
small = st.integers(0, 2**32 - 1)
key = st.binary(min_size=32, max_size=32)
signature = st.binary(min_size=64, max_size=64)
host = st.tuples(*[st.integers(0, 255)] * 4).map(lambda octets: ".".join(map(str, octets)))
address = st.tuples(host, st.integers(0, 65535))
addresses = st.lists(address, max_size=20).map(tuple)
address6 = st.tuples(st.ip_addresses(v=6).map(str), st.integers(0, 65535))
some_bytes = st.binary(min_size=1, max_size=200)
relay = st.builds(RelayInfo, address, address)
record = st.builds(PeerRecord, key, addresses)

MESSAGES = st.one_of(
    st.builds(HandshakeMessage, uint, some_bytes, st.none() | address, st.none() | address),
    st.builds(HolepunchMessage, uint, uint, some_bytes, st.none() | address),
    st.builds(
        NoisePayload,
        error=uint,
        firewall=uint,
        holepunch=st.none() | st.builds(HolepunchInfo, uint, st.lists(relay, max_size=5).map(tuple)),
        addresses4=addresses,
        addresses6=st.lists(address6, max_size=5).map(tuple),
        udx=st.none() | st.builds(UdxInfo, small, uint, st.booleans(), st.just(1), st.booleans(), st.booleans()),
        secret_stream=st.booleans(),
        relay_through=st.none() | st.builds(RelayThrough, key, key),
        relay_addresses=st.none() | addresses,
    ),
    st.builds(
        HolepunchPayload,
        error=uint,
        firewall=uint,
        round=uint,
        connected=st.booleans(),
        punching=st.booleans(),
        addresses=st.none() | addresses,
        remote_address=st.none() | address,
        token=st.none() | key,
        remote_token=st.none() | key,
    ),
    record,
    st.builds(Announce, st.none() | record, st.none() | key, st.none() | signature, uint),
    st.builds(MutablePut, key, uint, some_bytes, signature),
    st.builds(MutableRecord, uint, some_bytes, signature),
    st.builds(PluginRequest, st.text(max_size=20), uint, uint, st.none() | some_bytes),
)


@given(MESSAGES)
def test_messages_round_trip(message: HandshakeMessage) -> None:
    assert type(message).decode(message.encode()) == message


@pytest.mark.parametrize("decoder", DECODERS)
@given(data=st.binary(max_size=300))
def test_decoders_survive_any_bytes(decoder: Decoder[object], data: bytes) -> None:
    try:
        decoder.decode(data)
    except RemoteProtocolError:
        return


@given(message=MESSAGES, cut=st.floats(0, 1), flipped=st.integers(0, 7), at=st.floats(0, 1))
def test_decoders_survive_damaged_messages(message: HandshakeMessage, cut: float, flipped: int, at: float) -> None:
    wire = bytearray(message.encode())
    wire[int(at * (len(wire) - 1))] ^= 1 << flipped
    try:
        type(message).decode(bytes(wire[: int(cut * len(wire)) + 1]))
    except RemoteProtocolError:
        return


@given(st.lists(record, max_size=5), uint)
def test_lookup_replies_round_trip(records: list[PeerRecord], bump: int) -> None:
    wire = LookupReply.encode_raw([peer.encode() for peer in records], bump)
    assert LookupReply.decode(wire) == LookupReply(tuple(records), bump)


@given(key, key, st.binary(max_size=200))
def test_sealed_payloads_open_only_as_they_are(secret: bytes, token_secret: bytes, data: bytes) -> None:
    secure = SecurePayload(secret, local_secret=token_secret)
    sealed = secure.seal(HolepunchPayload(token=secret), bytes(24))
    assert secure.open(sealed) == HolepunchPayload(token=secret)
    with pytest.raises(RemoteProtocolError):
        secure.open(data)


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_a_key_or_an_identity_error(text: str | bytes) -> None:
    try:
        public_key, _ = decode_key(text)
    except IdentityError:
        return
    assert len(public_key) == 32


@given(addresses, addresses, st.text(max_size=20))
def test_addresses_of_any_kind_are_judged(mine: Addresses, theirs: Addresses, text: str) -> None:
    chosen = match_address(mine, theirs)
    assert chosen is None or chosen in theirs
    assert is_reserved(text) or "." in text
    assert not is_private(text) or "." in text
