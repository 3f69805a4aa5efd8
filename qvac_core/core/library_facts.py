"""What the sources of models said of them, remembered: a licence, a header, what a search found while there was one.

One JSON file in the data folder; without it nothing is lost but the next look has to ask again.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

import msgspec

from qvac_core.engines.gguf import GgufInfo
from qvac_core.errors import StoreError
from qvac_core.store.disk import write_atomically

logger = logging.getLogger(__name__)

_EXPERTS = re.compile(r"-A\d|\dx\d", re.IGNORECASE)
MOST = 1000  # models remembered; the oldest goes
MOST_SEARCHES = 50


class Header(msgspec.Struct, frozen=True):
    """What of a GGUF header memory is reckoned from: its scalars and short lists of numbers."""

    architecture: str
    metadata: dict[str, int | float | bool | tuple[int, ...]]

    def gguf(self) -> GgufInfo:
        context = self.metadata.get(f"{self.architecture}.context_length", 0)
        return GgufInfo(
            architecture=self.architecture,
            name="",
            quantization="",
            size_label="",
            licence="",
            context_length=context if isinstance(context, int) else 0,
            chat_template="",
            metadata=dict(self.metadata),
        )


def header_of(gguf: GgufInfo) -> Header:
    """Without texts: names, licences and templates of strangers are no part of it."""
    kept = {key: value for key, value in gguf.metadata.items() if not isinstance(value, str)}
    return Header(gguf.architecture, kept)


class RememberedFacts(msgspec.Struct, frozen=True):
    """Of one version. at: Unix seconds of when it was asked."""

    at: float
    licence: str = ""
    native_context: int = 0
    thinks: bool = False
    tools: bool = False
    header: Header | None = None


class FoundVersion(msgspec.Struct, frozen=True):
    id: str
    file: str
    quantization: str
    size_bytes: int
    sha256: str = ""


class FoundEntry(msgspec.Struct, frozen=True):
    """A model that the hub has. projector: its vision part."""

    id: str
    title: str
    publisher: str
    kind: str
    parameters: str
    licence: str
    native_context: int
    thinks: bool
    tools: bool
    page: str
    versions: tuple[FoundVersion, ...]
    projector: FoundVersion | None = None


class RememberedSearch(msgspec.Struct, frozen=True):
    at: float
    entries: tuple[FoundEntry, ...]


class _File(msgspec.Struct):
    """rates: bytes per second that a source made last, by its key. pace: bytes of weights read a second."""

    facts: dict[str, RememberedFacts] = {}
    searches: dict[str, RememberedSearch] = {}
    rates: dict[str, float] = {}
    pace: float = 0.0


class RememberedModels:
    """Blocking where it reads and writes: `save` in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = msgspec.json.decode(path.read_bytes(), type=_File)
        except FileNotFoundError:
            self._file = _File()
        except (OSError, msgspec.MsgspecError):
            logger.warning("what was remembered of models cannot be read; it is asked again")
            self._file = _File()

    def facts(self, version: str) -> RememberedFacts | None:
        return self._file.facts.get(version)

    @property
    def rates(self) -> dict[str, float]:
        return self._file.rates

    def learn_speed(self, size_bytes: int, tokens_per_second: float, parameters: str) -> bool:
        """From an answer that was made here; whether that changed anything. Each token reads all weights once, so their
        bytes times the tokens are this machine's pace; of experts only some are read, and such models teach nothing.
        """
        if tokens_per_second <= 0 or has_experts(parameters):
            return False
        pace = size_bytes * tokens_per_second
        self._file.pace = pace if not self._file.pace else 0.7 * self._file.pace + 0.3 * pace
        return True

    def speed_of(self, size_bytes: int, parameters: str) -> float | None:
        """Tokens per second that a model of this size would make here; None = nothing to go by."""
        if not self._file.pace or not size_bytes or has_experts(parameters):
            return None
        return self._file.pace / size_bytes

    def search(self, text: str) -> RememberedSearch | None:
        return self._file.searches.get(_words(text))

    def entries(self) -> list[FoundEntry]:
        """Of all searches, the newest first, each once."""
        found: dict[str, FoundEntry] = {}
        for search in sorted(self._file.searches.values(), key=lambda search: -search.at):
            for entry in search.entries:
                found.setdefault(entry.id, entry)
        return list(found.values())

    def put_facts(self, version: str, facts: RememberedFacts) -> None:
        self._file.facts[version] = facts
        for old in sorted(self._file.facts, key=lambda id: self._file.facts[id].at)[: -MOST or None]:
            del self._file.facts[old]

    def put_search(self, text: str, entries: tuple[FoundEntry, ...]) -> None:
        self._file.searches[_words(text)] = RememberedSearch(time.time(), entries)
        for old in sorted(self._file.searches, key=lambda id: self._file.searches[id].at)[: -MOST_SEARCHES or None]:
            del self._file.searches[old]

    def save(self) -> None:
        """Where the disk is full or refuses, the next look asks again."""
        try:
            write_atomically(self._path, msgspec.json.encode(self._file), action="remember what models are")
        except StoreError as error:
            logger.warning("%s", error)


def has_experts(parameters: str) -> bool:
    """ "30B-A3B", "2x7B": of these only a part takes part in each token."""
    return _EXPERTS.search(parameters) is not None


def _words(text: str) -> str:
    return " ".join(sorted(text.lower().split()))
