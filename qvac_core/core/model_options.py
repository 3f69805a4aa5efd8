"""What the owner sets for one model: slots, context, memory, idle time, longest answer; and what holds of it now."""

from __future__ import annotations

from typing import Protocol

from qvac_core.errors import ModelError
from qvac_core.late_dataclass import dataclass
from qvac_core.store.settings import (
    LARGEST_CONTEXT,
    MOST_ANSWER_TOKENS,
    MOST_IDLE_MINUTES,
    MOST_MEMORY_MB,
    MOST_SLOTS,
    SMALLEST_CONTEXT,
)
from qvac_core.store.settings import ModelOptions as ModelOptions

# They hold for every model without its own.
OF_ALL_MODELS = frozenset(
    f"sharing.{name}" for name in ("context_tokens", "slots", "memory_mb", "idle_minutes", "answer_tokens")
)


@dataclass(frozen=True, slots=True)
class OptionsOfModel:
    """own: what was set for this model, 0 = as for all. others: what holds for those without their own.

    loaded: context and slots of the copy in memory; None = there is none. in_use: somebody has it.
    """

    own: ModelOptions
    others: ModelOptions
    loaded: tuple[int, int] | None = None
    in_use: bool = False

    @property
    def waits(self) -> bool:
        """Whether the copy in memory was loaded with other numbers than those of now: they act at its next load."""
        wanted = (self.own.context_tokens or self.others.context_tokens, self.own.slots or self.others.slots)
        return self.loaded is not None and self.loaded != wanted


class ModelOptionsInterface(Protocol):
    """`core.model_options`."""

    async def options(self, name: str) -> OptionsOfModel:
        """By library name. Raises ModelError where there is no such model."""

    async def set_options(self, name: str, options: ModelOptions) -> OptionsOfModel:
        """Keep them. Answer and idle time act at once; context, slots and memory at the next load, for which a model
        that nobody uses now is unloaded. Raises ModelError, with a sentence, for what cannot be."""


def check_options(options: ModelOptions) -> None:
    """Raises ModelError for a number that no model can have."""
    bounds = (
        ("The context", options.context_tokens, SMALLEST_CONTEXT, LARGEST_CONTEXT, "tokens"),
        ("The number of slots", options.slots, 1, MOST_SLOTS, ""),
        ("The memory cap", options.memory_mb, 1, MOST_MEMORY_MB, "MB"),
        ("The idle time", options.idle_minutes, 1, MOST_IDLE_MINUTES, "minutes"),
        ("The longest answer", options.answer_tokens, 1, MOST_ANSWER_TOKENS, "tokens"),
    )
    for what, value, least, most, unit in bounds:
        if value and not least <= value <= most:
            raise ModelError(
                f"{what} is between {least:,} and {most:,}{f' {unit}' if unit else ''}.", name="OPTION_OUT_OF_RANGE"
            )
