"""Keys and seeds as people write them.

Formats of hypercore-id-encoding (hex, z-base-32) and of QVAC_HYPERSWARM_SEED.
"""

from __future__ import annotations

import re

from qvac_core.errors import IdentityError

_HEX64 = re.compile(r"[0-9a-f]{64}")
_Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


def parse_public_key(text: str) -> bytes:
    """32 bytes from 64 hex digits (spaces, colons and grouping allowed) or 52 z-base-32 characters.

    Raises IdentityError with a sentence that says what is wrong.
    """
    bare = text.strip().lower().removeprefix("qvac://").rstrip("/")
    compact = re.sub(r"[\s:·-]", "", bare)
    if _HEX64.fullmatch(compact):
        return bytes.fromhex(compact)
    if len(compact) == 52 and all(letter in _Z_BASE_32 for letter in compact):
        return decode_z_base_32(compact)
    wrong = sorted({letter for letter in compact if letter not in "0123456789abcdef"})
    if len(compact) == 64 and wrong:
        raise IdentityError(f"This is not a key: '{wrong[0]}' is not a hex digit. Copy the key again.")
    raise IdentityError(f"This is not a key: a key has 64 hex digits, this has {len(compact)}. Copy the key again.")


def parse_seed(text: str) -> bytes:
    """32 bytes from exactly 64 hex digits. Raises IdentityError; the text itself is a secret and is never repeated."""
    compact = text.strip().lower()
    if not _HEX64.fullmatch(compact):
        raise IdentityError(
            f"This is not a seed: a seed is exactly 64 hex digits, this has {len(compact)} characters. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return bytes.fromhex(compact)


def short_key(public_key: str) -> str:
    """The key as lists and logs show it, enough to recognise: first eight digits, last four."""
    return f"{public_key[:4]} {public_key[4:8]} … {public_key[-4:]}"


def decode_z_base_32(text: str) -> bytes:
    """The bytes of lower-case z-base-32 text; bits that fill no byte are padding. Raises IdentityError."""
    value = 0
    for letter in text:
        digit = _Z_BASE_32.find(letter)
        if digit < 0:
            raise IdentityError("A public key is 64 hexadecimal digits or 52 letters of z-base-32.")
        value = value << 5 | digit
    size = len(text) * 5 // 8
    return (value >> (len(text) * 5 - size * 8)).to_bytes(size, "big")
