"""The tokens with which every owner's prompt begins: the owner's system prompt, and what the template puts around it.

They say nothing about who asked what, so one copy of them serves all: another chat need not read them again.
"""

from __future__ import annotations

from functools import reduce

from qvac_core.engines.chat_template import ChatTemplate
from qvac_core.engines.interface import ChatMessage, CompletionRequest, ModelConfig
from qvac_core.engines.request_defaults import with_defaults
from qvac_core.engines.slots import common_prefix
from qvac_core.engines.vocabulary import Vocabulary
from qvac_core.errors import ModelError

WORTH_SHARING = 8  # tokens; fewer are read as fast as they are copied
_QUESTIONS = ("a", "Zero", " x", "\n", "0", "(é")  # with nothing in common, so that no token reaches into them


def preamble_of(template: ChatTemplate, vocabulary: Vocabulary, config: ModelConfig, n_ctx: int) -> list[int]:
    """Empty where prompts have too little in common, or the template takes no question by itself."""
    prompts = []
    try:
        for question in _QUESTIONS:
            asked = with_defaults(CompletionRequest("", (ChatMessage("user", question),)), config)
            prompts.append(vocabulary.prompt_tokens(template.render(asked.history), n_ctx, opens=True))
    except ModelError:
        return []
    shared = reduce(lambda common, prompt: common[: common_prefix(common, prompt)], prompts)
    return shared if len(shared) >= WORTH_SHARING else []
