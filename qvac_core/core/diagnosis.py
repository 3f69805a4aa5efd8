"""Why it is not connected, in words: the network as this machine sees it, and one provider in it.

Ours; the original ends with PEER_NOT_FOUND after 8 s, whatever was wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from qvac_core.codec import Address, blake2b
from qvac_core.codec.key_text import parse_public_key
from qvac_core.core.config import CoreConfig
from qvac_core.core.error_text import describe
from qvac_core.core.network import NetworkNode
from qvac_core.core.state import Nat, NetworkReport
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.failures import Reason
from qvac_core.dht_rpc import Reply
from qvac_core.errors import DelegationError, IdentityError, NetworkError, QvacError, RemoteProtocolError
from qvac_core.hyperdht import DHT, Connection, ConnectStage, KeyPair
from qvac_core.rendezvous.constants import Command
from qvac_core.rendezvous.messages import PeerRecord
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile

READY_LIMIT = 6.0
"""Seconds for entering the network; more is a network that does not answer."""
ASKED = 20
PING_RETRIES = 1
ENOUGH_SAMPLES = 4
"""Nodes that must agree on our port before it is called consistent (docs/wire/traps.md)."""
ENOUGH_ARRIVALS = 2
"""Nodes whose unasked datagrams must come in before this machine is called open, and more than half of those asked."""

# By title, in place of what the window says: that goes on by itself, a diagnosis has ended.
_HELPS_ONCE = {
    "The owner has not allowed your key yet.": (
        "The machine is online and answered. Send its owner your key, which `qvac-desktop public-key` prints; "
        "then ask again."
    ),
    "The owner did not let you in.": "The machine is online. Talk to its owner before you ask again.",
}


class Outcome(StrEnum):
    CONNECTED = "connected"
    REFUSED = "refused"
    SILENT = "silent"
    NOT_FOUND = "not found"
    NO_PATH = "no path"
    NO_NETWORK = "no network"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PeerReport:
    """`relays`: nodes that know the key. `path` and `rtt` (seconds) only when it is connected.

    `relay`: the blind relay in use at the end, `address` is the relay's then.
    """

    outcome: Outcome
    relays: int
    seconds: float
    address: Address | None = None
    path: str = ""
    relay: bytes | None = None
    rtt: float | None = None
    title: str = ""
    helps: str = ""


def nat_of(seen: Sequence[Address], arrived: Sequence[bool]) -> tuple[Nat, Address | None]:
    """What the addresses under which others see one socket say about the NAT before it.

    `arrived`: for each node that was asked, whether a datagram that nobody opened the way for came in from it.
    Too few of either, or as many for as against, are no verdict.
    """
    hosts = {host for host, _ in seen}
    if len(hosts) != 1:
        return Nat.UNKNOWN, None
    (host,) = hosts
    ports = {port for _, port in seen}
    address = (host, ports.pop() if len(ports) == 1 else 0)
    came = sum(arrived)
    if came >= ENOUGH_ARRIVALS and 2 * came > len(arrived):
        return Nat.OPEN, address
    if came or len(seen) < ENOUGH_SAMPLES:
        return Nat.UNKNOWN, address
    return Nat.RANDOM if address[1] == 0 else Nat.CONSISTENT, address


class Diagnosis:
    """`async with Diagnosis(config, key_pair) as it`. Needs no lock: it may run beside the app of the same folder."""

    def __init__(self, config: CoreConfig, key_pair: KeyPair) -> None:
        folder = DataDir.locate(config.data_dir)
        settings = SettingsFile(folder.settings_file, now=time.time()).settings
        config = config.with_network(settings.network)
        local = settings.local_network if config.local_network is None else config.local_network
        self._node = NetworkNode(config, key_pair, folder.known_nodes_file, local_network=local, keep_nodes=False)
        if not config.relays:
            self._node.relays = _keys(settings.network.relays)
        self._consumer = Consumer(self._connect)
        self._bootstrap: tuple[Address, ...] = config.bootstrap or ()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Diagnosis:
        await self._node.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.close()
        await self._node.close()

    async def network(self) -> NetworkReport:
        return await examine_network(self._node.dht, self._bootstrap)

    async def peer(self, public_key: bytes, on_stage: Callable[[ConnectStage], None]) -> PeerReport:
        """Try to connect and to ask, as the app does: one who is not allowed yet knocks at the owner's door."""
        loop = asyncio.get_running_loop()
        self._node.on_stage = lambda _, stage: on_stage(stage)
        started = loop.time()
        delegate = Delegate(public_key)
        try:
            await self._consumer.heartbeat(delegate)
            seconds = loop.time() - started
            rtt = await self._consumer.heartbeat(delegate)
        except QvacError as error:
            seconds = loop.time() - started
            words = describe(error)
            helps = _HELPS_ONCE.get(words.title, words.message)
            return PeerReport(_outcome(error), await self._relays(public_key), seconds, title=words.title, helps=helps)
        relays = await self._relays(public_key)
        report = PeerReport(Outcome.CONNECTED, relays, seconds, rtt=rtt)
        if (connection := self._connection) is None:
            return report
        return replace(report, address=connection.remote_address, path=connection.path, relay=connection.relay)

    async def _connect(self, public_key: bytes, force_new: bool, seconds: float) -> Connection:
        self._connection = await self._node.connect(public_key, force_new, seconds)
        return self._connection

    async def _relays(self, public_key: bytes) -> int:
        """How many nodes know the key now."""
        found: set[Address] = set()

        def see(reply: Reply) -> bool:
            try:
                if reply.value is not None and PeerRecord.decode(reply.value).public_key == public_key:
                    found.add(reply.from_)
            except RemoteProtocolError:
                pass  # a node that answers nonsense relays to nobody
            return False

        try:
            async with asyncio.timeout(READY_LIMIT):
                await self._node.dht.requests.query(
                    blake2b(public_key), Command.FIND_PEER, on_reply=see, retries=PING_RETRIES
                )
        except (TimeoutError, NetworkError):
            pass  # what was found so far
        return len(found)


def _keys(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Those that are keys; the app tells of the others."""
    keys = []
    for text in texts:
        with contextlib.suppress(IdentityError):
            keys.append(parse_public_key(text))
    return tuple(keys)


async def examine_network(dht: DHT, bootstrap: Sequence[Address] = ()) -> NetworkReport:
    """Who answers this node, and what they say of its address. Bounded: twice `READY_LIMIT` and two rounds of pings.

    Not what the node believes of itself: while it starts it asks once, maybe before anybody knows its address.
    """
    try:
        async with asyncio.timeout(READY_LIMIT):
            await dht.ready()
    except (TimeoutError, NetworkError):
        pass  # the pings below say it
    near = await _neighbours(dht)
    nodes = list(dict.fromkeys([*bootstrap, *near, *dht.to_array(), *dht.endpoint.node.bootstrap_nodes]))[:ASKED]
    pongs = [pong for pong in await asyncio.gather(*(_ping(dht, node) for node in nodes)) if pong is not None]
    arrived = await asyncio.gather(*(_comes_in(dht, pong.from_) for pong in pongs))
    nat, address = nat_of([pong.to for pong in pongs], arrived)
    return NetworkReport(len(nodes), len(pongs), address, nat is not Nat.OPEN, nat)


async def _neighbours(dht: DHT) -> list[Address]:
    """Nodes that answer a walk: what a node knows just after its start is a matter of chance."""
    found: dict[Address, None] = {}

    def see(reply: Reply) -> bool:
        found[reply.from_] = None
        return False

    try:
        async with asyncio.timeout(READY_LIMIT):
            await dht.requests.query(blake2b(dht.key_pair.public_key), Command.FIND_PEER, on_reply=see, retries=1)
    except (TimeoutError, NetworkError):
        pass  # those found so far
    return list(found)


async def _comes_in(dht: DHT, node: Address) -> bool:
    """Whether it gets through to our server socket, and under the port that this has."""
    reply = await dht.requests.ping_server_socket(node)
    return reply is not None and reply.to[1] == dht.address[1]


async def _ping(dht: DHT, node: Address) -> Reply | None:
    try:
        return await dht.requests.ping(node, retries=PING_RETRIES)
    except NetworkError:
        return None


def _outcome(error: QvacError) -> Outcome:
    if isinstance(error, DelegationError) and error.typed_fields.get("reason") == Reason.NOT_ADMITTED.value:
        return Outcome.REFUSED
    match error.name:
        case "PEER_NOT_FOUND":
            alone = isinstance(error.__cause__, NetworkError) and error.__cause__.message.startswith("Nobody")
            return Outcome.NO_NETWORK if alone else Outcome.NOT_FOUND
        case "PEER_CONNECTION_FAILED" | "REQUEST_TIMEOUT":
            return Outcome.SILENT
        case "CANNOT_HOLEPUNCH" | "HOLEPUNCH_ABORTED":
            return Outcome.NO_PATH
    return Outcome.FAILED
