"""Ed25519 key pairs, their Diffie-Hellman and their signatures.

docs/wire/hyperdht.md sections 2.3 and 3.2; behaves as noise-curve-ed 2.1.0 and hypercore-crypto.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from qvac_core.errors import IdentityError, LocalProtocolError, RemoteProtocolError

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SECRET_KEY_BYTES: Final = 64
SIGNATURE_BYTES: Final = 64
_PEERS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair: 32 bytes to show, 64 bytes (seed ‖ public key) to keep. Raises IdentityError."""

    public_key: bytes
    secret_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.public_key, bytes) or not isinstance(self.secret_key, bytes):
            raise TypeError("A key pair is made of bytes: 32 of the public key, 64 of the secret one.")
        if len(self.public_key) != PUBLIC_KEY_BYTES or len(self.secret_key) != SECRET_KEY_BYTES:
            raise IdentityError("A key pair needs a public key of 32 bytes and a secret key of 64 bytes.")
        # Signing with a foreign public half gives the secret scalar away to whoever sees two signatures.
        if self.secret_key[SEED_BYTES:] != self.public_key:
            raise IdentityError("The public key does not belong to the secret key.")

    @classmethod
    def from_seed(cls, seed: bytes) -> KeyPair:
        """The pair that belongs to 32 secret bytes; always the same one."""
        if not isinstance(seed, bytes | bytearray | memoryview):
            raise TypeError(f"A seed is 32 bytes, and not of type {type(seed).__name__}.")
        if len(seed) != SEED_BYTES:
            raise IdentityError(f"A seed has 32 bytes, this one has {len(seed)}.")
        public_key, secret_key = bindings.crypto_sign_seed_keypair(bytes(seed))
        return cls(public_key, secret_key)

    @property
    def seed(self) -> bytes:
        return self.secret_key[:SEED_BYTES]


def is_public_key(public_key: bytes) -> bool:
    """Whether these bytes are a key that somebody can hold: canonical, in the main subgroup, of large order."""
    return len(public_key) == PUBLIC_KEY_BYTES and _is_valid_point(bytes(public_key))


@lru_cache(maxsize=_PEERS_KEPT)
def _is_valid_point(public_key: bytes) -> bool:
    return bindings.crypto_core_ed25519_is_valid_point(public_key)


def secret_scalar(secret_key: bytes) -> bytes:
    """The clamped 32-byte scalar behind a 64-byte secret key."""
    scalar = bytearray(hashlib.sha512(secret_key[:SEED_BYTES]).digest()[:32])
    scalar[0] &= 248
    scalar[31] &= 127
    scalar[31] |= 64
    return bytes(scalar)


def dh(public_key: bytes, secret_key: bytes) -> bytes:
    """scalar·point as a 32-byte Edwards point; RemoteProtocolError for a point that no honest peer sends."""
    if len(secret_key) != SECRET_KEY_BYTES:
        raise LocalProtocolError(f"A secret key has 64 bytes, this one has {len(secret_key)}.")
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise RemoteProtocolError(f"A public key has 32 bytes, this one has {len(public_key)}.")
    try:
        return bindings.crypto_scalarmult_ed25519_noclamp(secret_scalar(secret_key), bytes(public_key))
    except CryptoError as error:  # not canonical, small order, outside the main subgroup, or the identity came out
        raise RemoteProtocolError("The peer's public key is not a valid point of the curve.") from error


@lru_cache(maxsize=_PEERS_KEPT)
def static_dh(public_key: bytes, secret_key: bytes) -> bytes:
    """`dh` of two keys that stay: who connects to the same peer again has the result already.

    Only for whom we turn to ourselves. What a stranger says is worked through in equal time, whomever he names: else
    he could find out who was here.
    """
    return dh(public_key, secret_key)


def sign(message: bytes, secret_key: bytes) -> bytes:
    """A detached signature of 64 bytes."""
    if len(secret_key) != SECRET_KEY_BYTES:
        raise LocalProtocolError(f"A secret key has 64 bytes, this one has {len(secret_key)}.")
    return bindings.crypto_sign(bytes(message), secret_key)[:SIGNATURE_BYTES]


def verify(signature: bytes, message: bytes, public_key: bytes) -> bool:
    """Whether the owner of `public_key` signed `message`. Any bytes are allowed; wrong lengths are just false."""
    if len(signature) != SIGNATURE_BYTES or len(public_key) != PUBLIC_KEY_BYTES:
        return False
    try:
        bindings.crypto_sign_open(bytes(signature) + bytes(message), bytes(public_key))
    except CryptoError:  # BadSignatureError: forged, or a key of small order
        return False
    return True
