"""Whether the network answers: online, degraded or offline, judged over the last ticks.

docs/wire/hyperdht.md section 1.9; dht-rpc 6.27.0 `lib/health.js`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_WINDOW = 4
_IDLE = 4
"""Answers and timeouts in one tick; fewer say nothing."""

_OFFLINE_TICKS = 2
_DEGRADED_RATE = 0.5


@dataclass(slots=True)
class _Tick:
    responses: int
    timeouts: int
    degraded: bool | None = None


class Health:
    """Fed once per tick with running totals."""

    __slots__ = ("_offline_ticks", "_window", "degraded", "online")

    def __init__(self) -> None:
        self._window: deque[_Tick] = deque(maxlen=_WINDOW)
        self.reset()

    def reset(self) -> None:
        """Forgets everything: after a sleep the old totals say nothing."""
        self.online = True
        self.degraded = False
        self._window.clear()
        self._offline_ticks = 0

    def update(self, responses: int, timeouts: int) -> None:
        """Totals since the start; `online` and `degraded` say afterwards how things are."""
        previous = self._window[-1] if self._window else None
        tick = _Tick(responses, timeouts)
        self._window.append(tick)
        if previous is None or len(self._window) < _WINDOW:
            return
        answered = responses - previous.responses
        failed = timeouts - previous.timeouts
        if answered + failed < _IDLE:
            return
        if answered == 0:
            self._offline_ticks += 1
        else:
            self._offline_ticks = 0
            tick.degraded = failed / (answered + failed) > _DEGRADED_RATE
        self._judge(answered > 0)

    def _judge(self, answered: bool) -> None:
        if answered:
            self.online = True
        elif self._offline_ticks >= _OFFLINE_TICKS:
            self.online = False
        verdicts = [tick.degraded for tick in self._window]
        if not self.online or verdicts == [False] * _WINDOW:
            self.degraded = False
        elif verdicts == [True] * _WINDOW:
            self.degraded = True
