"""The known answers of tests/vectors as bytes, for seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "vectors"


@cache
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
    return loaded


@cache
def nat_trace() -> list[dict[str, Any]]:
    """Datagrams of a punched connection. Long ones are cut."""
    packets: list[dict[str, Any]] = json.loads((FOLDER / "trace-nat.json").read_text(encoding="utf-8"))["packets"]
    return packets


@cache
def rpc_frames() -> list[dict[str, Any]]:
    lines = (FOLDER / "frames.hex.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def samples() -> list[dict[str, Any]]:
    lines = (FOLDER / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def traced(first_bytes: tuple[bytes, ...]) -> Iterator[bytes]:
    """Datagrams of the trace that begin so, whole ones only."""
    for packet in nat_trace():
        raw = bytes.fromhex(packet["hex"])
        if raw.startswith(first_bytes) and len(raw) == packet["len"]:
            yield raw
