"""`python -m tests.bench guests`: a hundred guests of one provider on loopback, a tenth of them greedy.

What each got beside an even share, what one costs in memory, and how long the owner's own first token takes meanwhile,
beside an idle machine. The guests are nodes of their own, all in one other process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from qvac_core.core import Core, CoreConfig
from qvac_core.core.config import RuleOverride
from qvac_core.core.state import AnswerTokens, CoreEvent, Target
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import GenerationParams, HistoryMessage
from qvac_core.errors import QvacError
from qvac_core.hyperdht import DHT, Connection, KeyPair
from tests.bench.table import Row, print_table
from tests.e2e.program import loopback_network

GUESTS, GREEDY, AT_ONCE = 100, 10, 16
SECONDS = 240.0
ANSWER_TOKENS = 8
OWN_ASKS = 5
AT_A_TIME = 10  # that connect
ASK = [HistoryMessage(role="user", content="Tell a story about a lighthouse.")]
OWN = "Number {}: " + "the lighthouse stood above the sea and its keeper wrote down each ship that went by. " * 12


# --- The guests' process


@dataclass(slots=True)
class Tally:
    tokens: int = 0
    answers: int = 0
    refused: int = 0


async def ask_without_end(consumer: Consumer, model_id: str, tally: Tally) -> None:
    params = GenerationParams(predict=ANSWER_TOKENS, temp=0.0)
    while True:
        try:
            answer = await consumer.completion(model_id, ASK, generation_params=params)
            async for _ in answer.token_stream:
                tally.tokens += 1
            tally.answers += 1
        except QvacError as error:
            tally.refused += 1
            wait = error.typed_fields.get("retryAfterMs", 1000) if hasattr(error, "typed_fields") else 1000
            await asyncio.sleep(wait / 1000)


async def crowd(bootstrap: str, key: str, model: str, count: int, greedy: int) -> None:
    """Commands by lines on stdin, answers on stdout."""
    host, _, port = bootstrap.rpartition(":")
    delegate, gate = Delegate(bytes.fromhex(key)), asyncio.Semaphore(AT_A_TIME)
    nodes: list[DHT] = []

    async def come(number: int) -> tuple[Consumer, str]:
        seed = KeyPair.from_seed((number + 1).to_bytes(32))
        dht = DHT(bootstrap=[(host, int(port))], key_pair=seed, host="127.0.0.1")
        nodes.append(dht)

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> Connection:
            return await dht.connect(public_key)

        consumer = Consumer(connect)
        async with gate:
            return consumer, (await consumer.load_model(model, delegate=delegate)).model_id

    guests = await asyncio.gather(*(come(number) for number in range(count)))
    print("here", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    tallies = [Tally() for _ in guests]
    asking = [
        asyncio.create_task(ask_without_end(*guest, tallies[number]))
        for number, guest in enumerate(guests)
        for _ in range(AT_ONCE if number < greedy else 1)
    ]
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps([[tally.tokens, tally.answers, tally.refused] for tally in tallies]), flush=True)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    for (consumer, _), dht in zip(guests, nodes, strict=True):
        await consumer.close()
        await dht.close()


# --- The owner's


async def first_token(core: Core, number: int) -> float:
    """Milliseconds from the owner's question to its first word; the answer is stopped then."""
    conversation = await core.new_conversation(Target())
    heard = asyncio.Event()
    at = 0.0

    def take(event: CoreEvent) -> None:
        nonlocal at
        if isinstance(event, AnswerTokens) and not heard.is_set():
            at = time.monotonic()
            heard.set()

    unsubscribe = core.subscribe(take)
    try:
        asked = time.monotonic()
        answer = await core.ask(conversation.id, OWN.format(number))
        await heard.wait()
        await core.stop_answer(answer)
    finally:
        unsubscribe()
    return (at - asked) * 1000


async def measure(core: Core, bootstrap: str, model: str, count: int, greedy: int, seconds: float) -> list[Row]:
    await first_token(core, 0)  # the first one of all loads the model
    idle = [await first_token(core, 1 + number) for number in range(OWN_ASKS)]
    process = psutil.Process()
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.guests", "crowd", bootstrap, core.public_key, model, str(count)),
        str(greedy),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdin is not None and program.stdout is not None
    before = process.memory_info().rss
    assert (await program.stdout.readline()).strip() == b"here"
    await asyncio.sleep(3)
    each = (process.memory_info().rss - before) / count / 1000
    program.stdin.write(b"go\n")
    busy: list[float] = []
    began = time.monotonic()
    await asyncio.sleep(10)
    while (left := seconds - (time.monotonic() - began)) > 0:
        if len(busy) < OWN_ASKS:
            busy.append(await first_token(core, 1000 + len(busy)))
        await asyncio.sleep(min(3.0, max(0.0, left)))
    program.stdin.write(b"stop\n")
    said = json.loads(await program.stdout.readline())
    await program.wait()
    tokens = [guest[0] for guest in said]
    even = sum(tokens) / count
    none = sum(not made for made in tokens)
    print(f"{sum(tokens)} tokens in {seconds:.0f} s; {none} of {count} guests got nothing; refused: ", end="")
    print(f"{sum(guest[2] for guest in said)}\n")
    return [
        Row("most that a guest got, of an even share", "tokens", (max(tokens),), (even,), "<= 1.2"),
        Row("least that a guest got, of an even share", "tokens", (min(tokens),), (even,), "> 0"),
        Row("memory of a guest that is there", "kB", (each,), (60.0,), "<= 1"),
        Row("the owner's first token, beside an idle machine's", "ms", tuple(busy), tuple(idle), "<= 1.1"),
    ]


def run(model: Path, count: int = GUESTS, greedy: int = GREEDY, seconds: float = SECONDS) -> list[Row]:
    with loopback_network() as net, tempfile.TemporaryDirectory() as folder:
        bootstrap = str(net.until("ready")["bootstrap"][0])
        host, _, port = bootstrap.rpartition(":")
        config = CoreConfig(
            Path(folder) / "owner",
            bootstrap=((host, int(port)),),
            rules=RuleOverride(allow_all=True),
            models=(str(model),),
            local_network=False,
        )

        async def main() -> list[Row]:
            async with Core(config) as core:
                await core.start_sharing()
                (shared,) = await core.shared_models()
                return await measure(core, bootstrap, shared.name, count, greedy, seconds)

        return asyncio.run(main())


def main(model: Path) -> None:
    print_table(run(model), ours="guests", theirs="beside")


if __name__ == "__main__":
    if sys.argv[1] == "crowd":
        asyncio.run(crowd(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])))
    else:
        numbers = [int(each) for each in sys.argv[2:]]
        print_table(run(Path(sys.argv[1]).resolve(), *numbers), ours="guests", theirs="beside")
