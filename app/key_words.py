"""How a public key is written for eyes."""

from __future__ import annotations

GROUP = 4


def group_key(public_key: str) -> str:
    """In groups of four, for eyes."""
    return " ".join(public_key[i : i + GROUP] for i in range(0, len(public_key), GROUP))
