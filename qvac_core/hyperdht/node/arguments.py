"""What a program gives to a node, looked at before anything is sent: each mistake is told in a sentence.

Ours. TypeError for another kind of thing, ValueError for one that cannot be; keys and seeds raise IdentityError, which
they do everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qvac_core.errors import IdentityError
from qvac_core.noise import KeyPair

HASH_BYTES = 32


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def check_key_pair(value: Any) -> None:
    if value is not None and not isinstance(value, KeyPair):
        raise TypeError(f"A KeyPair is needed (KeyPair.from_seed makes one), and this is {_kind(value)}.")


def check_public_key(value: Any, what: str = "A public key") -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"{what} is 32 bytes, and this is {_kind(value)}.")
    if len(value) != HASH_BYTES:
        raise IdentityError(f"{what} has 32 bytes, and this one has {len(value)}.")


def check_hash(value: Any, what: str) -> None:
    """A topic, or where a value is stored."""
    if not isinstance(value, bytes):
        raise TypeError(f"{what} is 32 bytes, and this is {_kind(value)}.")
    if len(value) != HASH_BYTES:
        raise ValueError(f"{what} has 32 bytes, and this one has {len(value)}.")


def check_value(value: Any) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"A record holds bytes, and this is {_kind(value)}.")


def check_sequence_number(value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"A sequence number is a whole number, and this is {_kind(value)}.")
    if not 0 <= value < 1 << 64:
        raise ValueError(f"A sequence number is not below 0 and has 64 bits at most: {value} cannot be one.")


def check_seconds(value: Any, what: str, *, zero: bool = False) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{what} is a number of seconds, and this is {_kind(value)}.")
    if not (value > 0 or (zero and value == 0)):  # "nan" is neither
        raise ValueError(f"{what} is a number of seconds above 0, and not {value}.")


def check_relays(value: Any) -> None:
    if value is None or callable(value):
        return
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"Relays are named by their public keys, 32 bytes each, and this is {_kind(value)}.")
    for key in [value] if isinstance(value, bytes) else value:
        check_public_key(key, "A relay's public key")


def check_addresses(value: Any, what: str) -> None:
    """Of nodes that may be gone, or never were: peers tell them, and whoever asks there finds out."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{what} are (host, port) pairs, and this is {_kind(value)}.")
    for entry in value:
        match entry:
            case (str(host), int(port)):
                if not 0 <= port < 65536:
                    raise ValueError(f"{what} have ports between 0 and 65535: {host}:{port} cannot be one.")
            case _:
                raise TypeError(f"{what} are (host, port) pairs, and one of these is {_kind(entry)}.")


def check_port(value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"A port is a whole number, and this is {_kind(value)}.")
    if not 0 <= value < 65536:
        raise ValueError(f"A port is between 0 (any) and 65535, and not {value}.")


def check_host(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"A host is the text of an address of this machine, and this is {_kind(value)}.")


def check_function(value: Any, what: str) -> None:
    if not callable(value):
        raise TypeError(f"{what} is a function, and this is {_kind(value)}.")
