"""A core as busy as in the design's pictures: models, people, knocks, requests, a log. For screenshots and tests."""

from __future__ import annotations

from datetime import datetime

from qvac_core.core.gauges import Gauges
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.state import (
    AccessKey,
    AccessMode,
    AccessRules,
    ActiveRequest,
    Knock,
    LogEntry,
    PauseReason,
    SharedModel,
    SharingPhase,
    SharingState,
)
from tests.gui.fake_core import HOUR, FakeCore
from tests.gui.fake_manners import rtx
from tests.gui.fake_tools import CALENDAR, MAPS

# Local noon of the design's day, so that a picture shows the same clock everywhere.
NOON = datetime(2026, 11, 24, 14, 13, 0).timestamp()
STUDIO = "cf6c88ea" + "51" * 26 + "9642"
READING = "37146d4e" + "7b" * 26 + "4d82"
WORKSHOP = "8a62648f" + "0c" * 26 + "85b4"
MEDIA = "b205cc81" + "e9" * 26 + "41b4"
STRANGER = "8aca4f36" + "33" * 26 + "92fb"
GB = 1_000_000_000


def models() -> tuple[SharedModel, ...]:
    return (
        SharedModel("qwen3-8b", "Qwen3 8B", "Q4_K_M", 5 * GB, int(6.1 * GB), 8192, 4, True, "loaded"),
        SharedModel("llama-3b", "Llama 3.2 3B Instruct", "Q4_K_M", 2 * GB, int(2.9 * GB), 8192, 2, True, "loading"),
        SharedModel("gpt-oss", "GPT-OSS 20B", "MXFP4", 12 * GB, int(13.4 * GB), 8192, 1, True, "idle"),
        SharedModel("gemma", "Gemma 4 31B", "Q4_K_M", 19 * GB, 22 * GB, 8192, 1, False, "idle"),
    )


def keys() -> tuple[AccessKey, ...]:
    day = 24 * HOUR
    return (
        AccessKey(STUDIO, "Studio laptop", False, 0, None, NOON, True, 41_200, 200_000, 2),
        AccessKey(READING, "Reading room", False, 0, None, NOON, True, 17_300, 20_000, 1),
        AccessKey(WORKSHOP, "Workshop PC", False, 0, NOON + 6 * day, NOON - 20 * HOUR, False, 0, 200_000, 2),
        AccessKey(MEDIA, "Media lab", False, 0, NOON + 3 * HOUR, NOON - 4 * day, False, 0, 50_000, 1),
    )


def log() -> tuple[LogEntry, ...]:
    def entry(
        minutes: float, key: str, model: str, ms: float, tokens: tuple[int, int], outcome: str, error: str = ""
    ) -> LogEntry:
        at = NOON - minutes * 60
        return LogEntry(f"log-{minutes}", key, "completionStream", model, at, ms, *tokens, outcome, error)

    return (
        entry(0.2, STUDIO, "Qwen3 8B", 4_100, (212, 248), "eos"),
        entry(3.7, STUDIO, "GPT-OSS 20B", 3_300, (1_804, 96), "cancelled"),
        entry(11.9, STUDIO, "Qwen3 8B", 15_900, (640, 1_022), "length"),
        entry(14.3, READING, "Qwen3 8B", 7_900, (388, 512), "eos"),
        entry(33, MEDIA, "Qwen3 8B", 100, (0, 0), "error", "memory was full"),
        entry(50.7, STUDIO, "Qwen3 8B", 20_200, (96, 1_310), "eos"),
        entry(75.5, READING, "Qwen3 8B", 34_400, (2_044, 770), "disconnected"),
    )


def fullest(core: FakeCore) -> FakeCore:
    """As in share-full: a GPU that tells, rules, a line for a slot, two who knock."""
    populate(core)
    core.settings |= {
        "machine_name": "Studio desktop",
        "sharing.log_days": "30",
        "sharing.memory_mb": "20000",
        "manners.hours": "true",
        "manners.hours_from": "08:00",
        "manners.hours_to": "23:00",
        "manners.hours_days": "1234567",
        "manners.while_active": "true",
        "manners.other_gpu": "true",
        "manners.on_battery": "true",
    }
    core.manners.now = (
        MannersRule(PauseReason.HOURS, True, until=NOON + 7 * HOUR + 18 * 60),
        MannersRule(PauseReason.ACTIVE, True),
        MannersRule(PauseReason.OTHER_PROGRAM, True),
        MannersRule(PauseReason.BATTERY, True),
    )
    core.gauges.now = Gauges(9 * GB, 16 * GB, (rtx(),))
    core.models = (
        SharedModel("qwen3-8b", "Qwen3 8B", "Q4_K_M", 5 * GB, int(6.1 * GB), 8192, 1, True, "loaded"),
        SharedModel("whisper", "Whisper large v3 turbo", "", 2 * GB, int(1.9 * GB), 0, 2, True, "loaded", "transcribe"),
        SharedModel("gpt-oss", "GPT-OSS 20B", "MXFP4", 12 * GB, int(10.5 * GB), 8192, 1, True, "loaded"),
    )
    core.requests = (
        ActiveRequest("r1", STUDIO, "completionStream", "qwen3-8b", NOON - 15, 612, 66.0),
        ActiveRequest("r2", WORKSHOP, "completionStream", "qwen3-8b", NOON - 2, place=1, wait_until=NOON + 12),
        ActiveRequest("r3", READING, "completionStream", "qwen3-8b", NOON - 1, place=2, wait_until=NOON + 31),
    )
    core.open_knocks = (Knock(STRANGER, NOON - 20), Knock("51d077ae" + "44" * 26 + "08c4", NOON - 360))
    return core


def populate(core: FakeCore) -> FakeCore:
    core.clock = lambda: NOON
    core.settings["tab"] = "share"
    core.sharing_state = SharingState(SharingPhase.REACHABLE, NOON - 65, path="holepunch", peers=2)
    core.models = models()
    core.rules = AccessRules(AccessMode.ALLOW, True, keys())
    core.open_knocks = (Knock(STRANGER, NOON - 20),)
    core.requests = (
        ActiveRequest("r1", STUDIO, "completionStream", "Qwen3 8B", NOON - 9, 612, 66.2),
        ActiveRequest("r2", READING, "completionStream", "Llama 3.2 3B Instruct", NOON - 2, 0, 0.0),
    )
    core.log = log()
    core.tools.entries = (CALENDAR, MAPS)
    return core
