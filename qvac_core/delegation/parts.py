"""What a provider is given: shared models, running models, a log. Others implement these; nothing here opens a file.

docs/architecture.md, "Data flow of one delegated answer".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qvac_core.engines.interface import LibraryModel, LoadProgress, ModelConfig, RunningModel


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A shared model as one key may see it. context_tokens: per chat. wait_ms: how long a new answer would wait."""

    model: LibraryModel
    context_tokens: int
    loaded: bool = False
    wait_ms: float = 0.0
    abilities: tuple[str, ...] = ("chat",)


class SharedModels(Protocol):
    """The models that the owner shares, by key. A model that is not shared with a key does not exist for it."""

    def find(self, source_or_name: str, public_key: bytes) -> LibraryModel | None:
        """By name, file name, registry or https source, or the exact path of a shared file. Opens nothing."""

    def list(self, public_key: bytes) -> Sequence[OfferedModel]: ...


class Lease(Protocol):
    """One holder's reference to a running model."""

    @property
    def model(self) -> RunningModel: ...

    def release(self) -> None: ...


class ModelPool(Protocol):
    """Running models, shared by reference count."""

    async def acquire(
        self,
        library_model: LibraryModel,
        config: ModelConfig,
        on_progress: Callable[[LoadProgress], None] | None = None,
    ) -> Lease:
        """The running model, started if need be. Raises ModelError, EngineCrashed."""


class RequestLog(Protocol):
    """Where requests are kept (`qvac_core.store.RequestLog`). Prompts and answers only by `keep_contents`.

    Raises StoreError.
    """

    def start(self, id: str, remote_public_key: str, method: str, model: str, started_at: float) -> None: ...

    def finish(
        self,
        id: str,
        outcome: str,
        *,
        prompt_tokens: int = 0,
        generated_tokens: int = 0,
        ms: float = 0.0,
        error: str = "",
        amount: float = 0.0,
        unit: str = "",
    ) -> object: ...

    def advance(self, id: str, generated_tokens: int) -> None:
        """How far it has come: what counts if this program ends before the request does."""

    def keep_contents(self, id: str, question: str, answer: str) -> None:
        """Called only for guests who were told so before they asked."""

    def tokens_today(self, remote_public_key: str, now: float) -> int: ...

    def tokens_of_all_today(self, now: float) -> int: ...

    def amount_today(self, remote_public_key: str, unit: str, now: float) -> float: ...
