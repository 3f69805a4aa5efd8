"""From a chat history to the prompt text, through the model's own Jinja template, else ChatML.

Behaves as Transformers' `apply_chat_template` (its environment: trim_blocks, lstrip_blocks, loop controls, `generation`
tags, tojson without ASCII escapes), which is what template authors test against.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from qvac_core.engines.interface import ChatMessage
from qvac_core.errors import ModelError

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATE_LIMIT = 256 * 1024  # characters; the longest template in use has 20,000
OVERHEAD_LIMIT = 64 * 1024  # characters that a template may add to the history itself
MESSAGE_OVERHEAD = 512  # characters that it may add to each message, besides


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks the assistant's text for training; for a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled template. `own` is False where ChatML serves: the model brought none, or one that does not compile."""

    def __init__(self, source: str, *, bos: str = "", eos: str = "") -> None:
        self._bos = bos
        self._eos = eos
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self.own = bool(source) and len(source) <= TEMPLATE_LIMIT
        try:
            self._template = environment.from_string(source if self.own else CHATML)
        except jinja2.TemplateError:
            self.own = False
            self._template = environment.from_string(CHATML)

    def render(self, history: Sequence[ChatMessage]) -> str:
        """The prompt up to where the assistant's turn begins. Raises ModelError when the template refuses."""
        messages = [{"role": message.role, "content": message.content} for message in history]
        try:
            return self._apply(messages)
        except jinja2.TemplateError as error:
            merged = _without_system(messages)
            if merged is None:
                raise _refused(error) from error
        try:
            return self._apply(merged)
        except jinja2.TemplateError as error:
            raise _refused(error) from error

    def _apply(self, messages: list[dict[str, str]]) -> str:
        limit = OVERHEAD_LIMIT + sum(len(message["content"]) + MESSAGE_OVERHEAD for message in messages)
        parts: list[str] = []
        length = 0
        try:
            for part in self._template.generate(
                messages=messages, add_generation_prompt=True, bos_token=self._bos, eos_token=self._eos, tools=None
            ):
                parts.append(part)
                length += len(part)
                if length > limit:
                    raise jinja2.TemplateRuntimeError("it makes a prompt without end")
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            # The template is a program of a stranger: whatever it trips over is its refusal, not our bug.
            raise jinja2.TemplateRuntimeError(str(error)) from error
        return "".join(parts)


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]] | None:
    """Some templates (Gemma's) know no system role: its text then opens the first user message."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    rest = [dict(message) for message in messages if message["role"] != "system"]
    if not system or not rest or rest[0]["role"] != "user":
        return None
    rest[0]["content"] = f"{system}\n\n{rest[0]['content']}"
    return rest


def _refused(error: jinja2.TemplateError) -> ModelError:
    reason = (error.message or "no reason given")[:200]
    return ModelError(
        f"The model's chat template refuses this conversation: {reason}.", name="COMPLETION_FAILED", code=52406
    )


def _raise(message: str) -> None:
    raise jinja2.TemplateRuntimeError(message)


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)
