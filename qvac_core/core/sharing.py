"""Share my GPU: the provider with its server, its rules, who knocks, what runs, and a status that is always true."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from qvac_core.core.config import RuleOverride
from qvac_core.core.event_hub import EventHub
from qvac_core.core.invites import Invites
from qvac_core.core.log_writer import LogWriter
from qvac_core.core.machine import Machine
from qvac_core.core.network import NetworkNode
from qvac_core.core.pausing import Pause, ends_at
from qvac_core.core.serving_hours import ServingHours
from qvac_core.core.state import (
    AccessChanged,
    AccessKey,
    AccessMode,
    AccessRules,
    ActiveRequest,
    CoreEvent,
    KeyLimits,
    Knock,
    KnocksChanged,
    LogEntry,
    PeerConnection,
    ProviderEntry,
    RequestEnded,
    RequestProgressed,
    RequestStarted,
    SharedModelsChanged,
    SharingChanged,
    SharingPhase,
    SharingState,
)
from qvac_core.core.waiting_times import WaitingTimes
from qvac_core.delegation import admission, events
from qvac_core.delegation.admission import DENIED_SECONDS, AccessPolicy, Allowance, Limits, network_group
from qvac_core.delegation.given_receipts import GivenReceipts
from qvac_core.delegation.live_requests import Kind
from qvac_core.delegation.managed import Managed, NotManaged
from qvac_core.delegation.messages import Manage, ManageReply
from qvac_core.delegation.provider import Provider
from qvac_core.delegation.serving import Greeting
from qvac_core.errors import NetworkError, StoreError
from qvac_core.hyperdht import KeyPair, Server
from qvac_core.store.access_list import check_limits
from qvac_core.store.days import day_of
from qvac_core.store.knocks import MAX_KNOCKS
from qvac_core.store.receipt_records import ReceiptSide
from qvac_core.store.settings import Admission, SharingSettings
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries to announce
ONLY_LOCAL = "The internet does not answer. Machines on your own network find this one; others when it is back."
NOT_FOUND = "The network does not lead guests to this machine just now. Its key is announced again by itself."
ANOTHER_MACHINE = (
    "Another machine shares under the same key: guests reach either of the two. Give one an identity of its own."
)
# Endings that say how long an answer takes.
_WHOLE = frozenset({events.Outcome.EOS, events.Outcome.LENGTH, events.Outcome.STOP_SEQUENCE})
COPY_METHOD = Kind.COPY.method  # says nothing of how long an answer takes
_COMPUTED = frozenset({Kind.COMPLETION.method, Kind.TRANSLATE.method, Kind.EMBEDDINGS.method, Kind.TRANSCRIBE.method})
LEAST_WAIT = 2.0  # seconds, where no slot is free: the answers that run may take longer than is usual
UNKNOWN_ANSWER = 10.0  # seconds that an answer is expected to take before one has ended
EVERY_DAY = "1234567"
STATUS_EVERY = 2.0  # seconds between looks at what the network says about us


class Sharing:
    """The provider's side of a core. Each change of state, request and knock is told as an event of `core.state`.

    limits: bounds for all guests. rules: who may in this run, in place of the kept ones; None = those. take, join: how
    a grant of somebody else is claimed and its provider added. Starting twice, and stopping what is off, is fine.
    """

    def __init__(
        self,
        store: Store,
        hub: EventHub,
        network: NetworkNode,
        machine: Machine,
        key_pair: KeyPair,
        limits: Limits,
        rules: RuleOverride | None,
        take: Callable[[bytes, str], Awaitable[None]],
        join: Callable[[str, str], Awaitable[ProviderEntry]],
        receipts: GivenReceipts,
    ) -> None:
        self._store = store
        self._run = store.database.run
        self._hub = hub
        self._network = network
        self._machine = machine
        self._key_pair = key_pair
        self._override = rules
        self._kept_before: Mapping[str, _Decision] | None = None  # by key, when the rules of this run began to hold
        self._decided: set[str] = set()  # by this program, since then
        self._policy = AccessPolicy()
        self._tasks = TaskOwner()
        self._writes = TaskOwner()  # what they are to keep is kept, whatever ends meanwhile
        self._log = LogWriter(store)
        self.invites = Invites(
            store,
            key_pair,
            hub.emit,
            self.rules_changed,
            lambda: store.settings.settings.machine_name,
            take,
            join,
        )
        self._provider = Provider(
            models=machine,
            pool=machine.pool,
            policy=self._policy,
            limits=limits,
            log=self._log,
            on_event=self._on_provider_event,
            limits_of=machine.limits_of,
            copied=machine,
            claims=self.invites,
            receipts=receipts,
            managed=self,
            expected_wait=self._wait_of,
            greeting=self._greeting,
            public_key=key_pair.public_key,
        )
        machine.wait_for = self._wait_for
        machine.sees_all = lambda key: self._policy.allowance(key, time.time()).mine
        self._provider.denials.restore(store.knocks.denials(time.time()))
        self._server: Server | None = None
        self._state = SharingState()
        self._switch = asyncio.Lock()
        self._connections: dict[str, int] = {}
        self._active: dict[str, ActiveRequest] = {}
        self._waiting = WaitingTimes()
        self._knocks = OrderedDict((knock.public_key, knock) for knock in store.knocks.records())
        self._knocked_from: dict[str, str] = {}  # the network that each came from, of this run; never kept
        self.steward: Managed | None = None
        self.wake_addresses: Callable[[], tuple[str, ...]] = tuple  # told to machines of the owner's own
        self._wanted = False
        self._day = day_of(time.time())
        hub.subscribe(self._on_core_event)
        self._watch: asyncio.Task[None] | None = None
        self._retry: asyncio.Task[None] | None = None

    def greeting_changed(self) -> None:
        """Guests who are connected are told as well."""
        self._provider.greet_again()

    def _greeting(self) -> Greeting:
        """What this machine says of itself to our own guests."""
        settings = self._store.settings.settings
        return Greeting(settings.machine_name, settings.sharing.keep_contents, self.wake_addresses())

    @property
    def state(self) -> SharingState:
        return self._state

    # --- The switch -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Switch it on: announce the key, now or as soon as there is a network; the state tells which."""
        async with self._switch:
            if self._wanted:
                return
            self._set(SharingPhase.STARTING)
            await self._apply_rules()
            self._wanted = True
            if not await self._listen():
                self._retry = self._tasks.start(self._listen_later(), "announce again")
            self._watch = self._tasks.start(self._watch_network(), "sharing status")

    async def _listen(self) -> bool:
        """Announce the key; False when nobody could be told, and then the state says so."""
        server = self._network.dht.create_server(
            self._provider.serve, firewall=self._provider.firewall, relay_through=self._network.relays
        )
        try:
            await server.listen(self._key_pair, alone=self._network.local)
        except NetworkError as error:
            await server.close()
            self._set(SharingPhase.UNREACHABLE, f"{error.message} It is tried again by itself.")
            return False
        except BaseException:
            await server.close()
            raise
        self._server = server
        server.on_seen = self._refresh
        self._refresh()
        return True

    def use_pauses(self, pauses: tuple[Pause, ...]) -> None:
        """While one holds, guests stay connected and are told when to ask again."""
        self._provider.pause_ends = ends_at(pauses)
        self._provider.paused = bool(pauses)
        if any(pause.cut for pause in pauses):
            self._provider.end_for_pause()

    def release_unused_models(self) -> None:
        self._provider.release_unused()

    def use_relays(self) -> None:
        """The owner chose other relays: guests that come from now on are asked to use these."""
        if self._server is not None:
            self._server.relay_through = self._network.relays

    def _only_local(self, server: Server) -> bool:
        dht = self._network.dht
        announced = bool(server.relay_addresses) or not dht.has_bootstrap
        return self._network.local and not (dht.online and announced)

    async def _listen_later(self) -> None:
        """An owner who switched sharing on at a start without a network wants it on when there is one."""
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            if await self._listen():
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop(self) -> None:
        """Withdraw the key, end open answers properly, close the connections."""
        async with self._switch:
            if not self._wanted:
                return
            self._wanted = False
            self._set(SharingPhase.STOPPING)
            for task in (self._watch, self._retry):
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])
            server, self._server = self._server, None
            # Beside each other: who waits for an answer hears of it now, whatever the withdrawal has to wait for.
            async with asyncio.TaskGroup() as group:
                if server is not None:
                    group.create_task(server.close())
                group.create_task(self._provider.close())
            self._set(SharingPhase.OFF)

    async def close(self) -> None:
        await self.stop()
        await self._tasks.close()
        await self._writes.finish()
        await self._log.close()

    async def _watch_network(self) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY)
            self._refresh()
            await self._look_at_the_store()

    async def _look_at_the_store(self) -> None:
        """Another program of ours (a terminal) may have changed who may use it, and the day may have turned."""
        try:
            changed = await self._run(self._store.database.changed_by_others)
        except StoreError as error:
            logger.debug("the store could not be looked at: %s", error)
            return
        if (day := day_of(time.time())) != self._day or changed:
            self._day = day
            await self._rules_changed()
            await self.invites.tell()

    def _refresh(self) -> None:
        """What the network says now. That guests find us is said when a handshake with our key came back to us."""
        server = self._server
        if server is None or not self._wanted:
            return
        peers = len(self._connections)
        another = ANOTHER_MACHINE if server.another else ""
        was_found = self._state.phase is not SharingPhase.STARTING
        if self._only_local(server):
            self._set(SharingPhase.LOCAL, ONLY_LOCAL, peers=peers)
        elif not self._network.dht.online and not peers:
            self._set(
                SharingPhase.UNREACHABLE, "This machine has no network. Sharing goes on by itself when it is back."
            )
        elif server.found is False:
            self._set(SharingPhase.UNREACHABLE, another or NOT_FOUND, path=self._path() if peers else "", peers=peers)
        elif peers or (server.found and not self._network.dht.firewalled and was_found):
            self._set(SharingPhase.REACHABLE, another, path=self._path(), peers=peers)
        elif server.found:
            self._set(SharingPhase.ANNOUNCED, another)

    def _path(self) -> str:
        paths = self._provider.paths
        return "relay" if paths and all(path == "relay" for path in paths) else "direct"

    def _set(self, phase: SharingPhase, detail: str = "", path: str = "", peers: int = 0) -> None:
        new = replace(self._state, phase=phase, detail=detail, path=path, peers=peers)
        if new != self._state:
            self._state = replace(new, since=time.time() if phase is not self._state.phase else self._state.since)
            self._hub.emit(SharingChanged(self._state))

    # --- Who may use it -------------------------------------------------------------------------------------------

    async def rules(self) -> AccessRules:
        """In force now: those that are kept; or those of this run, and what was decided about a key since it began."""
        kept = await self._kept_keys()
        sharing = self._store.settings.settings.sharing
        override = self._override
        if override is None:
            return AccessRules(AccessMode(sharing.admission.value), sharing.knocks, kept)
        rules = _overridden(override, kept)
        if override.given or not override.knock:
            if self._kept_before is None:
                self._kept_before = {key.public_key: _decision(key) for key in kept}
            before = self._kept_before
            kept = tuple(
                key for key in kept if key.public_key in self._decided or before.get(key.public_key) != _decision(key)
            )
        decided = {key.public_key for key in kept}
        return replace(rules, keys=(*(key for key in rules.keys if key.public_key not in decided), *kept))

    async def listed_keys(self) -> tuple[AccessKey, ...]:
        """The owner's list, whatever holds for this run alone."""
        return await self._kept_keys()

    async def _kept_keys(self) -> tuple[AccessKey, ...]:
        records = await self._run(self._store.access_list.records)
        today = await self._run(self._store.request_log.tokens_today_by_key, time.time())
        invites = await self._run(self._store.invites.names)
        day = day_of(time.time())
        return tuple(
            AccessKey(
                public_key=record.public_key,
                name=record.name,
                blocked=record.blocked,
                added_at=record.added_at,
                expires_at=record.expires_at,
                last_seen=record.last_seen,
                connected=record.public_key in self._connections,
                tokens_today=today.get(record.public_key, 0),
                tokens_per_day=record.limits.tokens_per_day,
                parallel=record.limits.parallel,
                context_tokens=record.limits.context_tokens,
                answer_tokens=record.limits.answer_tokens,
                models=record.limits.models,
                hours=record.limits.hours,
                extra_tokens=record.extra_tokens if record.extra_day == day else 0,
                mine=record.mine,
                came_with=invites.get(record.invite, ""),
                invited=bool(record.invite),
            )
            for record in records
        )

    async def use_rules(self, rules: RuleOverride) -> None:
        self._override, self._kept_before = rules, None
        self._decided.clear()
        await self._rules_changed()

    async def set_mode(self, mode: AccessMode) -> None:
        admission_mode = Admission(mode.value)
        await self._save(lambda sharing: replace(sharing, admission=admission_mode))

    async def set_knocks(self, enabled: bool) -> None:
        await self._save(lambda sharing: replace(sharing, knocks=enabled))

    async def allow(self, public_key: str, name: str, hours: float | None, limits: KeyLimits | None = None) -> None:
        expires_at = None if hours is None else time.time() + hours * 3600

        def allow() -> None:
            if limits is not None:
                check_limits(limits)
            self._store.access_list.allow(public_key, name, time.time(), expires_at=expires_at)
            if limits is not None:
                self._store.access_list.set_limits(public_key, limits)

        await self._run(allow)
        self._decided.add(public_key)
        await self._rules_changed(public_key)

    async def block(self, public_key: str, name: str) -> None:
        await self._run(self._store.access_list.block, public_key, name, time.time())
        self._decided.add(public_key)
        await self._rules_changed(public_key)

    async def remove(self, public_key: str) -> None:
        await self._run(self._store.access_list.remove, public_key)
        await self._rules_changed()

    async def rename(self, public_key: str, name: str) -> None:
        await self._run(self._store.access_list.rename, public_key, name.strip())
        await self._rules_changed()

    async def _save(self, change: Callable[[SharingSettings], SharingSettings]) -> None:
        await self._run(self._store.settings.change, lambda now: replace(now, sharing=change(now.sharing)))
        await self._rules_changed()

    async def rules_changed(self) -> None:
        """What is kept about keys and invites is another than it was: it acts at once."""
        await self._rules_changed()

    async def _rules_changed(self, decided_key: str = "") -> None:
        """Apply at once, on open connections too; a decided key has no knock any more."""
        await self._apply_rules()
        rules = await self.rules()
        self._hub.emit(AccessChanged(rules))
        for key in rules.keys:  # somebody who knocked may have come with an invite, or was allowed in a terminal
            self._end_knock(key.public_key)
        if decided_key:
            self._provider.denials.lift(bytes.fromhex(decided_key))
            await self._run(self._store.knocks.lift, decided_key)
            self._end_knock(decided_key)

    async def _apply_rules(self) -> None:
        rules = await self.rules()
        denied = frozenset(bytes.fromhex(key.public_key) for key in rules.keys if key.blocked)
        allowed = {bytes.fromhex(key.public_key): _allowance(key) for key in rules.keys if not key.blocked}
        mode = admission.AccessMode(rules.mode.value)
        of_all = self._store.settings.settings.sharing.tokens_per_day or None
        invites = await self._run(self._store.invites.any_open, time.time())
        self._policy.set_rules(
            admission.AccessRules(mode, MappingProxyType(allowed), denied, rules.knocks, invites, of_all)
        )

    # --- Knocks, requests, log ------------------------------------------------------------------------------------

    def knocks(self) -> tuple[Knock, ...]:
        """Newest first."""
        return tuple(reversed(self._knocks.values()))

    def dismiss_knock(self, public_key: str) -> None:
        """Not now: for a while its owner is told so, and it is not shown again; over a restart too."""
        now = time.time()
        self._provider.denials.deny(bytes.fromhex(public_key), now)
        self._writes.start(self._run(self._store.knocks.deny, public_key, now, DENIED_SECONDS), "keep a denial")
        self._end_knock(public_key)

    def _take_knock(self, public_key: str, address: str) -> None:
        """Only so many wait for the owner's word; beyond it the newest of the network that has most gives way.

        So a flood of fresh keys hides nobody who knocked before it, nor who comes from elsewhere while it lasts.
        """
        knock = Knock(public_key, time.time())
        known = self._knocks.pop(public_key, None)
        self._knocks[public_key] = knock
        self._knocked_from.setdefault(public_key, network_group(address.rpartition(":")[0].strip("[]")))
        leaving = ""
        if known is None and len(self._knocks) > MAX_KNOCKS:
            networks = {key: self._knocked_from.get(key, key) for key in self._knocks}
            counts = Counter(networks.values())
            leaving = max(reversed(self._knocks), key=lambda key: counts[networks[key]])
            del self._knocks[leaving]
            self._knocked_from.pop(leaving, None)
        if leaving == public_key:
            return
        self._writes.start(self._run(self._store.knocks.put, public_key, knock.at, leaving), "keep a knock")
        self._emit_knocks()

    def _end_knock(self, public_key: str) -> None:
        self._knocked_from.pop(public_key, None)
        if self._knocks.pop(public_key, None) is not None:
            self._writes.start(self._run(self._store.knocks.remove, public_key), "forget a knock")
            self._emit_knocks()

    def active_requests(self) -> tuple[ActiveRequest, ...]:
        return tuple(self._active.values())

    def stop_request(self, request_id: str) -> None:
        self._provider.stop_request(request_id)

    async def manage(self, message: Manage) -> ManageReply:
        """For delegation's Managed, by whoever was set as the steward."""
        if self.steward is None:
            return await NotManaged().manage(message)
        return await self.steward.manage(message)

    async def log(self, limit: int, search: str) -> tuple[LogEntry, ...]:
        return await self._run(self._store.request_log.entries, limit, None, search)

    async def clear_log(self) -> None:
        await self._run(self._store.request_log.clear)
        await self._run(self._store.receipts.clear, ReceiptSide.GIVEN)

    def _on_core_event(self, event: CoreEvent) -> None:
        if isinstance(event, SharedModelsChanged):
            self._provider.judge_models_again()  # a model that is switched off stops answering at once

    def _emit_knocks(self) -> None:
        self._hub.emit(KnocksChanged(self.knocks()))

    def _on_provider_event(self, event: events.ProviderEvent) -> None:
        match event:
            case events.ConnectionChanged():
                self._on_connection(event)
            case events.RequestStarted():
                request = ActiveRequest(
                    event.id,
                    event.remote_public_key,
                    event.method,
                    event.model,
                    event.started_at,
                    turn_at=event.started_at,
                )
                self._active[event.id] = request
                self._hub.emit(RequestStarted(request))
            case events.RequestPlaced():
                self._on_place(event)
            case events.RequestProgressed():
                if (known := self._active.get(event.id)) is not None:
                    request = replace(known, tokens=event.generated_tokens, tokens_per_second=event.tokens_per_second)
                    self._active[event.id] = request
                    self._hub.emit(RequestProgressed(request))
            case events.RequestEnded():
                self._on_ended(event)
            case events.ModelsInUseChanged():
                self._machine.announce()

    def _on_connection(self, event: events.ConnectionChanged) -> None:
        key, state = event.remote_public_key, event.state
        if state is events.ConnectionState.KNOCK:
            self._take_knock(key, event.remote_address)
        elif state is events.ConnectionState.OPEN:
            self._connections[key] = self._connections.get(key, 0) + 1
            self._writes.start(self._seen(key), "last seen")
        elif state is events.ConnectionState.CLOSED and key in self._connections:
            self._connections[key] -= 1
            if not self._connections[key]:
                del self._connections[key]
            self._writes.start(self._seen(key), "last seen")
        self._hub.emit(PeerConnection(key, state.value, event.remote_address, event.path, event.relay))
        self._refresh()

    def _on_place(self, event: events.RequestPlaced) -> None:
        known = self._active.get(event.id)
        if known is None:
            return
        now = time.time()
        request = replace(known, place=event.place, turn_at=0.0 if event.place else now)
        request = replace(request, wait_until=self._turn_of(request, now))
        self._active[event.id] = request
        self._hub.emit(RequestProgressed(request))

    def _turn_of(self, request: ActiveRequest, now: float) -> float | None:
        """Unix seconds at which it may have its turn. None: it has it, or nobody can tell."""
        if not request.place:
            return None
        others = [one for one in self._active.values() if one.model == request.model and one.id != request.id]
        running = [one.turn_at for one in others if not one.place]
        return self._waiting.turn_at(request.model, request.place, running, self._slots_of(request.model), now)

    def _wait_of(self, id: str) -> float:
        """What a guest in the line is told, seconds; 0 where nobody can tell."""
        now, request = time.time(), self._active.get(id)
        until = self._turn_of(request, now) if request is not None else None
        return 0.0 if until is None else max(LEAST_WAIT, until - now)

    async def _seen(self, public_key: str) -> None:
        await self._run(self._store.access_list.seen, public_key, time.time())
        await self._tell_access()

    def _wait_for(self, model: str) -> float:
        """Seconds until a new answer of it would have its turn: 0 where a slot is free, an estimate where none is."""
        mine = [one for one in self._active.values() if one.model == model and one.method in _COMPUTED]
        running = [request.turn_at for request in mine if not request.place]
        if not running:
            return 0.0
        slots = self._slots_of(model)
        if len(running) < slots:
            return 0.0
        now, place = time.time(), len(mine) - len(running) + 1
        until = self._waiting.turn_at(model, place, running, slots, now)
        wait = until - now if until is not None else place * UNKNOWN_ANSWER / slots
        return max(LEAST_WAIT, wait)

    def _slots_of(self, model: str) -> int:
        """How many answers of it are computed at once."""
        return max(1, next((m.slots for m in self._machine.shared_models() if m.name == model), 1))

    async def _tell_access(self) -> None:
        self._hub.emit(AccessChanged(await self.rules()))

    def _on_ended(self, event: events.RequestEnded) -> None:
        known = self._active.pop(event.id, None)
        computed = event.method != COPY_METHOD
        if known is not None and not known.place and event.outcome in _WHOLE and computed:
            self._waiting.ended(event.model, time.time() - known.turn_at)
        entry = LogEntry(
            id=event.id,
            remote_public_key=event.remote_public_key,
            method=event.method,
            model=event.model,
            started_at=event.started_at,
            ms=event.ms,
            prompt_tokens=event.prompt_tokens,
            generated_tokens=event.generated_tokens,
            outcome=event.outcome.value,
            error=event.error,
            amount=event.amount,
            unit=event.unit,
        )
        self._hub.emit(RequestEnded(entry))
        self._tasks.start(self._tell_access(), "tokens used")


_Decision = tuple[bool, float | None, KeyLimits, bool]


def _decision(key: AccessKey) -> _Decision:
    """What the owner said of a key, without what it did since."""
    return key.blocked, key.expires_at, key.limits, key.mine


def _allowance(key: AccessKey) -> Allowance:
    begins, _, ends = key.hours.partition("-")
    return Allowance(
        expires_at=key.expires_at,
        tokens_per_day=key.tokens_per_day,
        parallel=key.parallel,
        context_tokens=key.context_tokens,
        answer_tokens=key.answer_tokens,
        models=None if key.models is None else frozenset(key.models),
        hours=ServingHours.of_text(begins, ends, EVERY_DAY) if key.hours else None,
        mine=key.mine,
        extra_tokens=key.extra_tokens,
    )


def _overridden(rules: RuleOverride, kept: Sequence[AccessKey] = ()) -> AccessRules:
    """The rules of one run, from the command line (the table of docs/architecture.md "Safe by default").

    With knocks and nobody named, the keys that are kept hold beside them. Who is let in is theirs, and of invites that
    the owner wrote; what he said about a key that is let in holds: its limits, and that it is a machine of his own.
    """
    everybody = rules.allow_all or (bool(rules.deny) and not rules.allow)
    known = {key.public_key: replace(key, blocked=False, expires_at=None) for key in kept}
    allowed = [*rules.allow, *((key for key in known if key not in rules.allow) if everybody else ())]
    named = (*allowed, *rules.deny)
    keys = (
        *(key for key in kept if key.invited and not key.blocked and key.public_key not in named),
        *(known.get(key, AccessKey(key, "", False, 0.0)) for key in allowed if key not in rules.deny),
        *(AccessKey(key, "", True, 0.0) for key in rules.deny),
    )
    return AccessRules(AccessMode.DENY if everybody else AccessMode.ALLOW, rules.knock, keys)
