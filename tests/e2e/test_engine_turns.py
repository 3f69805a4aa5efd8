"""Whose request goes first, with the real model."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import LOCAL_OWNER, ModelConfig
from qvac_core.engines.llama_engine import LlamaEngine
from tests.e2e.engine_bench import STORY, Answer, request, take


async def test_who_asks_on_this_machine_waits_for_no_guest(small_model_path: Path) -> None:
    """One slot, a guest's long answer in it, and another guest waiting for it."""

    engine = LlamaEngine(engine=EngineKind.SCHEDULER)
    ended: list[str] = []
    try:
        model = await engine.load(small_model_path, ModelConfig(n_ctx=512, slots=1, device="cpu", threads=1))

        async def ask(owner: str, predict: int) -> Answer:
            answer = await take(model, request(STORY, owner, predict=predict, owner=owner))
            ended.append(owner)
            return answer

        running = asyncio.create_task(ask("guest", 120))
        waiting = asyncio.create_task(ask("another guest", 8))
        alone = await ask(LOCAL_OWNER, 8)
        assert ended == [LOCAL_OWNER]
        first, second = await running, await waiting
        assert first.end.stats.generated_tokens == 120
        assert alone.text == second.text  # nobody's text is another's for it
    finally:
        await engine.close()
