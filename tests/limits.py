"""How long a test waits for what never comes, which is no time that has to be enough for what does come.

A machine that is shared, or a third as fast, makes tests slower and not red.
"""

from __future__ import annotations

EVENT = 90.0  # seconds for one expected event
WHOLE = 270.0  # seconds for a whole test: below `timeout` of pyproject.toml, so that it still ends what it began
