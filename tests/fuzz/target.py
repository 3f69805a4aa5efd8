"""What a fuzz target is: a function of bytes that asserts properties, and the modules whose branches count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """`run` raises for a finding, whatever the exception; errors that an input may cause are caught inside it.

    `modules`: dotted names; coverage is counted in them. `seeds` makes the known answers into inputs. `max_length` in
    bytes. `weight`: mutations of each CI run in relation to other targets; slow ones have less.
    """

    name: str
    run: Callable[[bytes], None]
    modules: tuple[str, ...]
    seeds: Callable[[], Iterable[bytes]]
    max_length: int = 4096
    weight: float = 1.0
