"""Answers over machines that fail in every place: moved on where that can be, else an error, never cut in silence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qvac_core.endpoint.conversation import ANSWER_TOOL
from qvac_core.endpoint.interface import BadCall, Called, Ended, Text, Thought, Waiting
from qvac_core.engines.interface import ToolMode
from qvac_core.errors import ConnectionClosed, DelegationError, ProviderError, RequestRefused
from tests.unit.scripted_reach import Browserless, ScriptedReach, offer, run

RUNNER = run

GONE = ConnectionClosed("The machine went offline.")
WHOLE = (Text("Hello"), Text(" there"), Ended("stop", 5, 2))
NEAR = offer("Near", "Qwen", sha256="aa", rtt_ms=3.0)
FAR = offer("Far", "Qwen", sha256="aa", rtt_ms=80.0)
OTHER = offer("Other", "Qwen", sha256="bb", rtt_ms=90.0)
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def reach(**scripts: Any) -> ScriptedReach:
    offers = {"Near": NEAR, "Far": FAR, "Other": OTHER}
    return ScriptedReach(tuple(offers[name] for name in scripts), scripts)


def said(events: list[Any]) -> str:
    chunks = [event for event in events if isinstance(event, dict) and event.get("choices")]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def test_a_whole_answer_and_its_stream_say_the_same() -> None:
    there = reach(Near=(Thought("Hm."), *WHOLE))
    whole = run(Browserless(there).chat())
    assert whole.status == 200
    choice = whole.json["choices"][0]
    assert choice["message"]["content"] == "Hello there"
    assert choice["message"]["reasoning_content"] == "Hm."
    assert choice["finish_reason"] == "stop"
    assert whole.json["usage"]["total_tokens"] == 7
    assert isinstance(whole.json["created"], int)
    stream = run(Browserless(there).chat(stream=True, stream_options={"include_usage": True}))
    assert said(stream.events) == "Hello there"
    *chunks, usage, done = stream.events
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 2
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks].count("stop") == 1
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert ["role" in chunk["choices"][0]["delta"] for chunk in chunks] == [True, False, False, False]


def test_who_is_nearest_answers_and_before_its_first_word_the_next_one() -> None:
    there = reach(Far=WHOLE, Near=(Waiting(2), GONE))
    answer = run(Browserless(there).chat(stream=True))
    assert [machine for machine, _ in there.asked] == ["Near", "Far"]
    assert said(answer.events) == "Hello there"
    assert ": place 2 in line" in answer.events
    assert answer.events[-1] == "[DONE]"


def test_in_the_middle_the_same_model_goes_on_behind_the_same_text() -> None:
    there = reach(Near=(Text("Hel"), GONE), Other=WHOLE, Far=(Text("lo there"), Ended("stop", 5, 2)))
    calls: list[Any] = []
    answer = run(Browserless(there, on_call=calls.append).chat(stream=True))
    assert [machine for machine, _ in there.asked] == ["Near", "Far"]  # Other has another file of that name
    assert there.asked[1][1].so_far == "Hel"
    assert [ask.impatient for _, ask in there.asked] == [True, False]  # nobody is left to go on behind Far
    assert said(answer.events) == "Hello there"
    assert any(isinstance(event, str) and event.startswith(": another machine") for event in answer.events)
    assert calls[-1].outcome == "moved"


@pytest.mark.parametrize(
    ("scripts", "more"),
    [
        ({"Near": (Text("Hel"), GONE)}, {}),
        ({"Near": (Text("Hel"), GONE), "Other": WHOLE}, {}),
        ({"Near": (Text("{"), GONE), "Far": WHOLE}, {"response_format": {"type": "json_object"}}),
        ({"Near": (Called("1", "add", "{}"), GONE), "Far": WHOLE}, {"tools": [ADD]}),
        ({"Near": (Text("Hel"), GONE), "Far": (DelegationError("It cannot go on.", code=52416),)}, {}),
    ],
)
def test_a_cut_answer_ends_with_its_error_and_with_nothing_that_looks_whole(
    scripts: dict[str, Any], more: dict[str, Any]
) -> None:
    calls: list[Any] = []
    client = Browserless(reach(**scripts), on_call=calls.append)
    answer = run(client.chat(stream=True, **more))
    last = answer.events[-1]
    assert last["error"]["message"] == GONE.message
    assert "[DONE]" not in answer.events
    assert all(event["choices"][0]["finish_reason"] is None for event in answer.events[:-1] if "choices" in event)
    assert calls[-1].outcome == "failed"
    whole = run(Browserless(reach(**scripts)).chat(**more))
    assert whole.status == 503
    assert whole.json["error"]["message"] == GONE.message


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (RequestRefused("The schema is no schema."), 400, {}),
        (ProviderError("Longer than its context.", code=52421), 400, {}),
        (ProviderError("Not admitted.", code=52420, typed_fields={"reason": "not_admitted"}), 403, {}),
        (
            ProviderError("Paused.", code=52420, typed_fields={"reason": "paused", "retryAfterMs": 3000}),
            429,
            {"retry-after": "3"},
        ),
        (
            # A client would wait for it in silence.
            ProviderError("No tokens left.", code=52420, typed_fields={"reason": "quota", "retryAfterMs": 3_600_000}),
            429,
            {"x-should-retry": "false"},
        ),
        (GONE, 503, {"retry-after": "2"}),
    ],
)
def test_errors_before_the_first_word_have_their_status(error: Any, status: int, headers: dict[str, str]) -> None:
    for stream in (False, True):
        answer = run(Browserless(reach(Near=(error,))).chat(stream=stream))
        assert answer.status == status
        assert answer.json["error"]["message"] == error.message
        assert {name: answer.headers.get(name) for name in headers} == headers


def test_what_is_wrong_with_the_request_is_asked_of_nobody_else() -> None:
    there = reach(Near=(RequestRefused("no"),), Far=WHOLE)
    run(Browserless(there).chat())
    assert [machine for machine, _ in there.asked] == ["Near"]


def test_stop_sequences_are_kept_to_whoever_answers() -> None:
    pieces = [Text(letter) for letter in "one, two, three"]
    there = reach(Near=(*pieces, Ended("stop", 5, 15)))
    stream = run(Browserless(there).chat(stream=True, stop=["o, t", ", th"]))
    assert said(stream.events) == "one, tw"
    assert there.left == ["Near"]
    whole = run(Browserless(reach(Near=(*pieces, Ended("stop", 5, 15)))).chat(stop="nothing of that"))
    assert whole.json["choices"][0]["message"]["content"] == "one, two, three"


async def test_a_program_that_leaves_stops_who_works_for_it() -> None:

    for stream in (False, True):
        begun, leave = asyncio.Event(), asyncio.Event()
        there = reach(Near=(Text("Hel"), asyncio.Event()))
        ended: list[Any] = []

        def heard(call: Any, begun: asyncio.Event = begun, ended: list[Any] = ended) -> None:
            if call.machine:
                begun.set()
            if call.ended:
                ended.append(call)

        client = Browserless(there, on_call=heard)
        body = {"model": "Qwen", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}
        asking = asyncio.create_task(client.ask("POST", "/v1/chat/completions", body, leave=leave))
        await begun.wait()
        leave.set()
        await asking
        assert there.left == ["Near"]
        assert ended[-1].outcome == "left"


async def test_a_person_stops_a_call_and_the_program_is_told() -> None:

    there = reach(Near=(Text("Hel"), asyncio.Event()))
    client = Browserless(there)
    asking = asyncio.create_task(client.chat(stream=True))
    while not there.asked:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    client.book.stop(client.book.calls[0].id, "Stopped here.")
    answer = await asking
    assert answer.events[-1]["error"]["message"] == "Stopped here."
    assert client.book.calls[0].outcome == "stopped"


def test_tools_and_a_schema_together_are_one_more_tool() -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}}
    there = reach(Near=(Called("1", ANSWER_TOOL, '{"a": 1}'), Ended("stop", 5, 9)))
    answer = run(Browserless(there).chat(tools=[ADD], response_format=format_))
    assert json.loads(answer.json["choices"][0]["message"]["content"]) == {"a": 1}
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    ask = there.asked[0][1]
    assert [tool.name for tool in ask.tools] == ["add", ANSWER_TOOL]
    assert ask.tool_choice.mode is ToolMode.REQUIRED
    assert ask.schema is None


def test_calls_are_told_in_one_piece_and_bad_ones_as_text() -> None:
    parts = (Called("1", "add", '{"a": 1}'), Called("2", "add", "{}"), BadCall("<call", "cut"), Ended("stop", 1, 2))
    stream = run(Browserless(reach(Near=parts)).chat(stream=True, tools=[ADD]))
    deltas = [event["choices"][0]["delta"] for event in stream.events[:-1]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [(call["index"], call["id"], call["type"]) for call in calls] == [(0, "1", "function"), (1, "2", "function")]
    assert said(stream.events) == "<call"
    assert stream.events[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_responses_remember_their_items_for_a_while() -> None:

    there = reach(Near=(Called("c1", "add", "{}"), Ended("stop", 5, 2)))
    client = Browserless(there)
    tool = {"type": "function", **ADD["function"]}  # type: ignore[dict-item]
    first = await client.ask("POST", "/v1/responses", {"model": "Qwen", "input": "Hi", "tools": [tool]})
    (call,) = first.json["output"]
    assert call["type"] == "function_call"
    there.scripts["Near"] = WHOLE
    result = {"type": "function_call_output", "call_id": "c1", "output": "5"}
    items = [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": call["id"]}, result]
    second = await client.ask("POST", "/v1/responses", {"model": "Qwen", "input": items})
    assert second.json["output"][0]["content"][0]["text"] == "Hello there"
    roles = [message.role for message in there.asked[-1][1].history]
    assert roles == ["user", "assistant", "tool"]
    followed = {"model": "Qwen", "input": "More", "previous_response_id": second.json["id"], "store": False}
    third = await client.ask("POST", "/v1/responses", followed)
    assert [message.role for message in there.asked[-1][1].history] == [*roles, "assistant", "user"]
    assert (await client.ask("GET", f"/v1/responses/{third.json['id']}")).status == 404  # store: false
    assert (await client.ask("DELETE", f"/v1/responses/{first.json['id']}")).json["deleted"] is True
    gone = await client.ask("POST", "/v1/responses", {"model": "Qwen", "input": items})
    assert gone.status == 404


def test_a_response_that_breaks_off_has_failed() -> None:
    client = Browserless(reach(Near=(Text("Hel"), GONE)))
    answer = run(client.ask("POST", "/v1/responses", {"model": "Qwen", "input": "Hi", "stream": True}))
    kinds = [event["type"] for event in answer.events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.failed"
    assert "response.completed" not in kinds
    assert answer.events[-1]["response"]["error"]["message"] == GONE.message
    assert [event["sequence_number"] for event in answer.events] == list(range(len(kinds)))
