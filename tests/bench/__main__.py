"""`python -m tests.bench`: every table of ratios, each in one run. Half an hour, with nothing else beside it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from qvac_core.engines.library import Library
from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.bench import bench_cache, inference, network, scheduling, speculating, udx_speed

CACHE = Path(__file__).parents[2] / ".cache" / "models"
LOSSY = (50.0, 0.01)  # round-trip time in ms, loss


def main() -> None:
    given = os.environ.get("QVAC_TEST_MODEL")
    model = Path(given) if given else asyncio.run(Library(CACHE).ensure(DEFAULT_SMALL_MODEL.name)).path
    print("## Network: our hyperdht against the original, same testnet\n")
    network.main()
    print("\n## One UDX stream on loopback, in every pairing\n")
    udx_speed.main(50, 3)
    print("\n## The same with 50 ms round trip, 1 % loss\n")
    udx_speed.main(20, 3, LOSSY)
    print("\n## Answers: delegated against local\n")
    inference.main(model)
    print("\n## Eight chats together, and a long prompt beside one: our scheduler against llama.cpp's server\n")
    scheduling.main(model)
    print("\n## Drafts from the chat itself\n")
    speculating.main(model)
    print("\n## Chats that lose their slot, and idle memory: our scheduler against llama.cpp's server\n")
    bench_cache.main(model)


if __name__ == "__main__":
    main()
