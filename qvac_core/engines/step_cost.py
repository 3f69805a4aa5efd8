"""What a step costs by the tokens in its batch, learned from the steps that were made.

On a processor a step of so many tokens took (small model, one thread, milliseconds): 1: 17, 2: 25, 4: 36, 8: 72,
16: 127, 32: 250, 64: 486. So a line, a fixed part and a part for each token, says it well; on a GPU it is nearly flat.
Steps of like size are remembered together: thousands of steps of one token do not make those of sixteen forgotten.
"""

from __future__ import annotations

LARGEST = 64  # tokens; longer chunks of prompts say little about small batches
_WEIGHT = 0.2  # of the newest measurement among those of like size


class StepCost:
    """`observe` each step, then ask for the `line`: None until steps of two sizes were seen."""

    def __init__(self) -> None:
        self._sizes: dict[int, tuple[float, float]] = {}  # by the number's length in bits: mean tokens, mean seconds
        self._line: tuple[float, float] | None = None
        self._stale = False

    def observe(self, tokens: int, seconds: float) -> None:
        if not 0 < tokens <= LARGEST:
            return
        size = tokens.bit_length()
        mean_tokens, mean_seconds = self._sizes.get(size, (float(tokens), seconds))
        self._sizes[size] = (
            mean_tokens + _WEIGHT * (tokens - mean_tokens),
            mean_seconds + _WEIGHT * (seconds - mean_seconds),
        )
        self._stale = True

    def line(self) -> tuple[float, float] | None:
        """(seconds of any step, seconds of each token in it)."""
        if self._stale:
            self._stale = False
            self._line = _fitted(list(self._sizes.values()))
        return self._line


def _fitted(points: list[tuple[float, float]]) -> tuple[float, float] | None:
    """Least squares, relative to the seconds: small steps count as much as large ones."""
    if len(points) < 2:
        return None
    weights = [1 / max(seconds, 1e-9) ** 2 for _, seconds in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    if spread <= 0:
        return None
    slope = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True)) / spread
    smallest = min(points)
    slope = min(max(slope, 0.0), smallest[1] / smallest[0])  # a step has no negative part
    return max(mean_y - slope * mean_x, 0.0), slope
