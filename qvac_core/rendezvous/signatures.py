"""What is signed for announces and mutable records, and the checks.

From docs/wire/hyperdht.md section 2.3 (hyperdht/lib/persistent.js `annSignable`, `signMutable` 6.34.0).
An announce is signed for one storing node: its id and the token that it gave are part of the signed bytes.
"""

from __future__ import annotations

from qvac_core.codec import Writer, blake2b
from qvac_core.noise import KeyPair, sign, verify
from qvac_core.rendezvous.constants import NS_ANNOUNCE, NS_MUTABLE_PUT, NS_UNANNOUNCE
from qvac_core.rendezvous.messages import Announce, PeerRecord


def _announce_signable(namespace: bytes, target: bytes, node_id: bytes, token: bytes, announce: Announce) -> bytes:
    assert announce.peer is not None
    return namespace + blake2b(target, node_id, token, announce.peer.encode(), announce.refresh or b"")


def _mutable_signable(seq: int, value: bytes) -> bytes:
    return NS_MUTABLE_PUT + blake2b(Writer().uint(seq).buffer(value).finish())


def sign_announce(
    key_pair: KeyPair,
    *,
    target: bytes,
    node_id: bytes,
    token: bytes,
    relay_addresses: tuple[tuple[str, int], ...] = (),
    refresh: bytes | None = None,
    bump: int = 0,
) -> Announce:
    """An ANNOUNCE for the node `node_id` that gave `token`."""
    unsigned = Announce(PeerRecord(key_pair.public_key, relay_addresses), refresh=refresh, bump=bump)
    signature = sign(_announce_signable(NS_ANNOUNCE, target, node_id, token, unsigned), key_pair.secret_key)
    return Announce(unsigned.peer, refresh=refresh, signature=signature, bump=bump)


def sign_unannounce(key_pair: KeyPair, *, target: bytes, node_id: bytes, token: bytes) -> Announce:
    unsigned = Announce(PeerRecord(key_pair.public_key))
    signature = sign(_announce_signable(NS_UNANNOUNCE, target, node_id, token, unsigned), key_pair.secret_key)
    return Announce(unsigned.peer, signature=signature)


def _verify(namespace: bytes, announce: Announce, target: bytes, node_id: bytes, token: bytes) -> bool:
    if announce.peer is None or announce.signature is None:
        return False
    signable = _announce_signable(namespace, target, node_id, token, announce)
    return verify(announce.signature, signable, announce.peer.public_key)


def verify_announce(announce: Announce, *, target: bytes, node_id: bytes, token: bytes) -> bool:
    return _verify(NS_ANNOUNCE, announce, target, node_id, token)


def verify_unannounce(announce: Announce, *, target: bytes, node_id: bytes, token: bytes) -> bool:
    return _verify(NS_UNANNOUNCE, announce, target, node_id, token)


def sign_mutable(key_pair: KeyPair, seq: int, value: bytes) -> bytes:
    return sign(_mutable_signable(seq, value), key_pair.secret_key)


def verify_mutable(signature: bytes, seq: int, value: bytes, public_key: bytes) -> bool:
    return verify(signature, _mutable_signable(seq, value), public_key)
