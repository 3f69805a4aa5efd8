"""Model downloads that are not done: what somebody asked for goes on after a restart, whatever ended the last run.

How far one has come is not kept here: its part file in the models folder says it, also after a power cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from qvac_core.store.database import Database
from qvac_core.store.records import ErrorInfo

_COLUMNS = "model, title, state, asked_at, total, source, source_name, share, error"


@dataclass(frozen=True, slots=True)
class KeptDownload:
    """model: as it was asked for. state: a `DownloadState`'s word. total: bytes, 0 = not known.

    source: "" = its own address, else a neighbour's key; source_name: for people. error: why it failed.
    """

    model: str
    title: str
    state: str
    asked_at: float
    total: int = 0
    source: str = ""
    source_name: str = ""
    share: bool = False
    error: ErrorInfo | None = None


class Downloads:
    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> tuple[KeptDownload, ...]:
        """In the order in which they were asked for."""
        return tuple(
            KeptDownload(
                model=row["model"],
                title=row["title"],
                state=row["state"],
                asked_at=row["asked_at"],
                total=row["total"],
                source=row["source"],
                source_name=row["source_name"],
                share=bool(row["share"]),
                error=msgspec.json.decode(row["error"], type=ErrorInfo) if row["error"] else None,
            )
            for row in self._database.rows(f"SELECT {_COLUMNS} FROM downloads ORDER BY asked_at, model")
        )

    def put(self, download: KeptDownload) -> None:
        """Keep it, in place of what was kept of this model."""
        self._database.execute(
            f"INSERT OR REPLACE INTO downloads ({_COLUMNS}) VALUES ({', '.join('?' * 9)})",
            (
                download.model,
                download.title,
                download.state,
                download.asked_at,
                download.total,
                download.source,
                download.source_name,
                int(download.share),
                "" if download.error is None else msgspec.json.encode(download.error).decode(),
            ),
        )

    def remove(self, model: str) -> None:
        """Forget it; one that is not there is fine."""
        self._database.execute("DELETE FROM downloads WHERE model = ?", (model,))
