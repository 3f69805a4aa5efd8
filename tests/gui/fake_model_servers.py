"""The servers of other programs, as the window asks a core for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from qvac_core.core.model_servers_state import ModelAtServer, ModelServerEntry, ModelServersChanged, ServerState
from qvac_core.core.served_models import checked_name
from qvac_core.core.state import CoreEvent
from qvac_core.engines.openai_address import base_address, place_of
from qvac_core.errors import ModelError, QvacError

OLLAMA = ModelServerEntry(
    "a" * 32,
    "Ollama",
    "http://127.0.0.1:11434/v1",
    kind="Ollama",
    parallel=4,
    state=ServerState.THERE,
    models=(
        ModelAtServer("llama3.2:3b@Ollama", "llama3.2:3b", n_ctx=8192, shared=True),
        ModelAtServer("llava:7b@Ollama", "llava:7b", vision=True),
        ModelAtServer("nomic-embed-text@Ollama", "nomic-embed-text", "embed"),
    ),
)
RACK = ModelServerEntry(
    "b" * 32,
    "Rack",
    "https://rack.example:8000/v1",
    has_key=True,
    kind="vLLM",
    parallel=16,
    state=ServerState.AWAY,
    problem="The server that runs this model does not answer. Start it, or look at its address.",
    models=(ModelAtServer("Qwen3-32B@Rack", "Qwen/Qwen3-32B", n_ctx=32768),),
)


class FakeModelServers:
    """Implements ModelServersInterface. `found`: what answers at any address; an error is raised instead."""

    def __init__(self, enter: Callable[..., Awaitable[None]], emit: Callable[[CoreEvent], None]) -> None:
        self._enter, self._emit = enter, emit
        self.entries: tuple[ModelServerEntry, ...] = ()
        self.found: ModelServerEntry | QvacError = OLLAMA

    def set(self, *entries: ModelServerEntry) -> None:
        self.entries = entries
        self._emit(ModelServersChanged(entries))

    async def servers(self) -> tuple[ModelServerEntry, ...]:
        return self.entries

    async def keep(
        self, url: str, name: str = "", *, key: str | None = None, requests: int = 0, id: str = ""
    ) -> ModelServerEntry:
        await self._enter("keep_model_server", url, name, key, requests, id)
        base = base_address(url)
        before = next((entry for entry in self.entries if entry.id == id), None)
        has_key = bool(key) if key is not None else before is not None and before.has_key
        entry = replace(
            self._seen(),
            id=id or f"{len(self.entries):032x}",
            name=checked_name(name or place_of(base)),
            url=base,
            has_key=has_key,
            requests=requests,
        )
        others = [each for each in self.entries if each is not before]
        self.set(*sorted((*others, entry), key=lambda each: each.name))
        return entry

    async def remove(self, id: str) -> None:
        await self._enter("remove_model_server", id)
        self.set(*(entry for entry in self.entries if entry.id != id))

    async def test(self, url: str, key: str | None = None, id: str = "") -> ModelServerEntry:
        await self._enter("test_model_server", url, key, id)
        base_address(url)
        if isinstance(self.found, QvacError):
            raise self.found
        return self.found

    async def look(self, id: str) -> ModelServerEntry:
        await self._enter("look_at_model_server", id)
        entry = replace(next(each for each in self.entries if each.id == id), state=ServerState.THERE, problem="")
        self.set(*(entry if each.id == id else each for each in self.entries))
        return entry

    def _seen(self) -> ModelServerEntry:
        if isinstance(self.found, ModelError | QvacError):
            return ModelServerEntry("", "", "", state=ServerState.AWAY, problem=self.found.message)
        return self.found
