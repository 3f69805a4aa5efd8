"""`python -m tests.bench [NAME…]`: the tables of ratios. Half an hour for all of them, with nothing else beside it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from qvac_core.engines.library import Library
from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.bench import (
    bench_cache,
    failover,
    guests,
    inference,
    network,
    packaged,
    scheduling,
    speculating,
    transcription,
    udx_speed,
    window,
)

CACHE = Path(__file__).parents[2] / ".cache" / "models"
LOSSY = (50.0, 0.01)  # round-trip time in ms, loss


TABLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "network": ("Network: our hyperdht against the original, same testnet", lambda _: network.main()),
    "udx": ("One UDX stream on loopback, in every pairing", lambda _: udx_speed.main(50, 3)),
    "lossy": ("The same with 50 ms round trip, 1 % loss", lambda _: udx_speed.main(20, 3, LOSSY)),
    "inference": ("Answers: delegated against local", inference.main),
    "failover": ("One side ends in the middle of an answer: how long until the other one notices", failover.main),
    "guests": ("A hundred guests, a tenth of them greedy: shares, memory, the owner's first token", guests.main),
    "transcription": ("Speech: delegated against local", lambda _: transcription.main()),
    "scheduling": (
        "Eight chats together, and a long prompt beside one: our scheduler against llama.cpp's server",
        scheduling.main,
    ),
    "speculating": ("Drafts from the chat itself, with and without", speculating.main),
    "cache": (
        "Chats that lose their slot, and idle memory: our scheduler against llama.cpp's server",
        bench_cache.main,
    ),
    "packaged": ("The packaged program: until its window is on the screen", lambda _: packaged.main()),
    "window": ("The window: until it is seen, and at rest", lambda _: window.main()),
}


def main(names: Sequence[str]) -> None:
    """Raises KeyError for a name that is no table's."""
    given = os.environ.get("QVAC_TEST_MODEL")
    model = Path(given) if given else asyncio.run(Library(CACHE).ensure(DEFAULT_SMALL_MODEL.name)).path
    for title, measure in [TABLES[name] for name in names or TABLES]:
        print(f"\n## {title}\n")
        measure(model)


if __name__ == "__main__":
    main(sys.argv[1:])
