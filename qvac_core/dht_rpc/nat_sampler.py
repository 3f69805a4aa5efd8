"""Our own address, from what others say they see.

docs/wire/hyperdht.md section 1.8; nat-sampler 1.0.1, whose short memory (hits count only while a like sample is among
the last four) decides when a changed address shows.
"""

from __future__ import annotations

_MEMORY = 32
"""Entries kept; every sample makes two: (host, port) and host alone."""

_LOOKBACK = 4


class _Sample:
    __slots__ = ("hits", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.hits = 1


class NatSampler:
    """`host` None: unknown, others disagree. `port` 0 with a host: the port differs from peer to peer."""

    __slots__ = ("_best", "_best_host", "_samples", "_threshold", "_top", "host", "port", "size")

    def __init__(self) -> None:
        self.host: str | None = None
        self.port = 0
        self.size = 0
        self._samples: list[_Sample] = []
        self._top = 0
        self._threshold = 0
        self._best: _Sample | None = None
        self._best_host: _Sample | None = None

    def add(self, host: str, port: int) -> int:
        """Takes one sample; how often this (host, port) was seen lately."""
        both = self._bump(host, port, 2)
        alone = self._bump(host, 0, 1)
        if len(self._samples) < _MEMORY:
            self.size += 1
            self._threshold = self.size - (0 if self.size < 4 else 1 if self.size < 8 else 2 if self.size < 12 else 3)
            self._samples += (both, alone)
            self._top += 2
        else:
            self._replace_oldest(both, alone)
        if self._best is None or self._best.hits < both.hits:
            self._best = both
        if self._best_host is None or self._best_host.hits < alone.hits:
            self._best_host = alone
        self._decide(self._best, self._best_host)
        return both.hits

    def _decide(self, best: _Sample, best_host: _Sample) -> None:
        if best.hits >= self._threshold:
            self.host, self.port = best.host, best.port
        elif best_host.hits >= self._threshold:
            self.host, self.port = best_host.host, 0
        else:
            self.host, self.port = None, 0

    def _replace_oldest(self, both: _Sample, alone: _Sample) -> None:
        if self._top == _MEMORY:
            self._top = 0
        for sample in (both, alone):
            self._samples[self._top].hits -= 1
            self._samples[self._top] = sample
            self._top += 1

    def _bump(self, host: str, port: int, offset: int) -> _Sample:
        for back in range(_LOOKBACK):
            index = (self._top - offset - 2 * back) % _MEMORY
            if index >= len(self._samples):
                break
            sample = self._samples[index]
            if sample.port == port and sample.host == host:
                sample.hits += 1
                return sample
        return _Sample(host, port)
