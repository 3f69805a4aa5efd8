"""The part of an incoming dht-rpc request that rendezvous needs.

dht_rpc.IncomingRequest has this shape; tests bring their own.
"""

from __future__ import annotations

from typing import Protocol

from qvac_core.codec import Address


class Request(Protocol):
    @property
    def from_(self) -> Address: ...
    @property
    def to(self) -> Address: ...
    @property
    def token(self) -> bytes | None: ...
    @property
    def token_valid(self) -> bool: ...
    @property
    def command(self) -> int: ...
    @property
    def target(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def socket(self) -> int: ...

    def reply(
        self,
        value: bytes | None = None,
        *,
        token: bool = True,
        closer_nodes: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None: ...

    def error(self, code: int, *, token: bool = False, closer_nodes: bool = True) -> None: ...

    def relay(self, value: bytes, to: Address, *, socket: int | None = None, wanted: bool = False) -> None: ...
