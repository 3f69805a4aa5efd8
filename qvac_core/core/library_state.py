"""What the model library tells a screen or the command line: models to be had, downloads, models here, their folder.

Immutable values. Sizes in bytes, times in seconds, rates in bytes per second, contexts in tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from qvac_core.core.download_state import DownloadChanged as DownloadChanged
from qvac_core.core.download_state import DownloadState as DownloadState
from qvac_core.store.records import ErrorInfo

DEFAULT_CONTEXT = 4096  # tokens of one chat, where nobody asks about another context


class Kind(StrEnum):
    """What a model is made for; `SharedModel.ability` uses the same words."""

    CHAT = "chat"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class Ability(StrEnum):
    """What a model can do beside its kind."""

    TRANSLATE = "translate"
    THINKS = "thinks"
    TOOLS = "tools"
    VISION = "vision"  # reads pictures
    ENGLISH_ONLY = "english only"


# --- What it needs ------------------------------------------------------------------------------------------------


class Place(StrEnum):
    """Where a model would compute."""

    GPU = "gpu"
    SPLIT = "gpu and memory"  # some layers on the GPU, the rest in the machine's memory
    MEMORY = "memory"


class Verdict(StrEnum):
    FITS = "fits"
    LESS_CONTEXT = "only with less context"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class MachineMemory:
    """What this machine has. gpu: its name, "" = none that the engine can use, and then its numbers are 0."""

    memory_bytes: int
    memory_free: int
    gpu: str = ""
    gpu_bytes: int = 0
    gpu_free: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model fits this machine with `context_tokens` in one chat.

    needed_bytes: weights, cache of that context and working space. place: where it would compute; memory_bytes and
    free_bytes are of that place, in all and now. largest_context: with which it still fits; 0 = with none.
    now: it fits into what is free at this moment; if not, other programs must be closed first.
    exact: computed from the model's own header; otherwise from its size and what models of that size usually take.
    """

    verdict: Verdict
    context_tokens: int
    needed_bytes: int
    place: Place
    memory_bytes: int
    free_bytes: int
    largest_context: int
    now: bool = True
    exact: bool = False


# --- Models to be had ---------------------------------------------------------------------------------------------


class SourceKind(StrEnum):
    HUGGING_FACE = "hugging face"
    WEB = "web"  # any https address
    NEIGHBOUR = "neighbour"  # a provider that lets this machine copy the model


@dataclass(frozen=True, slots=True)
class Source:
    """Where a copy can be had. id: "" = the address of the version itself, else the neighbour's public key.

    seconds: what it would take to get all of it, by rates that were seen; None = not known.
    """

    id: str
    name: str
    kind: SourceKind
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model in one quantization: what can be downloaded.

    id: what `download` takes: a name of the catalog, or an address. size_bytes: of all that is fetched, the vision part
    too; 0 = not known. sha256: "" where nobody says (Hugging Face says it when the download starts, or `look_up` asks).
    sources: the fastest known first. here: its name in the library, "" = not here. speed: tokens per second that it
    would make here, by what other models did; None = not known.
    """

    id: str
    file: str
    quantization: str
    size_bytes: int
    fit: Fit
    sources: tuple[Source, ...]
    sha256: str = ""
    here: str = ""
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model with its versions, smallest first. `best`: the place in `versions` of the one to offer first.

    licence: "" = not known. native_context: 0 = not known. page: the address of its page for people.
    exact: the facts are those of the model's own header, or of its page.
    """

    id: str
    title: str
    publisher: str
    kind: Kind
    parameters: str
    licence: str
    abilities: tuple[Ability, ...]
    native_context: int
    page: str
    versions: tuple[ModelVersion, ...]
    best: int = 0
    exact: bool = False

    @property
    def offered(self) -> ModelVersion:
        return self.versions[self.best]


@dataclass(frozen=True, slots=True)
class Query:
    """text: words that all have to occur. kind: None = all. only_fits: with the context asked for."""

    text: str = ""
    kind: Kind | None = None
    only_fits: bool = False
    context_tokens: int = DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True)
class SearchResult:
    """in_all: models in the catalog, or found by the hub. as_of: Unix seconds of what is shown, where it could not be
    asked now (then `error` says why); None = it is of now.
    """

    entries: tuple[CatalogEntry, ...]
    in_all: int
    as_of: float | None = None
    error: ErrorInfo | None = None


# --- Models here --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelHere:
    """A model of this machine. name: as in `SharedModel`; title: for people.

    ours: its files lie in the models folder, so removing it frees their bytes; otherwise it is used where it lies, and
    `program` says whose it is ("LM Studio", "" = a file somebody chose). last_used: Unix seconds, None = never.
    stands_in: it answers here when providers are away. loaded: in memory now. kind None: a file of the models folder
    that is of no use, or not whole, and `problem` says why.
    """

    name: str
    title: str
    kind: Kind | None
    quantization: str
    parameters: str
    size_bytes: int
    path: Path
    ours: bool
    program: str = ""
    last_used: float | None = None
    shared: bool = False
    loaded: bool = False
    stands_in: bool = False
    licence: str = ""
    abilities: tuple[Ability, ...] = ()
    native_context: int = 0
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model would do. frees_bytes: 0 where its files are not ours: then it is only no longer used.

    running: answers that it makes now; they are ended. conversations: titles of those that name it.
    """

    model: ModelHere
    frees_bytes: int
    files: tuple[Path, ...]
    running: int = 0
    conversations: tuple[str, ...] = ()


# --- Models of other programs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model file of another program that can be used where it lies. used: it is in the library already."""

    path: Path
    title: str
    quantization: str
    size_bytes: int
    used: bool = False


@dataclass(frozen=True, slots=True)
class FoundProgram:
    """id: "lm-studio", "ollama", "jan", "llama.cpp", "hugging-face". folder: where its models lie."""

    id: str
    name: str
    folder: Path
    models: tuple[FoundModel, ...]

    @property
    def unused(self) -> tuple[FoundModel, ...]:
        return tuple(model for model in self.models if not model.used)


# --- The models folder --------------------------------------------------------------------------------------------


class MoveState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"  # everything lies where it lay before
    FAILED = "failed"  # as CANCELLED; `error` says why


@dataclass(frozen=True, slots=True)
class Move:
    """The models on their way to another folder. file: the name of the one that is copied now."""

    to: Path
    done_bytes: int
    total_bytes: int
    rate: float = 0.0
    left_seconds: float | None = None
    file: str = ""
    state: MoveState = MoveState.RUNNING
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class ModelsFolder:
    """models_bytes: of models in it. part_bytes: of downloads that are not whole. other_bytes: of everything else on
    that disk; free_bytes of it; all four together are the disk. given: named on the command line for this run, so that
    it cannot be changed. missing: it is not there now (a disk that was taken out); the models in it cannot be used.
    """

    path: Path
    models_bytes: int
    part_bytes: int
    other_bytes: int
    free_bytes: int
    move: Move | None = None
    given: bool = False
    missing: bool = False


# --- Events (DownloadChanged above is one, too) -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LibraryChanged:
    """Models came, went, were shared, loaded or used."""

    models: tuple[ModelHere, ...]


@dataclass(frozen=True, slots=True)
class FoundChanged:
    programs: tuple[FoundProgram, ...]


@dataclass(frozen=True, slots=True)
class ModelsFolderChanged:
    folder: ModelsFolder


@dataclass(frozen=True, slots=True)
class SourcesChanged:
    """Neighbours came or went, or offer other models: what `search` gives is another now."""


LibraryEvent = DownloadChanged | LibraryChanged | FoundChanged | ModelsFolderChanged | SourcesChanged
