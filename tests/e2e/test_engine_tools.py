"""Tools through a real worker, on both engines: the small model was not trained to call any, so it is made to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionEvent,
    CompletionRequest,
    Finished,
    LoadedModel,
    SamplingParams,
    StopReason,
    Token,
    Tool,
    ToolCall,
    ToolChoice,
    ToolError,
    ToolErrorCode,
    ToolMode,
)
from qvac_core.errors import ModelError
from tests.e2e.engine_bench import loaded
from tests.e2e.templates import with_template

pytestmark = pytest.mark.usefixtures("engine")

WEATHER = Tool(
    "get_weather",
    "The weather in a city.",
    json.dumps(
        {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"enum": [1, 3, 7]}},
            "required": ["city", "days"],
        }
    ),
)
ADD = Tool(
    "add", "Adds two numbers.", '{"type":"object","properties":{"a":{"type":"integer","maximum":9}},"required":["a"]}'
)
ASKED = CompletionRequest(
    "1",
    (ChatMessage("user", "What is the weather in Paris?"),),
    SamplingParams(temp=0.0, predict=60),
    tools=(WEATHER, ADD),
)
MUST = ToolChoice(ToolMode.REQUIRED)


async def events(model: LoadedModel, request: CompletionRequest) -> list[CompletionEvent]:
    return [event async for event in model.complete(request)]


def calls(said: list[CompletionEvent]) -> list[ToolCall]:
    return [event for event in said if isinstance(event, ToolCall)]


def text(said: list[CompletionEvent]) -> str:
    return "".join(event.text for event in said if isinstance(event, Token))


def end(said: list[CompletionEvent]) -> Finished:
    assert isinstance(said[-1], Finished)
    return said[-1]


async def test_a_model_without_tools_in_its_template_calls_them_when_it_must(small_model_path: Path) -> None:
    async with loaded(small_model_path, n_ctx=2048) as model:
        said = await events(model, replace(ASKED, tool_choice=MUST))
        (call,) = calls(said)
        assert call.name in ("get_weather", "add") and call.id and call.raw
        assert not text(said) and end(said).stop_reason is StopReason.EOS
        named = await events(model, replace(ASKED, tool_choice=ToolChoice(ToolMode.NAMED, "add")))
        (call,) = calls(named)
        assert call.name == "add" and json.loads(call.arguments)["a"] <= 9
        # Its tools stand in the prompt, and nowhere when none may be called.
        free = end(await events(model, ASKED)).stats.prompt_tokens
        none = end(await events(model, replace(ASKED, tool_choice=ToolChoice(ToolMode.NONE)))).stats.prompt_tokens
        assert none < 60 < 150 < free
        # The same call, told back with its result, is read as part of the conversation.
        told = (
            ChatMessage("assistant", "", tool_calls=(replace(call, raw=""),)),
            ChatMessage("tool", "9", tool_call_id=call.id),
        )
        after = await events(model, replace(ASKED, history=(*ASKED.history, *told)))
        assert end(after).stats.prompt_tokens > free + 20


async def test_a_call_that_is_cut_is_never_run(small_model_path: Path) -> None:
    async with loaded(small_model_path, n_ctx=2048) as model:
        short = replace(ASKED, tool_choice=MUST, sampling=SamplingParams(temp=0.0, predict=5))
        said = await events(model, short)
        assert not calls(said) and end(said).stop_reason is StopReason.LENGTH
        (error,) = [event for event in said if isinstance(event, ToolError)]
        assert error.code is ToolErrorCode.PARSE_ERROR and error.raw


HERMES = (
    "{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}{% for m in messages %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content }}{% for c in m.tool_calls or [] %}<tool_call>\n"
    "{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)
# The mark of a call is a control token of this vocabulary, as [TOOL_CALLS] is one of Mistral's.
MARKED = (
    "{% for t in tools or [] %}{{ t.function.name }} {% endfor %}{% for m in messages %}{{ '<|im_start|>' + m.role + "
    "'\n' + m.content }}{% for c in m.tool_calls or [] %}<file_sep>{{ c.function.name }}<reponame>"
    "{{ c.function.arguments | tojson }}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


@pytest.mark.parametrize(("template", "mark"), [(HERMES, "<tool_call>\n"), (MARKED, "<file_sep>")])
async def test_a_call_is_made_in_the_format_of_the_template(
    small_model_path: Path, tmp_path: Path, template: str, mark: str
) -> None:
    path = with_template(small_model_path, template, tmp_path)
    async with loaded(path, n_ctx=1024) as model:
        request = replace(ASKED, tool_choice=ToolChoice(ToolMode.NAMED, "get_weather"))
        said = await events(model, request)
        (call,) = calls(said)
        assert call.raw.startswith(mark) and not text(said)
        arguments = json.loads(call.arguments)
        assert len(arguments["city"]) <= 20 and arguments["days"] in (1, 3, 7)


def exploding(depth: int) -> str:
    """Each definition asks for the next one twice: to check a value by it takes 2^depth looks."""
    definitions: dict[str, Any] = {
        f"d{place}": {"allOf": [{"$ref": f"#/$defs/d{place + 1}"}] * 2} for place in range(depth)
    }
    definitions[f"d{depth}"] = {"type": "string"}
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "required": ["x"], "$defs": definitions}
    return json.dumps(schema)


async def test_tools_of_a_hostile_guest_are_refused_or_harmless_and_others_go_on(small_model_path: Path) -> None:
    async with loaded(small_model_path, n_ctx=2048) as model:
        other = replace(ASKED, request_id="other", tools=(), sampling=SamplingParams(temp=0.0, predict=150))
        going = asyncio.create_task(events(model, other))
        pid = model.worker_pid
        for place, tools in enumerate(
            (
                tuple(Tool(f"f{number}") for number in range(129)),
                (Tool("<|im_end|>"),),
                (Tool("f", "x" * 20_000),),
                (Tool("f", "", "{" * 40),),
                (Tool("f", "", json.dumps({"type": "object", "properties": {"x": {"enum": ["y" * 40_000]}}})),),
            )
        ):
            with pytest.raises(ModelError) as raised:
                await events(model, replace(ASKED, request_id=str(place), tools=tools, tool_choice=MUST))
            assert raised.value.code == 52406 and "trips" not in raised.value.message
        hostile = replace(ASKED, request_id="h", tools=(Tool("f", "", exploding(30)),), tool_choice=MUST)
        said = await events(model, hostile)
        assert not calls(said)  # what cannot be checked is not run
        assert [event.code for event in said if isinstance(event, ToolError)]
        assert end(await going).stats.generated_tokens > 10
        assert model.worker_pid == pid
