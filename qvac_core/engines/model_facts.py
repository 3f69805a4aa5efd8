"""What a model's header says of it that people ask for: how much it can read at once, and what it can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.thinking import CHANNEL_TAGS, TAGS

_TOOLS = re.compile(r"\btools\b")
_CHANNELS = ("<|channel|>", CHANNEL_TAGS[0])


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """native_context: tokens, 0 = not said. thinks, tools: by its chat template."""

    native_context: int
    thinks: bool
    tools: bool
    licence: str = ""


def facts_of(gguf: GgufInfo) -> ModelFacts:
    return ModelFacts(
        native_context=gguf.context_length,
        thinks=thinks(gguf.chat_template),
        tools=uses_tools(gguf.chat_template),
        licence=gguf.licence,
    )


def thinks(template: str) -> bool:
    """Whether a chat template knows of thinking before the answer: by its marks, or by a switch for it."""
    marks = [mark for pair in TAGS[:-1] for mark in pair]  # the last one is prose, and could be quoted
    return "enable_thinking" in template or any(mark in template for mark in (*marks, *_CHANNELS))


def uses_tools(template: str) -> bool:
    return _TOOLS.search(template) is not None
