"""How long an answer is where nobody says so. Apart from the engines: the command line tells it without them."""

from __future__ import annotations

# Several pages. A small model that repeats itself would fill its whole context.
ANSWER_TOKENS = 2048
