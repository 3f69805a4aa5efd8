"""A request without a network, and the peers of the rendezvous tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qvac_core.codec import Address, blake2b
from qvac_core.noise import KeyPair

KEYS = KeyPair.from_seed(bytes([1]) * 32)
TARGET = blake2b(KEYS.public_key)
TOPIC = bytes([9]) * 32
NODE_ID = bytes([3]) * 32
TOKEN = bytes([4]) * 32
CLIENT: Address = ("1.1.1.1", 1)
RELAY: Address = ("2.2.2.2", 2)
SECOND: Address = ("3.3.3.3", 3)
SERVER: Address = ("4.4.4.4", 4)


@dataclass
class FakeRequest:
    command: int
    value: bytes | None = None
    target: bytes | None = TARGET
    from_: Address = CLIENT
    to: Address = ("9.9.9.9", 9)
    token: bytes | None = TOKEN
    token_valid: bool = True
    socket: int = 0
    replies: list[dict[str, Any]] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    relayed: list[tuple[bytes, Address, int | None]] = field(default_factory=list)

    def reply(self, value: bytes | None = None, **options: Any) -> None:
        self.replies.append({"value": value, **options})

    def error(self, code: int, *, token: bool = False, closer_nodes: bool = True) -> None:
        self.errors.append(code)

    def relay(self, value: bytes, to: Address, *, socket: int | None = None, wanted: bool = False) -> None:
        self.relayed.append((value, to, socket))

    @property
    def silent(self) -> bool:
        return not self.replies and not self.errors and not self.relayed
