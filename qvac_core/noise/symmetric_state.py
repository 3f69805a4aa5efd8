"""Noise's SymmetricState: the running hash `h`, the chaining key `ck` and the cipher under them.

docs/wire/hyperdht.md section 3.1; behaves as noise-handshake 4.2.0 with BLAKE2b (64 bytes) and ChaCha20-Poly1305.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from qvac_core.errors import RemoteProtocolError

HASH_BYTES: Final = 64
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
PROTOCOL_NAME: Final = b"Noise_IK_Ed25519_ChaChaPoly_BLAKE2b"


_BLOCK_BYTES: Final = 128
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def hmac_blake2b(key: bytes, message: bytes) -> bytes:
    """HMAC (RFC 2104) over BLAKE2b, for keys of at most a block. `hmac.digest` takes five times as long."""
    block = key.ljust(_BLOCK_BYTES, b"\0")
    inner = blake2b(block.translate(_INNER) + message).digest()
    return blake2b(block.translate(_OUTER) + inner).digest()


def hkdf(chaining_key: bytes, input_key_material: bytes) -> tuple[bytes, bytes]:
    """Noise's two-output HKDF over HMAC-BLAKE2b (128-byte block, 64-byte output)."""
    temp_key = hmac_blake2b(chaining_key, input_key_material)
    first = hmac_blake2b(temp_key, b"\x01")
    second = hmac_blake2b(temp_key, first + b"\x02")
    return first, second


class SymmetricState:
    """Mixes keys and messages together; each encryption is bound to everything said before it."""

    __slots__ = ("_key", "_nonce", "ck", "h")

    def __init__(self) -> None:
        self.h = PROTOCOL_NAME.ljust(HASH_BYTES, b"\0")
        self.ck = self.h
        self._key = b""
        self._nonce = 0

    def mix_hash(self, data: bytes) -> None:
        self.h = blake2b(self.h + data).digest()

    def mix_key(self, input_key_material: bytes) -> None:
        self.ck, temp_key = hkdf(self.ck, input_key_material)
        self._key = temp_key[:KEY_BYTES]
        self._nonce = 0

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(
            plaintext, self.h, self._next_nonce(), self._key
        )
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        if len(ciphertext) < TAG_BYTES:
            raise RemoteProtocolError("The handshake message is too short.")
        try:
            plaintext = bindings.crypto_aead_chacha20poly1305_ietf_decrypt(
                ciphertext, self.h, self._next_nonce(), self._key
            )
        except CryptoError as error:  # meant for another key, or tampered with
            raise RemoteProtocolError("The handshake message does not decrypt.") from error
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The transport keys: the initiator's sending key, then the responder's."""
        first, second = hkdf(self.ck, b"")
        return first[:KEY_BYTES], second[:KEY_BYTES]

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce
