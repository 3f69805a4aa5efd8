"""Sealing of hole punch payloads, and the tokens that prove a host reachable.

From docs/wire/hyperdht.md section 6.4 (hyperdht/lib/secure-payload.js 6.34.0).
"""

from __future__ import annotations

from nacl import bindings
from nacl.exceptions import CryptoError

from qvac_core.codec import blake2b
from qvac_core.errors import RemoteProtocolError
from qvac_core.rendezvous.messages import HolepunchPayload

NONCE_BYTES = 24
_MAC_BYTES = 16


class SecurePayload:
    """Seals and opens payloads of one handshake. `local_secret` is 32 random bytes of our own, for tokens."""

    __slots__ = ("_local_secret", "_shared_secret")

    def __init__(self, holepunch_secret: bytes, *, local_secret: bytes) -> None:
        self._shared_secret = holepunch_secret
        self._local_secret = local_secret

    def seal(self, payload: HolepunchPayload, nonce: bytes) -> bytes:
        return nonce + bindings.crypto_secretbox(payload.encode(), nonce, self._shared_secret)

    def open(self, sealed: bytes) -> HolepunchPayload:
        """Raises RemoteProtocolError for anything that the other side of the handshake did not seal."""
        if len(sealed) <= NONCE_BYTES + _MAC_BYTES:
            raise RemoteProtocolError("a hole punch payload is longer than that")
        try:
            plain = bindings.crypto_secretbox_open(sealed[NONCE_BYTES:], sealed[:NONCE_BYTES], self._shared_secret)
        except CryptoError as error:
            raise RemoteProtocolError("this hole punch payload was not sealed by the peer") from error
        return HolepunchPayload.decode(plain)

    def token(self, host: str) -> bytes:
        return blake2b(host.encode("ascii"), key=self._local_secret)
