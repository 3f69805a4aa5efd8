"""Guests who mean harm with pictures and files, over real connections to the installed provider.

Each gets a named refusal, what the provider holds stays bounded, and an honest guest's answer goes on meanwhile. What
they send is just above our own limits, and is never decoded.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qvac_core.delegation.blobs import CHUNK_BYTES_MOST
from qvac_core.delegation.messages import PutBlob, encode
from qvac_core.engines.pictures import PICTURES
from tests.e2e.program import qvac_desktop
from tests.e2e.raw_guest import RawGuest, key_pair
from tests.e2e.test_hostile_peers import GUEST_SEED, HONEST_SEED, PROVIDER_SEED, STRANGER_SEED, Provider, ask
from tests.pictures import blue, declared, shades

MIB = 1 << 20
LIMIT, NOT_FOUND, DAMAGED, UNSUPPORTED = 52420, 52407, 53852, 52416


@pytest.fixture(scope="module")
def served(bootstrap: str, seeing_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("owner")
    seeds = (GUEST_SEED, HONEST_SEED, STRANGER_SEED)
    allowed = (option for seed in seeds for option in ("--allow", key_pair(seed).public_key.hex()))
    with qvac_desktop(
        *("provider", "--json", "--seed", PROVIDER_SEED, "--bootstrap", bootstrap, "--model", str(seeing_model_path)),
        *allowed,
        data_dir=folder,
    ) as program:
        program.until("ready")
        yield Provider(program, bootstrap, folder, seeing_model_path)


@pytest.fixture
def provider(served: Provider) -> Iterator[Provider]:
    yield served
    assert served.program.stderr == ""
    served.assert_told_nothing()


async def put(guest: RawGuest, data: bytes, *, size: int = 0, digest: str = "", end: bool = True) -> dict[str, Any]:
    """The provider's last word. size: what is declared; end: whether all of it is sent."""
    digest, size = digest or hashlib.sha256(data).hexdigest(), size or len(data)
    reply: dict[str, Any] = {}
    for start in range(0, len(data) if end else CHUNK_BYTES_MOST, CHUNK_BYTES_MOST):
        head = encode(PutBlob(digest, size, start))
        (reply,) = await guest.ask(head + b"\n" + data[start : start + CHUNK_BYTES_MOST])
        if reply["type"] == "error":
            break
    return reply


def about(model_id: str, *pictures: bytes, predict: int = 4, **fields: Any) -> dict[str, Any]:
    attachments = [{"path": "", "sha256": hashlib.sha256(data).hexdigest()} for data in pictures]
    history = [{"role": "user", "content": "What is this?", "attachments": attachments}]
    return {**ask(model_id, "", predict), "history": history, **fields}


async def test_each_misuse_has_a_name(provider: Provider) -> None:
    async with provider.guest() as guest, provider.guest(STRANGER_SEED) as eve:
        model_id = await provider.load(guest)
        for size in (64 * MIB + 1, 1 << 30, 1 << 40):
            for body in (
                {"type": "blobStatus", "sha256": "a" * 64, "sizeBytes": size},
                {"type": "putBlob", "sha256": "a" * 64, "sizeBytes": size, "offset": 0},
            ):
                (refused,) = await guest.ask(body)
                assert (refused["code"], refused["typedFields"]) == (LIMIT, {"reason": "limit"}), body
        assert (await put(guest, blue(), digest="a" * 64))["code"] == DAMAGED
        bomb, cut = declared(7072, 7072), shades()[:40]
        for data in (bomb, cut, b"no picture", blue()):
            assert (await put(guest, data))["received"] == len(data)
        assert (await put(guest, shades() * 9000, end=False))["received"] == CHUNK_BYTES_MOST
        for pictures, code in (
            ((bomb,), LIMIT),
            ((blue(),) * (PICTURES + 1), LIMIT),
            ((cut,), DAMAGED),
            ((b"no picture",), DAMAGED),
            ((b"never put",), NOT_FOUND),
            ((shades() * 9000,), NOT_FOUND),  # begun and not whole
        ):
            (refused,) = await guest.ask(about(model_id, *pictures))
            assert (refused["type"], refused["code"]) == ("error", code), refused
        await provider.load(eve)
        stolen, unknown = [await eve.ask(about(model_id, data)) for data in (blue(), b"nobody's")]
        assert stolen == unknown and stolen[0]["code"] == NOT_FOUND
        assert (await guest.ask(about(model_id, blue())))[-1]["done"] is True


async def test_a_flood_of_files_is_bounded_and_costs_nobody_an_answer(provider: Provider) -> None:
    """More than a key may have here, from two connections, none of it ever asked about."""

    async with provider.guest(HONEST_SEED) as honest, provider.guest() as one, provider.guest() as two:
        model_id = await provider.load(honest)
        assert (await put(honest, shades()))["received"]
        (before,) = [await honest.ask(about(model_id, shades(), predict=64))]
        rss, slowest, answers = provider.rss(), 0.0, 0
        flood = [asyncio.create_task(_flood(guest, 90 * MIB)) for guest in (one, two)]
        while not all(task.done() for task in flood):
            started = time.monotonic()
            (beat,) = await honest.ask({"type": "heartbeat"})
            slowest = max(slowest, time.monotonic() - started)
            assert beat["type"] == "heartbeat"
            lines = await honest.ask(about(model_id, shades(), predict=64))
            assert lines[-1]["events"][-1]["raw"] == before[-1]["events"][-1]["raw"]
            answers += 1
            assert provider.rss() - rss < 300 * MIB
        for task in flood:
            task.result()
        assert answers > 3
        assert slowest < 1.5, "a consumer gives its connection up after that"


async def _flood(guest: RawGuest, total: int) -> None:
    for _ in range(total // (6 * MIB)):
        data = os.urandom(6 * MIB)
        assert (await put(guest, data, size=len(data) + MIB))["received"] == len(data)
