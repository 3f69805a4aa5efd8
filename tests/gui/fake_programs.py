"""The endpoint for programs without one: what FakeCore's `programs` does. Every intent is noted as FakeCore's are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qvac_core.core.programs_state import ProgramCalled, ProgramModel, ProgramsChanged, ProgramsState, Tried
from qvac_core.core.serving import Served, Wanted
from qvac_core.endpoint.guard import checked_origins
from qvac_core.endpoint.interface import Call, Offer
from qvac_core.endpoint.listener import PortTaken

TOKEN = "qvac-" + "4b" * 22 + "7f3a"
ANOTHER = "qvac-" + "c0" * 22 + "11d8"
STUDIO_KEY = "cf6c88ea" + "51" * 26 + "9642"
ADDRESS = "http://127.0.0.1:{}/v1"


def _offer(machine: str, name: str, *abilities: str, key: str = STUDIO_KEY, **more: Any) -> ProgramModel:
    offer = Offer(key, machine, name, name, abilities, rtt_ms=38.0, path="direct", context_tokens=8192)
    return ProgramModel(f"{machine}/{name}", replace(offer, **more))


MODELS = (
    _offer("Studio desktop", "Qwen3 8B", "chat", "tools"),
    _offer("Studio desktop", "Whisper large v3 turbo", "transcribe"),
    _offer("This machine", "Qwen3 Embedding 0.6B", "embed", key="", path="local"),
    _offer("This machine", "SmolLM2 135M Instruct", "chat", "tools", key="", path="local"),
    _offer("Workshop PC", "Qwen3 4B", "chat", "tools", key="8a" * 32, path="relay", rtt_ms=91.0),
    _offer("Workshop PC", "Gemma 4 31B", "chat", "tools", "vision", key="8a" * 32, online=False),
)


@dataclass
class FakePrograms:
    """taken: a port that another program has. enter, emit: FakeCore's."""

    enter: Callable[..., Awaitable[None]] | None = None
    emit: Callable[[Any], None] = lambda event: None
    settings: dict[str, str] = field(default_factory=dict)
    now: ProgramsState = field(
        default_factory=lambda: ProgramsState(address=ADDRESS.format(8123), port=8123, token_end=TOKEN[-4:])
    )
    model_list: tuple[ProgramModel, ...] = MODELS
    call_list: tuple[Call, ...] = ()
    secret: str = TOKEN
    taken: int = 0
    answer: Tried = field(default_factory=lambda: Tried("Studio desktop", 0.31, 64.0))

    async def _enter(self, *what: object) -> None:
        if self.enter is not None:
            await self.enter(*what)

    @property
    def state(self) -> ProgramsState:
        return replace(self.now, at_start=self.settings.get("programs.at_start") == "true")

    def set(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)
        self.emit(ProgramsChanged(self.state))

    def call(self, call: Call) -> None:
        """A program's call begins, changes or ends."""
        self.call_list = (call, *(each for each in self.call_list if each.id != call.id))
        self.emit(ProgramCalled(call))

    async def switch(self, on: bool, *, port: int = 0) -> None:
        await self._enter("switch_programs", on, port)
        wanted = port or self.state.port
        address = ADDRESS.format(wanted)
        if on and wanted == self.taken:
            self.set(error=PortTaken(wanted, wanted + 1).message, free_port=wanted + 1)
        else:
            self.set(on=on, error="", free_port=0, port=wanted, address=address)

    async def serve(self, wanted: Wanted) -> Served:
        await self._enter("serve_programs", wanted)
        already = self.state.on
        self.set(on=True)
        return Served(self.state, tuple(model.id for model in self.model_list), already)

    async def serve_no_more(self) -> None:
        await self._enter("serve_programs_no_more")
        self.set(on=False)

    async def token(self) -> str:
        await self._enter("program_token")
        return self.secret

    async def new_token(self) -> str:
        await self._enter("new_program_token")
        self.secret = ANOTHER
        self.set(token_end=ANOTHER[-4:])
        return self.secret

    async def models(self) -> tuple[ProgramModel, ...]:
        return self.model_list

    async def calls(self) -> tuple[Call, ...]:
        return self.call_list

    async def stop_call(self, id: str) -> None:
        await self._enter("stop_call", id)

    async def clear_calls(self) -> None:
        await self._enter("clear_calls")
        self.call_list = tuple(call for call in self.call_list if not call.ended)

    async def set_origins(self, origins: Sequence[str]) -> None:
        await self._enter("set_origins", tuple(origins))
        self.set(origins=checked_origins(origins))

    async def try_model(self, id: str) -> Tried:
        await self._enter("try_model", id)
        return self.answer
