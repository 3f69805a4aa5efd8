"""The files of one model: most have one, large ones come in parts, "NAME-00001-of-00003.gguf".

llama.cpp's gguf-split writes `split.no`, `split.count` and `split.tensors.count` into each part, and everything else
into the first. The header decides what is a part, never the name alone; llama.cpp finds the parts by their names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from qvac_core.engines.gguf import GgufInfo, read_gguf
from qvac_core.errors import ModelError

_PART_NAME = re.compile(r"(?P<prefix>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_NAMED = 3  # missing parts that a sentence lists


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """`paths`: all files in order. `gguf`: the header of the first, with the tensors of all."""

    paths: tuple[Path, ...]
    gguf: GgufInfo
    size_bytes: int

    @property
    def name(self) -> str:
        """The file name without its ending, and without the number of a part."""
        return part_prefix(self.paths[0].name) if len(self.paths) > 1 else self.paths[0].stem


def part_names(file_name: str) -> tuple[str, ...]:
    """The names of all parts of the model that this would be a part of, going by the name; () for any other name."""
    match = _PART_NAME.fullmatch(file_name)
    if match is None or not 1 <= int(match["number"]) <= int(match["count"]):
        return ()
    return tuple(_part_name(match["prefix"], number, int(match["count"])) for number in range(int(match["count"])))


def part_prefix(file_name: str) -> str:
    """What the names of a model's parts have in common; the name without its ending for any other."""
    match = _PART_NAME.fullmatch(file_name)
    return match["prefix"] if match is not None else file_name.removesuffix(".gguf")


def read_model(path: Path) -> ModelFiles:
    """The model that the file at `path` is, or is a part of. Blocking, as `read_gguf`.

    Raises ModelError as `read_gguf` does, and naming the part that is missing, damaged or of another model.
    """
    gguf = read_gguf(path)
    count = _number(gguf, "split.count")
    if count <= 1:
        return ModelFiles((path,), gguf, path.stat().st_size)
    paths = _part_paths(path, _number(gguf, "split.no"), count)
    missing = [number for number, part in enumerate(paths) if not part.is_file()]
    if missing:
        raise _missing(missing, paths)
    headers = [_read_part(part, number, count) for number, part in enumerate(paths)]
    first, tensors = headers[0], sum(header.tensors for header in headers)
    if _number(first, "split.tensors.count") not in (0, tensors):
        raise ModelError("The parts of this model do not belong together. Download all of them again.")
    whole = replace(first, tensors=tensors, groups=frozenset().union(*(header.groups for header in headers)))
    return ModelFiles(paths, whole, sum(part.stat().st_size for part in paths))


def _part_paths(path: Path, number: int, count: int) -> tuple[Path, ...]:
    match = _PART_NAME.fullmatch(path.name)
    if match is None or (int(match["number"]), int(match["count"])) != (number + 1, count):
        raise ModelError(
            f"This file is part {number + 1} of {count} of a model, but its name does not say so. Give all parts their "
            f"names back: this one's ends in {_part_name('', number, count)}."
        )
    return tuple(path.with_name(_part_name(match["prefix"], place, count)) for place in range(count))


def _read_part(path: Path, number: int, count: int) -> GgufInfo:
    try:
        gguf = read_gguf(path)
    except ModelError as error:
        sentence = f"Part {number + 1} of {count} of this model cannot be used. {error.message}"
        raise ModelError(sentence, name=error.name, code=error.code) from None
    if (_number(gguf, "split.no"), _number(gguf, "split.count")) != (number, count):
        raise ModelError(f"Part {number + 1} of {count} of this model is another file. Download that part again.")
    return gguf


def _missing(missing: Sequence[int], paths: Sequence[Path]) -> ModelError:
    named = [str(number + 1) for number in missing[:_NAMED]]
    if len(missing) > _NAMED:
        named.append(f"{len(missing) - _NAMED} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    first, count = paths[missing[0]].name, len(paths)
    return ModelError(
        f"Part {listed} of {count} is missing. Put {first} into the folder of the other parts."
        if len(missing) == 1
        else f"Parts {listed} of {count} are missing. Put {first} and the others into the folder of the other parts.",
        name="MODEL_FILE_NOT_FOUND",
        code=52201,
    )


def _part_name(prefix: str, number: int, count: int) -> str:
    return f"{prefix}-{number + 1:05d}-of-{count:05d}.gguf"


def _number(gguf: GgufInfo, key: str) -> int:
    value = gguf.metadata.get(key, 0)
    return value if isinstance(value, int) else 0
