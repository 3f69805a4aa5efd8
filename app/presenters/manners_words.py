"""Manners in words: how each rule stands now. Why sharing waits is in tray_words. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app import words
from app.core_words import told
from app.i18n import tr
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.pausing import PauseReason

ICONS = {
    PauseReason.HOURS: "clock",
    PauseReason.ACTIVE: "mouse-pointer-2",
    PauseReason.OTHER_PROGRAM: "gamepad-2",
    PauseReason.BATTERY: "battery-charging",
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule on the card: icon, what it does, how it stands. tone of the state; tooltip: why it cannot be known."""

    icon: str
    text: str
    state: str
    tone: str = "text3"
    tooltip: str = ""


def rule_lines(rules: Iterable[MannersRule], settings: Mapping[str, str], now: float) -> list[RuleLine]:
    """Those that are on."""
    return [_line(rule, settings, now) for rule in rules if rule.on]


def _line(rule: MannersRule, settings: Mapping[str, str], now: float) -> RuleLine:
    icon = ICONS[rule.reason]
    match rule.reason:
        case PauseReason.HOURS:
            text = tr("Serves {begin} to {end}", begin=settings["hours_from"], end=settings["hours_to"])
        case PauseReason.ACTIVE:
            text = tr("Pauses while I use this machine")
        case PauseReason.OTHER_PROGRAM:
            text = tr("Pauses for other programs that need the GPU")
        case _:
            text = tr("Pauses on battery")
    if rule.unknown:
        return RuleLine(icon, text, tr("not known here"), "warn", told(rule.unknown))
    return RuleLine(icon, text, _state(rule, now), "warn" if rule.holds else "text3")


def _state(rule: MannersRule, now: float) -> str:
    if rule.reason is PauseReason.HOURS:
        if rule.until is None:
            return tr("all day")
        left = words.whole_duration(max(60.0, rule.until - now))
        return tr("begins in {time}", time=left) if rule.holds else tr("pauses in {time}", time=left)
    if rule.reason is PauseReason.BATTERY:
        return tr("on battery") if rule.holds else tr("plugged in")
    return tr("now") if rule.holds else tr("not now")
