"""The process that decodes a recording for the window: its sound to be played, or how loud it is where.

`python -m app.sound_reader KIND START PATH`, or `THE-APP --sound-reader …` where the app is frozen. As with pictures
(`app.code_reader`): a file that crashes the decoder ends this process alone. START: milliseconds. What is wrong
with the file is the last line of stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.audio.recording import PEAK_MS, PEAKS, UNREADABLE
from qvac_core.engines.audio_decoding import Decoding
from qvac_core.engines.speech import SAMPLE_RATE
from qvac_core.engines.worker_pipes import die_with_parent, take_pipes
from qvac_core.errors import ModelError

_PEAK = SAMPLE_RATE * PEAK_MS // 1000


def main(arguments: Sequence[str]) -> int:
    die_with_parent()
    _, out = take_pipes()
    kind, start, path = arguments
    if kind == PEAKS and hasattr(os, "nice"):
        os.nice(10)  # nobody waits for it
    blocks = Decoding(Path(path), start_seconds=int(start) / 1000).blocks()
    try:
        for data in peaks(blocks) if kind == PEAKS else map(_sound, blocks):
            out.write(data)
            out.flush()
    except ModelError as error:
        sys.stderr.write(f"{error.message}\n")
        return UNREADABLE
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            out.close()
    return 0


def peaks(blocks: Iterator[npt.NDArray[np.float32]]) -> Iterator[bytes]:
    rest = np.empty(0, np.float32)
    for block in blocks:
        samples = np.concatenate((rest, np.abs(block)))
        whole = samples.size // _PEAK * _PEAK
        rest = samples[whole:]
        yield _bytes(samples[:whole].reshape(-1, _PEAK).max(axis=1))
    if rest.size:
        yield _bytes(rest.max(keepdims=True))


def _bytes(values: npt.NDArray[np.float32]) -> bytes:
    return np.round(np.minimum(values, 1.0) * 255).astype(np.uint8).tobytes()


def _sound(block: npt.NDArray[np.float32]) -> bytes:
    return np.round(np.clip(block, -1.0, 1.0) * 32767).astype(np.int16).tobytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
