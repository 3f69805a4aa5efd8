"""What a persistent node stores for others: announces, mutable and immutable records.

From docs/wire/hyperdht.md section 2.4 (hyperdht/lib/persistent.js 6.34.0), with its limits, and ours by host. Requests
that do not verify get no answer at all: their sender times out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from qvac_core.codec import Reader, blake2b
from qvac_core.dht_rpc.limits import NEARBY_FACTOR, HostCounts, is_public, network_of
from qvac_core.errors import RemoteProtocolError
from qvac_core.rendezvous.cache import Cache, RecordCache
from qvac_core.rendezvous.constants import (
    MAX_RECORDS_PER_LOOKUP,
    MAX_RELAY_ADDRESSES,
    SEQ_REUSED,
    SEQ_TOO_LOW,
    Command,
)
from qvac_core.rendezvous.messages import Announce, LookupReply, MutablePut, MutableRecord, PeerRecord
from qvac_core.rendezvous.request import Request
from qvac_core.rendezvous.router import Router
from qvac_core.rendezvous.signatures import verify_announce, verify_mutable, verify_unannounce

MAX_ENTRIES = 65536
ANNOUNCE_AGE = 20 * 60.0
VALUE_AGE = 48 * 3600.0
MAX_BUMP_DRIFT_MS = 60_000

WRITES_WINDOW = 20 * 60.0
WRITES_PER_HOST = 1024
WRITES_PER_NETWORK = 4096
"""Announces and values that one host, and one /24, may store or renew here in that time: keys are free, and the memory
of all others is what they would crowd out. A host proves by its token that it is there."""
WRITES_PER_TOPIC = 64
"""Of one host: a lookup picks 20 by chance, and whoever announces a thousand keys is all that is found."""


@dataclass(frozen=True, slots=True)
class _Refreshable:
    """An announce that its owner may renew by showing the preimage of a hash."""

    target: bytes
    record: bytes
    announce_self: bool


class Records:
    """The store behind the user commands of a persistent node. `router` holds the announces of servers themselves."""

    def __init__(
        self, router: Router, *, chance: random.Random, max_size: int = MAX_ENTRIES, max_age: float = ANNOUNCE_AGE
    ) -> None:
        self._router = router
        self._chance = chance
        self._records = RecordCache(max_size=max_size, max_age=max_age)
        self._bumps: Cache[bytes, int] = Cache(max_size=max_size, max_age=max_age)
        self._refreshes: Cache[bytes, _Refreshable] = Cache(max_size=max_size, max_age=max_age)
        self._mutables: Cache[bytes, MutableRecord] = Cache(max_size=max_size // 2, max_age=VALUE_AGE)
        self._immutables: Cache[bytes, bytes] = Cache(max_size=max_size // 2, max_age=VALUE_AGE)
        self._writes = HostCounts(WRITES_WINDOW)
        self._handlers: dict[int, Callable[[Request, bytes, float], None]] = {
            Command.FIND_PEER: self._on_find_peer,
            Command.LOOKUP: self._on_lookup,
            Command.MUTABLE_PUT: self._on_mutable_put,
            Command.MUTABLE_GET: self._on_mutable_get,
            Command.IMMUTABLE_PUT: self._on_immutable_put,
            Command.IMMUTABLE_GET: self._on_immutable_get,
        }

    def handle(self, request: Request, *, node_id: bytes, now: float, epoch_ms: int) -> bool:
        """Answer a request; False when the command is none of ours. `epoch_ms` is the wall clock, for bumps."""
        command, target = request.command, request.target
        if command == Command.PLUGIN:
            return True
        if command not in self._handlers and command not in (Command.ANNOUNCE, Command.UNANNOUNCE):
            return False
        if target is None:
            return True
        try:
            if command == Command.ANNOUNCE:
                self._on_announce(request, target, node_id, now, epoch_ms)
            elif command == Command.UNANNOUNCE:
                self._on_unannounce(request, target, node_id)
            else:
                self._handlers[command](request, target, now)
        except RemoteProtocolError:
            return True
        return True

    def unannounce(self, target: bytes, public_key: bytes) -> None:
        if blake2b(public_key) == target:
            self._router.forget_forward(target)
        self._records.remove(target, public_key)

    def _may_write(self, request: Request, now: float, *, topic: bytes | None = None) -> bool:
        """Counts one write of this host's, before it costs a signature."""
        host = request.from_[0]
        factor = 1 if is_public(host) else NEARBY_FACTOR
        take = self._writes.take
        return (
            (topic is None or take(f"{host} {topic.hex()}", 1, factor * WRITES_PER_TOPIC, now))
            and take(host, 1, factor * WRITES_PER_HOST, now)
            and take(network_of(host), 1, factor * WRITES_PER_NETWORK, now)
        )

    def _on_find_peer(self, request: Request, target: bytes, now: float) -> None:
        forward = self._router.get(target, now)
        request.reply(forward.record if forward else None)

    def _on_lookup(self, request: Request, target: bytes, now: float) -> None:
        records = self._records.get(target, MAX_RECORDS_PER_LOOKUP, now, self._chance)
        forward = self._router.get(target, now)
        if forward is not None and len(records) < MAX_RECORDS_PER_LOOKUP:
            records.append(forward.record)
        bump = self._bumps.get(target, now) or 0
        request.reply(LookupReply.encode_raw(records, bump) if records else None)

    def _on_announce(self, request: Request, target: bytes, node_id: bytes, now: float, epoch_ms: int) -> None:
        token = request.token
        if token is None or not request.token_valid or request.value is None:
            return
        announce = Announce.decode(request.value)
        peer = announce.peer
        if peer is None:
            if announce.refresh is not None:
                self._refresh(request, announce.refresh, now)
            return
        if not self._may_write(request, now, topic=target):
            return
        if not verify_announce(announce, target=target, node_id=node_id, token=token):
            return
        record = PeerRecord(peer.public_key, peer.relay_addresses[:MAX_RELAY_ADDRESSES]).encode()
        announce_self = blake2b(peer.public_key) == target
        if not announce_self and (self._bumps.get(target, now) or 0) < announce.bump <= epoch_ms + MAX_BUMP_DRIFT_MS:
            self._bumps.set(target, announce.bump, now)
        entry = _Refreshable(target, record, announce_self)
        self._store(request, entry, now)
        if announce.refresh is not None:
            self._refreshes.set(announce.refresh, entry, now)
        request.reply(None, token=False, closer_nodes=False)

    def _refresh(self, request: Request, preimage: bytes, now: float) -> None:
        key = blake2b(preimage)
        entry = self._refreshes.get(key, now)
        if entry is None or not self._may_write(request, now):
            return
        self._store(request, entry, now)
        self._refreshes.delete(key)
        self._refreshes.set(preimage, entry, now)
        request.reply(None, token=False, closer_nodes=False)

    def _store(self, request: Request, entry: _Refreshable, now: float) -> None:
        public_key = entry.record[:32]
        if entry.announce_self:
            self._router.set_forward(entry.target, request.from_, entry.record, now)
            self._records.remove(entry.target, public_key)
        else:
            self._records.add(entry.target, public_key, entry.record, now)

    def _on_unannounce(self, request: Request, target: bytes, node_id: bytes) -> None:
        token = request.token
        if token is None or not request.token_valid or request.value is None:
            return
        announce = Announce.decode(request.value)
        if announce.peer is None:
            return
        if not verify_unannounce(announce, target=target, node_id=node_id, token=token):
            return
        self.unannounce(target, announce.peer.public_key)
        request.reply(None, token=False, closer_nodes=False)

    def _on_mutable_get(self, request: Request, target: bytes, now: float) -> None:
        if request.value is None:
            return
        wanted = Reader(request.value).uint()
        record = self._mutables.get(target, now)
        request.reply(record.encode() if record is not None and record.seq >= wanted else None)

    def _on_mutable_put(self, request: Request, target: bytes, now: float) -> None:
        if request.token is None or not request.token_valid or request.value is None:
            return
        put = MutablePut.decode(request.value)
        if blake2b(put.public_key) != target or not put.value:
            return
        if not self._may_write(request, now) or not verify_mutable(put.signature, put.seq, put.value, put.public_key):
            return
        stored = self._mutables.get(target, now)
        if stored is not None and stored.seq == put.seq and stored.value != put.value:
            request.error(SEQ_REUSED)
        elif stored is not None and put.seq < stored.seq:
            request.error(SEQ_TOO_LOW)
        else:
            self._mutables.set(target, MutableRecord(put.seq, put.value, put.signature), now)
            request.reply(None)

    def _on_immutable_get(self, request: Request, target: bytes, now: float) -> None:
        request.reply(self._immutables.get(target, now))

    def _on_immutable_put(self, request: Request, target: bytes, now: float) -> None:
        if request.token is None or not request.token_valid or not request.value:
            return
        if blake2b(request.value) != target or not self._may_write(request, now):
            return
        self._immutables.set(target, request.value, now)
        request.reply(None)
