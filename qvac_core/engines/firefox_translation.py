"""Firefox's translation engine in Python (the package fxtranslate), and what it does silently wrong put right.

Chosen against CTranslate2 4.8.5 (November 2026). What the SDK calls `nmt` is the Bergamot engine, and 92 of the 102
models of its registry are, to the byte, Mozilla's: by this engine a model means here what it means there. fxtranslate
reads these files as they are; CTranslate2 does not (its Marian converter wants .npz and knows no SSRU decoder). Its
wheel has 1.5 MB against 43 (and 2 for sentencepiece), one for all Pythons, for Linux on x86-64 and arm64, Windows on
x86-64 and Macs with Apple silicon; a pair of languages has 20 to 37 MB. CTranslate2's models of OPUS-MT and Argos have
60 to 300 MB, and come from sites that state no checksum.

Measured on one core with random weights in the shape of Mozilla's models: 3.4 ms for a token of the larger ones
(base-memory, 31 MB), 1.4 of the small ones (tiny, 17 MB); loading 0.2 s, 135 MB in memory. A chat model of 135M: 16 ms.

Seen of fxtranslate 0.5.0, each without an error: `translate` drops what is beyond 128 tokens; `translate_long` cuts a
long sentence inside a word and leaves out the space at the seam; characters that the vocabulary lacks come out as
"<0xF0><0x9F>…"; an answer that reaches twice the length of its sentence is cut there; its objects belong to the thread
that made them, and hold Python's lock while they work. A damaged file is a panic: a BaseException, or the end of the
process. So it runs in a process of its own, behind `marian_file`, sentence by sentence.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from qvac_core.engines.marian_file import MarianFile
from qvac_core.engines.sentencepiece_file import Vocabulary, read_pieces
from qvac_core.errors import ModelError

PACKAGE = "fxtranslate"
_BYTE = re.compile(r"(?:<0x[0-9A-F]{2}>)+")
# fxtranslate 0.5.0, `greedy`: an answer has at most so many tokens.
_TIMES_LONGER, _MORE, _LONGEST_ANSWER = 2, 4, 256


def translation_missing() -> str:
    """Why this machine has no translation engine, as a sentence; "" = it has one."""
    if importlib.util.find_spec(PACKAGE) is None:
        return (
            "The translation engine is not available here: fxtranslate has no build for Intel Macs and for Windows on "
            "Arm. Translate with a chat model, or on a provider. Elsewhere: pip install fxtranslate==0.5.0"
        )
    return ""


class _Native(Protocol):
    def translate(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Translated:
    """cut: it reached the length at which the engine stops. characters: of the text that it is the translation of."""

    text: str
    cut: bool = False
    characters: int = 0


class FirefoxTranslator:
    """One direction, from the languages of its file. Used by the thread that made it. Raises ModelError."""

    def __init__(self, file: MarianFile) -> None:
        from fxtranslate import Translator

        source, target = file.vocabularies
        own = source.read_bytes()
        shortlist = file.shortlist.read_bytes() if file.shortlist is not None else None
        try:
            made = Translator(file.path.read_bytes(), own, own if source == target else target.read_bytes(), shortlist)
        except BaseException as error:  # noqa: BLE001 - pyo3's panic is no Exception
            raise _damaged(error) from None
        self._native = cast(_Native, made)
        self.vocabulary = Vocabulary(read_pieces(source))
        self._answers = self.vocabulary if source == target else Vocabulary(read_pieces(target))

    def translate(self, sentence: str) -> Translated:
        """Of at most `sentences.MOST_TOKENS`."""
        plain = sentence.replace("\0", " ")  # it ends strings in places
        try:
            text = self._native.translate(plain)
        except BaseException as error:  # noqa: BLE001 - the same
            raise _damaged(error) from None
        if _BYTE.search(plain) is None:
            text = _BYTE.sub(_characters, text)
        most = min(_TIMES_LONGER * (self.vocabulary.count(plain) + 1) + _MORE, _LONGEST_ANSWER)
        return Translated(text, self._answers.count(text) >= most)


def sentences(line: str) -> Iterable[str]:
    """By Unicode's rules, with ICU4X."""
    from fxtranslate import discovery  # an attribute that is no module to import from

    return cast(Iterable[str], discovery.segment_sentences(line))


def _characters(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("<0x", "").replace(">", "")).decode("utf-8", "ignore")


def _damaged(error: BaseException) -> ModelError:
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error
    return ModelError(
        "This translation model cannot be used: its files do not fit together, or are damaged. Download it again."
    )
