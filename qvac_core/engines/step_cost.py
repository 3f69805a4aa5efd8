"""What a step costs by the tokens in its batch, learned from the steps that were made.

On a processor a step of so many tokens took (small model, one thread, milliseconds): 1: 17, 2: 25, 4: 36, 8: 72,
16: 127, 32: 250, 64: 486. So a line, a fixed part and a part for each token, says it well; on a GPU it is nearly flat.
Steps of like size are remembered together: thousands of steps of one token do not make those of sixteen forgotten.
"""

from __future__ import annotations

LARGEST = 64  # tokens; longer chunks of prompts say little about small batches
_WEIGHT = 0.2  # of the newest measurement among those of like size
_Mean = tuple[float, float]  # tokens, seconds


class StepCost:
    """`observe` each step, then ask for the `line`: None until steps of two sizes were seen.

    A token whose logits are asked for costs more than one of a prompt (a quarter, with the small model). So steps of
    prompts only stand in until those of answers have shown the line.
    """

    def __init__(self) -> None:
        self._answers: dict[int, _Mean] = {}  # by the number's length in bits
        self._all: dict[int, _Mean] = {}
        self._line: tuple[float, float] | None = None
        self._stale = False

    def observe(self, tokens: int, seconds: float, *, prompts: bool = False) -> None:
        """prompts: some of the tokens are of prompts."""
        if not 0 < tokens <= LARGEST:
            return
        for sizes in (self._all,) if prompts else (self._all, self._answers):
            size = tokens.bit_length()
            mean_tokens, mean_seconds = sizes.get(size, (float(tokens), seconds))
            sizes[size] = (
                mean_tokens + _WEIGHT * (tokens - mean_tokens),
                mean_seconds + _WEIGHT * (seconds - mean_seconds),
            )
        self._stale = True

    def line(self) -> tuple[float, float] | None:
        """(seconds of any step, seconds of each token in it)."""
        if self._stale:
            self._stale = False
            sizes = self._answers if len(self._answers) > 1 else self._all
            self._line = _fitted(list(sizes.values()))
        return self._line


def _fitted(points: list[_Mean]) -> tuple[float, float] | None:
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
