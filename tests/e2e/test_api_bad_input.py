"""What programs give that cannot be asked: a sentence in a QvacError, and no exception of Python's own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import qvac_core
from qvac_core import completion, embed, transcribe, translate
from qvac_core.api import blocking
from qvac_core.api.functions import Answer, _texts
from qvac_core.core import CoreConfig
from qvac_core.core.local_completion import LocalCompletion
from qvac_core.delegation.tool_wire import given_message
from qvac_core.engines.interface import ChatMessage, CompletionRequest, SamplingParams
from qvac_core.engines.live_speech import sound_of
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError
from tests.e2e.test_api import alone, run
from tests.unit.scripted_engine import ScriptedModel

HI = [{"role": "user", "content": "Hi"}]


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def tool(schema: object) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": schema}


def message(content: object, role: str = "user", **more: object) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, **more}]


ASKED: list[tuple[Any, dict[str, Any], str]] = [
    (message(None), {}, "content of a message is a text, not None"),
    ([{"role": "user"}], {}, "content of a message is a text, not None"),
    (message({"temp": 20}, "tool", tool_call_id="1"), {}, "json.dumps"),
    (message([{"type": "image_url", "image_url": {}}]), {}, "attachments"),
    (message(["Hi"]), {}, "parts of a content"),
    (message("Hi", role=None), {}, "role and content"),  # type: ignore[arg-type]
    (message("Hi", tool_calls=5), {}, "tool_calls of a message"),
    (message("", "assistant", tool_calls=[{"function": "f"}]), {}, "A call in the history"),
    (message("", "assistant", tool_calls=[{"name": "f", "arguments": {"a": {1}}}]), {}, "no JSON"),
    (message("Hi", attachments=5), {}, "attachments of a message"),
    (message("Hi", tool_call_id=5), {}, "tool_call_id of a message is a text"),
    ("hello", {}, "history is a list"),
    ({"role": "user"}, {}, "history is a list"),
    (None, {}, "history is a list"),
    (["hello"], {}, "A message is"),
    (HI, {"tools": ["x"]}, "A tool is"),
    (HI, {"tools": tool({"type": "object"})}, "tools is a list"),
    (HI, {"tools": 5}, "tools is a list"),
    (HI, {"tools": [tool({"type": "object", "properties": {"a": {"enum": {1, 2}}}})]}, "no JSON"),
    (HI, {"tools": [tool(nested(150))]}, "nested too deep"),
    (HI, {"tools": [tool(nested(2200))]}, "nested too deep"),
    (HI, {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"a": {1}}}}}, "no JSON"),
    (HI, {"generation_params": ["temp"]}, "request is not valid"),
]


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        for history, more, said in ASKED:
            with pytest.raises(LocalProtocolError, match=said):
                await completion("m", history, **more).text
        wrong: Any
        for wrong in (None, 5, b"text", {"a": 1}, ["a", 5]):
            with pytest.raises(LocalProtocolError, match="a text, or a list of texts"):
                await embed("m", wrong)
        with pytest.raises(LocalProtocolError, match="There are no texts"):
            await embed("m", [])
        for wrong in (None, 5, io.BytesIO(b"RIFF")):
            with pytest.raises(LocalProtocolError, match="path of a file, or bytes"):
                await transcribe("m", wrong)
        wrong = None
        with pytest.raises(LocalProtocolError, match="are texts"):
            await translate("m", wrong, to="de").text

    run(test, alone(tmp_path))


def test_what_is_not_loaded_is_not_said_to_be_at_a_provider(tmp_path: Path) -> None:
    async def test() -> None:
        for asked in (completion("m", HI).text, embed("m", "a"), embed("m", (t for t in "ab")), transcribe("m", b"")):
            with pytest.raises(DelegationError) as told:
                await asked
            assert (told.value.name, told.value.message) == ("MODEL_NOT_FOUND", 'Model with ID "m" is not loaded.')
        with pytest.raises(DelegationError, match="is not loaded"):
            await transcribe("m", bytearray(b"\0\0"))

    run(test, alone(tmp_path))


def test_the_parts_of_a_content_are_one_text() -> None:
    parts = [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there\ud800"}]
    assert given_message({"role": "user", "content": parts}).content == "Hi there?"


def test_half_a_letter_is_replaced_as_in_a_chat() -> None:
    assert _texts("a\ud800") == "a?"
    assert _texts(t for t in ("a", "b\ud800")) == ["a", "b?"]


def test_live_sound_is_float32() -> None:
    wrong: Any
    for wrong in ([0.0], [1, 2], 5, None, "a"):
        with pytest.raises(ModelError, match="Samples are float32"):
            sound_of(wrong)


async def test_a_mistake_of_an_engine_is_told_as_what_it_is() -> None:
    class Broken(ScriptedModel):
        def complete(self, request: CompletionRequest) -> Any:
            raise ZeroDivisionError("in the engine")

    answer = LocalCompletion(Broken(), CompletionRequest("r", (ChatMessage("user", "Hi"),), SamplingParams()))
    with pytest.raises(ZeroDivisionError, match="in the engine"):
        await answer.text
    with pytest.raises(ZeroDivisionError, match="in the engine"):
        [token async for token in answer.token_stream]


def test_an_answer_that_outlived_its_loop_says_so() -> None:
    async def begin() -> Answer:
        async def start() -> Any:
            return None

        return Answer(start(), "r")

    answer = asyncio.run(begin())

    async def read() -> None:
        with pytest.raises(LocalProtocolError, match="close"):
            await answer.text
        with pytest.raises(LocalProtocolError, match="close"):
            await answer.cancel()
        await answer.leave()

    asyncio.run(read())


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    blocking.configure(alone(tmp_path))
    yield lambda name: getattr(blocking, name)
    blocking.close()
    qvac_core.configure(CoreConfig(exclusive=False))


def test_iterators_are_lists_in_plain_calls(plain: Callable[..., Any]) -> None:
    with pytest.raises(DelegationError, match="is not loaded"):
        plain("embed")("m", (text for text in ("a", "b")))
    with pytest.raises(DelegationError, match="is not loaded"):
        plain("completion")("m", iter(HI)).text  # noqa: B018


def test_a_plain_answer_from_before_close_says_so(plain: Callable[..., Any]) -> None:
    answer = plain("completion")("m", HI)
    plain("close")()
    with pytest.raises(LocalProtocolError, match="close"):
        answer.text  # noqa: B018
    with answer:
        pass
