"""How many tokens a prompt likely has, before an engine has read it: reserved of a day's tokens while it runs.

What it really had is counted when the request ends. Rather too many than too few: a limit is not to be gone beyond.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BYTES_PER_TOKEN: Final = 3.5  # of UTF-8; English text has 4 to 5, others about 3
TEMPLATE_TOKENS: Final = 8  # of a model's template around each message


def prompt_estimate(texts: Iterable[str]) -> int:
    return sum(TEMPLATE_TOKENS + int(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN) for text in texts)
