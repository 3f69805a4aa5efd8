"""Models at real OpenAI-compatible servers: through this machine, and through a provider to a guest far away."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from app.cli.main import main
from qvac_core import Delegate, completion, embed, load_model
from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.model_servers_state import GivenServer, ModelServerEntry, ServerState
from qvac_core.core.state import AnswerFinished, Target
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    LoadedModel,
    ModelConfig,
    SamplingParams,
    StopReason,
    Token,
)
from qvac_core.engines.openai_address import base_address
from qvac_core.engines.openai_client import OpenAiClient, Server
from qvac_core.engines.openai_engine import OpenAiEngine, Place
from qvac_core.engines.openai_models import ServerKind, list_models
from qvac_core.errors import ModelError, QvacError
from tests.e2e.program import qvac_desktop, run
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, member
from tests.e2e.test_api import run as with_core
from tests.servers.real import RealServer, llama_cpp_python_server, xllamacpp_server

KEY = "s3cret"


@pytest.fixture(scope="module")
def xllamacpp(small_model_path: Path) -> Iterator[RealServer]:
    with xllamacpp_server(small_model_path, key=KEY, alias="smol", slots=2) as server:
        yield server


@pytest.fixture(scope="module")
def llama_cpp_python(small_model_path: Path) -> Iterator[RealServer]:
    with llama_cpp_python_server(small_model_path) as server:
        yield server


@pytest.fixture(params=["xllamacpp", "llama_cpp_python"])
def either(request: pytest.FixtureRequest) -> RealServer:
    found: RealServer = request.getfixturevalue(request.param)
    return found


@asynccontextmanager
async def loaded(server: RealServer) -> AsyncIterator[LoadedModel]:
    at = Server(base_address(server.address), server.key)
    client = OpenAiClient(at)
    served = await list_models(client)
    await client.close()
    place = Place("id", at, served.models[0], served.kind, served.parallel)
    engine = OpenAiEngine(lambda path: place)
    try:
        yield await engine.load(Path("at-server/smol"), ModelConfig())
    finally:
        await engine.close()


async def answer(
    model: LoadedModel, text: str, id: str = "1", *, predict: int = 10, **fields: object
) -> tuple[str, Finished]:
    sampling = SamplingParams(temp=0, predict=predict)
    request = CompletionRequest(id, (ChatMessage("user", text),), sampling, **fields)  # type: ignore[arg-type]
    said = ""
    async for event in model.complete(request):
        if isinstance(event, Token):
            said += event.text
        if isinstance(event, Finished):
            return said, event
    raise AssertionError("it has no end")


def test_real_servers_answer_stop_and_are_stopped(either: RealServer) -> None:
    async def act() -> None:
        async with loaded(either) as model:
            said, end = await answer(model, "Name three cities.")
            assert said and end.stop_reason is StopReason.LENGTH
            assert end.stats.prompt_tokens > 4 and 8 <= end.stats.generated_tokens <= 10
            again, _ = await answer(model, "Name three cities.")
            assert again == said
            mark = said[6:9]
            short, end = await answer(model, "Name three cities.", stop=(mark,))
            assert short == said[: said.index(mark)] and end.stop_reason is StopReason.STOP_SEQUENCE
            city = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]}
            schema = json.dumps(city | {"additionalProperties": False})
            said, _ = await answer(model, "A city as JSON.", predict=60, response_schema=schema)
            assert json.loads(said)["city"] in ("Rome", "Oslo")
            with pytest.raises(ModelError, match="longer than the model's context"):
                await answer(model, "word " * 900)
            # A second one waits, or runs beside the first: neither is cut off by it.
            both = await asyncio.gather(answer(model, "Name a river.", "a"), answer(model, "Name a lake.", "b"))
            assert all(said for said, _ in both)
            # One that is left makes room at once: the next one would wait for all of its tokens.
            long = CompletionRequest("long", (ChatMessage("user", "Tell a story."),), SamplingParams(predict=400))
            async with aclosing(model.complete(long)) as events:  # type: ignore[type-var]
                assert isinstance(await anext(events), Token)
                assert model.cancel("long")
                end_of_long = await anext(events)
                assert isinstance(end_of_long, Finished) and end_of_long.stop_reason is StopReason.CANCELLED
            said, _ = await answer(model, "Name three cities.")
            assert said

    asyncio.run(asyncio.wait_for(act(), 240))


async def test_what_each_says_of_itself(xllamacpp: RealServer, llama_cpp_python: RealServer) -> None:

    for server, kind, parallel, n_ctx in (
        (xllamacpp, ServerKind.LLAMA_CPP, 2, 512),
        (llama_cpp_python, ServerKind.LLAMA_CPP_PYTHON, 1, 0),
    ):
        client = OpenAiClient(Server(server.address, server.key))
        served = await list_models(client)
        await client.close()
        (model,) = served.models
        assert (served.kind, served.parallel, model.n_ctx, model.embeds) == (kind, parallel, n_ctx, False)


async def in_state(owner: Core, state: ServerState) -> ModelServerEntry:
    """The one server, as soon as it is seen in this state."""
    while True:
        (entry,) = await owner.model_servers.servers()
        if entry.state is state:
            return entry
        await asyncio.sleep(0.05)


def test_a_guest_far_away_a_cancel_and_a_server_that_dies(
    bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))
    there = Delegate(OTHER_KEY, timeout=60)
    question = [{"role": "user", "content": "Tell a long story."}]

    async def test() -> None:
        async with Core(owner_config) as owner:
            with pytest.raises(QvacError, match="no address"):
                await owner.model_servers.keep("http://[")
            entry = await owner.model_servers.keep(server.address, "Rack", key=KEY)
            assert (entry.state, entry.has_key) == (ServerState.THERE, True)
            assert [model.name for model in entry.models] == ["smol@Rack"]
            assert KEY not in repr(entry) + repr(await owner.model_servers.servers())
            (shared,) = await owner.shared_models()
            assert (shared.server, shared.shared, shared.slots, shared.n_ctx) == ("Rack", False, 2, 512)
            await owner.set_model_shared("smol@Rack", True)
            await owner.start_sharing()

            model = await load_model("smol@Rack", delegate=there)
            whole = completion(model, question, generation_params={"predict": 8, "temp": 0})
            assert await whole.text
            stats = await whole.stats
            assert stats is not None and stats.prompt_tokens and stats.generated_tokens == 8

            # A guest who leaves in mid-answer: it ends at the server too, which has two slots and no third.
            for _ in range(3):
                left = completion(model, question, generation_params={"predict": 400})
                await anext(aiter(left.token_stream))
                await left.cancel()
            again = completion(model, question, generation_params={"predict": 8, "temp": 0})
            assert await again.text == await whole.text

            # A server that dies in mid-answer is an error, and never an answer that looks whole.
            cut = completion(model, question, generation_params={"predict": 400})
            await anext(aiter(cut.token_stream))
            server.kill()
            with pytest.raises(QvacError):
                await cut.final
            away = await in_state(owner, ServerState.AWAY)
            assert "does not answer" in away.problem
            (shared,) = await owner.shared_models()
            assert shared.state.startswith("away: ")
            with pytest.raises(QvacError):
                await completion(model, question).final

            # It comes back: nothing has to be loaded or set anew.
            server.start()
            await asyncio.to_thread(server.ready)
            await owner.model_servers.look(away.id)
            back = completion(model, question, generation_params={"predict": 8, "temp": 0})
            assert await back.text == await whole.text
            entries = await owner.request_log()
            assert {log.model for log in entries} == {"smol@Rack"}
            assert {"eos", "length", "cancelled", "error"} >= {log.outcome for log in entries} >= {"length", "error"}

            await owner.model_servers.remove(away.id)
            assert await owner.shared_models() == ()
            with pytest.raises(QvacError):
                await completion(model, question).final

    with xllamacpp_server(small_model_path, key=KEY, alias="smol", slots=2) as server:
        with_core(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_embeddings_of_a_server_here_and_far_away(bootstrap: str, embedding_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        given = (GivenServer(server.address, name="Rack"),)
        config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))
        async with Core(replace(config, servers=given)) as owner:
            await owner.start_sharing()
            (shared,) = await owner.shared_models()
            assert (shared.name, shared.ability, shared.shared) == ("mini@Rack", "embed", True)
            far = await load_model("mini@Rack", model_type="embeddings", delegate=Delegate(OTHER_KEY, timeout=60))
            one, other, apart = await embed(far, ["A man is eating food.", "Someone eats a meal.", "The market fell."])
            assert numpy.dot(one, other) > 0.5 > numpy.dot(one, apart)

    with xllamacpp_server(embedding_model_path, alias="mini", embedding=1) as server:
        with_core(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_the_chat_of_this_machine(xllamacpp: RealServer, tmp_path: Path) -> None:
    async def act() -> None:
        config = CoreConfig(tmp_path, seed=bytes(32), bootstrap=(("127.0.0.1", 1),))
        async with Core(config) as core:
            await core.model_servers.keep(xllamacpp.address, "Rack", key=KEY)
            ended: asyncio.Queue[AnswerFinished] = asyncio.Queue()
            core.subscribe(lambda event: ended.put_nowait(event) if isinstance(event, AnswerFinished) else None)
            conversation = await core.new_conversation(Target("", "smol@Rack"))
            await core.ask(conversation.id, "Say hello.")
            finished = await ended.get()
            assert finished.message.status == "done" and finished.message.text
            stats = finished.message.stats
            assert stats is not None and stats.model == "smol@Rack" and stats.generated_tokens
            # What is kept is there after a restart, before anything was asked.
        async with Core(config) as core:
            (entry,) = await core.model_servers.servers()
            assert [model.name for model in entry.models] == ["smol@Rack"] and entry.has_key

    asyncio.run(asyncio.wait_for(act(), 120))


def test_the_command_line(
    bootstrap: str,
    xllamacpp: RealServer,
    small_model_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")

    def told(*arguments: str) -> tuple[int, str, str]:
        """Exit code, what was printed, and what was said."""
        code = main([*arguments, "--data-dir", str(tmp_path / "kept"), "--json"])
        out, err = capsys.readouterr()
        return code, out, err

    monkeypatch.setattr("sys.stdin", io.StringIO(KEY))
    code, out, err = told(
        *("servers", "add", xllamacpp.address, "--name", "Rack", "--server-key-file", "-", "--requests", "3")
    )
    assert code == 0, err
    server = json.loads(out)
    assert (server["name"], server["requests"], server["hasKey"], server["models"]) == ("Rack", 3, True, ["smol@Rack"])
    assert KEY not in out + err
    for command, words in (
        (("add", xllamacpp.address, "--name", "rack"), "already"),
        (("add",), "needs an ADDRESS"),
        (("remove", "none"), "no server called none"),
        (("add", "ftp://x"), "http or https"),
        (("add", "http://me:pw@x"), "login out of the address"),
    ):
        code, out, err = told("servers", *command)
        assert code == 1 and words in out + err and "pw" not in out + err
    code, out, _ = told("servers", "test", xllamacpp.address)
    assert code == 1 and json.loads(out)["problem"].endswith("Give it the right one.")
    assert '"smol@Rack"' in told("models")[1]
    assert told("servers", "test", "rack")[0] == 0
    assert told("servers", "remove", "rack")[0] == 0
    assert told("servers", "list")[1] == ""

    provider = qvac_desktop(
        *("provider", "--server", xllamacpp.address, "--server-key-file", str(key), "--allow", GUEST_KEY),
        *("--model", str(small_model_path), "--bootstrap", bootstrap, "--json"),
        data_dir=tmp_path / "provider",
    )
    with provider:
        ready = provider.until("ready")
        file, model = ready["models"]
        assert "@" not in file and model.startswith("smol@127.0.0.1:")
        guest = run(
            *("chat", ready["publicKey"], "--model", model, "--prompt", "Say hello.", "--json"),
            *("--bootstrap", bootstrap, "--seed", GUEST_SEED, "--data-dir", str(tmp_path / "guest")),
            *("--timeout", "60", "--predict", "8"),
        )
        assert guest.returncode == 0, guest.stderr
        events = [json.loads(line) for line in guest.stdout.splitlines()]
        assert any(event["event"] == "token" for event in events)
        done = provider.until("done", method="completionStream")
        assert done["promptTokens"] and done["generatedTokens"]


def test_a_server_away_is_told_and_nothing_falls(bootstrap: str, tmp_path: Path) -> None:
    with qvac_desktop(
        "provider", "--server", "http://127.0.0.1:9", "--bootstrap", bootstrap, "--json", data_dir=tmp_path
    ) as provider:
        told = provider.until("server")
        assert told["state"] == "away" and "does not answer" in told["problem"]
        assert provider.until("ready")["models"] == []
