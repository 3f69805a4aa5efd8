"""A piece of sound for the model, and what it heard in it. Without the library: the app's process knows these, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from qvac_core.engines.speech import Segment

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Sound: TypeAlias = "npt.NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with a piece of sound. language: "" = find it.

    enough_ms: heard so far, more sound follows: then the rest is left for the next piece (0 = hear all of it).
    """

    language: str = ""
    prompt: str = ""
    translate: bool = False
    words: bool = False
    enough_ms: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """segments: within the piece, in its own times. aborted: it was stopped half-way, and nothing of it counts.

    left: the end of the piece was left for the next one.
    """

    segments: tuple[Segment, ...]
    language: str
    aborted: bool = False
    left: bool = False
