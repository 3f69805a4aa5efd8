"""What programs, and whoever else, send to the endpoint: odd bodies, paths, forms, names; each told in words."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from qvac_core.endpoint.calls import program_of
from qvac_core.endpoint.exchange import JSON_BYTES
from qvac_core.endpoint.interface import Ability, Ended, Text
from qvac_core.endpoint.naming import find, named
from tests.unit.scripted_reach import TOKEN, Answer, Browserless, ScriptedReach, offer, run

RUNNER = run

STUDIO = offer("Studio desktop", "Qwen3 8B", rtt_ms=38.0, source="qwen3-8b.gguf")
HERE = offer("This machine", "Qwen3 8B", source="qwen")
EMBED = offer("This machine", "MiniLM", "embed")
SPEECH = offer("This machine", "Whisper tiny", "transcribe")
SAYS = (Text("Hi"), Ended("stop", 1, 1))
USER = [{"role": "user", "content": "Hi"}]


def there() -> ScriptedReach:
    return ScriptedReach((STUDIO, HERE, EMBED, SPEECH), {"Studio desktop": SAYS, "This machine": SAYS})


def asked(method: str, path: str, body: Any = None, **more: Any) -> Answer:
    answer: Answer = run(Browserless(there()).ask(method, path, body, **more))
    return answer


@pytest.mark.parametrize(
    ("wanted", "machines"),
    [
        ("Studio desktop/Qwen3 8B", ["Studio desktop"]),
        ("studio-desktop/qwen3-8b", ["Studio desktop"]),
        (f"{STUDIO.provider_key}/Qwen3 8B", ["Studio desktop"]),
        ("Studio desktop/qwen3-8b.gguf", ["Studio desktop"]),
        ("qwen3 8b@studio desktop", ["Studio desktop"]),
        ("Qwen3 8B", ["This machine", "Studio desktop"]),
        ("qwen3_8b", ["This machine", "Studio desktop"]),
        ("Nobody/Qwen3 8B", []),
        ("MiniLM", []),
        ("gpt-4o", []),
    ],
)
def test_models_are_found_by_what_people_type(wanted: str, machines: list[str]) -> None:
    models = named((STUDIO, HERE, EMBED))
    assert [model.offer.machine for model in find(models, wanted, Ability.CHAT)] == machines


def test_no_two_models_have_one_name() -> None:
    first, second = (
        offer("PC", "Qwen", quantization="Q4_0", source="a"),
        offer("PC", "Qwen", quantization="Q8_0", source="b"),
    )
    namesake = offer("Pc", "Other")
    names = [model.id for model in named((first, second, offer("a/b", "x")))]
    assert names == ["PC/Qwen (Q4_0)", "PC/Qwen (Q8_0)", "a-b/x"]
    twins = [model.id for model in named((first, namesake))]
    assert len(set(twins)) == 2
    assert all("(" in name for name in twins)  # told apart by their keys


def test_lists_and_single_models() -> None:
    listed = asked("GET", "/v1/models").json["data"]
    assert [model["id"] for model in listed] == [
        "Studio desktop/Qwen3 8B",
        "This machine/Qwen3 8B",
        "This machine/MiniLM",
        "This machine/Whisper tiny",
    ]
    for path in (
        "/v1/models/Studio%20desktop%2FQwen3%208B",
        "/v1/models/Studio%20desktop/Qwen3%208B",
        "/models/qwen3-8b",
    ):
        assert asked("GET", path).json["object"] == "model"
    assert asked("HEAD", "/v1/models").body == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", path, 404) for path in ("/v1/nothing", "/v1/models/nobody", "/v1/../../etc/passwd", "//v1//models")),
        *(
            ("GET", path, 404)
            for path in ("/v1/models/..%2f..%2fetc%2fpasswd", "/v2/models", "/v1/responses/none", "/%00")
        ),
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/models", 404),
        ("GET", "/", 200),
        ("GET", "/health", 200),
        ("GET", "/v1/models/", 200),
    ],
)
def test_paths(method: str, path: str, status: int) -> None:
    answer = asked(method, path)
    assert answer.status == status
    if status != 200:
        assert answer.json["error"]["message"]


def test_ollamas_clients_get_their_own_form_of_error() -> None:
    assert "OpenAI-compatible" in asked("GET", "/api/tags").json["error"]
    assert "token" in asked("GET", "/api/version", headers={"authorization": ""}).json["error"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"model": NaN}', None),
        (b"[" * 100_000, None),
        ({"model": "Qwen3 8B"}, "messages"),
        ({"messages": USER}, "model"),
        ({"model": "Qwen3 8B", "messages": "Hi"}, "messages"),
        ({"model": "Qwen3 8B", "messages": [{"role": "owner", "content": "Hi"}]}, "messages[0].role"),
        ({"model": "Qwen3 8B", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "Qwen3 8B", "messages": USER, "temperature": 3}, "temperature"),
        ({"model": "Qwen3 8B", "messages": USER, "temperature": True}, "temperature"),
        ({"model": "Qwen3 8B", "messages": USER, "temperature": 10**400}, "temperature"),
        ({"model": "Qwen3 8B", "messages": USER, "seed": -(10**400)}, "seed"),
        (b'{"model": "Qwen3 8B", "messages": [{"role": "user", "content": "Hi"}], "top_p": 1e999}', "top_p"),
        ({"model": "Qwen3 8B", "messages": USER, "max_tokens": 0}, "max_tokens"),
        ({"model": "Qwen3 8B", "messages": USER, "stop": ["a"] * 99}, "stop"),
        ({"model": "Qwen3 8B", "messages": USER, "n": 2}, "n"),
        ({"model": "Qwen3 8B", "messages": USER, "logprobs": True}, "logprobs"),
        ({"model": "Qwen3 8B", "messages": USER, "tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"model": "Qwen3 8B", "messages": USER, "response_format": {"type": "xml"}}, "response_format"),
        (
            {
                "model": "Qwen3 8B",
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}],
                    }
                ],
            },
            "messages[0].content",
        ),
    ],
)
def test_a_bad_body_is_told_by_the_name_of_its_field(body: Any, param: str | None) -> None:
    answer = asked("POST", "/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.json["error"]["param"] == param
    assert answer.json["error"]["message"].endswith((".", "]."))


def test_halves_of_letters_reach_no_engine() -> None:
    """Its worker is told in UTF-8. They come as escapes, in schemas, in arguments, in names."""
    half = "\ud83d"
    schema = {"type": "object", "title": half}
    call = {"id": half, "function": {"name": "f", "arguments": '{"a": "\\ud83d"}'}}
    answered = {"role": "tool", "tool_call_id": half, "content": half}
    messages = [*USER, {"role": "assistant", "content": half, "tool_calls": [call]}, answered]
    reach = there()
    for more in (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
        {"tools": [{"type": "function", "function": {"name": "f", "description": half, "parameters": schema}}]},
    ):
        body = {"model": "This machine/Qwen3 8B", "messages": messages, **more}
        assert run(Browserless(reach).ask("POST", "/v1/chat/completions", body)).status == 200
    for _, ask in reach.asked:
        texts = [ask.schema or "", *(tool.parameters for tool in ask.tools)]
        texts += [text for each in ask.history for text in (each.content, each.tool_call_id or "")]
        texts += [text for each in ask.history for made in each.tool_calls for text in (made.id, made.arguments)]
        assert sum("?" in text for text in texts) == 6
        "".join(texts).encode()


def test_what_is_not_known_is_ignored_and_odd_forms_are_taken() -> None:
    reach = there()
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    body = {
        "model": "Studio desktop/Qwen3 8B",
        "messages": [{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts}],
        "max_completion_tokens": 7,
        "n": 1,
        "logprobs": False,
        "stop": None,
        "store": True,
        "user": "somebody",
        "made_up": {"a": 1},
        "seed": -1,
    }
    assert run(Browserless(reach).ask("POST", "/chat/completions/", body)).status == 200
    ask = reach.asked[0][1]
    assert [(message.role, message.content) for message in ask.history] == [("system", "Be short."), ("user", "Hi")]
    assert ask.sampling.predict == 7


def test_a_model_that_is_not_there_is_told_with_those_that_are() -> None:
    answer = run(Browserless(there()).chat("gpt-4o"))
    assert answer.status == 404
    assert answer.json["error"]["code"] == "model_not_found"
    assert "Studio desktop/Qwen3 8B" in answer.json["error"]["message"]
    assert run(Browserless(there()).chat("MiniLM")).status == 400


def test_bodies_have_a_bound_whether_they_tell_their_length_or_not() -> None:
    told = asked("POST", "/v1/chat/completions", b"{", headers={"content-length": str(JSON_BYTES + 1)})
    assert (told.status, told.headers["connection"]) == (413, "close")
    chunk = b" " * (8 * 1024 * 1024)
    assert asked("POST", "/v1/chat/completions", chunks=[chunk] * 9).status == 413


def test_vectors_come_as_numbers_or_as_bytes_and_never_of_token_numbers() -> None:
    body = {"model": "MiniLM", "input": ["one", "three"]}
    assert [row["embedding"] for row in asked("POST", "/v1/embeddings", body).json["data"]] == [[3.0, 1.0], [5.0, 1.0]]
    packed = asked("POST", "/v1/embeddings", {**body, "encoding_format": "base64"}).json["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (3.0, 1.0)
    for given in ([1, 2], [[1, 2]], [], "", [""], None, {"a": 1}):
        assert asked("POST", "/v1/embeddings", {**body, "input": given}).status == 400
    assert asked("POST", "/v1/embeddings", {**body, "dimensions": 2}).status == 200
    assert "2 dimensions" in asked("POST", "/v1/embeddings", {**body, "dimensions": 1}).json["error"]["message"]


def _form(*fields: tuple[str, str], file: bytes = b"sound", name: str = "upload") -> tuple[bytes, dict[str, str]]:
    """With the file first, as some clients send it."""
    parts = [f'--X\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + file + b"\r\n"]
    parts += [
        f'--X\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields
    ]
    return b"".join(parts) + b"--X--\r\n", {"content-type": "multipart/form-data; boundary=X"}


def test_a_recording_in_every_format() -> None:
    for format_, begins in (
        ("json", b'{"text":"5 bytes"'),
        ("text", b"5 bytes\n"),
        ("srt", b"1\n00:00:00,000"),
        ("vtt", b"WEBVTT"),
        ("verbose_json", b'{"task":"transcribe","language":"de"'),
    ):
        form, headers = _form(("model", "whisper tiny"), ("language", "de"), ("response_format", format_))
        answer = asked("POST", "/v1/audio/transcriptions", form, headers=headers)
        assert answer.body.startswith(begins), answer.body
    form, headers = _form(("model", "whisper tiny"), ("stream", "true"))
    in_pieces = [form[start : start + 7] for start in range(0, len(form), 7)]
    stream = asked("POST", "/v1/audio/transcriptions", chunks=in_pieces, headers=headers)
    assert [event["type"] for event in stream.events[:-1]] == ["transcript.text.delta", "transcript.text.done"]


def test_forms_that_are_none() -> None:
    form, headers = _form(("model", "whisper tiny"))
    assert asked("POST", "/v1/audio/transcriptions", b"{}").status == 415
    for body in (b"", b"--X", form[:40], form.replace(b'name="file"', b'name="other"')):
        assert asked("POST", "/v1/audio/transcriptions", body, headers=headers).status == 400
    empty, headers = _form(("model", "whisper tiny"), file=b"")
    assert "empty" in asked("POST", "/v1/audio/transcriptions", empty, headers=headers).json["error"]["message"]
    many, headers = _form(*((f"field{number}", "x") for number in range(99)))
    assert asked("POST", "/v1/audio/transcriptions", many, headers=headers).status == 400


async def test_nothing_of_a_refused_request_is_read_and_repeats_are_one_row() -> None:

    client = Browserless(there())
    for _ in range(5):
        page = {"origin": "https://evil.example", "user-agent": "Mozilla/5.0 <b>x</b>"}
        answer = await client.ask("POST", "/v1/chat/completions", {"model": "x"}, headers=page)
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["connection"] == "close"
    await client.ask("POST", "/v1/chat/completions", {}, headers={"authorization": "Bearer no"})
    assert [(call.outcome, call.program, call.origin) for call in client.book.calls] == [
        ("refused", "test", ""),
        ("refused", "a web page", "https://evil.example"),
    ]


async def test_a_page_that_was_named_reads_its_answers() -> None:
    page = "https://chat.example.com"

    client = Browserless(there(), [page])
    answer = await client.ask("GET", "/v1/models", headers={"origin": page})
    assert answer.headers["access-control-allow-origin"] == page
    asks = {"origin": page, "access-control-request-method": "POST", "authorization": ""}
    assert (await client.ask("OPTIONS", "/v1/models", headers=asks)).status == 204
    asks["origin"] = "https://evil.example"
    assert (await client.ask("OPTIONS", "/v1/models", headers=asks)).status == 403
    missing = await client.ask("GET", "/v1/models", headers={"origin": page, "authorization": ""})
    assert missing.status == 401


async def test_too_many_at_once_are_told_to_come_again() -> None:

    reach = there()
    waits = asyncio.Event()
    reach.scripts["Studio desktop"] = (waits, *SAYS)
    client = Browserless(reach)
    asking = [asyncio.create_task(client.chat("Studio desktop/Qwen3 8B")) for _ in range(64)]
    while len(reach.asked) < 64:
        await asyncio.sleep(0)
    more = await client.chat("Studio desktop/Qwen3 8B")
    assert (more.status, more.headers["retry-after"]) == (429, "2")
    waits.set()
    assert {answer.status for answer in await asyncio.gather(*asking)} == {200}


@pytest.mark.parametrize(
    ("agent", "program"),
    [
        ("OpenAI/Python 3.57.0", "openai 3.57.0, Python"),
        ("AsyncOpenAI/Python 3.57.0", "openai 3.57.0, Python"),
        ("OpenAI/JS 7.59.0", "openai 7.59.0, JavaScript"),
        ("ai/6.0.326 ai-sdk/openai/3.0.141 runtime/node.js/20", "ai 6.0.326"),
        ("curl/8.5.0", "curl 8.5.0"),
        ("Zed/0.210", "Zed 0.210"),
        ("Mozilla/5.0 (X11; Linux) <script>", "a web page"),
        ("\u202eevil\n" + "x" * 500, "evil " + "x" * 55),
        ("", ""),
    ],
)
def test_a_program_is_named_shortly_and_plainly(agent: str, program: str) -> None:
    assert program_of(agent) == program
    assert TOKEN not in program_of(agent)
