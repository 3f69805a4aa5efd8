"""Whether a server can be found: handshakes with its own key, through the nodes that relay to it.

Ours; the original pings its relays, which live on when they have forgotten it or lead to somebody else. A handshake
that comes back to us is the proof. Another machine with the same key answers it, and both are told of each other: the
one that asked by the answer, which only a holder of the key can give, and the one that answered by a second handshake
that names the first (which alone might be an old one, repeated by anybody).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto

from qvac_core.codec import Address, blake2b
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht.node.handshake_reply import read_handshake_reply
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import Command, Firewall, Mode, PeerError
from qvac_core.rendezvous.handshake import ClientHandshake, ServerHandshake
from qvac_core.rendezvous.messages import HandshakeMessage, NoisePayload, RelayThrough

_RETRIES = 2
_REMEMBERED = 8
"""Handshakes of another machine with our key that were answered, for its second one."""


class Sighting(Enum):
    """Where one relay leads."""

    US = auto()
    ANOTHER = auto()
    """A machine with the same key."""
    NOBODY = auto()


class SelfCheck:
    """One server's. `on_another` is called when another machine with this key has shown itself to us."""

    def __init__(
        self,
        requests: Requests,
        key_pair: KeyPair,
        ephemeral_key: Callable[[], KeyPair],
        on_another: Callable[[], None],
    ) -> None:
        self._requests = requests
        self._key_pair = key_pair
        self._target = blake2b(key_pair.public_key)
        self._ephemeral_key = ephemeral_key
        self._on_another = on_another
        self._on_the_way: dict[bytes, asyncio.Event] = {}
        self._answered: deque[bytes] = deque(maxlen=_REMEMBERED)

    async def look(self, relays: Sequence[Address]) -> list[Sighting]:
        """One handshake through each."""
        return list(await asyncio.gather(*map(self._look_through, relays)))

    async def _look_through(self, relay: Address) -> Sighting:
        handshake = self._handshake()
        noise = handshake.message(lambda: _payload(None))
        arrived = self._on_the_way[noise] = asyncio.Event()
        asking = asyncio.create_task(self._ask(relay, handshake, noise), name="handshake with the own key")
        arriving = asyncio.create_task(arrived.wait(), name="handshake with the own key, on its way")
        try:
            await asyncio.wait([asking, arriving], return_when=asyncio.FIRST_COMPLETED)
            if arrived.is_set():
                return Sighting.US
            answer = asking.result()
            if answer is None:
                return Sighting.NOBODY
            await self._introduce(relay, answer)
            return Sighting.ANOTHER
        finally:
            del self._on_the_way[noise]
            for task in (asking, arriving):
                task.cancel()
            await asyncio.gather(asking, arriving, return_exceptions=True)

    def _handshake(self) -> ClientHandshake:
        own = self._key_pair
        return ClientHandshake(key_pair=own, ephemeral=self._ephemeral_key(), remote_public_key=own.public_key)

    async def _ask(self, relay: Address, handshake: ClientHandshake, noise: bytes) -> bytes | None:
        """The hash of the handshake that another machine has finished with us."""
        message = HandshakeMessage(Mode.FROM_CLIENT, noise).encode()
        try:
            reply = await self._requests.request(
                Command.PEER_HANDSHAKE, relay, target=self._target, value=message, retries=_RETRIES
            )
            _, session = handshake.read(read_handshake_reply(reply, relay).noise)
        except (NetworkError, RemoteProtocolError):
            return None
        return session.handshake_hash

    async def _introduce(self, relay: Address, answer: bytes) -> None:
        handshake = self._handshake()
        proof = RelayThrough(self._key_pair.public_key, answer[:32])
        await self._ask(relay, handshake, handshake.message(lambda: _payload(proof)))

    def arrived(self, noise: bytes) -> bool:
        """Whether this handshake is one of ours, come back."""
        event = self._on_the_way.get(noise)
        if event is not None:
            event.set()
        return event is not None

    def answer(self, handshake: ServerHandshake, payload: NoisePayload) -> bytes:
        """The answer to a handshake with our own key that wants no connection."""
        proof = payload.relay_through
        if proof is not None and proof.token in self._answered:
            self._on_another()
        noise, session = handshake.answer(NoisePayload(error=PeerError.ABORTED))
        self._answered.append(session.handshake_hash[:32])
        return noise


def _payload(proof: RelayThrough | None) -> NoisePayload:
    """Without a stream: any server answers it with an error and keeps nothing."""
    return NoisePayload(firewall=Firewall.UNKNOWN, relay_through=proof)
