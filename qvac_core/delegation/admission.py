"""Who may use this provider: the rules as they are now, and the bounds on strangers at the door and on each request.

docs/architecture.md, "Safe by default". The decisions are policy.py's. Pure: times are arguments.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qvac_core.delegation.policy import AccessMode as AccessMode
from qvac_core.delegation.policy import AccessRules as AccessRules
from qvac_core.delegation.policy import Act, State, What, Who, decide
from qvac_core.delegation.policy import Allowance as Allowance
from qvac_core.delegation.policy import Decision as Decision


class AccessPolicy:
    """The rules as they are now. Listeners hear of a change, so that open connections can be judged again at once."""

    def __init__(self, rules: AccessRules | None = None) -> None:
        self._rules = rules or AccessRules()
        self._listeners: list[Callable[[], None]] = []

    @property
    def rules(self) -> AccessRules:
        return self._rules

    def set_rules(self, rules: AccessRules) -> None:
        self._rules = rules
        for listener in list(self._listeners):
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Returns the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def who(self, public_key: bytes) -> Who:
        return Who(public_key in self._rules.denied, self._rules.allowed.get(public_key))

    def state(self, now: float) -> State:
        """What the rules say of it; a request adds what only the provider knows."""
        rules = self._rules
        return State(now, rules.mode, rules.knock, rules.invites, tokens_of_all=rules.tokens_per_day)

    def decide(self, public_key: bytes, now: float) -> Decision:
        """At the door."""
        return decide(self.who(public_key), What(Act.CONNECT), self.state(now)).decision

    def allowance(self, public_key: bytes, now: float) -> Allowance:
        """What is in force for this key."""
        own = self._rules.allowed.get(public_key)
        expired = own is not None and own.expires_at is not None and own.expires_at <= now
        return Allowance() if own is None or expired else own

    def expiry(self, public_key: bytes) -> float | None:
        """When an admitted key stops being admitted, in Unix seconds; None = not by time."""
        if self._rules.mode is not AccessMode.ALLOW:
            return None
        allowance = self._rules.allowed.get(public_key)
        return allowance.expires_at if allowance else None

    def hears_of(self, public_key: bytes, now: float) -> bool:
        """Whether the owner is told of this key's knock: one that may only show an invite is not announced."""
        return self._rules.knock and self.decide(public_key, now) is Decision.KNOCK


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `events` in any `seconds`."""

    events: int
    seconds: float


class RateLimit:
    """Counts events in a sliding window. Holds at most `rate.events` times."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        while self._times and self._times[0] <= now - self._rate.seconds:
            self._times.popleft()
        return len(self._times) < self._rate.events

    def take(self, now: float) -> bool:
        if not self.allows(now):
            return False
        self._times.append(now)
        return True


def address_group(host: str) -> str:
    """Whose address this is, as far as an address can tell: one subscriber has all of an IPv6 /64."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def network_group(host: str) -> str:
    """The network that an address is in, as far as an address can tell: an IPv4 /16, an IPv6 /32."""
    try:
        address = ipaddress.ip_address(address_group(host).partition("/")[0])
    except ValueError:
        return host
    wide = 16 if isinstance(address, ipaddress.IPv4Address) else 32
    return str(ipaddress.ip_network((address, wide), strict=False))


# Addresses, and networks, whose recent knocks are remembered; the oldest is forgotten first.
REMEMBERED_ADDRESSES = 4096


class RatePerGroup:
    """One `Rate` for each of many, whose number is bounded."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._limits)

    def of(self, group: str) -> RateLimit:
        limit = self._limits.get(group)
        if limit is None:
            limit = self._limits[group] = RateLimit(self._rate)
            if len(self._limits) > REMEMBERED_ADDRESSES:
                self._limits.popitem(last=False)
        self._limits.move_to_end(group)
        return limit


class KnockLimit:
    """Whose knock is heard: by source address and network, so that no flood takes the turn of somebody elsewhere.

    Not per key: keys cost nothing. How many the owner is told of is bounded in all (`tells`): an invite is heard all
    the same.
    """

    def __init__(self, told: Rate, per_address: Rate, per_network: Rate) -> None:
        self._told = RateLimit(told)
        self._addresses = RatePerGroup(per_address)
        self._networks = RatePerGroup(per_network)

    def take(self, host: str, now: float) -> bool:
        """May this address knock now? Counts it when it may."""
        address, network = self._addresses.of(address_group(host)), self._networks.of(network_group(host))
        if not address.allows(now) or not network.take(now):
            return False
        return address.take(now)

    def tells(self, now: float) -> bool:
        """Whether the owner is told of one more. Counts it."""
        return self._told.take(now)


# For so long (seconds) a key that the owner denied is told so, and not shown again.
DENIED_SECONDS = 3600.0
MAX_DENIED = 1024


class Denials:
    """Keys whose knock the owner denied lately. Not blocked: they hear that they were denied, and when to ask again.

    Keys cost nothing: only so many are remembered, the newest ones.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def deny(self, public_key: bytes, now: float) -> None:
        self._until.pop(public_key, None)
        self._until[public_key] = now + DENIED_SECONDS
        if len(self._until) > MAX_DENIED:
            self._until.popitem(last=False)

    def restore(self, until: Mapping[str, float]) -> None:
        """Of an earlier run, by key in hex."""
        for key, moment in sorted(until.items(), key=lambda item: item[1]):
            self._until[bytes.fromhex(key)] = moment

    def lift(self, public_key: bytes) -> None:
        self._until.pop(public_key, None)

    def left(self, public_key: bytes, now: float) -> float:
        """Seconds for which it is denied still; 0 when it is not."""
        until = self._until.get(public_key, now)
        if until <= now:
            self._until.pop(public_key, None)
        return max(0.0, until - now)


@dataclass(frozen=True, slots=True)
class Limits:
    """The owner's bounds on what strangers ask. They win over a remote modelConfig.

    n_ctx: tokens per chat. slots: chats that advance together in one model. max_tokens: generated per answer.
    host_cache_bytes: for chats that lose their slot (`ModelConfig`).
    request_seconds: one answer, waiting included. stall_seconds: how long a consumer may not take what it asked for.
    """

    # The model, as it is loaded for everybody (two consumers share one copy).
    n_ctx: int = 4096
    slots: int = 4
    gpu_layers: int = -1
    device: str = "gpu"
    threads: int = 0
    host_cache_bytes: int = -1
    # One request.
    message_bytes: int = 4 * 1024 * 1024
    load_bytes: int = 32 * 1024
    max_tokens: int = 8192
    chat_tokens: int = 0  # of one request, prompt and answer together; 0 = the context of the model
    request_seconds: float = 1800.0
    load_seconds: float = 900.0
    stall_seconds: float = 60.0
    history_messages: int = 1000
    stop_sequences: int = 16
    stop_sequence_bytes: int = 256
    schema_bytes: int = 32 * 1024
    schema_depth: int = 24
    embed_texts: int = 2048
    audio_seconds: float = 2 * 3600.0  # of one recording or live transcript
    audio_seconds_per_day: float = 8 * 3600.0  # of a key
    # Concurrency.
    parallel: int = 8
    parallel_per_key: int = 3  # fewer than slots: one guest's long answers leave a place for another's
    queue_length: int = 2048  # more than connections: a place for each key
    queue_length_per_key: int = 16
    models_per_key: int = 8
    connections: int = 1024
    connections_per_key: int = 8
    connections_per_host: int = 64  # a house, or a relay
    # Frames, and the door.
    frame_bytes: int = 16 * 1024 * 1024
    open_request_bytes: int = 32 * 1024 * 1024
    held_bytes: int = 512 * 1024 * 1024  # of all connections together, frames that are not whole yet included,
    held_bytes_share: int = 256 * 1024  # and so much for each even then
    # Files of guests, in RAM (blobs.py): one of them, those of a key, and all together.
    blob_bytes: int = 64 * 1024 * 1024
    blobs_per_key_bytes: int = 128 * 1024 * 1024
    blobs_bytes: int = 512 * 1024 * 1024
    knock_frame_bytes: int = 64 * 1024
    knock_seconds: float = 2.0
    knocks: Rate = Rate(60, 60.0)  # of which the owner is told
    knocks_per_address: Rate = Rate(5, 60.0)
    knocks_per_network: Rate = Rate(20, 60.0)
    knocks_at_once: int = 128  # beyond it the one that said nothing for longest gives way
    refusals: Rate = Rate(50, 1.0)
