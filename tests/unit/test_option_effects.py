"""What options of the command line and fields of the wire change: from where they are said to where they act."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

import qvac_core
from app.cli.chat import _Chat, _load, _start
from app.cli.config import core_config
from app.cli.demo import _guest_options
from app.cli.options import build_parser, parse_options
from app.cli.output import Output
from app.cli.relay import _policy
from qvac_core.core.config import CoreConfig, RuleOverride
from qvac_core.core.local_config import local_config
from qvac_core.core.model_options import ModelOptions
from qvac_core.delegation.completion_request import given_sampling, thinks
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.held_models import KnownEmbeddingModel
from qvac_core.delegation.messages import GenerationParams
from qvac_core.delegation.model_config import (
    EMBED_DEFAULTS,
    EMBEDDING_MODEL_TYPE,
    IDLE_FIELDS,
    LLM_MODEL_TYPE,
    OWNERS_FIELDS,
    EmbedConfig,
    LlmConfig,
    model_id,
    own_config,
    own_config_of,
    with_defaults,
)
from qvac_core.engines.interface import CompletionRequest, ModelConfig, SamplingParams
from qvac_core.errors import LocalProtocolError
from qvac_core.hyperdht import KeyPair
from tests.unit.delegation_room import ASK, DELEGATE, provider_room
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import SMOL

RUNNER = run

FIRST, SECOND = (KeyPair.from_seed(bytes([n]) * 32).public_key for n in (1, 2))
HOST = ("127.0.0.1", 5000)
WINDOW: list[str] = []
PROVIDER, CHAT, RELAY, DIAGNOSE = ["provider"], ["chat", FIRST.hex()], ["relay"], ["diagnose"]
MODELS = ["models", FIRST.hex()]
TRANSCRIBE = ["transcribe", "talk.m4a", FIRST.hex()]
SERVE = ["serve"]
TRANSLATE, EMBED = ["translate", "a", FIRST.hex(), "--to", "de"], ["embed", "a", FIRST.hex()]


def reached(verb: list[str], *options: str) -> CoreConfig:
    return core_config(parse_options([*verb, *options]))


# --- The command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [WINDOW, PROVIDER, CHAT, RELAY, DIAGNOSE, MODELS, TRANSCRIBE, TRANSLATE, EMBED, SERVE])
def test_where_the_network_is_entered_reaches_the_core(verb: list[str]) -> None:
    assert reached(verb, "--bootstrap", "127.0.0.1:5000").bootstrap == (HOST,)
    assert reached(verb, "--port", "5001").port == 5001
    assert (reached(verb).bootstrap, reached(verb).port) == (None, 0)


@pytest.mark.parametrize("verb", [WINDOW, PROVIDER, CHAT, DIAGNOSE, MODELS, TRANSCRIBE, TRANSLATE, EMBED, SERVE])
def test_the_local_network_can_be_left_alone(verb: list[str]) -> None:
    assert reached(verb, "--no-local-network").local_network is False
    assert reached(verb).local_network is None


@pytest.mark.parametrize(
    "verb",
    [PROVIDER, CHAT, RELAY, DIAGNOSE, MODELS, TRANSCRIBE, TRANSLATE, EMBED, SERVE, ["public-key"], ["demo"], WINDOW],
)
def test_folder_and_identity_reach_the_core(verb: list[str]) -> None:
    assert str(reached(verb, "--data-dir", "there").data_dir) == "there"
    if verb not in (["demo"], WINDOW):
        assert reached(verb, "--seed", "07" * 32).seed == b"\x07" * 32


def test_who_and_what_a_provider_shares_reaches_the_core() -> None:
    one, two = FIRST.hex(), SECOND.hex()
    assert reached(PROVIDER).rules is None
    assert reached(PROVIDER, "--allow", one, "--allow", two).rules == RuleOverride(allow=(one, two))
    assert reached(PROVIDER, "--deny", one).rules == RuleOverride(deny=(one,))
    assert reached(PROVIDER, "--allow-all").rules == RuleOverride(allow_all=True)
    assert reached(PROVIDER, "--knock").rules == RuleOverride(knock=True)
    assert reached(PROVIDER, "--model", "a", "--model", "b.gguf").models == ("a", "b.gguf")
    assert reached(PROVIDER, "--allow-copy", "a", "--allow-copy", "b.gguf").copies == ("a", "b.gguf")
    assert reached(PROVIDER).copies is None
    assert reached(PROVIDER, "--answer-tokens", "50").answer_tokens == 50
    assert reached(PROVIDER).model_options == ModelOptions()
    of_models = ("--context-tokens", "8192", "--slots", "2", "--memory-mb", "6000", "--idle-minutes", "15")
    assert reached(PROVIDER, *of_models).model_options == ModelOptions(8192, 2, 6000, 15)


def test_the_limits_of_a_relay_are_those_of_its_options() -> None:
    policy = _policy(parse_options([*RELAY, "--allow", FIRST.hex(), "--rate", "0.5", "--quota", "2"]))
    assert policy.admitted == frozenset({FIRST})
    assert (policy.bytes_per_second, policy.bytes_in_all) == (500_000, 2_000_000)
    unlimited = _policy(parse_options([*RELAY, "--rate", "0", "--quota", "0"]))
    assert (unlimited.admitted, unlimited.bytes_per_second, unlimited.bytes_in_all) == (None, None, None)
    assert _policy(parse_options(RELAY)).bytes_per_second == 4_000_000


def chat_of(options: argparse.Namespace, core: Any) -> _Chat:
    return _Chat(core, options, Output(as_json=True))


async def test_how_a_chat_reaches_its_provider_and_asks() -> None:
    options = parse_options([*CHAT, "--timeout", "7", "--force-new-connection", "--temp", "0.5", "--predict", "9"])
    assert chat_of(options, None).delegate == Delegate(FIRST, timeout=7.0, force_new_connection=True)
    plain = parse_options(CHAT)
    assert chat_of(plain, None).delegate == Delegate(FIRST)

    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE)
        for each in (options, plain):
            chat = chat_of(each, SimpleNamespace(consumer=consumer))
            chat.model_id, chat.history = loaded.model_id, ASK
            await (await _start(chat)).text
        asked = [request.sampling for request in room.pool.model.requests]
        assert (asked[0].temp, asked[0].predict) == (0.5, 9)
        assert (asked[1].temp, asked[1].predict) == (None, 2048)
        await consumer.close()


def test_a_local_model_that_would_never_answer_is_an_error() -> None:
    core = SimpleNamespace(public_key=SECOND.hex())
    chat = chat_of(parse_options([*CHAT, "--local-model", "a.gguf"]), core)
    with pytest.raises(LocalProtocolError, match="--fallback"):
        run(_load(chat))


def test_the_demo_asks_what_it_is_told_to() -> None:
    options = parse_options(["demo", "--prompt", "Why?", "--json"])
    asked = _guest_options(options, FIRST.hex(), bytes(32), [HOST], "folder")
    assert (asked.prompt, asked.json) == ("Why?", True)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("qvac-desktop ")


# --- modelConfig and generationParams -------------------------------------------------------------------------------

# Each with the name and the value that the engine has for it.
SAMPLING: dict[str, tuple[Any, Any]] = {
    "temp": (0.25, 0.25),
    "top_p": (0.5, 0.5),
    "top_k": (3, 3),
    "seed": (9, 9),
    "predict": (17, 17),
    "repeat_penalty": (1.5, 1.5),
    "frequency_penalty": (0.5, 0.5),
    "presence_penalty": (0.75, 0.75),
}


async def answered(config: dict[str, Any] | None = None, **params: Any) -> tuple[ModelConfig, CompletionRequest]:
    """How a provider's engine was asked to load, and what it was asked to answer."""
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config=config)
        given = GenerationParams(**params) if params else None
        await (await consumer.completion(loaded.model_id, ASK, generation_params=given)).text
        await consumer.close()
        return room.pool.configs[0], room.pool.model.requests[0]


@pytest.mark.parametrize("name", SAMPLING)
def test_sampling_of_the_load_and_of_the_request_reach_the_engine(name: str) -> None:
    value, wanted = SAMPLING[name]

    async def main() -> None:
        _, plain = await answered()
        assert getattr(plain.sampling, name) != wanted
        _, by_load = await answered({name: value})
        assert getattr(by_load.sampling, name) == wanted
        _, by_request = await answered({name: value + (1 if name == "temp" else 0)}, **{name: value})
        assert getattr(by_request.sampling, name) == wanted

    run(main())
    here = local_config(ModelConfig(), own_config({name: value}))
    assert here.sampling is not None and getattr(here.sampling, name) == wanted
    params = msgspec.convert({name: value}, GenerationParams)
    assert getattr(SamplingParams(**given_sampling(params)), name) == wanted


def test_a_budget_of_0_ends_thinking_on_this_machine_too() -> None:
    none, some, unsaid = (GenerationParams(reasoning_budget=n) for n in (0, -1, UNSET))
    quiet = LlmConfig(reasoning_budget=0)
    assert [thinks(params, quiet) for params in (none, some, unsaid)] == [False, True, False]
    assert [thinks(params, LlmConfig()) for params in (none, some, unsaid)] == [False, True, True]


IGNORED: dict[str, Any] = {
    "ctx_size": 512,
    "gpu_layers": 3,
    "device": "cpu",
    "parallel": 2,
    "no_mmap": True,
    "verbosity": 3,
    "n_discarded": 5,
    "cache-type-k": "q8_0",
    "cache-type-v": "q8_0",
    "main-gpu": 1,
    "split-mode": "row",
    "tensor-split": "1,1",
    "openclCacheDir": "cache",
    "toolsMode": "dynamic",
    "image_tile_mode": "disabled",
    "mmproj-use-gpu": True,
}


def test_the_fields_that_a_provider_ignores_are_those_that_it_says() -> None:
    assert set(IGNORED) == OWNERS_FIELDS | IDLE_FIELDS


@pytest.mark.parametrize("name", IGNORED)
def test_what_is_the_owners_business_is_part_of_the_id_and_of_nothing_else(name: str) -> None:
    """The SDK sends these with every load: to refuse them would be to refuse it."""

    async def main() -> None:
        plain, given = await answered(), await answered({name: IGNORED[name]})
        assert plain[0] == given[0]
        assert _same(plain[1], given[1])

    run(main())
    plain, given = (with_defaults(own_config(config)) for config in ({}, {name: IGNORED[name]}))
    assert model_id(LLM_MODEL_TYPE, SMOL.name, plain) != model_id(LLM_MODEL_TYPE, SMOL.name, given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("gpuLayers", 3), ("device", "cpu"), ("batchSize", 7), ("flashAttention", "off"), ("mainGpu", 1)),
        *(("splitMode", "row"), ("tensorSplit", "1,1"), ("verbosity", 2), ("openclCacheDir", "kernels")),
    ],
)
def test_how_an_embedding_model_is_loaded_is_the_owners_business(name: str, value: object) -> None:
    plain, given = (with_defaults(own_config_of(EmbedConfig, config), EMBED_DEFAULTS) for config in ({}, {name: value}))
    ids = [model_id(EMBEDDING_MODEL_TYPE, SMOL.name, config) for config in (plain, given)]
    assert ids[0] != ids[1]
    known = [KnownEmbeddingModel(ids[0], SMOL, SMOL.name, config) for config in (plain, given)]
    assert known[0].pooling == known[1].pooling == "", "nothing else of it reaches the engine"


def _same(one: CompletionRequest, other: CompletionRequest) -> bool:
    return (one.history, one.sampling, one.stop, one.thinking, one.session) == (
        *(other.history, other.sampling, other.stop, other.thinking, other.session),
    )


async def test_earlier_thinking_is_left_to_the_template() -> None:
    (_, plain), (_, given) = await answered(), await answered(remove_thinking_from_context=True)
    assert _same(plain, given)


def test_a_delegate_of_a_program_is_carried_whole() -> None:
    carried = qvac_core.Delegate(FIRST.hex(), 7.0, True, True, 2.5).resolved()
    assert carried == Delegate(FIRST, 7.0, True, True, 2.5)
    assert qvac_core.Delegate(FIRST).resolved() == Delegate(FIRST)
