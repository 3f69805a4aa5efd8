"""Models that another program of the owner's runs, by OpenAI's API: `Engine`, beside those that run in our workers.

Ollama, LM Studio, llama.cpp's server, vLLM and whatever else speaks it. Nothing of a model lies here: what `load` opens
is a place, which whoever made the engine can tell. The address is the owner's own, never a guest's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from qvac_core.engines.interface import LoadProgress, ModelConfig, ModelInfo
from qvac_core.engines.openai_client import (
    BUSY,
    FAILED,
    NO_SUCH_MODEL,
    UNREADABLE,
    Broken,
    OpenAiClient,
    Patience,
    Server,
)
from qvac_core.engines.openai_models import ServedModel, ServerKind
from qvac_core.errors import ModelError, RequestRefused

if TYPE_CHECKING:
    from qvac_core.engines.openai_model import OpenAiEmbeddingModel, OpenAiModel
    from qvac_core.engines.turns_at_server import TurnsAtServer

LOAD_SECONDS = 600.0  # that a server which says that it is loading gets
LOOK_SECONDS = 1.0  # between two looks at one
PLACES = "at-server"  # what stands for a folder in a place

_Answer = TypeVar("_Answer")
_LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")  # the second is what OpenAI's newer models want


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is: its server's id (whose models share what runs at once), how it is reached, and its name there.

    parallel: requests that the server takes at once.
    """

    server_id: str
    server: Server
    served: ServedModel
    kind: ServerKind = ServerKind.OTHER
    parallel: int = 1


class OpenAiEngine:
    """whereabouts: of the path of a model; None for one that no server has (any more). on_trouble: is given the id of a
    server that broke an answer off. Used from one loop.
    """

    def __init__(
        self,
        whereabouts: Callable[[Path], Place | None],
        *,
        patience: Patience | None = None,
        on_trouble: Callable[[str], None] = lambda server_id: None,
    ) -> None:
        self._on_trouble = on_trouble
        self._whereabouts = whereabouts
        self._patience = patience or Patience()
        self._clients: dict[tuple[str, Server], OpenAiClient] = {}
        self._turns: dict[str, TurnsAtServer] = {}
        self._models: set[OpenAiModel | OpenAiEmbeddingModel] = set()

    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> OpenAiModel:
        """Ask for one token: only that shows that the server can answer. Raises ModelError, Broken."""
        from qvac_core.engines.openai_model import At, OpenAiModel

        place = self._place(path)
        client, turns = self._client(place), self._turns_at(place)
        limit_field = await self._first_token(client, place, turns)
        trouble = lambda: self._on_trouble(place.server_id)  # noqa: E731
        at = At(client, turns, place.served.name, place.kind, limit_field, trouble)
        model: OpenAiModel = OpenAiModel(at, _info(place, config), lambda: self._models.discard(model))
        self._models.add(model)
        if on_progress is not None:
            on_progress(LoadProgress(1.0))
        return model

    async def load_embedding(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> OpenAiEmbeddingModel:
        """As `load`, of a model that makes embeddings."""
        from qvac_core.engines.openai_model import At, OpenAiEmbeddingModel, read_vectors

        place = self._place(path)
        client, turns = self._client(place), self._turns_at(place)
        async with turns.turn(""):
            body = {"model": place.served.name, "input": ["a"], "encoding_format": "float"}
            answer = await self._patiently(lambda: client.post("embeddings", body, self._patience.first))
        await asyncio.to_thread(read_vectors, answer, 1)
        at = At(client, turns, place.served.name, place.kind)
        model: OpenAiEmbeddingModel = OpenAiEmbeddingModel(
            at, _info(place, config), lambda: self._models.discard(model)
        )
        self._models.add(model)
        if on_progress is not None:
            on_progress(LoadProgress(1.0))
        return model

    async def close(self) -> None:
        models, self._models = self._models, set()
        await asyncio.gather(*(model.unload() for model in models))
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def parallel_changed(self, server_id: str, parallel: int) -> None:
        if (turns := self._turns.get(server_id)) is not None:
            turns.parallel = parallel

    def _place(self, path: Path) -> Place:
        place = self._whereabouts(path)
        if place is None:
            raise ModelError(NO_SUCH_MODEL, name="MODEL_NOT_FOUND", code=52002)
        return place

    def _client(self, place: Place) -> OpenAiClient:
        key = (place.server_id, place.server)
        if key not in self._clients:
            self._clients[key] = OpenAiClient(place.server, self._patience)
        return self._clients[key]

    def _turns_at(self, place: Place) -> TurnsAtServer:
        from qvac_core.engines.turns_at_server import TurnsAtServer

        turns = self._turns.setdefault(place.server_id, TurnsAtServer(place.parallel))
        turns.parallel = place.parallel
        return turns

    async def _first_token(self, client: OpenAiClient, place: Place, turns: TurnsAtServer) -> str:
        """The field for the longest answer that it takes. A list of models says little: one of three servers tells of
        a model that it cannot reach.
        """
        async with turns.turn(""):
            for limit_field in _LIMIT_FIELDS:
                body = {
                    "model": place.served.name,
                    "messages": [{"role": "user", "content": "Hi"}],
                    "stream": True,
                    limit_field: 1,
                }
                try:
                    await self._patiently(lambda body=body: _answers(client, body))  # type: ignore[misc]
                except RequestRefused:
                    if limit_field == _LIMIT_FIELDS[-1]:
                        raise ModelError(FAILED) from None
                else:
                    return limit_field
        raise AssertionError("one of them is the last")

    async def _patiently(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Again, while the server says that it is loading."""
        until = time.monotonic() + LOAD_SECONDS
        while True:
            try:
                return await ask()
            except Broken as error:
                if error.message != BUSY or time.monotonic() > until:
                    raise
            await asyncio.sleep(LOOK_SECONDS)


async def _answers(client: OpenAiClient, body: dict[str, object]) -> None:
    """Raises unless something comes that belongs to an answer."""
    async with aclosing(client.events("chat/completions", body)) as events:
        async for event in events:
            if event.get("choices"):
                return
    raise Broken(UNREADABLE)


def _info(place: Place, config: ModelConfig) -> ModelInfo:
    served = place.served
    # Where the server does not tell, what the owner set is what guests are told.
    n_ctx = min(served.n_ctx, config.n_ctx) if served.n_ctx and config.n_ctx else served.n_ctx or config.n_ctx
    return ModelInfo(
        name=served.name,
        sha256="",
        n_ctx=n_ctx,
        n_ctx_train=served.n_ctx,
        slots=place.parallel,
        parameters=0,
        size_bytes=0,
        memory_bytes=0,
        backend_device="server",
        chat_template=True,
        engine=place.kind or "server",
        vision=served.vision,
    )
