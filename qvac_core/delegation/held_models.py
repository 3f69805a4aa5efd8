"""Models that consumers hold: a reference per connection, and a memory of ids per key that outlives a connection.

docs/wire/qvac.md section 6: a consumer whose connection broke connects anew and asks by the model id it got before,
without loading again. So an id stays known to its key; the running model is held only while a connection of the key is
open.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.model_config import EmbedConfig, LlmConfig, NmtConfig, WhisperConfig
from qvac_core.delegation.parts import Lease, ModelPool
from qvac_core.engines.interface import LibraryModel, LoadProgress, ModelConfig, RunningModel

# Ids remembered: per key, and keys in all. Beyond, the oldest is forgotten and its owner has to load again.
IDS_PER_KEY = 8
KEYS_REMEMBERED = 256

LimitsOf = Callable[[LibraryModel], Limits]


@dataclass(frozen=True, slots=True)
class Known:
    """What a model id means to the key that loaded it."""

    model_id: str
    model: LibraryModel
    source: str

    @property
    def pooling(self) -> str:
        """The pooling that it is to be loaded with; "" = the file's own."""
        return ""

    @property
    def pivot_path(self) -> str:
        """The file of the model that goes on where this one ends; "" = none."""
        return ""


@dataclass(frozen=True, slots=True)
class KnownModel(Known):
    """A chat model's."""

    config: LlmConfig


@dataclass(frozen=True, slots=True)
class KnownEmbeddingModel(Known):
    config: EmbedConfig

    @property
    def pooling(self) -> str:
        return self.config.pooling or ""


@dataclass(frozen=True, slots=True)
class KnownSpeechModel(Known):
    config: WhisperConfig


@dataclass(frozen=True, slots=True)
class KnownTranslationModel(Known):
    config: NmtConfig
    pivot: LibraryModel | None = None

    @property
    def pivot_path(self) -> str:
        return str(self.pivot.path) if self.pivot is not None else ""


class KnownModels:
    """Model ids by key."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[bytes, OrderedDict[str, Known]] = OrderedDict()

    def remember(self, public_key: bytes, known: Known) -> None:
        models = self._by_key.setdefault(public_key, OrderedDict())
        models[known.model_id] = known
        models.move_to_end(known.model_id)
        if len(models) > IDS_PER_KEY:
            models.popitem(last=False)
        self._by_key.move_to_end(public_key)
        if len(self._by_key) > KEYS_REMEMBERED:
            self._by_key.popitem(last=False)

    def get(self, public_key: bytes, model_id: str) -> Known | None:
        return self._by_key.get(public_key, OrderedDict()).get(model_id)

    def forget(self, public_key: bytes, model_id: str) -> None:
        self._by_key.get(public_key, OrderedDict()).pop(model_id, None)


def loading_config(limits: Limits) -> ModelConfig:
    """How models are loaded for consumers: as the owner says, whoever asks, so that all share one copy."""
    return ModelConfig(
        n_ctx=limits.n_ctx,
        slots=limits.slots,
        gpu_layers=limits.gpu_layers,
        device=limits.device,
        threads=limits.threads,
        host_cache_bytes=limits.host_cache_bytes,
    )


class HeldModels:
    """The leases of one connection, by model id."""

    def __init__(
        self, pool: ModelPool, limits: Limits, on_changed: Callable[[], None], limits_of: LimitsOf | None = None
    ) -> None:
        """limits_of: the owner's bounds for one model, as they are now; None = `limits` for all."""
        self._pool = pool
        self._limits = limits
        self._limits_of = limits_of or (lambda model: limits)
        self._on_changed = on_changed
        self._leases: dict[str, tuple[Known, Lease]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def known(self, model_id: str) -> Known | None:
        """What this id means, if this connection holds it."""
        held = self._leases.get(model_id)
        return None if held is None else held[0]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(known.model.name for known, _ in self._leases.values())

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._leases)

    def slots(self, known: Known) -> int:
        """How many answers at once the model of this id makes: whoever loaded it first has said so."""
        held = self._leases.get(known.model_id)
        if held is not None and held[1].model.alive:
            return held[1].model.info.slots
        return self._limits_of(known.model).slots

    async def hold(self, known: Known, on_progress: Callable[[LoadProgress], None] | None = None) -> RunningModel:
        """The running model of this id; loads it when it is not held or its worker has ended.

        Raises Rejection, ModelError, EngineCrashed.
        """
        lock = self._locks.setdefault(known.model_id, asyncio.Lock())
        try:
            async with lock:
                return await self._hold(known, on_progress)
        finally:
            if not lock.locked():
                self._locks.pop(known.model_id, None)

    async def _hold(self, known: Known, on_progress: Callable[[LoadProgress], None] | None) -> RunningModel:
        held = self._leases.get(known.model_id)
        if held is not None and held[1].model.alive:
            return held[1].model
        if held is not None:
            self.release(known.model_id)
        if len(self._leases) >= self._limits.models_per_key:
            raise by_policy(Reason.LIMIT, "You hold too many models here. Unload one before loading another.")
        config = replace(loading_config(self._limits_of(known.model)), pooling=known.pooling, pivot=known.pivot_path)
        lease = await self._pool.acquire(known.model, config, on_progress)
        self._leases[known.model_id] = (known, lease)
        self._on_changed()
        return lease.model

    def release(self, model_id: str) -> bool:
        """False when this connection does not hold it."""
        held = self._leases.pop(model_id, None)
        if held is None:
            return False
        self._on_changed()
        held[1].release()
        return True

    def release_all(self) -> None:
        for model_id in list(self._leases):
            self.release(model_id)


def model_not_found(model_id: str) -> Rejection:
    """Unknown and not shared read alike. The id is the peer's own word, cut short."""
    return Rejection(Code.MODEL_NOT_FOUND, f'Model with ID "{model_id[:64]}" not found')
