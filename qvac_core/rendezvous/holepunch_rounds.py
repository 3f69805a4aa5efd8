"""The PEER_HOLEPUNCH rounds of both sides: what to say, what to believe of the answer, when to begin punching.

From docs/wire/hyperdht.md section 6.4 (hyperdht/lib/connect.js `probeRound`, `roundPunch`, lib/server.js
`_onpeerholepunch` 6.34.0). The rounds are generators: they yield what has to happen outside (a Step), are resumed with
what came of it, and raise NetworkError with the original's codes when the punch is off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.rendezvous.constants import Firewall, PeerError, read_firewall
from qvac_core.rendezvous.holepuncher import Holepuncher, State, coerce
from qvac_core.rendezvous.messages import HolepunchPayload, RelayInfo

MAX_REOPENS = 3
_UNKNOWN_PAUSE = 1.0
_TRY_LATER_PAUSE = (10.0, 20.0)
TRY_LATER_LIMIT = 25.0
"""Seconds for which a server that asked to try later keeps its socket."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a payload to the peer at `peer_address` through `relay`, from the puncher's socket. Resumed with Asked."""

    relay: Address
    peer_address: Address
    payload: HolepunchPayload


@dataclass(frozen=True, slots=True)
class Asked:
    """The peer's answer, its address as the relay saw it, ours as the relay (`from_`) saw it."""

    payload: HolepunchPayload
    peer_address: Address
    to: Address
    from_: Address


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, and leave random punching to others meanwhile when `give_way`."""

    seconds: float
    give_way: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until the puncher's NAT view is settled."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """Give the puncher a fresh socket and wait until its NAT view is settled."""


@dataclass(frozen=True, slots=True)
class ClaimRandomPunch:
    """Resumed with whether this node may punch random ports now; the claim lasts until the puncher ends."""


@dataclass(frozen=True, slots=True)
class Punch:
    """Begin punching. Resumed with whether there is a way."""


Step = Ask | Pause | Settle | Reopen | ClaimRandomPunch | Punch


def stabilise(puncher: Holepuncher, *, reopen: bool) -> Generator[Step, Any, bool]:
    """Wait for the NAT view; look for a better socket when that is allowed. Whether punching makes sense with it."""
    yield Settle()
    if not puncher.unstable or not reopen:
        return not puncher.unstable
    for _ in range(MAX_REOPENS):
        if not puncher.unstable or puncher.state is not State.IDLE:
            break
        yield Reopen()
    return coerce(puncher.nat.firewall) is Firewall.CONSISTENT


class ClientRounds:
    """The connecting side. `run` ends when punching has begun; the puncher says what comes of it.

    `relay_address` is the node through which the handshake went, `token` makes our proof for a host. `may_wait` is
    asked whenever it matters: there is another connection meanwhile, or may soon be, so that waiting for one's turn is
    better than failing.
    """

    def __init__(
        self,
        puncher: Holepuncher,
        *,
        relays: Sequence[RelayInfo],
        relay_address: Address,
        server_address: Address,
        token: Callable[[str], bytes],
        random: Random,
        may_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._puncher = puncher
        self._relay_address = relay_address
        self._server_address = server_address
        self._token = token
        self._random = random
        self._may_wait = may_wait
        self._round = 0
        self._server_relay = next((relay for relay in relays if relay.relay_address == relay_address), relays[0])

    def run(self) -> Generator[Step, Any, None]:
        remote_token, peer_address = yield from self._probe(retry=True)
        if self._server_relay.relay_address == self._relay_address and peer_address != self._server_address:
            # The server took a better socket meanwhile; through another relay we could not address it there.
            self._server_address = peer_address
            self._puncher.probe(peer_address, low_ttl=True)
        yield from self._punch(remote_token)

    def _payload(self, **fields: Any) -> HolepunchPayload:
        nat = self._puncher.nat
        payload = HolepunchPayload(firewall=nat.firewall, round=self._round, addresses=nat.addresses, **fields)
        self._round += 1
        return payload

    def _ask(self, relay: Address, peer_address: Address, payload: HolepunchPayload) -> Generator[Step, Any, Asked]:
        """One exchange; a TRY_LATER to a punching payload comes back as it is, every other error is raised."""
        asked: Asked = yield Ask(relay, peer_address, payload)
        answer = asked.payload
        if answer.error == PeerError.TRY_LATER and payload.punching and self._waits_for(answer):
            return asked
        if answer.error != PeerError.NONE:
            raise NetworkError("The peer gave the hole punch up.", name="REMOTE_ABORTED")
        echoed = payload.token is not None and answer.remote_token == payload.token
        self._puncher.update_remote(
            punching=answer.punching,
            firewall=read_firewall(answer.firewall),
            addresses=answer.addresses,
            verified_host=peer_address[0] if echoed else None,
        )
        return asked

    def _waits_for(self, answer: HolepunchPayload) -> bool:
        """A peer that still tells its view keeps its socket and means what it says; the original's does not."""
        return self._may_wait() or read_firewall(answer.firewall) is not Firewall.UNKNOWN

    def _probe(self, *, retry: bool) -> Generator[Step, Any, tuple[bytes | None, Address]]:
        """Learn the server's view and tell ours. Returns its token for us and its address as its relay sees it."""
        puncher, relay = self._puncher, self._server_relay
        puncher.probe(self._server_address, low_ttl=True)  # fast open: the server's answering probe finds a way in
        asked = yield from self._ask(
            relay.relay_address, relay.peer_address, self._payload(remote_address=self._server_address)
        )
        puncher.nat.add(asked.to, asked.from_)
        if puncher.remote_firewall is Firewall.UNKNOWN:
            yield Pause(_UNKNOWN_PAUSE)
        yield Settle()
        if puncher.unstable and (yield from stabilise(puncher, reopen=True)):
            return (yield from self._probe(retry=False))
        if retry and (puncher.remote_firewall is Firewall.UNKNOWN or asked.payload.token is None):
            return (yield from self._probe(retry=False))
        if Firewall.UNKNOWN in (puncher.remote_firewall, puncher.nat.firewall):
            message = "Hole punching failed: too few nodes answered to find out what stands between the two peers."
            yield from self._abort(NetworkError(message, name="HOLEPUNCH_PROBE_TIMEOUT"))
        if puncher.remote_firewall is Firewall.RANDOM and puncher.nat.firewall is Firewall.RANDOM:
            message = "Both peers are behind NATs that use random ports: they can only meet through a relay."
            yield from self._abort(NetworkError(message, name="HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"))
        return asked.payload.token, asked.peer_address

    def _abort(self, error: NetworkError) -> Generator[Step, Any, None]:
        """Tell the server, so that it lets go at once; then fail."""
        relay = self._server_relay
        payload = HolepunchPayload(error=PeerError.ABORTED, round=self._round)
        with suppress(NetworkError):  # else the server learns it by its own timer
            yield Ask(relay.relay_address, relay.peer_address, payload)
        raise error

    def _punch(self, remote_token: bytes | None) -> Generator[Step, Any, None]:
        puncher, relay = self._puncher, self._server_relay
        puncher.nat.freeze()
        through, to = self._relay_address, self._server_address
        token: bytes | None = self._token(to[0])
        while True:
            while puncher.is_random and not (yield ClaimRandomPunch()):
                if not self._may_wait():
                    message = "Another hole punch with random ports runs or ran just now: try again in a while."
                    raise NetworkError(message, name="HOLEPUNCH_ABORTED")
                if token is not None:
                    yield from self._ask(through, to, self._payload(token=token, remote_token=remote_token))
                    # From now on through the server's relay: that it is one is proved.
                    through, to, token = relay.relay_address, relay.peer_address, None
                yield self._try_later()
            payload = self._payload(punching=True, token=token, remote_token=remote_token)
            asked = yield from self._ask(through, to, payload)
            if asked.payload.error != PeerError.TRY_LATER:
                break
            yield self._try_later()
        if not puncher.remote_punching:
            raise NetworkError("The peer does not take part in the hole punch.", name="REMOTE_NOT_HOLEPUNCHING")
        if not (yield Punch()):
            message = "The peer's addresses are unknown, or not proved to be its own."
            raise NetworkError(message, name="REMOTE_NOT_HOLEPUNCHABLE")

    def _try_later(self) -> Pause:
        return Pause(self._random.uniform(*_TRY_LATER_PAUSE), give_way=True)


@dataclass(frozen=True, slots=True)
class Answered:
    """What the server says; `over` when the punch ends with it, `later` when the client comes back."""

    payload: HolepunchPayload
    over: bool = False
    later: bool = False


class ServerRounds:
    """The reached side of one handshake. Each PEER_HOLEPUNCH runs through `answer`, one at a time."""

    def __init__(self, puncher: Holepuncher, *, token: Callable[[str], bytes]) -> None:
        self._puncher = puncher
        self._token = token
        self._round = 0

    def answer(
        self, asked: HolepunchPayload, *, peer_address: Address, to: Address, from_: Address, socket: int, trusted: bool
    ) -> Generator[Step, Any, Answered]:
        """`trusted`: `from_` is a relay that we are announced at. `to` is our `socket` as it sees it."""
        puncher = self._puncher
        newest = asked.round >= self._round
        if newest:
            self._round = asked.round
        if asked.error != PeerError.NONE:
            return self.refuse()
        token = self._token(peer_address[0])
        if socket == puncher.socket:
            puncher.nat.add(to, from_)
        if newest:
            echoed = trusted and asked.remote_token == token
            puncher.update_remote(
                punching=asked.punching,
                firewall=read_firewall(asked.firewall),
                addresses=asked.addresses,
                verified_host=peer_address[0] if echoed else None,
            )
        stable = yield from stabilise(puncher, reopen=False)
        if not stable and not puncher.remote_punching and not (yield from stabilise(puncher, reopen=True)):
            return self.refuse()
        own = puncher.nat
        if coerce(own.firewall) is Firewall.CONSISTENT and asked.remote_address in (own.addresses or ()):
            puncher.probe(peer_address)  # fast mode: the client has opened its NAT for exactly this address
        error = PeerError.NONE
        if puncher.remote_punching:
            if puncher.is_random and puncher.state is State.IDLE and not (yield ClaimRandomPunch()):
                error = PeerError.TRY_LATER
            elif not (yield Punch()):
                return self.refuse()
        if own.firewall is not Firewall.UNKNOWN:
            own.freeze()
        payload = HolepunchPayload(
            error=error,
            firewall=own.firewall,
            round=self._round,
            connected=puncher.state is State.CONNECTED,
            punching=puncher.state is State.PUNCHING,
            addresses=own.addresses,
            token=token if trusted else None,
            remote_token=asked.token,
        )
        return Answered(payload, later=error is PeerError.TRY_LATER)

    def refuse(self) -> Answered:
        return Answered(HolepunchPayload(error=PeerError.ABORTED, round=self._round), over=True)
