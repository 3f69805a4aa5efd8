"""What the log is asked and what it answers: queries, totals, contents. Times are Unix seconds."""

from __future__ import annotations

from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class LogQuery:
    """ "" = any. text: as in `RequestLog.entries`. ending: a key of ENDINGS. method: as in `LogEntry`.

    since, before: `started_at` in Unix seconds.
    """

    text: str = ""
    public_key: str = ""
    model: str = ""
    ending: str = ""
    method: str = ""
    since: float | None = None
    before: float | None = None


@dataclass(frozen=True, slots=True)
class LogTotals:
    """ms: of computing, all requests together."""

    requests: int = 0
    people: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    ms: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.generated_tokens


@dataclass(frozen=True, slots=True)
class PersonTotals:
    public_key: str
    totals: LogTotals
    last_at: float


@dataclass(frozen=True, slots=True)
class DayTotals:
    """day: YYYY-MM-DD by the owner's calendar."""

    day: str
    totals: LogTotals


@dataclass(frozen=True, slots=True)
class ModelTotals:
    """amount: in `unit`, as in `LogEntry`."""

    model: str
    totals: LogTotals
    amount: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was asked and answered, where the owner keeps it and the guest was told."""

    question: str
    answer: str
