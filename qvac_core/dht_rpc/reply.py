"""What came of a request: the other side's answer, or the error in its place.

dht-rpc 6.27.0 `lib/io.js` decodeReply and `lib/errors.js`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qvac_core.codec import Address
from qvac_core.errors import NetworkError


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that matched a request of ours.

    `from_` is who answered, `to` our address as it saw us, `id` its verified id (None: ephemeral or false), `token`
    lets us write there within the next seconds, `socket` is where the answer arrived, `rtt` the seconds since the first
    send.
    """

    tid: int
    from_: Address
    to: Address
    id: bytes | None
    token: bytes | None
    closer_nodes: tuple[Address, ...]
    error: int
    value: bytes | None
    socket: int
    rtt: float


Outcome = Reply | NetworkError
OnDone = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """What a query's commit sends to one of the closest nodes (the reply's sender)."""

    command: int
    target: bytes | None
    value: bytes | None
    token: bytes | None


def request_timeout(to: Address) -> NetworkError:
    return NetworkError(f"{to[0]}:{to[1]} did not answer", name="REQUEST_TIMEOUT")


def request_destroyed() -> NetworkError:
    return NetworkError("the request was given up before it was answered", name="REQUEST_DESTROYED")


def node_suspended() -> NetworkError:
    return NetworkError("the network node was put to sleep before the answer came", name="IO_SUSPENDED")
