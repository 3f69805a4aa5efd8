"""A fake core whose endpoint is on and busy, as in the design's picture."""

from __future__ import annotations

from qvac_core.endpoint.interface import Call
from tests.gui.fake_core import FakeCore
from tests.gui.populated import NOON

RUNNING = Call("c0", NOON - 3, "Zed 0.210", "chat", "Qwen3 8B", "Studio desktop", 512, 96)
CALLS = (
    Call("c1", NOON - 44, "openai 3.57.0, Python", "chat", "Qwen3 8B", "Studio desktop", 212, 248, NOON - 40, "done"),
    Call("c2", NOON - 122, "Zed 0.210", "chat", "Qwen3 4B", "Workshop PC", 1804, 96, NOON - 113, "moved"),
    Call("c3", NOON - 240, "a web page", "", ended=NOON - 240, outcome="refused", reason="missing_api_key"),
    Call("c4", NOON - 360, "llm 0.36", "chat", "Qwen3 8B", "Studio desktop", 96, 1310, NOON - 340, "left"),
    Call(
        "c5", NOON - 700, "openai 3.57.0, Python", "embeddings", "MiniLM", "This machine", 8110, 0, NOON - 698, "done"
    ),
    Call(
        *("c6", NOON - 900, "ai 6.0.326", "responses", "Qwen3 8B", "Studio desktop", 40, 7, NOON - 891, "failed"),
        "The machine went offline.",
    ),
)


def programs_core(core: FakeCore) -> FakeCore:
    core.programs.set(on=True)
    core.programs.call_list = (RUNNING, *CALLS)
    return core
