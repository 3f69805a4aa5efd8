"""`python -m tests.bench.transcription`: a recording written down by a provider, against the same one by this machine.

Both are asked from this process, alternating; the provider is the installed program in its own process, reached over a
loopback network. The recording travels anew each time: its last bytes differ.

What other programs do to the two at two moments is more than what delegation costs: the provider's own time for the
same request stands beside it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from qvac_core.core import Core, CoreConfig, load_key_pair
from qvac_core.delegation.consumer import Delegate
from qvac_core.engines.speech import AudioBytes, Segment
from qvac_core.engines.subtitles import plain_text
from qvac_core.store.records import Target
from tests.bench.table import Row, print_table
from tests.e2e.program import Program, loopback_network, qvac_desktop
from tests.sound_files import encode
from tests.speech_files import english_model, kennedy_wav, samples_of

RUNS = 9
SEED = bytes([8]) * 32
LIMIT = 1.03  # of the local time


async def timed(core: Core, recording: bytes, target: Target, delegate: Delegate | None) -> tuple[float, str]:
    start = time.perf_counter()
    segments: list[Segment] = []
    async for event in core.speech.transcribe(AudioBytes(recording), target, delegate=delegate):
        if isinstance(event, Segment):
            segments.append(event)
    return time.perf_counter() - start, plain_text(segments)


async def measure(core: Core, provider: Program, provider_key: str, runs: int) -> tuple[float, float]:
    """The medians of the delegated times to the local ones, and to what the provider says that they took there."""
    await core.add_model_file(english_model())
    recording = encode("m4a", samples_of(kennedy_wav()))
    delegate = Delegate(bytes.fromhex(provider_key))
    here: list[float] = []
    there: list[float] = []
    told: list[float] = []
    for run in range(runs + 1):
        unlike = recording + run.to_bytes(4, "big")  # what stands behind the last box is read by nobody
        local, remote = (unlike, Target(), None), (unlike, Target(provider_key), delegate)
        if run % 2:
            (near, text), (far, same) = await timed(core, *local), await timed(core, *remote)
        else:
            (far, same), (near, text) = await timed(core, *remote), await timed(core, *local)
        assert text == same
        done = await asyncio.to_thread(provider.until, "done")
        if run:  # the first pair loads both models
            here.append(near)
            there.append(far)
            told.append(done["ms"] / 1000)
    row = Row("11 s of speech (m4a)", "s", tuple(there), tuple(here), f"<= {LIMIT}")
    within = Row("the same, beside the provider's own time", "s", tuple(there), tuple(told), f"<= {LIMIT}")
    print_table([row, within], ours="delegated", theirs="local")
    return row.ratio, within.ratio


def main(runs: int = RUNS) -> None:
    guest = load_key_pair(CoreConfig(seed=SEED)).public_key.hex()
    with loopback_network() as net, tempfile.TemporaryDirectory() as folder:
        bootstrap = str(net.until("ready")["bootstrap"][0])
        options = ("--json", "--allow", guest, "--model", str(english_model()), "--bootstrap", bootstrap)
        with qvac_desktop("provider", *options, data_dir=Path(folder) / "provider") as provider:
            key = provider.until("ready")["publicKey"]
            host, _, port = bootstrap.rpartition(":")

            async def run() -> None:
                config = CoreConfig(Path(folder) / "guest", SEED, bootstrap=((host, int(port)),))
                async with Core(config) as core:
                    ratio, within = await measure(core, provider, key, runs)
                print(
                    f"\nDelegated to local: {ratio:.3f}, to the provider's own time: {within:.3f}; {LIMIT} is the most"
                )

            asyncio.run(run())


if __name__ == "__main__":
    main()
