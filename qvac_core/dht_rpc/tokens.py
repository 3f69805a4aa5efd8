"""Proofs that a requester receives at its address: a keyed hash of the host, under a secret that changes.

docs/wire/hyperdht.md section 1.6; dht-rpc 6.27.0 `lib/io.js` token. The chain of secrets is local, only the hash of the
host under a secret matches the original's.
"""

from __future__ import annotations

from random import Random

from qvac_core.codec import blake2b

LIFETIME = 7.5
"""Seconds until tokens are made with the next secret; the one before it is accepted as long again."""


def token(secret: bytes, host: str) -> bytes:
    return blake2b(host.encode("ascii"), key=secret)


class Tokens:
    """Secrets follow from one root and the time, so that nothing needs a timer."""

    __slots__ = ("_current", "_generation", "_origin", "_previous", "_root")

    def __init__(self, now: float, random: Random) -> None:
        self._origin = now
        self._root = random.randbytes(32)
        self._generation = -1
        self._current = self._previous = b""

    def _turn(self, now: float) -> None:
        generation = max(0, int((now - self._origin) / LIFETIME))
        if generation != self._generation:
            self._generation = generation
            self._current = self._secret(generation)
            self._previous = self._secret(generation - 1)

    def _secret(self, generation: int) -> bytes:
        return blake2b(generation.to_bytes(8, "little", signed=True), key=self._root)

    def issue(self, host: str, now: float) -> bytes:
        self._turn(now)
        return token(self._current, host)

    def accepts(self, candidate: bytes, host: str, now: float) -> bool:
        self._turn(now)
        return candidate in (token(self._current, host), token(self._previous, host))
