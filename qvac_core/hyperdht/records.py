"""Announces, lookups, mutable and immutable records: what a user of the network reads and writes there.

From docs/wire/hyperdht.md section 2.5 (hyperdht/index.js 6.34.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qvac_core.codec import Address, Writer, blake2b
from qvac_core.dht_rpc import QueryResult, Reply
from qvac_core.errors import LocalProtocolError, NetworkError, RemoteProtocolError
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import MAX_RECORDS_PER_LOOKUP, MAX_RELAY_ADDRESSES, Command
from qvac_core.rendezvous.messages import LookupReply, MutablePut, MutableRecord, PeerRecord
from qvac_core.rendezvous.signatures import sign_announce, sign_mutable, sign_unannounce, verify_mutable

MAX_VALUE_BYTES = 1000
"""A value must fit into one datagram beside a key, a token and a signature."""


@dataclass(frozen=True, slots=True)
class TopicPeers:
    """What one node knows of a topic: `from_` that node, `to` our own address as it sees us.

    `peers` are at most 20, picked by chance where it knows more; `bump` is milliseconds since 1970, 0 for none.
    """

    from_: Address
    to: Address
    peers: tuple[PeerRecord, ...]
    bump: int = 0


@dataclass(frozen=True, slots=True)
class PeerFound:
    """One node's word that it leads to a server: `from_` that node, `to` our own address as it sees us."""

    from_: Address
    to: Address
    peer: PeerRecord


OnTopic = Callable[[TopicPeers], None]


@dataclass(frozen=True, slots=True)
class MutableValue:
    """A value that its owner may replace: `seq` grows with each, `signature` is the owner's."""

    seq: int
    value: bytes
    signature: bytes


def _closest(result: QueryResult | None) -> Sequence[Reply]:
    return result.closest_replies if result is not None else ()


def _check_value(value: bytes) -> None:
    if not 0 < len(value) <= MAX_VALUE_BYTES:
        raise LocalProtocolError(f"A record holds 1 to {MAX_VALUE_BYTES} bytes, not {len(value)}.")


def _ignore(_: TopicPeers) -> None:
    """Nobody wants to know who else is there."""


async def announce(
    requests: Requests,
    topic: bytes,
    key_pair: KeyPair,
    relay_addresses: Sequence[Address] = (),
    bump: int = 0,
    *,
    nodes: Sequence[Address] = (),
    on_found: OnTopic = _ignore,
) -> list[Address]:
    """Say that `key_pair` serves `topic`; the nodes that remember it. Each gets a signature of its own.

    The walk begins at `nodes`, and `on_found` hears on the way who else is there.
    """
    result = await _walk(requests, topic, on_found, nodes)
    relays = tuple(relay_addresses[:MAX_RELAY_ADDRESSES])

    def sign(node_id: bytes, token: bytes) -> bytes:
        return sign_announce(
            key_pair, target=topic, node_id=node_id, token=token, relay_addresses=relays, bump=bump
        ).encode()

    return await requests.store(Command.ANNOUNCE, topic, _closest(result), sign)


async def lookup(
    requests: Requests, topic: bytes, on_found: OnTopic, *, nodes: Sequence[Address] = ()
) -> list[Address]:
    """`on_found` hears of everybody who announced `topic`; the nodes nearest to it."""
    return [reply.from_ for reply in _closest(await _walk(requests, topic, on_found, nodes))]


async def lookup_and_unannounce(
    requests: Requests,
    topic: bytes,
    key_pair: KeyPair,
    on_found: OnTopic = _ignore,
    *,
    nodes: Sequence[Address] = (),
    only_nodes: bool = False,
) -> list[Address]:
    """As `lookup`, and our own announce is taken back wherever it is found (a full list may hide it)."""
    taking_back: list[asyncio.Task[None]] = []

    async def take_back(reply: Reply) -> None:
        assert reply.id is not None and reply.token is not None
        message = sign_unannounce(key_pair, target=topic, node_id=reply.id, token=reply.token)
        try:
            await requests.request(
                Command.UNANNOUNCE, reply.from_, target=topic, value=message.encode(), token=reply.token
            )
        except NetworkError:
            return  # it is gone, or will forget us by itself

    def see(reply: Reply, peers: tuple[PeerRecord, ...]) -> None:
        hidden = len(peers) >= MAX_RECORDS_PER_LOOKUP
        ours = any(peer.public_key == key_pair.public_key for peer in peers)
        if (hidden or ours) and reply.id is not None and reply.token is not None:
            taking_back.append(asyncio.create_task(take_back(reply), name="taking an announce back"))

    try:
        result = await _walk(requests, topic, on_found, nodes, only_nodes=only_nodes, on_reply=see)
        await asyncio.gather(*taking_back)
    finally:
        for task in taking_back:
            task.cancel()
        await asyncio.gather(*taking_back, return_exceptions=True)
    return [reply.from_ for reply in _closest(result)]


async def _walk(
    requests: Requests,
    topic: bytes,
    on_found: OnTopic,
    nodes: Sequence[Address],
    *,
    only_nodes: bool = False,
    on_reply: Callable[[Reply, tuple[PeerRecord, ...]], None] = lambda reply, peers: None,
) -> QueryResult | None:
    def see(reply: Reply) -> bool:
        if reply.error or reply.value is None:
            return False
        try:
            known = LookupReply.decode(reply.value)
        except RemoteProtocolError:
            return False
        on_found(TopicPeers(reply.from_, reply.to, known.peers, known.bump))
        on_reply(reply, known.peers)
        return False

    return await requests.query(topic, Command.LOOKUP, nodes=nodes, only_nodes=only_nodes, on_reply=see)


def each_key_once(found: Sequence[TopicPeers]) -> list[PeerRecord]:
    """All peers of these answers, in the order in which they came."""
    peers: dict[bytes, PeerRecord] = {}
    for answer in found:
        for peer in answer.peers:
            peers.setdefault(peer.public_key, peer)
    return list(peers.values())


async def find_peer(requests: Requests, public_key: bytes, on_found: Callable[[PeerFound], None]) -> None:
    """`on_found` hears of each node that leads to the server with this key."""

    def see(reply: Reply) -> bool:
        if reply.error or reply.value is None:
            return False
        try:
            peer = PeerRecord.decode(reply.value)
        except RemoteProtocolError:
            return False
        if peer.public_key == public_key:
            on_found(PeerFound(reply.from_, reply.to, peer))
        return False

    await requests.query(blake2b(public_key), Command.FIND_PEER, on_reply=see)


async def immutable_put(requests: Requests, value: bytes) -> bytes:
    """Store a value under its hash, which is returned."""
    _check_value(value)
    target = blake2b(value)
    result = await requests.query(target, Command.IMMUTABLE_GET)
    await requests.store(Command.IMMUTABLE_PUT, target, _closest(result), lambda node_id, token: value)
    return target


async def immutable_get(requests: Requests, target: bytes) -> bytes | None:
    found: list[bytes] = []

    def see(reply: Reply) -> bool:
        if not reply.error and reply.value is not None and blake2b(reply.value) == target:
            found.append(reply.value)
        return bool(found)

    await requests.query(target, Command.IMMUTABLE_GET, on_reply=see)
    return found[0] if found else None


async def mutable_put(requests: Requests, key_pair: KeyPair, value: bytes, seq: int) -> int:
    """Store a signed value; how many nodes took it. Raises NetworkError SEQ_TOO_LOW or SEQ_REUSED."""
    _check_value(value)
    target = blake2b(key_pair.public_key)
    put = MutablePut(key_pair.public_key, seq, value, sign_mutable(key_pair, seq, value)).encode()
    result = await requests.query(target, Command.MUTABLE_GET, Writer().uint(0).finish())
    return len(await requests.store(Command.MUTABLE_PUT, target, _closest(result), lambda node_id, token: put))


async def mutable_get(requests: Requests, public_key: bytes, seq: int, latest: bool) -> MutableValue | None:
    """The value with the highest sequence number of at least `seq`, or the first one found when not `latest`."""
    best: MutableValue | None = None

    def see(reply: Reply) -> bool:
        nonlocal best
        if reply.error or reply.value is None:
            return False
        try:
            record = MutableRecord.decode(reply.value)
        except RemoteProtocolError:
            return False
        if record.seq < seq or (best is not None and record.seq <= best.seq):
            return False
        if not verify_mutable(record.signature, record.seq, record.value, public_key):
            return False
        best = MutableValue(record.seq, record.value, record.signature)
        return not latest

    await requests.query(blake2b(public_key), Command.MUTABLE_GET, Writer().uint(seq).finish(), on_reply=see)
    return best


async def withdraw(
    requests: Requests, target: bytes, key_pair: KeyPair, nodes: Sequence[Address], *, arriving: Sequence[Address] = ()
) -> None:
    """Unannounce a server at nodes that may have forgotten it or be gone; failing is no news.

    `arriving`: nodes that an announce is on its way to; it may be overtaken by our question whether they have it.
    """

    async def withdraw_at(node: Address) -> None:
        try:
            reply = await requests.request(Command.FIND_PEER, node, target=target)
            if reply.token is None or reply.id is None or (reply.value is None and node not in arriving):
                return
            message = sign_unannounce(key_pair, target=target, node_id=reply.id, token=reply.token)
            await requests.request(Command.UNANNOUNCE, node, target=target, value=message.encode(), token=reply.token)
        except NetworkError:
            return

    await asyncio.gather(*map(withdraw_at, dict.fromkeys((*nodes, *arriving))))
