"""Encrypted single datagrams beside the ordered stream.

docs/wire/hyperdht.md section 4.3; behaves as @hyperswarm/secret-stream 6.9.2 `send`.

    8-byte counter ‖ secretbox(XSalsa20-Poly1305, nonce = counter ‖ 16 zero bytes)
"""

from __future__ import annotations

from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from qvac_core.errors import LocalProtocolError

COUNTER_BYTES: Final = 8
OVERHEAD_BYTES: Final = COUNTER_BYTES + 16
_NONCE_PADDING: Final = bytes(16)
_COUNTER_MASK: Final = (1 << 64) - 1


class UnorderedSender:
    """Numbers and encrypts; `counter` is the 8-byte value before the first datagram."""

    __slots__ = ("_counter", "_key", "_start")

    def __init__(self, key: bytes, counter: bytes) -> None:
        self._key = key
        self._start = self._counter = int.from_bytes(counter, "little")

    def encrypt(self, message: bytes) -> bytes:
        counter = (self._counter + 1) & _COUNTER_MASK
        # The nonce that would come next was already used: once more and the key is broken.
        if counter == self._start:
            raise LocalProtocolError("All 2^64 datagrams of this connection are used up.")
        self._counter = counter
        number = counter.to_bytes(COUNTER_BYTES, "little")
        return number + bindings.crypto_secretbox_easy(message, number + _NONCE_PADDING, self._key)


def decrypt_unordered(key: bytes, datagram: bytes) -> bytes | None:
    """The message, or None for what nobody with the key made."""
    if len(datagram) < OVERHEAD_BYTES:
        return None
    nonce = datagram[:COUNTER_BYTES] + _NONCE_PADDING
    try:
        return bindings.crypto_secretbox_open_easy(datagram[COUNTER_BYTES:], nonce, key)
    except CryptoError:  # forged or damaged on the way; a datagram may be lost, so it may be dropped
        return None
