"""What the engine's end-to-end tests share: a loaded real model, and an answer taken whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    LoadedModel,
    ModelConfig,
    SamplingParams,
    Token,
)
from qvac_core.engines.llama_engine import LlamaEngine, LlamaModel

TEMP_0 = SamplingParams(temp=0.0)
STORY = "Write a long story about a cat, a lighthouse and the sea."


@dataclass
class Answer:
    tokens: list[str] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def end(self) -> Finished:
        assert len(self.finished) == 1
        return self.finished[0]


def request(
    text: str,
    request_id: str = "1",
    *,
    predict: int = 24,
    owner: str = "",
    stop: tuple[str, ...] = (),
    continue_from: str = "",
    response_schema: str | None = None,
    temp: float = 0.0,
    seed: int | None = None,
) -> CompletionRequest:
    return CompletionRequest(
        request_id=request_id,
        history=(ChatMessage("user", text),),
        sampling=SamplingParams(temp=temp, predict=predict, seed=seed),
        stop=stop,
        owner=owner,
        continue_from=continue_from,
        response_schema=response_schema,
    )


async def take(model: LoadedModel, asked: CompletionRequest) -> Answer:
    answer = Answer()
    async for event in model.complete(asked):
        if isinstance(event, Token):
            answer.tokens.append(event.text)
        else:
            assert isinstance(event, Finished)
            answer.finished.append(event)
    return answer


async def shared_by_all(model: LoadedModel) -> int:
    """Tokens with which every owner's prompt begins, and which are not read again for each: the template's own."""
    for owner in ("one stranger", "another"):
        answer = await take(model, request(f"I am {owner}.", owner, predict=1, owner=owner))
    return answer.end.stats.cache_tokens


@asynccontextmanager
async def loaded(
    path: Path, *, n_ctx: int = 512, slots: int = 2, stall_timeout: float = 60.0
) -> AsyncIterator[LlamaModel]:
    engine = LlamaEngine(stall_timeout=stall_timeout)
    try:
        yield await engine.load(path, ModelConfig(n_ctx=n_ctx, slots=slots, device="cpu", threads=1))
    finally:
        await engine.close()
