"""BLAKE2b as libsodium's crypto_generichash, and the signing namespaces made of it.

docs/wire/hyperdht.md section 2.2; hypercore-crypto `namespace`.
"""

from __future__ import annotations

import hashlib


def blake2b(*parts: bytes, key: bytes = b"", size: int = 32) -> bytes:
    """The BLAKE2b hash of all parts joined: `size` bytes, keyed when `key` (64 bytes at most) is given."""
    state = hashlib.blake2b(digest_size=size, key=key)
    for part in parts:
        state.update(part)
    return state.digest()


def namespace(name: str, i: int) -> bytes:
    """The 32 bytes that keep signatures of purpose `i` of protocol `name` from being used for another."""
    return blake2b(blake2b(name.encode("ascii")), bytes([i]))
