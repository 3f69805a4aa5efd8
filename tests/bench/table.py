"""Medians of alternating runs, as a table of ratios. The absolute figures beside them mean little elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `ours` and `theirs` in `unit`; aim: a bound on ours/theirs ("<= 2.0"), or on the difference."""

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    aim: str

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.theirs)


def print_table(rows: list[Row], *, ours: str, theirs: str) -> None:
    print(f"| what | {ours} | {theirs} | unit | ratio | aim | runs |")
    print("|---|--:|--:|---|--:|---|--:|")
    for row in rows:
        print(
            f"| {row.name} | {median(row.ours):.2f} | {median(row.theirs):.2f} | {row.unit} | {row.ratio:.2f} "
            f"| {row.aim} | {len(row.ours)} |",
            flush=True,
        )
