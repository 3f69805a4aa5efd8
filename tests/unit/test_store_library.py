"""What the store keeps of the model library: downloads that are not done, and when models were used.

qvac_core/store/downloads.py and model_uses.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qvac_core.store import Database
from qvac_core.store.downloads import Downloads, KeptDownload
from qvac_core.store.model_uses import ModelUses
from qvac_core.store.records import ErrorInfo

FIRST = KeptDownload("QWEN3_8B_INST_Q4_K_M", "Qwen3 8B", "running", 1.0, 5_000_000_000, share=True)
FAILED = KeptDownload(
    "registry://hf/a/b/resolve/main/c.gguf",
    "c",
    "failed",
    2.0,
    source="ab" * 32,
    source_name="Workshop PC",
    error=ErrorInfo("DISK_FULL", 0, "The disk is full.", "Free some space."),
)


def opened(folder: Path) -> Database:
    return Database.open(folder / "qvac.db", now=0.0)


def test_downloads_are_kept_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    database = opened(tmp_path)
    Downloads(database).put(FAILED)
    Downloads(database).put(FIRST)
    database.close()
    database = opened(tmp_path)
    downloads = Downloads(database)
    assert downloads.records() == (FIRST, FAILED)
    downloads.put(replace(FIRST, state="paused"))
    assert downloads.records() == (replace(FIRST, state="paused"), FAILED)
    downloads.remove(FIRST.model)
    downloads.remove("nothing of that name")
    assert downloads.records() == (FAILED,)
    database.close()


def test_the_last_use_counts(tmp_path: Path) -> None:
    database = opened(tmp_path)
    uses = ModelUses(database)
    uses.put("ab", 1.0)
    uses.put("cd", 2.0)
    uses.put("ab", 3.0)
    assert uses.last_used() == {"ab": 3.0, "cd": 2.0}
    database.close()
