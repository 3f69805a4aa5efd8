"""Who may use this provider: rules in, a decision per key out; and the bounds on strangers at the door.

ARCHITECTURE.md, "Safe by default": its table is `AccessPolicy.decide`, row by row. Pure: times are arguments.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType


class AccessMode(StrEnum):
    NONE = "none"  # nothing was said: nobody
    ALLOW = "allow"  # only the allowed keys
    DENY = "deny"  # everybody but the denied keys


class Decision(Enum):
    ADMIT = "admit"
    REFUSE = "refuse"  # an answer inside the handshake, at once
    BLOCK = "block"  # silence
    KNOCK = "knock"  # the handshake completes, one frame is heard, and the owner is told


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an allowed key may do. expires_at: Unix seconds. None = the owner's general limits."""

    expires_at: float | None = None
    tokens_per_day: int | None = None
    parallel: int | None = None


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The owner's rules. Keys are 32 bytes. A denied key is blocked in every mode."""

    mode: AccessMode = AccessMode.NONE
    allowed: Mapping[bytes, Allowance] = field(default_factory=lambda: MappingProxyType({}))
    denied: frozenset[bytes] = frozenset()
    knock: bool = False


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

    def decide(self, public_key: bytes, now: float) -> Decision:
        rules = self._rules
        if public_key in rules.denied:
            return Decision.BLOCK
        if rules.mode is AccessMode.DENY or (
            rules.mode is AccessMode.ALLOW and self._allowance_in_force(public_key, now) is not None
        ):
            return Decision.ADMIT
        return Decision.KNOCK if rules.knock else Decision.REFUSE

    def allowance(self, public_key: bytes, now: float) -> Allowance:
        return self._allowance_in_force(public_key, now) or Allowance()

    def expiry(self, public_key: bytes) -> float | None:
        """When an admitted key stops being admitted, in Unix seconds; None = not by time."""
        if self._rules.mode is not AccessMode.ALLOW:
            return None
        allowance = self._rules.allowed.get(public_key)
        return allowance.expires_at if allowance else None

    def _allowance_in_force(self, public_key: bytes, now: float) -> Allowance | None:
        allowance = self._rules.allowed.get(public_key)
        if allowance is None or (allowance.expires_at is not None and allowance.expires_at <= now):
            return None
        return allowance


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


# Addresses whose recent knocks are remembered; the oldest is forgotten first.
REMEMBERED_ADDRESSES = 4096


class KnockLimit:
    """Knocks in all and per source address. Not per key: keys cost nothing."""

    def __init__(self, in_all: Rate, per_address: Rate) -> None:
        self._all = RateLimit(in_all)
        self._per_address_rate = per_address
        self._addresses: OrderedDict[str, RateLimit] = OrderedDict()

    def take(self, host: str, now: float) -> bool:
        """May this address knock now? Counts it when it may."""
        limit = self._addresses.get(host)
        if limit is None:
            limit = RateLimit(self._per_address_rate)
            self._addresses[host] = limit
            if len(self._addresses) > REMEMBERED_ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(host)
        if not limit.allows(now) or not self._all.take(now):
            return False
        limit.take(now)
        return True

    def allows_any(self, now: float) -> bool:
        return self._all.allows(now)


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
    queue_length: int = 64
    queue_length_per_key: int = 16
    models_per_key: int = 8
    connections: int = 256
    connections_per_key: int = 8
    connections_per_host: int = 64  # a house, or a relay
    # Frames, and the door.
    frame_bytes: int = 16 * 1024 * 1024
    open_request_bytes: int = 32 * 1024 * 1024
    held_bytes: int = 512 * 1024 * 1024  # of all connections together, frames that are not whole yet included,
    held_bytes_share: int = 1024 * 1024  # and so much for each even then
    # Files of guests, in RAM (blobs.py): one of them, those of a key, and all together.
    blob_bytes: int = 64 * 1024 * 1024
    blobs_per_key_bytes: int = 128 * 1024 * 1024
    blobs_bytes: int = 512 * 1024 * 1024
    knock_frame_bytes: int = 64 * 1024
    knock_seconds: float = 2.0
    knocks: Rate = Rate(60, 60.0)
    knocks_per_address: Rate = Rate(5, 60.0)
    refusals: Rate = Rate(50, 1.0)
