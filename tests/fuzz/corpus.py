"""The corpus in the tree, mutations of it without a fuzzer, and the arcs that an input takes through the code.

`corpus/<target>/` holds what a coverage-guided run found and the known answers do not reach, one input a file, each
the smallest that takes some arc. `seeds` of a target (the known answers) are not repeated there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from tests.fuzz.target import Target

FOLDER = Path(__file__).resolve().parent / "corpus"

Arc = tuple[str, int, int, int]
"""File, line, the line after it, and how often they follow each other: the binary length of that number."""

_INTERESTING = (0, 1, 4, 8, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF)


def stored(target: Target) -> list[bytes]:
    folder = FOLDER / target.name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def inputs(target: Target) -> list[bytes]:
    """Known answers, then what the fuzzer found."""
    return [*target.seeds(), *stored(target)]


def mutations(inputs: list[bytes], count: int, seed: str, max_length: int) -> Iterator[bytes]:
    """The same ones for the same seed."""
    chance = Random(seed)
    pool = [*inputs, b""]
    for _ in range(count):
        data = bytearray(chance.choice(pool))
        for _ in range(chance.choice((1, 1, 2, 4, 8))):
            _mutate(data, pool, chance)
        yield bytes(data[:max_length])


def _mutate(data: bytearray, pool: list[bytes], chance: Random) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice(_INTERESTING)
        case 2:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 8)))
        case 3:
            del data[at : at + chance.choice((1, 2, 4, 32))]
        case 4:
            other = chance.choice(pool)
            start = chance.randrange(len(other) + 1)
            data[at:at] = other[start : start + chance.choice((4, 16, 64))]
        case 5:
            data[at:at] = data[at : at + chance.choice((1, 4, 16, 64))]
        case _:
            number = chance.choice((0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF))
            size = chance.choice((1, 2, 4, 8))
            data[at : at + size] = (number & (1 << 8 * size) - 1).to_bytes(size, chance.choice(("little", "big")))


def files_of(target: Target) -> set[str]:
    """The source files whose arcs count: those of `modules`; of a package, all in it."""
    found: set[str] = set()
    for name in target.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise LookupError(f"no module {name}")
        if spec.submodule_search_locations:
            found.update(str(path) for folder in spec.submodule_search_locations for path in Path(folder).glob("*.py"))
        else:
            found.add(spec.origin)
    return found


def arcs_of(run: Callable[[bytes], None], data: bytes, files: set[str]) -> set[Arc]:
    """Pairs of lines that follow each other, in the functions of `files`."""
    taken: Counter[tuple[str, int, int]] = Counter()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in files:
            return None
        last = -frame.f_code.co_firstlineno

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                taken[name, last, frame.f_lineno] += 1
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(before)
    return {(*arc, count.bit_length()) for arc, count in taken.items()}


def lines_of(files: Iterable[str]) -> set[tuple[str, int]]:
    """All lines inside of functions, which an input could reach."""
    found: set[tuple[str, int]] = set()
    for file in files:
        code = compile(Path(file).read_text(encoding="utf-8"), file, "exec")
        waiting = [const for const in code.co_consts if hasattr(const, "co_code")]
        while waiting:
            inner = waiting.pop()
            waiting += [const for const in inner.co_consts if hasattr(const, "co_code")]
            first = inner.co_firstlineno
            if not inner.co_flags & 0x2:  # a class body runs at import
                continue
            found.update((file, line) for _, _, line in inner.co_lines() if line is not None and line != first)
    return found


def minimise(target: Target, candidates: Iterable[bytes]) -> list[bytes]:
    """The smallest of `candidates` that together take every arc which the known answers do not."""
    files = files_of(target)
    known: set[Arc] = set()
    for data in target.seeds():
        known |= arcs_of(target.run, data, files)
    chosen: list[bytes] = []
    for data in sorted(set(candidates), key=lambda data: (len(data), data)):
        arcs = arcs_of(target.run, data, files)
        if not arcs <= known:
            known |= arcs
            chosen.append(data)
    return chosen


def keep(target: Target, chosen: Iterable[bytes]) -> None:
    """Replace the stored corpus of a target."""
    folder = FOLDER / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for data in chosen:
        (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def reached(target: Target) -> tuple[int, int]:
    """Lines of functions that the corpus runs, and how many there are."""
    files = files_of(target)
    wanted = lines_of(files)
    arcs = {arc for data in inputs(target) for arc in arcs_of(target.run, data, files)}
    return len({(file, line) for file, _, line, _ in arcs} & wanted), len(wanted)
