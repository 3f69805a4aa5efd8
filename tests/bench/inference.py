"""`python -m tests.bench.inference MODEL.gguf`: an answer by delegation against the same answer by the local engine.

Both are asked from this process, alternating in who is asked first; the provider is the installed program in its own
process, reached over a loopback network. Each prompt is asked once per side, so that no cached prefix helps either.

What other programs do to two engines at two moments is more than what delegation costs. So its cost is taken within one
request, too: the guest's time to the first token less what the provider's engine says it took.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from qvac_core.core import Core, CoreConfig, load_key_pair
from qvac_core.core.local_completion import LocalCompletion
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import GenerationParams, HistoryMessage
from qvac_core.engines.interface import ChatMessage, CompletionRequest, SamplingParams
from tests.bench.table import Row, print_table
from tests.e2e.program import loopback_network, qvac_desktop

RUNS = 15
TOKENS = 96
SEED = bytes([7]) * 32


@dataclass(frozen=True, slots=True)
class Timing:
    """first: seconds to the first token, as the caller sees it. rate: tokens per second after it.

    engine_first and engine_rate: the same, as the engine that made it says.
    """

    first: float
    rate: float
    engine_first: float
    engine_rate: float


async def timed(start: float, run: Completion | LocalCompletion) -> Timing:
    arrivals: list[float] = []
    async for _text in run.token_stream:
        arrivals.append(time.perf_counter())
    stats = await run.stats
    assert stats is not None
    tokens = float(stats.generated_tokens)  # type: ignore[arg-type]
    engine_first = float(stats.time_to_first_token)  # type: ignore[arg-type]
    rate = (tokens - 1) / (arrivals[-1] - arrivals[0])
    engine_rate = float(stats.tokens_per_second)  # type: ignore[arg-type]
    return Timing(arrivals[0] - start, rate, engine_first / 1000, engine_rate)


async def local(core: Core, model_id: str, prompt: str) -> Timing:
    model = core.machine.loaded_here(model_id)
    assert model is not None
    start = time.perf_counter()
    request = CompletionRequest(
        f"local {prompt}", (ChatMessage("user", prompt),), SamplingParams(temp=0, predict=TOKENS), owner="local"
    )
    return await timed(start, LocalCompletion(model, request))


async def delegated(core: Core, model_id: str, prompt: str) -> Timing:
    start = time.perf_counter()
    params = GenerationParams(temp=0, predict=TOKENS)
    run = await core.consumer.completion(model_id, [HistoryMessage("user", prompt)], generation_params=params)
    return await timed(start, run)


async def measure(core: Core, provider_key: str, model: Path) -> None:
    here = await core.machine.load_local(str(model))
    delegate = Delegate(bytes.fromhex(provider_key))
    there = (
        await core.consumer.load_model(model.name, delegate=delegate, model_config={"ctx_size": 4096, "device": "cpu"})
    ).model_id
    sides: dict[str, list[Timing]] = {"here": [], "there": []}
    for run in range(RUNS + 1):
        prompt = f"Story {run}: tell me about a lighthouse keeper and {run + 2} ships in a storm."
        if run % 2:
            mine, theirs = await local(core, here, prompt), await delegated(core, there, prompt)
        else:
            theirs, mine = await delegated(core, there, prompt), await local(core, here, prompt)
        if run:  # the first pair warms both workers up
            sides["here"].append(mine)
            sides["there"].append(theirs)

    def all_of(side: str, field: str, factor: float = 1.0) -> tuple[float, ...]:
        return tuple(getattr(timing, field) * factor for timing in sides[side])

    first = Row("first token", "ms", all_of("there", "first", 1000), all_of("here", "first", 1000), "at most 5 ms more")
    within = Row(
        "first token, beside its own engine's word",
        "ms",
        first.ours,
        all_of("there", "engine_first", 1000),
        "at most 5 ms more",
    )
    rate = Row("tokens per second", "tok/s", all_of("there", "rate"), all_of("here", "rate"), ">= 0.98")
    engine = "tokens per second, beside its own engine's word"
    even = Row(engine, "tok/s", rate.ours, all_of("there", "engine_rate"), ">= 0.98")
    print_table([first, within, rate, even], ours="delegated", theirs="local")
    more = median(t - h for t, h in zip(first.ours, first.theirs, strict=True))
    cost = median(t - e for t, e in zip(within.ours, within.theirs, strict=True))
    near = median(timing.first - timing.engine_first for timing in sides["here"]) * 1000
    print(f"\nFirst token by delegation: {more:+.1f} ms against local (median of {RUNS} pairs)")
    print(f"Within one request: {cost:.1f} ms after the engine, where a local one is {near:.1f} ms after it")


def main(model: Path) -> None:
    guest = load_key_pair(CoreConfig(seed=SEED)).public_key.hex()
    with loopback_network() as net, tempfile.TemporaryDirectory() as folder:
        bootstrap = str(net.until("ready")["bootstrap"][0])
        options = ("--json", "--allow", guest, "--model", str(model), "--bootstrap", bootstrap)
        with qvac_desktop("provider", *options, data_dir=Path(folder) / "provider") as provider:
            key = provider.until("ready")["publicKey"]
            host, _, port = bootstrap.rpartition(":")

            async def run() -> None:
                config = CoreConfig(Path(folder) / "guest", SEED, bootstrap=((host, int(port)),))
                async with Core(config) as core:
                    await measure(core, key, model)

            asyncio.run(run())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
