"""The policy: one pure function from who asks, what for, and how things stand to a decision with its reason.

docs/architecture.md, "Safe by default". Everything that may refuse a guest is a line of `decide`: the door, pauses,
models, hours, tokens and audio of a day. What bounds one request by its size is admission.Limits; whose turn it is,
turns.py. Times are Unix seconds and arguments: nothing here looks at a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Protocol


class AccessMode(StrEnum):
    NONE = "none"  # nothing was said: nobody
    ALLOW = "allow"  # only the allowed keys
    DENY = "deny"  # everybody but the denied keys


class Decision(Enum):
    ADMIT = "admit"
    REFUSE = "refuse"  # an answer inside the handshake, at once
    BLOCK = "block"  # silence
    KNOCK = "knock"  # the handshake completes, one frame is heard, and the owner is told


class Hours(Protocol):
    """Hours of the owner's clock (core.serving_hours.ServingHours)."""

    def opens_again(self, now: float) -> float | None:
        """When they begin next; None while they last."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an allowed key may do. None: no limit of its own, but for the owner's general ones.

    tokens_per_day: of prompts and answers, 0 = none at all. extra_tokens: that the owner gave on top for today.
    parallel: requests at once; more wait. context_tokens: of one chat; answer_tokens: of one answer. models: names.
    mine: a machine of the owner's own, to which no limit applies.
    """

    expires_at: float | None = None
    tokens_per_day: int | None = None
    parallel: int | None = None
    context_tokens: int | None = None
    answer_tokens: int | None = None
    models: frozenset[str] | None = None
    hours: Hours | None = None
    mine: bool = False
    extra_tokens: int = 0

    @property
    def tokens_today(self) -> int | None:
        """How many this key may use today; None = as many as it likes."""
        return None if self.tokens_per_day is None or self.mine else self.tokens_per_day + self.extra_tokens


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The owner's rules. Keys are 32 bytes. A denied key is blocked in every mode.

    invites: some are open, so that unknown keys may come in to show one. tokens_per_day: of all guests together.
    """

    mode: AccessMode = AccessMode.NONE
    allowed: Mapping[bytes, Allowance] = field(default_factory=lambda: MappingProxyType({}))
    denied: frozenset[bytes] = frozenset()
    knock: bool = False
    invites: bool = False
    tokens_per_day: int | None = None


class Act(Enum):
    CONNECT = "connect"
    LOOK = "look"  # costs nothing: what is there, what may I, am I alive, stop that
    KEEP = "keep"  # costs memory or a load: a model, a file for a question
    ANSWER = "answer"  # costs tokens: a chat, a translation, embeddings
    LISTEN = "listen"  # costs minutes of audio
    MANAGE = "manage"  # acts on the machine


@dataclass(frozen=True, slots=True)
class Who:
    """allowance: what the owner said about this key, in force or not; None = nothing."""

    denied: bool = False
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class What:
    """model: its name, "" where it is about none. generated: tokens of an answer that runs already."""

    act: Act
    model: str = ""
    generated: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """How things stand. resting: the owner paused, until `rests_until` where that is known.

    used: tokens of this key today, of what runs now too; used_by_all: of all guests. heard: seconds of audio today.
    day_ends: when days' counts begin anew.
    """

    now: float
    mode: AccessMode = AccessMode.ALLOW
    knock: bool = False
    invites: bool = False
    resting: bool = False
    rests_until: float | None = None
    day_ends: float = 0.0
    used: int = 0
    used_by_all: int = 0
    tokens_of_all: int | None = None
    heard: float = 0.0
    seconds_per_day: float | None = None


class Cause(Enum):
    """Why not."""

    BLOCKED = "blocked"
    EXPIRED = "expired"
    NOT_ADMITTED = "not_admitted"
    NOT_OWNERS = "not_owners"
    PAUSED = "paused"
    MODEL = "model"
    HOURS = "hours"
    TOKENS = "tokens"
    TOKENS_OF_ALL = "tokens_of_all"
    AUDIO = "audio"
    ANSWER_LENGTH = "answer_length"


@dataclass(frozen=True, slots=True)
class Verdict:
    """cause: None exactly when `decision` is ADMIT. until: when it may be possible again; None = nobody knows."""

    decision: Decision
    cause: Cause | None = None
    until: float | None = None

    @property
    def admits(self) -> bool:
        return self.decision is Decision.ADMIT


ADMITTED = Verdict(Decision.ADMIT)


def decide(who: Who, what: What, state: State) -> Verdict:
    """The policy. Its lines stand in the order in which a refusal is told: the first that applies is the reason."""
    refusal = _of_the_door(who, state)
    if refusal is not None or what.act in (Act.CONNECT, Act.LOOK):
        return refusal or ADMITTED
    own = _in_force(who, state)
    if what.act is Act.MANAGE:
        return ADMITTED if own.mine else _refused(Cause.NOT_OWNERS)
    if state.resting:
        return _refused(Cause.PAUSED, state.rests_until)
    if own.mine:
        return ADMITTED
    if what.model and own.models is not None and what.model not in own.models:
        return _refused(Cause.MODEL)
    if own.hours is not None and (opens := own.hours.opens_again(state.now)) is not None:
        return _refused(Cause.HOURS, opens)
    if what.act is Act.ANSWER:
        return _of_tokens(own, what, state)
    if what.act is Act.LISTEN and state.seconds_per_day is not None and state.heard >= state.seconds_per_day:
        return _refused(Cause.AUDIO, state.day_ends)
    return ADMITTED


def _expired(who: Who, state: State) -> bool:
    own = who.allowance
    return own is not None and own.expires_at is not None and own.expires_at <= state.now


def _in_force(who: Who, state: State) -> Allowance:
    """Where everybody is admitted, a key whose time is over is one of everybody."""
    return Allowance() if who.allowance is None or _expired(who, state) else who.allowance


def _of_the_door(who: Who, state: State) -> Verdict | None:
    own, expired = who.allowance, _expired(who, state)
    if who.denied:
        return Verdict(Decision.BLOCK, Cause.BLOCKED)
    if own is not None and own.mine and not expired and state.mode is not AccessMode.NONE:
        return None
    if state.mode is AccessMode.DENY:
        return None
    if state.mode is AccessMode.ALLOW and own is not None and not expired:
        return None
    cause = Cause.EXPIRED if expired and state.mode is AccessMode.ALLOW else Cause.NOT_ADMITTED
    return Verdict(Decision.KNOCK if state.knock or state.invites else Decision.REFUSE, cause)


def _of_tokens(own: Allowance, what: What, state: State) -> Verdict:
    if own.tokens_today is not None and state.used >= own.tokens_today:
        return _refused(Cause.TOKENS, state.day_ends)
    if state.tokens_of_all is not None and state.used_by_all >= state.tokens_of_all:
        return _refused(Cause.TOKENS_OF_ALL, state.day_ends)
    if own.answer_tokens is not None and what.generated > own.answer_tokens:
        return _refused(Cause.ANSWER_LENGTH)
    return ADMITTED


def _refused(cause: Cause, until: float | None = None) -> Verdict:
    return Verdict(Decision.REFUSE, cause, until)
