"""A node of the DHT without its sockets: datagrams and time in, datagrams and the next timer out.

dht-rpc 6.27.0 `index.js`; wire/HYPERDHT.md section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from qvac_core.codec import Address
from qvac_core.dht_rpc.events import Event
from qvac_core.dht_rpc.incoming import IncomingRequest
from qvac_core.dht_rpc.reply import OnDone, Reply, RequestSpec


class Request:
    """A request in flight. `cancel` settles it with REQUEST_DESTROYED, unless it is settled already."""

    done: bool

    def cancel(self) -> None:
        raise NotImplementedError


class QueryResult:
    """closest_replies nearest first; error None or a NetworkError; commits: the answers to the commit, also refusals."""

    closest_replies: tuple[Reply, ...]
    commits: tuple[Reply, ...]
    successes: int
    errors: int
    error: Any


class Query:
    closest_replies: Sequence[Reply]
    done: bool

    def cancel(self) -> None:
        raise NotImplementedError


Commit = bool | Callable[[Reply], RequestSpec | None] | None


class Node:
    """Callbacks run inside the method that caused them, never before `request` or `query` returned their object."""

    on_request: Callable[[IncomingRequest], None] | None
    firewalled: bool
    ephemeral: bool

    def __init__(
        self,
        *,
        now: float,
        random: Random,
        bootstrap: Sequence[Address],
        ephemeral: bool | None = None,
        firewalled: bool | None = None,
        quick_firewall: bool = True,
        filter_node: Callable[[Address], bool] | None = None,
        nodes: Sequence[Address] = (),
    ) -> None:
        raise NotImplementedError

    def set_server_port(self, port: int) -> None:
        raise NotImplementedError

    def bootstrap(self, now: float) -> None:
        raise NotImplementedError

    def receive(self, datagrams: Sequence[tuple[bytes, Address]], socket: int, now: float) -> None:
        raise NotImplementedError

    def transmissions(self) -> list[tuple[int, Address, bytes]]:
        raise NotImplementedError

    def get_timer(self) -> float | None:
        raise NotImplementedError

    def handle_timer(self, now: float) -> None:
        raise NotImplementedError

    def next_event(self) -> Event | None:
        raise NotImplementedError

    def request(
        self,
        command: int,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = 3,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        raise NotImplementedError

    def ping(
        self,
        to: Address,
        *,
        now: float,
        on_done: OnDone,
        retries: int = 3,
        socket: int | None = None,
        timeout: float | None = None,
    ) -> Request:
        raise NotImplementedError

    def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None = None,
        *,
        now: float,
        on_finished: Callable[[QueryResult], None],
        on_reply: Callable[[Reply], None] | None = None,
        internal: bool = False,
        nodes: Sequence[Address] = (),
        only_nodes: bool = False,
        retries: int = 5,
        concurrency: int = 10,
        commit: Commit = None,
    ) -> Query:
        raise NotImplementedError

    def find_node(
        self, target: bytes, *, now: float, on_finished: Callable[[QueryResult], None], **options: Any
    ) -> Query:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    @property
    def id(self) -> bytes | None:
        raise NotImplementedError

    def remote_address(self) -> Address | None:
        raise NotImplementedError
