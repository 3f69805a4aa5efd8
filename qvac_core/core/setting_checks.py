"""Settings that are given as text: what they may be, beyond their type, with a sentence that helps."""

from __future__ import annotations

import re

from qvac_core.core.model_options import LARGEST_CONTEXT, MOST_SLOTS, SMALLEST_CONTEXT
from qvac_core.errors import StoreError

# They hold for every model without its own.
OF_ALL_MODELS = frozenset(
    f"sharing.{name}" for name in ("context_tokens", "slots", "memory_mb", "idle_minutes", "answer_tokens")
)
MACHINE_NAME_LIMIT = 60  # letters
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DAYS = re.compile(r"[1-7]+", re.ASCII)
_BOUNDS = {
    "sharing.context_tokens": (SMALLEST_CONTEXT, LARGEST_CONTEXT),
    "sharing.slots": (1, MOST_SLOTS),
    "manners.active_minutes": (1, 24 * 60),
    "manners.other_gpu_mb": (1, 10_000_000),
}


def check_setting(name: str, text: str) -> None:
    """Raises StoreError; what has the wrong type is told by the settings themselves."""
    if not text:
        return
    if name in ("manners.hours_from", "manners.hours_to") and not _CLOCK.fullmatch(text):
        raise StoreError(f"'{text[:20]}' is no time of the day. Write hours and minutes, as in 08:30.")
    if name == "manners.hours_days" and not _DAYS.fullmatch(text):
        raise StoreError("The days are digits from 1 (Monday) to 7 (Sunday), at least one of them.")
    if name == "machine_name" and len(text) > MACHINE_NAME_LIMIT:
        raise StoreError(f"The name of this machine has {MACHINE_NAME_LIMIT} letters at most.")
    low, high = _BOUNDS.get(name, (0, 0))
    if high and text.isascii() and text.isdigit() and not low <= int(text) <= high:
        raise StoreError(f"This number is between {low:,} and {high:,}.")
