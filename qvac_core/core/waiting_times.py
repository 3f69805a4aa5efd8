"""How long somebody in the line will wait: as long as others lately took, by model. An estimate, and said to be one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

REMEMBERED = 12  # answers of a model
MOST_WAIT = 86_400.0  # seconds that are believed of what a provider says


class WaitingTimes:
    def __init__(self) -> None:
        self._took: dict[str, deque[float]] = {}

    def ended(self, model: str, seconds: float) -> None:
        """An answer took so long from its turn on."""
        self._took.setdefault(model, deque(maxlen=REMEMBERED)).append(max(0.0, seconds))

    def turn_at(self, model: str, place: int, running_since: Iterable[float], slots: int, now: float) -> float | None:
        """Unix seconds at which the turn of `place` (1 = next) may come; None where no answer of it has ended yet.

        running_since: Unix seconds at which the answers that run now had their turn.
        """
        took = self._took.get(model)
        if not took:
            return None
        usual = sum(took) / len(took)
        # One of them ends after another, each when it is as old as is usual, and gives its slot to the next in line.
        ends = sorted(max(now, since + usual) for since in running_since)[: max(1, slots)] or [now]
        rounds, last = divmod(place - 1, len(ends))
        return ends[last] + rounds * usual


def believed(wait_ms: float) -> float:
    """What a provider says of a wait, in seconds: a stranger may say anything."""
    return min(max(0.0, wait_ms / 1000), MOST_WAIT)


def rounded(seconds: float) -> int:
    """An estimate, and not more exact than one: whole seconds, at least 1."""
    step = 1 if seconds < 10 else 5 if seconds < 60 else 30
    return max(1, round(seconds / step) * step)
