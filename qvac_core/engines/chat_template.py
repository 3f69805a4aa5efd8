"""From a chat history to the prompt text, through the model's own Jinja template, else ChatML.

Behaves as Transformers' `apply_chat_template` (its environment: trim_blocks, lstrip_blocks, loop controls, `generation`
tags, tojson without ASCII escapes), which is what template authors test against, and as llama.cpp, where others test:
`{% do %}`, and lists and dicts that the template changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import product
from typing import Any, Protocol

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from qvac_core.engines.history_forms import forms, known_roles
from qvac_core.engines.interface import ChatMessage, ToolCall
from qvac_core.engines.prompt import Disguise, Prompt, texts_in, with_seams, with_texts
from qvac_core.engines.thinking import CHANNEL_TAGS, TAGS, ThinkingStyle
from qvac_core.engines.tool_format import ToolFormat, learn
from qvac_core.engines.tools import CheckedTool, as_text, in_general_form
from qvac_core.engines.vocabulary import Vocabulary
from qvac_core.errors import ModelError, RequestRefused

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEMPLATE_LIMIT = 256 * 1024  # characters; the longest template in use has 20,000
OVERHEAD_LIMIT = 64 * 1024  # characters that a template may add to the history itself
# Templates look for these in earlier answers, to leave out the thinking.
THINKING_TAGS = frozenset(tag for pair in (*TAGS, CHANNEL_TAGS) for tag in pair)
CALL_LIMIT, CALLS_PER_MESSAGE = 20_000, 500  # of methods and functions, in one rendering
CALLS_PER_CHARACTER = 2  # of the tools: some templates write them anew, word by word
TOOL_WIDTH = 8  # times as long as its JSON a tool may become in a prompt
REPEAT_LIMIT = 100_000
TAIL = 24  # characters at the end of an answer by which it is known
MESSAGE_OVERHEAD = 512  # characters that it may add to each message, besides


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}` marks the assistant's text for training; for a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 declares it so)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(SandboxedEnvironment):
    """A template may change its lists, so it can let one grow while it goes through it: calls are counted."""

    intercepted_binops = frozenset(("*", "**"))
    calls_left = 0

    def call(self, context: Context, callee: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise jinja2.TemplateRuntimeError("it never ends")
        return super().call(context, callee, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """No template needs a text repeated a million times, or a power of thousands of digits."""
        numbers = [value for value in (left, right) if isinstance(value, int | float)]
        if (operator == "**" or len(numbers) < 2) and any(abs(value) > REPEAT_LIMIT for value in numbers):
            raise jinja2.TemplateRuntimeError("it makes a prompt without end")
        return super().call_binop(context, operator, left, right)


class ChatTemplate:
    """A compiled template. `own` is False where ChatML serves: the model brought none, or one that does not compile.

    controls: the texts of the vocabulary that must come from the template alone.
    """

    def __init__(
        self,
        source: str,
        *,
        bos: str = "",
        eos: str = "",
        controls: Collection[str] = (),
        style: ThinkingStyle | None = None,
    ) -> None:
        self._bos = bos
        self._eos = eos
        self._controls = controls
        self._style = style or ThinkingStyle()
        # Lists may be changed: what the template gets is made anew for each rendering.
        self._environment = environment = _Environment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_GenerationTag, jinja2.ext.loopcontrols, jinja2.ext.do],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        self.own = bool(source) and len(source) <= TEMPLATE_LIMIT
        try:
            self._template = environment.from_string(source if self.own else CHATML)
        except jinja2.TemplateError:
            self.own = False
            self._template = environment.from_string(CHATML)
        self._format: ToolFormat | None = None

    @property
    def format(self) -> ToolFormat:
        """How calls of tools are written; learnt when it is first asked for, which renders the template a few times."""
        if self._format is None:
            self._format = learn(self._probe, self._controls)
        return self._format

    def _probe(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, *, add_generation_prompt: bool
    ) -> str:
        switch = {"add_generation_prompt": add_generation_prompt, "enable_thinking": False}
        anew = json.loads(json.dumps([messages, tools]))
        return self._apply(switch, anew[0], anew[1], 0, datetime.now())

    @classmethod
    def of_model(cls, source: str, vocabulary: Vocabulary) -> ChatTemplate:
        """The template that a model brings along ("" = none), with what its vocabulary says, and tells it in turn
        which control tokens calls of tools are written with."""
        template = cls(
            source, bos=vocabulary.bos, eos=vocabulary.eos, controls=vocabulary.controls, style=vocabulary.style
        )
        vocabulary.reveal(template.format.tokens)
        return template

    def render(
        self,
        history: Sequence[ChatMessage],
        *,
        so_far: str = "",
        answer_now: bool = False,
        add_generation_prompt: bool = True,
        tools: Sequence[CheckedTool] = (),
        lead: str = "",
    ) -> Prompt:
        """The prompt up to where the assistant's turn begins, with the text that already stands there.

        answer_now: the next words are to be the answer's, without any thinking. add_generation_prompt False: only up to
        the end of the last message. tools: what the model may call. lead: of a call that it must make.

        Raises ModelError when the template refuses the history in every form.
        """
        answer_now = answer_now or bool(so_far)
        prompt, disguise = self._conversation(
            history, so_far, tools, thinks=not answer_now, add_generation_prompt=add_generation_prompt
        )
        answer_lead = self._style.answer_lead(prompt.marked) if answer_now else ""
        marked = prompt.marked + answer_lead + lead
        if so_far:
            seam = disguise.seam()
            marked += seam + disguise.hide(so_far) + seam
        text = marked.translate(disguise.meanings)
        opened = "" if answer_now else self._style.opened(prompt.marked)
        return Prompt(text, marked, disguise.meanings, opened)

    def _conversation(
        self,
        history: Sequence[ChatMessage],
        so_far: str,
        tools: Sequence[CheckedTool],
        *,
        thinks: bool,
        add_generation_prompt: bool,
    ) -> tuple[Prompt, Disguise]:
        """The first form that the template takes with all of its text; else the one that loses least."""
        # Templates of models that can do both ask for this name; only a plain False has a meaning in all of them.
        switch = {"add_generation_prompt": add_generation_prompt} | ({} if thinks else {"enable_thinking": False})
        best: tuple[Prompt, Disguise] | None = None
        least = 0
        refusal: jinja2.TemplateError | None = None
        for told, offered in self._tellings(history, tools):
            rendering = _Rendering(
                partial(self._apply, switch), told, so_far, self._controls, self.format, offered or ()
            )
            for given, typed in ((offered, False), (offered, True), (offered or [], False)):
                for form in forms(known_roles(told)):
                    try:
                        prompt, lost = rendering.of(form, given, typed=typed)
                    except jinja2.TemplateError as error:
                        refusal = refusal or error
                        continue
                    if not lost:
                        return prompt, rendering.disguise
                    if best is None or lost < least:
                        best, least = (prompt, rendering.disguise), lost
        if best is not None:
            return best
        assert refusal is not None
        raise _refused(refusal) from refusal

    def _tellings(
        self, history: Sequence[ChatMessage], tools: Sequence[CheckedTool]
    ) -> Iterator[tuple[Sequence[ChatMessage], list[Any] | None]]:
        """The conversation with its tools, as the template may take it; the last way suits every template."""
        with_calls = any(message.tool_calls for message in history)
        if not tools:
            if not with_calls or self.format.shows_calls:
                yield history, None
            if with_calls:
                yield as_text(history), None
            return
        if self.format.offers:
            offered = [tool.offered() for tool in tools]
            if not with_calls or self.format.shows_calls:
                yield history, offered
            if with_calls:
                yield as_text(history), offered
        yield in_general_form(history, tools), None

    def _apply(
        self,
        switch: dict[str, bool],
        messages: list[dict[str, Any]],
        tools: list[Any] | None,
        characters: int,
        now: datetime,
    ) -> str:
        limit = OVERHEAD_LIMIT + characters + len(messages) * MESSAGE_OVERHEAD
        parts: list[str] = []
        length = 0
        # Older models with tools (FireFunction v2) are given these two beside the messages, and fail without them.
        spoken = (
            {} if tools is None else {"functions": json.dumps(tools), "datetime": now.strftime("%Y-%m-%d %H:%M:%S")}
        )
        self._environment.calls_left = (
            CALL_LIMIT + len(messages) * CALLS_PER_MESSAGE + (CALLS_PER_CHARACTER * characters if tools else 0)
        )
        try:
            for part in self._template.generate(
                messages=messages,
                bos_token=self._bos,
                eos_token=self._eos,
                tools=tools,
                documents=None,
                strftime_now=now.strftime,
                **spoken,
                **switch,
            ):
                parts.append(part)
                length += len(part)
                if length > limit:
                    raise jinja2.TemplateRuntimeError("it makes a prompt without end")
        except jinja2.TemplateError:
            raise
        except Exception as error:
            # The template is a program of a stranger: whatever it trips over is its refusal, not our bug.
            raise jinja2.TemplateRuntimeError(str(error)) from error
        return "".join(parts)


class _Apply(Protocol):
    def __call__(
        self, messages: list[dict[str, Any]], tools: list[Any] | None, characters: int, now: datetime
    ) -> str: ...


class _Rendering:
    """One history through one template: plain, and marked, and whether the template lost any of it."""

    def __init__(
        self,
        apply: _Apply,
        history: Sequence[ChatMessage],
        so_far: str,
        controls: Collection[str],
        call_format: ToolFormat,
        tools: Sequence[Any] = (),
    ) -> None:
        self._apply = apply
        self._now = datetime.now()  # one moment for all renderings, which are compared
        self._format = call_format
        said = [text for message in history for text in _texts(message)]
        self.disguise = Disguise([*said, so_far, *texts_in(tools)], controls)

    def of(self, form: Sequence[ChatMessage], tools: list[Any] | None, *, typed: bool) -> tuple[Prompt, int]:
        """The prompt, and how many messages and tools it lost. Raises TemplateError when the template refuses."""
        plain = self._render(form, [message.content for message in form], tools, typed, lambda text: text)
        for seams, spare in product((True, False), ((), THINKING_TAGS)):
            marks = [self.disguise.seam() if seams else "" for _ in form]
            contents = [
                with_seams(self.disguise.hide(message.content, spare if message.role == "assistant" else ()), mark)
                for message, mark in zip(form, marks, strict=True)
            ]
            try:
                marked = self._render(form, contents, tools, typed, self.disguise.hide)
            except jinja2.TemplateError:
                continue  # it looks closely at the text, which is another one now
            if marked.translate(self.disguise.meanings) != plain:
                continue
            prompt = Prompt(plain, marked, self.disguise.meanings)
            lost = sum(
                not _shows(marked if mark else plain, message, mark) for message, mark in zip(form, marks, strict=True)
            )
            return prompt, lost + _lost_tools(plain, tools)
        broken = [self.disguise.break_up(message.content) for message in form]
        text = self._render(form, broken, tools, typed, self.disguise.break_up)
        lost = sum(
            not _shows(text, replace(message, content=content), "")
            for message, content in zip(form, broken, strict=True)
        )
        return Prompt(text, text), lost + _lost_tools(text, tools)

    def _render(
        self,
        form: Sequence[ChatMessage],
        contents: Sequence[str],
        tools: list[Any] | None,
        typed: bool,
        change: Callable[[str], str],
    ) -> str:
        """change: of each text that is not a message's content."""
        messages = [
            self._message(message, content, typed, change) for message, content in zip(form, contents, strict=True)
        ]
        offered = tools if tools is None else with_texts(tools, change)
        said = sum(map(len, contents)) + sum(len(text) for message in form for text in _texts(message))
        width = TOOL_WIDTH * len(json.dumps(tools)) if tools else 0
        return self._apply(messages, offered, said + width, self._now)

    def _message(self, message: ChatMessage, content: str, typed: bool, change: Callable[[str], str]) -> dict[str, Any]:
        shown: Any = [{"type": "text", "text": content}] if typed else content
        told: dict[str, Any] = {"role": message.role, "content": shown}
        if message.tool_calls:
            told["content"] = None if self._format.no_content and not content else shown
            told["tool_calls"] = [self._call(call, change) for call in message.tool_calls]
        if message.role == "tool":
            if message.tool_call_id:
                told["tool_call_id"] = change(message.tool_call_id)
            if message.name:
                told["name"] = change(message.name)
        return told

    def _call(self, call: ToolCall, change: Callable[[str], str]) -> dict[str, Any]:
        arguments: Any = with_texts(arguments_of(call), change)
        if self._format.arguments_as_text:
            arguments = _to_json(arguments)
        return {
            "id": change(call.id),
            "type": "function",
            "function": {"name": change(call.name), "arguments": arguments},
        }


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Of a call in a history, which may be anybody's: what is no object is none."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _texts(message: ChatMessage) -> list[str]:
    """All that was said by somebody."""
    called = [text for call in message.tool_calls for text in (call.id, call.name, *texts_in(arguments_of(call)))]
    return [message.content, message.tool_call_id, message.name, *called]


def _lost_tools(prompt: str, tools: Sequence[Any] | None) -> int:
    return sum(tool["function"]["name"] not in prompt for tool in tools or ())


def _shows(prompt: str, message: ChatMessage, mark: str) -> bool:
    """Whether the text of a message is in the prompt; of an answer its end is enough, as its thinking is cut off."""
    if any(call.name not in prompt for call in message.tool_calls):
        return False
    core = message.content.strip()
    if not core:
        return True
    if mark:
        return mark in prompt
    return core[-TAIL:] in prompt if message.role == "assistant" else core in prompt


def _refused(error: jinja2.TemplateError) -> ModelError:
    reason = (error.message or "no reason given")[:200]
    return RequestRefused(f"The model's chat template refuses this conversation: {reason}.")


def _raise(message: str) -> None:
    raise jinja2.TemplateRuntimeError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
