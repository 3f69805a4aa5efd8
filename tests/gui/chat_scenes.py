"""A core as in the design's pictures of the Chat tab: conversations, providers, models, an answer with a seam."""

from __future__ import annotations

from datetime import datetime

from qvac_core.core.state import (
    AnswerStats,
    Conversation,
    ErrorInfo,
    Message,
    ProviderEntry,
    RemoteModel,
    SharedModel,
    Target,
)
from tests.gui.fake_core import FakeCore

NOW = datetime(2026, 11, 24, 14, 14).timestamp()
DAY = 86400.0
GB = 1_000_000_000
STUDIO = "a510366613cc145101ca088373474288" * 2
WORKSHOP = "37146d4e7b7b4b0a1f3a5a6b7c8d9e0f" * 2
LIBRARY = "1a600efd6bdecce0aa0e23f84c239c46" * 2

CODE = """```python
import csv, pathlib
latest = {}
for path in sorted(pathlib.Path("scans").glob("*.csv")):
    with path.open(newline="") as f:
        for row in csv.DictReader(f):
            latest[row["barcode"]] = row   # a later day wins
```"""
ANSWER = f"The file names are dates, so sorted order is day order and the last row per barcode stays:\n\n{CODE}"
BEFORE = "Yes. Two million rows need roughly 1.2 GB of memory. If that is too much,"
AFTER = (
    " let SQLite do it on disk: `INSERT OR REPLACE INTO item VALUES (?, ?, ?)` with the barcode as primary key "
    "keeps the latest row and never holds more than one page"
)
SEAM = "Studio desktop went offline. This machine continues with Qwen3 4B."
EVERYTHING = """# Backup plan

Three copies, **two media**, one elsewhere. ~~Tapes~~ are out; see [the guide](https://example.org/backup "Guide").

1. Nightly snapshot
   - of `tank/archive`
   - kept for *30 days*
2. Weekly copy to the second building

| What | Where | Kept |
|---|---|---:|
| Catalogue | NAS | 30 days |
| Scans | second building | 1 year |

> A backup nobody has restored is a hope.

## Restore

```sh
zfs rollback tank/archive@monday   # the last good one
```

---

<script>alert("raw HTML is text")</script>
"""
STATS = AnswerStats("Studio desktop", "delegated", "direct", "Qwen3 8B", 0.31, 64.0, 212, 248)
LOCAL_STATS = AnswerStats("This machine", "local", "local", "Qwen3 4B", 0.9, 11.2, 96, 120)
TOO_LONG = ErrorInfo(
    "INFERENCE_FAILED",
    52400,
    "The conversation is longer than the model can take in.",
    "Start a new conversation, or shorten your message.",
)
USED_UP = ErrorInfo(
    "REQUEST_REJECTED_BY_POLICY",
    52420,
    "Your tokens for today are used up at this provider.",
    "It is possible again in 9 h 2 min.",
)
MODEL_OFF = ErrorInfo(
    "MODEL_NOT_FOUND",
    52200,
    "The owner no longer shares this model.",
    "Choose one of the models that the machine shares.",
)
REFUSED = ErrorInfo(
    "NOT_ADMITTED",
    52002,
    "The owner has not allowed your key yet.",
    "The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed.",
)
OFFLINE = ErrorInfo(
    "ECONNRESET", 0, "Studio desktop went offline.", "The answer so far is kept. It goes on when the machine is back."
)
NOT_FOUND = ErrorInfo(
    "PEER_NOT_FOUND", 0, "No machine answers for this key.", "It may be off, or the key has a typing mistake."
)


def providers() -> tuple[ProviderEntry, ...]:
    return (
        ProviderEntry(
            STUDIO,
            "Studio desktop",
            "online",
            38.0,
            (
                RemoteModel("Qwen3 8B", "qwen3-8b", 5 * GB, 8192, True),
                RemoteModel("GPT-OSS 20B", "gpt-oss-20b", 12 * GB, 8192, False),
            ),
        ),
        ProviderEntry(
            WORKSHOP, "Workshop PC", "online", 112.0, (RemoteModel("Qwen3 4B", "qwen3-4b", 2 * GB, 8192, True),)
        ),
        ProviderEntry(LIBRARY, "Library server", "offline", error=NOT_FOUND),
    )


def models() -> tuple[SharedModel, ...]:
    return (
        SharedModel("qwen3-4b", "Qwen3 4B", "Q4_K_M", int(2.5 * GB), 3 * GB, 8192, 2, False, "loaded"),
        SharedModel("llama-1b", "Llama 3.2 1B", "Q4_0", int(0.8 * GB), GB, 8192, 2, False, "idle"),
    )


def conversations() -> tuple[Conversation, ...]:
    target = Target(STUDIO, "qwen3-8b")

    def one(name: str, title: str, at: float, *, pinned: bool = False) -> Conversation:
        return Conversation(name, title, at, at, pinned, target)

    november = datetime(2026, 11, 14, 10).timestamp()
    return (
        one("merge", "Barcode CSV merge", NOW, pinned=True),
        one("labels", "Exhibition labels, EN to DE", NOW - DAY, pinned=True),
        one("print", "Why is my print bed warping at the left corner", NOW - 3 * 3600),
        one("regex", "Regex for shelf marks", NOW - 4.4 * 3600),
        one("rules", "Rewrite the lending rules plainly for visitors", NOW - DAY),
        one("history", "Transcript: oral history 07", NOW - 2 * DAY),
        one("iron", "Soldering iron temperatures", NOW - 2.2 * DAY),
        one("backup", "Backup plan for the archive", november),
        one("zfs", "Explain ZFS snapshots", november - 3 * DAY),
        one("letter", "Letter to the landlord", november - 11 * DAY),
    )


def chat(*, failed: bool = False) -> FakeCore:
    """The conversation of the design's picture; its second answer streams, or has failed."""
    core = FakeCore(clock=lambda: NOW)
    core.provider_list, core.models, core.conversation_list = providers(), models(), conversations()
    question = "Our scanner writes one CSV a day into `scans/`. Merge them, one row per barcode, and keep the latest."
    merge = [
        Message("m1", "user", question, NOW - 90),
        Message("m2", "assistant", ANSWER, NOW - 80, stats=STATS),
        Message("m3", "user", "Will that hold for two million rows?", NOW - 20),
    ]
    if failed:
        merge.append(Message("m4", "assistant", BEFORE, NOW - 10, "failed", error=OFFLINE))
    core.message_lists = {
        "merge": tuple(merge),
        "backup": (
            Message("b1", "user", "Write the backup plan as a page.", NOW - DAY),
            Message("b2", "assistant", EVERYTHING, NOW - DAY, stats=LOCAL_STATS),
        ),
        "zfs": (
            Message("z1", "user", "Explain ZFS snapshots", NOW - DAY),
            Message("z2", "assistant", "", NOW - DAY, "failed", error=REFUSED),
        ),
    }
    return core
