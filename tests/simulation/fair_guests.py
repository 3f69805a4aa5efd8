"""Guests that ask a queue of turns without end, in virtual time: what each got, beside an even share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from qvac_core.delegation.failures import Rejection
from qvac_core.delegation.turns import Turns


@dataclass(slots=True)
class FairGuest:
    """at_once: requests it always has at the provider; length: seconds of its answers, on average; pause: between."""

    key: bytes
    at_once: int = 1
    length: float = 5.0
    pause: float = 0.0
    had: float = 0.0
    answers: int = 0
    refused: int = 0
    retries_after: list[float] = field(default_factory=list)

    async def ask(self, turns: Turns, chance: Random, parallel: int, end: float, *, first: bool = False) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            try:
                async with turns.turn(self.key, parallel, first=first):
                    began = loop.time()
                    await asyncio.sleep(chance.uniform(0.5, 1.5) * self.length)
                    self.had += max(0.0, min(loop.time(), end) - began)
                self.answers += 1
            except Rejection as error:
                self.refused += 1
                self.retries_after.append(error.typed_fields["retryAfterMs"] / 1000)
                await asyncio.sleep(self.retries_after[-1])
            if self.pause:
                await asyncio.sleep(chance.uniform(0.5, 1.5) * self.pause)


async def busy_hours(turns: Turns, guests: Sequence[FairGuest], *, parallel: int, seconds: float, seed: int) -> None:
    """All guests ask for so long; `parallel`: turns of one key at once."""
    chance = Random(seed)
    end = asyncio.get_running_loop().time() + seconds
    async with asyncio.TaskGroup() as group:
        for guest in guests:
            for _ in range(guest.at_once):
                group.create_task(guest.ask(turns, chance, parallel, end))


def even_shares(guests: Sequence[FairGuest], slots: int, parallel: int) -> list[float]:
    """Slots of each, on average, if all share evenly and who cannot use its part leaves it to the others."""
    most = [min(parallel, guest.at_once) * guest.length / (guest.length + guest.pause) for guest in guests]
    shares = [0.0] * len(guests)
    left, open_ones = float(slots), sorted(range(len(guests)), key=most.__getitem__)
    while open_ones:
        index = open_ones.pop(0)
        shares[index] = min(most[index], left / (len(open_ones) + 1))
        left -= shares[index]
    return shares
