"""The driver of one hole punch: its sockets, its timer, the pings that sample its NAT, the steps of its rounds.

Ours; the decisions are those of rendezvous.holepuncher and rendezvous.holepunch_rounds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from qvac_core.codec import Address
from qvac_core.dht_rpc import Outcome, Reply
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.rendezvous.constants import Firewall
from qvac_core.rendezvous.holepunch_rounds import Ask, ClaimRandomPunch, Pause, Punch, Reopen, Settle, Step
from qvac_core.rendezvous.holepuncher import Holepuncher, Method, State
from qvac_core.rendezvous.nat import Nat

logger = logging.getLogger(__name__)

MAX_PUNCHERS = 64
"""Sockets cost, and peers may come in numbers; a node punches with so many at a time and declines the rest."""
_SAMPLING_ROUNDS = 2
_NODES_CONSIDERED = 40
_MAX_TRIES_PER_TURN = 8

T = TypeVar("T")


class Punching:
    """Opens a socket at once and begins to sample. `on_end` is called once, with the path or without one.

    Raises OSError, and NetworkError HOLEPUNCH_ABORTED when too many run. `close` is for every ending.
    """

    def __init__(
        self,
        node: LocalNode,
        *,
        initiator: bool,
        remote_firewall: Firewall,
        on_end: Callable[[tuple[int, Address] | None], None],
    ) -> None:
        self._node = node
        self._endpoint = node.endpoint
        self._loop = self._endpoint.loop
        self._on_end = on_end
        self._limit = node.random_punches
        self._claimed = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        if len(node.punchings) >= MAX_PUNCHERS:
            raise NetworkError("Too many hole punches at once.", name="HOLEPUNCH_ABORTED")
        self.puncher = Holepuncher(
            initiator=initiator,
            firewalled=node.firewalled,
            remote_firewall=remote_firewall,
            socket=self._endpoint.acquire_socket(self._on_probe),
            random=node.chance,
        )
        node.punchings.add(self)
        self._sample(self.puncher.nat, _SAMPLING_ROUNDS)
        self._endpoint.flush_node()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let go of everything; a socket that a stream holds by now stays open for it."""
        if self._closed:
            return
        self._closed = True
        punched = self.puncher.method in (Method.RANDOM_PROBES, Method.BIRTHDAY)
        self.puncher.end()
        self._node.punchings.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._release_claim(punched=punched)
        self._settled.set()
        for socket in self.puncher.sockets:
            self._endpoint.release_socket(socket)

    def abandon(self) -> None:
        """End it without a path, as far as its owner goes, too."""
        if not self._closed:
            self._end(None)
            self.close()

    # Rounds

    async def run(self, rounds: Generator[Step, Any, T], ask: Callable[[Ask], Any] | None = None) -> T:
        """Lead the rounds to their end; `ask` is a coroutine function that sends a payload. Raises NetworkError."""
        outcome: Any = None
        failure: NetworkError | None = None
        while True:
            try:
                step = rounds.send(outcome) if failure is None else rounds.throw(failure)
            except StopIteration as done:
                self.flush()
                result: T = done.value
                return result
            if self._closed:
                raise NetworkError("The hole punch was given up.", name="HOLEPUNCH_ABORTED")
            self.flush()
            outcome = failure = None
            try:
                outcome = await (ask(step) if isinstance(step, Ask) and ask is not None else self._perform(step))
            except NetworkError as error:
                failure = error

    async def _perform(self, step: Step) -> Any:
        match step:
            case Settle():
                await self._wait_settled()
            case Reopen():
                self._reopen()
                await self._wait_settled()
            case Pause(seconds, give_way):
                if give_way:
                    self._release_claim(punched=False)
                await asyncio.sleep(seconds)
            case ClaimRandomPunch():
                return self._claim()
            case Punch():
                return self._punch()
        return None

    async def _wait_settled(self) -> None:
        await self._settled.wait()
        if self._closed:
            raise NetworkError("The hole punch was given up.", name="HOLEPUNCH_ABORTED")

    def _reopen(self) -> None:
        self._settled.clear()
        try:
            socket = self._endpoint.acquire_socket(self._on_probe)
        except OSError as error:
            raise NetworkError("No socket is left for another try.", name="HOLEPUNCH_ABORTED") from error
        self._endpoint.release_socket(self.puncher.reopen(socket))
        self._sample(self.puncher.nat, _SAMPLING_ROUNDS)
        self._endpoint.flush_node()

    def _claim(self) -> bool:
        if not self._claimed and self._limit.allowed(self._loop.time()):
            self._limit.begin()
            self._claimed = True
        return self._claimed

    def _release_claim(self, *, punched: bool) -> None:
        if self._claimed:
            self._claimed = False
            self._limit.end(self._loop.time(), punched=punched)

    # Sampling

    def _sample(self, nat: Nat, rounds: int) -> None:
        nodes = nat.nodes_to_ask(self._endpoint.node.to_array(_NODES_CONSIDERED))
        if nat.settled or not nodes or rounds == 0:
            nat.exhausted()
            self._settled.set()
            return
        pending = len(nodes)

        def on_done(outcome: Outcome) -> None:
            nonlocal pending
            pending -= 1
            if nat is not self.puncher.nat or self._closed:
                return
            if isinstance(outcome, Reply):
                nat.add(outcome.to, outcome.from_)
            if nat.settled:
                self._settled.set()
            elif pending == 0:
                self._sample(nat, rounds - 1)

        for node in nodes:
            self._endpoint.node.ping(
                node, now=self._loop.time(), on_done=on_done, retries=0, socket=self.puncher.socket
            )

    # Probes

    def _punch(self) -> bool:
        if not self.puncher.punch(self._loop.time()):
            return False
        for _ in range(self.puncher.sockets_wanted):
            try:
                self.puncher.add_socket(self._endpoint.acquire_socket(self._on_probe))
            except OSError as error:
                logger.debug("the birthday punch goes on with fewer sockets: %s", error)
                break
        return True

    def _on_probe(self, socket: int, source: Address) -> None:
        self.puncher.receive_probe(socket, source)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent, set the timer, say how it ended."""
        if self._closed:
            return
        for probe in self.puncher.transmissions():
            self._endpoint.send_probe(probe)
        if self.puncher.state is State.CONNECTED:
            self._end(self.puncher.path)
        elif self.puncher.state is State.ENDED:
            self._end(None)
        else:
            self._set_timer()

    def _end(self, path: tuple[int, Address] | None) -> None:
        """Told from the loop, not from within whatever noticed it: the owner closes us, and streams use the socket."""
        on_end, self._on_end = self._on_end, _ignore
        self._loop.call_soon(on_end, path)

    def _set_timer(self) -> None:
        when = self.puncher.get_timer()
        if when is not None and self._timer is None:
            self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        for _ in range(_MAX_TRIES_PER_TURN):
            when = self.puncher.get_timer()
            if when is None or when > now:
                break
            self.puncher.handle_timer(now)
        self.flush()


def _ignore(_: tuple[int, Address] | None) -> None:
    """The end has been told."""
