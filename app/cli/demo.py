"""`qvac-desktop demo`: a network of its own on loopback, a provider, a guest, a small real model, one streamed answer.

Everything on the path is what two real machines use; only the network is private, and all of it in one process.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import time
from pathlib import Path

from app.cli.chat import chat
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core, CoreConfig, RuleOverride, load_key_pair
from qvac_core.core.state import CoreEvent, DownloadChanged, RequestEnded
from qvac_core.hyperdht import create_testnet
from qvac_core.models import DEFAULT_SMALL_MODEL
from qvac_core.store.folders import DataDir

COMMAND_VARIABLE = "QVAC_DESKTOP_COMMAND"  # set by bootstrap.py: what is typed to run this
PROGRESS_EVERY = 1.0  # seconds between two lines about a download


async def demo(options: argparse.Namespace, output: Output) -> int:
    """Returns 0 once the delegated answer and its statistics are there."""
    with tempfile.TemporaryDirectory(prefix="qvac-demo-") as folder:
        async with await create_testnet(4) as net:
            output.note("A network of 4 nodes runs on this machine.")
            bootstrap = tuple(net.bootstrap)
            guest_seed = secrets.token_bytes(32)
            guest_key = load_key_pair(CoreConfig(seed=guest_seed)).public_key.hex()
            provider = Core(
                CoreConfig(
                    data_dir=Path(folder) / "provider",
                    seed=secrets.token_bytes(32),
                    bootstrap=bootstrap,
                    rules=RuleOverride(allow=(guest_key,)),
                    models_folder=DataDir.locate(getattr(options, "data_dir", None)).models_folder,
                    models=(DEFAULT_SMALL_MODEL.name,),
                )
            )
            provider.subscribe(_Reporter(output).report)
            try:
                await provider.start()
                output.note(f"The provider prepares {DEFAULT_SMALL_MODEL.name} (98 MB, fetched once).")
                await provider.start_sharing()
                output.event("ready", publicKey=provider.public_key, models=[DEFAULT_SMALL_MODEL.name])
                output.note(f"The provider shares it under the key {short_key(provider.public_key)}.")
                output.note(f"The guest asks: {options.prompt}\n")
                code = await chat(
                    _guest_options(options, provider.public_key, guest_seed, net.bootstrap, folder), output
                )
                for info in (model.info for model in provider.machine.pool.loaded()):
                    if info is not None:
                        output.note(f"The engine that answered: {info.engine}, on the {info.backend_device.upper()}.")
            finally:
                await provider.close()
    if code == 0:
        output.note(_next_steps(os.environ.get(COMMAND_VARIABLE, "qvac-desktop")))
    return code


def _next_steps(command: str) -> str:
    """What to do after the demo; `command` as it is typed on this machine."""
    return f"""
This was all on one machine. With two:
  on the one with the GPU     {command} provider --model {DEFAULT_SMALL_MODEL.name} --knock
  on the other one            {command} chat KEY
The first prints its KEY, and how to let the other one in. With a screen, `{command}` opens the window for both."""


def _guest_options(
    options: argparse.Namespace, key: str, seed: bytes, bootstrap: list[tuple[str, int]], folder: str
) -> argparse.Namespace:
    return argparse.Namespace(
        verb="chat",
        provider_key=bytes.fromhex(key),
        data_dir=Path(folder) / "guest",
        seed=seed,
        bootstrap=bootstrap,
        model=None,
        local_model=None,
        prompt=options.prompt,
        picture=[],
        tools=[],
        allow_tool=[],
        timeout=None,
        predict=128,
        temp=0.0,
        fallback=False,
        force_new_connection=False,
        json=options.json,
    )


class _Reporter:
    """What the provider's owner would see, in a line each."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = 0.0

    def report(self, event: CoreEvent) -> None:
        if isinstance(event, DownloadChanged):
            self._output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)
            if event.done or time.monotonic() - self._last >= PROGRESS_EVERY:
                self._last = time.monotonic()
                share = f"{event.downloaded / 1e6:.0f} of {event.total / 1e6:.0f} MB" if event.total else "…"
                self._output.note(
                    f"  {share}, {event.rate / 1e6:.1f} MB/s" if not event.done else "  fetched and checked"
                )
        elif isinstance(event, RequestEnded):
            entry = event.entry
            self._output.note(
                f"The provider's log: {short_key(entry.remote_public_key)}, {entry.prompt_tokens} tokens in, "
                f"{entry.generated_tokens} out, {entry.outcome}."
            )
