"""Machines of one's own, as the window asks a core for them: the fake of `core.my_machines`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from qvac_core.core.download_state import DownloadState
from qvac_core.core.my_machines_state import DownloadThere, MachineThere, ModelThere, RemoteAct, RequestThere

NOON = 1_795_521_600.0
THERE = MachineThere(
    models=(
        ModelThere("QWEN3_4B_INST_Q4_K_M", "loaded", True, 2_497_000_000),
        ModelThere("LLAMA_3_2_1B_INST_Q4_0", "idle", False, 773_000_000),
        ModelThere("Mistral-Small-24B-Q5", "idle", True, 16_760_000_000, "The model needs more memory than is free."),
    ),
)
LOG = (
    RequestThere("ab" * 32, "completionStream", "QWEN3_4B_INST_Q4_K_M", NOON, "eos"),
    RequestThere("cd" * 32, "transcribe", "WHISPER_TINY_Q8_0", NOON - 3600, "disconnected"),
    RequestThere("cd" * 32, "completionStream", "QWEN3_4B_INST_Q4_K_M", 0.0, "error"),
)


class FakeMyMachines:
    """`now`: how things stand there; acts change it as a machine would."""

    def __init__(self, enter: Callable[..., Awaitable[None]]) -> None:
        self._enter = enter
        self.now = THERE
        self.log = LOG

    async def act(self, public_key: str, act: RemoteAct, model: str = "", minutes: float | None = None) -> MachineThere:
        await self._enter(f"machine_{act.value}", public_key, model, minutes)
        now = self.now
        match act:
            case RemoteAct.PAUSE:
                until = None if minutes is None else NOON + 60 * minutes
                now = replace(now, paused=True, paused_until=until)
            case RemoteAct.RESUME:
                now = replace(now, paused=False, paused_until=None)
            case RemoteAct.LOAD:
                now = self._with(model, "loading")
            case RemoteAct.UNLOAD:
                now = self._with(model, "idle")
            case RemoteAct.REMOVE:
                now = replace(now, models=tuple(one for one in now.models if one.name != model))
            case RemoteAct.DOWNLOAD:
                coming = DownloadThere(model, model, DownloadState.RUNNING, 700_000_000, 2_000_000_000, 9.8e6, 133.0)
                now = replace(now, downloads=(*now.downloads, coming))
            case RemoteAct.CANCEL:
                now = replace(now, downloads=tuple(one for one in now.downloads if one.model != model))
        self.now = now
        return replace(now, log=self.log) if act is RemoteAct.LOG else now

    def _with(self, name: str, state: str) -> MachineThere:
        return replace(
            self.now,
            models=tuple(replace(one, state=state, error="") if one.name == name else one for one in self.now.models),
        )
