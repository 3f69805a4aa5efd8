"""The consumer of the SDK's delegation page, in Python: load a model at a provider, stream one answer, unload it.

python example_consumer.py PROVIDER_KEY SEED_HEX64 MODEL [HOST:PORT]
"""

import asyncio
import sys

from qvac_core import Delegate, close, completion, configure, get_consumer_public_key, load_model, unload_model
from qvac_core.core import CoreConfig


async def main(provider_key: str, seed: str, model: str, bootstrap: str = "") -> None:
    host, _, port = bootstrap.rpartition(":")
    configure(CoreConfig(seed=bytes.fromhex(seed), bootstrap=((host, int(port)),) if host else None))
    print(f"My key, for the provider's allow list: {get_consumer_public_key(seed)}")
    try:
        model_id = await load_model(
            model,
            delegate=Delegate(provider_key, timeout=30, fallback_to_local=False),
            on_progress=lambda progress: print(f"{progress.percentage} %", file=sys.stderr),
        )
        history = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
        answer = completion(model_id, history, generation_params={"temp": 0, "predict": 64})
        async for token in answer.token_stream:
            print(token, end="", flush=True)
        stats = await answer.stats
        assert stats is not None
        print(f"\n{stats.tokens_per_second} tokens/s")
        await unload_model(model_id)
    finally:
        await close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
