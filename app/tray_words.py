"""What the tray says: one line about sharing, who is on, what a menu offers. Knows no Qt.

Menus of trays are plain text: names of people are cut to a line, and what strangers call themselves is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from app import words
from app.i18n import later, tongue, tr, trn
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import (
    AccessRules,
    ActiveRequest,
    Knock,
    Pause,
    PauseReason,
    SharedModel,
    SharingPhase,
    SharingState,
)
from qvac_core.late_dataclass import dataclass

NAME = 40  # letters of a name in a menu
MORNING = 8  # o'clock


class TrayState(StrEnum):
    OFF = "off"  # nobody is served
    READY = "ready"
    BUSY = "busy"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Sharing:
    """All that the tray looks at. `now`: Unix seconds."""

    state: SharingState
    pauses: tuple[Pause, ...]
    rules: AccessRules
    running: Mapping[str, ActiveRequest]
    models: Sequence[SharedModel]
    knocks: Sequence[Knock]
    people_on: int
    now: float

    @property
    def on(self) -> bool:
        return self.state.phase not in (SharingPhase.OFF, SharingPhase.STOPPING)


@dataclass(frozen=True, slots=True)
class Guest:
    """A line of the menu. requests: what can be stopped."""

    public_key: str
    text: str
    requests: tuple[str, ...]


_PHASES = {
    SharingPhase.OFF: later("Sharing is off"),
    SharingPhase.STARTING: later("Sharing starts"),
    SharingPhase.STOPPING: later("Sharing stops"),
    SharingPhase.ANNOUNCED: later("Sharing, your key can be found"),
    SharingPhase.LOCAL: later("Sharing on your own network only"),
    SharingPhase.UNREACHABLE: later("Sharing, but nobody can reach this machine"),
}
_WHY = {
    PauseReason.OWNER: later("Paused until you resume it"),
    PauseReason.HOURS: later("Paused outside of the serving hours"),
    PauseReason.BATTERY: later("Paused while on battery"),
    PauseReason.ACTIVE: later("Paused while you use this machine"),
    PauseReason.OTHER_PROGRAM: later("Paused while another program needs the GPU"),
}


def state(sharing: Sharing) -> TrayState:
    if not sharing.on:
        return TrayState.OFF
    if sharing.running:
        return TrayState.BUSY
    if sharing.pauses:
        return TrayState.OFF
    failed = any(model.shared and model.state.startswith(("failed", "away")) for model in sharing.models)
    if failed or sharing.state.phase is SharingPhase.UNREACHABLE:
        return TrayState.PROBLEM
    return TrayState.READY


def line(sharing: Sharing) -> str:
    """The state in words. A pause is what an owner wants to know first."""
    if sharing.on and sharing.pauses:
        return paused(sharing.pauses, sharing.now)
    if sharing.state.phase is SharingPhase.REACHABLE:
        by_relay = sharing.state.path == "relay"
        return tr("Sharing, reachable through a relay") if by_relay else tr("Sharing, reachable directly")
    return tr(_PHASES[sharing.state.phase])


def paused(pauses: tuple[Pause, ...], now: float) -> str:
    """Why, and until when where it is the owner's or a time is known; "" when nothing is paused."""
    if not pauses:
        return ""
    # The one that holds longest: of two reasons the other would promise too much.
    last = next((p for p in pauses if p.until is None), None) or max(pauses, key=lambda pause: pause.until or 0.0)
    if last.until is None:
        return tr(_WHY[last.reason])
    at, today = datetime.fromtimestamp(last.until), datetime.fromtimestamp(now)
    time = tongue().time(at)
    if last.reason is PauseReason.HOURS:
        return tr("Paused until {time}, outside of the serving hours", time=time)
    if at.date() > today.date():
        return tr("Paused until tomorrow, {time}", time=time)
    return tr("Paused until {time}", time=time)


def tooltip(sharing: Sharing) -> str:
    """Lines of plain text: the program, its state, who is on, who asks."""
    lines = ["QVAC Desktop", line(sharing)]
    if sharing.on and (on := on_now(sharing)):
        lines.append(on)
    if sharing.knocks:
        lines.append(trn("%n key asks to use your GPU", "%n keys ask to use your GPU", len(sharing.knocks)))
    return "\n".join(lines)


def on_now(sharing: Sharing) -> str:
    """ "" when nobody is on."""
    count = max(sharing.people_on, len(_present(sharing)))
    if not count:
        return ""
    who = trn("On now: %n person", "On now: %n people", count)
    requests = len(sharing.running)
    if not requests:
        return who
    return trn("{who}, %n request", "{who}, %n requests", requests, who=who)


def guests(sharing: Sharing) -> tuple[Guest, ...]:
    """Those who are on: first who computes, the owner's order of keys else."""
    found = []
    for public_key in _present(sharing):
        requests = [request for request in sharing.running.values() if request.remote_public_key == public_key]
        name = name_of(sharing.rules, public_key)
        if requests:
            request = requests[-1]
            model = next((m.display_name for m in sharing.models if m.name == request.model), request.model)
            rate = f"{request.tokens_per_second:.0f} tok/s" if request.tokens_per_second >= 1 else tr("begins")
            text = tr("{name}, {model}, {rate}", name=name, model=words.one_line(model, NAME), rate=rate)
        else:
            text = tr("{name}, idle", name=name)
        found.append(Guest(public_key, text, tuple(request.id for request in requests)))
    return tuple(sorted(found, key=lambda guest: not guest.requests))


def _present(sharing: Sharing) -> tuple[str, ...]:
    connected = [key.public_key for key in sharing.rules.keys if key.connected]
    return tuple(dict.fromkeys((*connected, *(r.remote_public_key for r in sharing.running.values()))))


def name_of(rules: AccessRules, public_key: str) -> str:
    known = next((key.name for key in rules.keys if key.public_key == public_key), "")
    return words.one_line(known, NAME) or short_key(public_key)


def knock(public_key: str) -> str:
    return tr("A key asks: {key}", key=short_key(public_key))


def loaded_bytes(models: Sequence[SharedModel]) -> int:
    return sum(model.memory_bytes for model in models if model.state == "loaded")


def free(models: Sequence[SharedModel]) -> str:
    """Of the menu's line. Models in use stay; how much is theirs is known only afterwards."""
    held = loaded_bytes(models)
    return tr("Free the GPU now, {size}", size=words.size(held)) if held else tr("Free the GPU now")


def until_morning() -> str:
    return tr("Until tomorrow, {time}", time=tongue().time(datetime(2000, 1, 1, MORNING)))


def in_an_hour(now: float) -> float:
    return now + 3600


def tomorrow_morning(now: float) -> float:
    """At MORNING by the clock on the wall, whatever summer time does in between."""
    day = datetime.fromtimestamp(now) + timedelta(days=1)
    return day.replace(hour=MORNING, minute=0, second=0, microsecond=0).timestamp()
