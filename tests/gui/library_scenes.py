"""A fake core whose library is as full as in the design's picture, for tests and pictures."""

from __future__ import annotations

from dataclasses import replace

from qvac_core.core.library_state import DownloadChanged, DownloadState, Kind
from tests.gui.fake_core import FakeCore
from tests.gui.fake_library import CATALOG, GB, LM_STUDIO, OLLAMA, here
from tests.gui.populated import NOON, populate

MINUTE, DAY = 60.0, 86_400.0
QWEN_8B, GEMMA, WHISPER = "QWEN3_8B_Q4_K_M", "GEMMA_3_12B_Q4_K_M", "WHISPER_LARGE_V3_F16"

DOWNLOADS = (
    DownloadChanged(
        QWEN_8B, int(2.1 * GB), 5 * GB, 38_000_000.0, title="Qwen3 8B", left_seconds=76.0, source="Hugging Face"
    ),
    DownloadChanged(GEMMA, int(3.2 * GB), int(7.3 * GB), 0.0, DownloadState.PAUSED, title="Gemma 3 12B"),
    DownloadChanged(
        WHISPER, int(3.1 * GB), int(3.1 * GB), 0.0, DownloadState.CHECKING, title="Whisper large v3", left_seconds=9.0
    ),
)
MODELS = (
    here("GPT-OSS 20B", 12.1, quantization="MXFP4", shared=True, last_used=NOON - 5 * MINUTE),
    here("Qwen3 4B", 2.5, name="QWEN3_4B_Q4_K_M", stands_in=True, last_used=NOON - 3 * DAY),
    here("Gemma 3 27B", 16.5, last_used=NOON - 91 * DAY),
    here("Phi 4 mini", 2.5, last_used=NOON - 200 * DAY),
    here("EmbeddingGemma 300M", 0.3, quantization="Q8_0", kind=Kind.EMBED, last_used=NOON - 210 * DAY),
    here("Whisper base", 0.1, quantization="", kind=Kind.TRANSCRIBE),
    here("Mistral Nemo 12B", 7.5),
    here("Llama 3.2 1B", 1.1, ours=False, program="LM Studio"),
)


def library_core(core: FakeCore | None = None) -> FakeCore:
    core = populate(core or FakeCore())
    core.open_knocks = ()
    core.library.rows = DOWNLOADS
    core.library.here = MODELS
    core.library.programs = (LM_STUDIO, OLLAMA)
    # The picture's 127 models, of which a search for "qwen3" finds ten.
    others = (
        replace(entry, id=f"{entry.id}_{number}", title=f"Other {number}")
        for number in range(127 - len(CATALOG))
        for entry in CATALOG[-1:]
    )
    core.library.catalog = (*CATALOG, *others)
    return core
