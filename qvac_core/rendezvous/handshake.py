"""The Noise handshake as the two ends of a rendezvous see it, and the server's memory of handshakes.

From docs/wire/hyperdht.md sections 3.4, 3.5 and 6.3 (hyperdht/lib/noise-wrap.js, `_onpeerhandshake` of lib/server.js
6.34.0).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from qvac_core.codec import blake2b
from qvac_core.errors import LocalProtocolError, RemoteProtocolError
from qvac_core.noise import HandshakeState, KeyPair
from qvac_core.rendezvous.constants import HANDSHAKE_MEMORY, NS_PEER_HANDSHAKE, NS_PEER_HOLEPUNCH
from qvac_core.rendezvous.messages import NoisePayload
from qvac_core.rendezvous.router import Answer

MAX_WAITING = 16
"""Askers of one undecided handshake that are answered."""
MAX_REMEMBERED = 1024
"""Handshakes remembered by one server at a time. The original has no limit; message 1 costs a stranger nothing."""


@dataclass(frozen=True, slots=True)
class Session:
    """What both ends know after the handshake: keys for the secret stream and for hole punch payloads."""

    remote_public_key: bytes
    handshake_hash: bytes
    tx: bytes
    rx: bytes
    holepunch_secret: bytes


def _session(state: HandshakeState) -> Session:
    remote = state.remote_public_key
    if remote is None:
        raise LocalProtocolError("the handshake is not finished")
    secret = blake2b(NS_PEER_HOLEPUNCH, key=state.handshake_hash)
    return Session(remote, state.handshake_hash, state.tx, state.rx, secret)


class ClientHandshake:
    """The connecting side. One message 1 serves all relays, so that the server sees one handshake."""

    def __init__(self, *, key_pair: KeyPair, ephemeral: KeyPair, remote_public_key: bytes) -> None:
        self._state = HandshakeState(
            initiator=True,
            static=key_pair,
            ephemeral=ephemeral,
            prologue=NS_PEER_HANDSHAKE,
            remote_public_key=remote_public_key,
        )
        self._message: bytes | None = None
        self._answer: tuple[bytes, NoisePayload, Session] | None = None

    def message(self, payload: Callable[[], NoisePayload]) -> bytes:
        """Message 1; `payload` is asked for the first time only."""
        if self._message is None:
            self._message = self._state.write_message(payload().encode())
        return self._message

    def read(self, message: bytes) -> tuple[NoisePayload, Session]:
        """Payload and keys from message 2.

        Raises RemoteProtocolError for a false one, after which a true one of another relay still works: a relay that
        lies must not be able to end the handshake. All relays bring the same true one; it is worked through once.
        """
        if self._answer is None or self._answer[0] != message:
            attempt = copy.deepcopy(self._state)
            payload = NoisePayload.decode(attempt.read_message(message))
            self._answer = message, payload, _session(attempt)
        return self._answer[1:]


class ServerHandshake:
    """The listening side of one handshake: read message 1, decide, write message 2."""

    def __init__(self, *, key_pair: KeyPair, ephemeral: KeyPair) -> None:
        self._state = HandshakeState(initiator=False, static=key_pair, ephemeral=ephemeral, prologue=NS_PEER_HANDSHAKE)

    def read(self, message: bytes) -> tuple[bytes, NoisePayload]:
        """The client's key and payload; RemoteProtocolError when it was not made for this server."""
        payload = NoisePayload.decode(self._state.read_message(message))
        remote = self._state.remote_public_key
        if remote is None:
            raise RemoteProtocolError("the client did not show its key")
        return remote, payload

    def answer(self, payload: NoisePayload) -> tuple[bytes, Session]:
        message = self._state.write_message(payload.encode())
        return message, _session(self._state)


@dataclass(slots=True)
class RememberedHandshake:
    """One client's message 1 and what was or will be answered to it, whichever relays repeat it."""

    id: int
    noise: bytes
    settled: bool = False
    answer: Answer | None = None
    forget_at: float | None = None
    on_removed: Callable[[], None] | None = None
    _waiting: deque[Callable[[Answer], None]] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))

    def ask(self, answer: Callable[[Answer], None]) -> None:
        if not self.settled:
            self._waiting.append(answer)  # the oldest give way: who asks again does not listen to those any more
        elif self.answer is not None:
            answer(self.answer)

    def settle(self, answer: Answer | None) -> None:
        """Answer everybody who asked; None is silence. Only the first call counts."""
        if self.settled:
            return
        self.settled, self.answer = True, answer
        waiting = list(self._waiting)
        self._waiting.clear()
        if answer is not None:
            for ask in waiting:
                ask(answer)


class HandshakeMemory:
    """Handshakes of one server by the bytes of message 1, and by the small number that hole punch rounds carry.

    An entry is made before anything asynchronous happens: a repeat in the meantime must find it.
    """

    def __init__(self, *, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._by_noise: dict[bytes, RememberedHandshake] = {}
        self._finished: dict[bytes, RememberedHandshake] = {}  # in the order in which they are forgotten
        self._by_id: dict[int, RememberedHandshake] = {}
        self._free_ids: list[int] = []  # a heap: given once, and free again

    def __len__(self) -> int:
        return len(self._by_noise)

    def find(self, noise: bytes, now: float) -> RememberedHandshake | None:
        self._forget(now)
        return self._by_noise.get(noise)

    def by_id(self, id: int) -> RememberedHandshake | None:
        return self._by_id.get(id)

    def open(self, noise: bytes, now: float) -> RememberedHandshake:
        """A new entry. When there are too many, a finished one makes room, else the oldest.

        Turning newcomers away instead would let a stranger shut the door for 10 s with one burst of handshakes.
        """
        self._forget(now)
        if len(self._by_noise) >= self._limit:
            self._remove(self._least_needed())
        id = heappop(self._free_ids) if self._free_ids else len(self._by_id)
        entry = RememberedHandshake(id, noise)
        self._by_noise[noise] = self._by_id[id] = entry
        return entry

    def finish(self, entry: RememberedHandshake, now: float) -> None:
        """The handshake led to a connection or to nothing; repeats are still answered for a while."""
        if entry.forget_at is None:
            entry.forget_at = now + HANDSHAKE_MEMORY
            if self._by_noise.get(entry.noise) is entry:
                self._finished[entry.noise] = entry

    def clear(self) -> None:
        self._by_noise.clear()
        self._finished.clear()
        self._by_id.clear()
        self._free_ids.clear()

    def _forget(self, now: float) -> None:
        while self._finished:
            entry = next(iter(self._finished.values()))
            if entry.forget_at is None or entry.forget_at > now:
                return
            self._remove(entry)

    def _least_needed(self) -> RememberedHandshake:
        return next(iter(self._finished.values()), None) or next(iter(self._by_noise.values()))

    def _remove(self, entry: RememberedHandshake) -> None:
        if entry.on_removed is not None:
            entry.on_removed()
        self._by_noise.pop(entry.noise, None)
        self._finished.pop(entry.noise, None)
        if self._by_id.pop(entry.id, None) is not None:
            heappush(self._free_ids, entry.id)
