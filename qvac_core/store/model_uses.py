"""When each model of this machine was last used, by whomever: what has lain unused for longest is removed first."""

from __future__ import annotations

from qvac_core.store.database import Database


class ModelUses:
    def __init__(self, database: Database) -> None:
        self._database = database

    def last_used(self) -> dict[str, float]:
        """Unix seconds by the model's sha256."""
        return {row["sha256"]: row["at"] for row in self._database.rows("SELECT sha256, at FROM model_uses")}

    def put(self, sha256: str, at: float) -> None:
        self._database.execute(
            "INSERT INTO model_uses (sha256, at) VALUES (?, ?) ON CONFLICT (sha256) DO UPDATE SET at = excluded.at",
            (sha256, at),
        )
