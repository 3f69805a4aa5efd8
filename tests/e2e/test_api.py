"""The functions that programs call: what each of their parameters changes, on this machine and between two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import qvac_core
from qvac_core import (
    Delegate,
    Firewall,
    LoadedModelInfo,
    cancel,
    completion,
    configure,
    load_model,
    start_qvac_provider,
    unload_model,
)
from qvac_core.api.functions import _session
from qvac_core.core import Core, CoreConfig, RuleOverride
from qvac_core.core.state import AccessMode, SharingPhase
from qvac_core.delegation.admission import Decision
from qvac_core.delegation.completion import CompletionFinal
from qvac_core.delegation.messages import GenerationParams, HistoryMessage, ModelProgress, ToolCall
from qvac_core.errors import DelegationError, InferenceCancelled, LocalProtocolError, ModelError
from qvac_core.hyperdht import KeyPair, create_testnet
from tests.limits import WHOLE

ASK = [{"role": "user", "content": "Write a long story about the sea."}]
GUEST_SEED, OTHER_SEED = "92" * 32, "93" * 32
GUEST_KEY, OTHER_KEY = (KeyPair.from_seed(bytes.fromhex(seed)).public_key.hex() for seed in (GUEST_SEED, OTHER_SEED))
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "when": {"type": "object", "properties": {"days": {"enum": [1, 3, 7]}}, "required": ["days"]},
        },
        "required": ["city", "when"],
    },
}
PERSON = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "schema": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]},
    },
}
NOBODY = ("127.0.0.1", 9)


def run(test: Callable[[], Awaitable[None]], config: CoreConfig, limit: float = WHOLE) -> None:
    async def main() -> None:
        configure(config)
        try:
            async with asyncio.timeout(limit):
                await test()
        finally:
            await qvac_core.close()
            configure(CoreConfig(exclusive=False))

    asyncio.run(main())


def alone(folder: Path) -> CoreConfig:
    return CoreConfig(folder, bytes.fromhex(GUEST_SEED), bootstrap=(NOBODY,))


def member(folder: Path, seed: str, bootstrap: str) -> CoreConfig:
    host, port = bootstrap.rsplit(":", 1)
    return CoreConfig(folder, bytes.fromhex(seed), bootstrap=((host, int(port)),))


# --- On this machine ------------------------------------------------------------------------------------------------


def test_a_model_configuration_holds_on_this_machine(small_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        source, progress = str(small_model_path), list[ModelProgress]()
        sizes = {"ctx_size": 512, "parallel": 2, "device": "cpu", "gpu_layers": 0}
        short = {**sizes, "predict": 12, "temp": 0}
        first = await load_model(source, model_config=short, on_progress=progress.append)
        assert progress
        assert _session.core is not None
        (pooled,) = _session.core.machine.pool.loaded()
        assert pooled.info is not None
        assert (pooled.info.n_ctx, pooled.info.slots, pooled.info.backend_device) == (512, 2, "cpu")
        whole = await completion(first, ASK).final
        assert whole.stats is not None and whole.stats.generated_tokens == 12
        assert await completion(first, ASK).text == whole.text, "at temperature 0 it is the same again"

        over = await completion(first, ASK, generation_params={"predict": 3}).final
        assert over.stats is not None and over.stats.generated_tokens == 3
        assert whole.text.startswith(over.text)

        word = whole.text.split()[3]
        second = await load_model(source, model_config={**short, "stop_sequences": [word]})
        assert second != first
        assert await completion(second, ASK).text == whole.text[: whole.text.index(word)]

        assert await unload_model(second)
        assert not await unload_model(second)
        assert await completion(first, ASK).text == whole.text, "the other one is still loaded"

    run(test, alone(tmp_path))


def test_answers_of_this_machine_are_stopped_by_request_and_by_model(small_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        model = await load_model(str(small_model_path))
        params = {"predict": -1}
        one = completion(model, ASK, request_id="mine", generation_params=params)
        assert one.request_id == "mine"
        await anext(one.token_stream)
        assert await cancel(request_id="another") == 0
        assert await cancel(request_id="mine") == 1
        with pytest.raises(InferenceCancelled):
            await one.text
        assert await cancel(request_id="mine") == 0

        both = [completion(model, ASK, generation_params=params) for _ in range(2)]
        for answer in both:
            await anext(answer.token_stream)
        assert await cancel(model_id=model) == 2
        for answer in both:
            with pytest.raises(InferenceCancelled):
                await answer.text

    run(test, alone(tmp_path))


def test_thinking_comes_apart_on_this_machine_where_it_is_asked_for(thinking_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        model = await load_model(str(thinking_model_path), model_config={"predict": 8, "temp": 0})
        apart = await completion(model, ASK, capture_thinking=True).final
        assert apart.thinking and "<think>" not in apart.text
        together = await completion(model, ASK).final
        assert not together.thinking and together.text.startswith("<think>")

    run(test, alone(tmp_path))


def test_what_nobody_would_act_on_is_an_error(small_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        source = str(small_model_path)
        for config in (
            {"temperature": 0},
            {"ctx_size": 0},
            {"ctx_size": float("inf")},
            {"device": "tpu"},
            {"lora": "style.gguf"},
            {"projectionModelSrc": "eyes.gguf"},
        ):
            with pytest.raises(LocalProtocolError, match=next(iter(config))):
                await load_model(source, model_config=config)
        with pytest.raises(LocalProtocolError, match="temperature"):
            await load_model(source, delegate=Delegate(GUEST_KEY), model_config={"temperature": 0})
        model = await load_model(source)
        with pytest.raises(LocalProtocolError, match="temperature"):
            await completion(model, ASK, generation_params={"temperature": 0}).text
        with pytest.raises(LocalProtocolError, match="attachments"):
            await completion(model, [{**ASK[0], "attachments": "cat.png"}]).text
        with pytest.raises(LocalProtocolError, match="loaded without tools"):
            await completion(model, ASK, tools=[WEATHER]).text

    run(test, alone(tmp_path))


def test_what_is_loaded_is_told_and_forgotten_when_it_is_given_back(small_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        before = datetime.now(UTC)
        (entry,) = await qvac_core.model_registry_search(filter="SMOLLM2_135M_INST_Q4_1")
        with pytest.raises(ModelError):  # it is not there, and this network ends at this machine
            await load_model("no-such-model")
        model = await load_model(str(small_model_path))
        assert await load_model(entry) == model, "the same file, by its entry"
        info = await qvac_core.get_loaded_model_info(model)
        assert (info.model_id, info.is_delegated, info.model_type) == (model, False, entry.engine)
        assert "completionStream" in info.handlers and "embed" not in info.handlers
        assert info.loaded_at is not None and before <= info.loaded_at <= datetime.now(UTC)
        assert (info.name, info.path) == (entry.constant, str(small_model_path.absolute()))
        assert info.addon_package in ("llama-cpp-python", "xllamacpp")
        assert info.provider_public_key is None
        assert await qvac_core.get_loaded_model_info(model) == info
        await unload_model(model)
        with pytest.raises(DelegationError) as raised:
            await qvac_core.get_loaded_model_info(model)
        assert (raised.value.name, raised.value.code) == ("MODEL_NOT_FOUND", 52002)

    run(test, alone(tmp_path))


TOLD = [{"role": "user", "content": "What is the weather in Paris?"}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
SPAIN = [*CAPITAL, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And of Spain?"}]
SHORT: dict[str, Any] = {"temp": 0, "predict": 40}
MUST = {"type": "function", "function": {"name": "get_weather"}}


async def everything_of(model: str) -> dict[str, Any]:
    """What one model says to each way of asking; where it runs is the caller's business."""

    async def final(history: Sequence[Mapping[str, Any]], **asked: Any) -> CompletionFinal:
        return await completion(model, history, generation_params=SHORT, **asked).final

    said: dict[str, Any] = {}
    must = await final(TOLD, tools=[WEATHER], tool_choice=MUST)
    (call,) = must.tool_calls
    assert not must.text and not must.tool_errors
    said["must"] = (call.name, call.arguments)
    told: list[dict[str, Any]] = [*TOLD, {"role": "assistant", "content": "", "tool_calls": must.tool_calls}]
    told.append({"role": "tool", "tool_call_id": call.id, "content": "Sunny"})
    for name, history, asked in (
        ("auto", TOLD, {"tools": [WEATHER]}),
        ("none", TOLD, {"tools": [WEATHER], "tool_choice": "none"}),
        ("result", told, {"tools": [WEATHER]}),
        ("other", TOLD, {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": False}),
        ("dialect", TOLD, {"tools": [WEATHER], "tool_dialect": "qwen35"}),
        ("schema", TOLD, {"response_format": PERSON}),
        ("object", TOLD, {"response_format": {"type": "json_object"}}),
        ("session", CAPITAL, {"kv_cache": "mine"}),
        ("later", SPAIN, {"kv_cache": "mine"}),
        ("anew", SPAIN, {}),
    ):
        answer = await final(history, **asked)
        assert answer.stats is not None
        # Free text differs between two runs where the prompt was read in other pieces: the prompt itself must not.
        text = answer.text if name in ("session", "schema", "object") else ""
        said[name] = (text, [call.arguments for call in answer.tool_calls], answer.stats.prompt_tokens)
    assert isinstance(json.loads(said.pop("schema")[0])["age"], int) and said.pop("object")[0].startswith("{")
    assert said["result"][2] > said["auto"][2] > said["none"][2] + 50
    assert said["later"][2] < said["anew"][2]  # only what is new was read
    events = completion(model, TOLD, generation_params=SHORT, tools=[WEATHER], tool_choice="required").events
    assert [event.call.name async for event in events if isinstance(event, ToolCall)] == ["get_weather"]
    return said


def test_tools_schemas_and_sessions_are_the_same_here_and_at_a_provider(
    bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    async def test() -> None:
        provided = await start_qvac_provider(Firewall("allow", [OTHER_KEY]), models=[str(small_model_path)])
        here = await load_model(str(small_model_path), model_config={"tools": True, "temp": 0})
        local = await everything_of(here)
        async with Core(member(tmp_path / "guest", OTHER_SEED, bootstrap)) as guest:
            own, _session.core = _session.core, guest  # the same functions, from the other side
            try:
                delegate = Delegate(provided.public_key)
                there = await load_model(
                    small_model_path.name, delegate=delegate, model_config={"tools": True, "temp": 0}
                )
                assert await everything_of(there) == local
                without = await load_model(small_model_path.name, delegate=delegate, model_config={"temp": 0})
                with pytest.raises(LocalProtocolError, match="loaded without tools"):
                    await completion(without, TOLD, tools=[WEATHER]).text
            finally:
                _session.core = own

    run(test, member(tmp_path / "own", GUEST_SEED, bootstrap))


# --- As a provider --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def guest_of(bootstrap: str, folder: Path) -> AsyncIterator[Core]:
    async with Core(member(folder, GUEST_SEED, bootstrap)) as guest:
        yield guest


async def length(guest: Core, key: str, source: str) -> int:
    """Tokens of an answer whose guest asks for 40."""
    delegate = qvac_core.Delegate(key).resolved()
    loaded = await guest.consumer.load_model(source, delegate=delegate)
    history = [HistoryMessage("user", ASK[0]["content"])]
    answer = await guest.consumer.completion(
        loaded.model_id, history, generation_params=GenerationParams(predict=40, temp=0)
    )
    stats = await answer.stats
    assert stats is not None
    assert isinstance(stats.generated_tokens, int | float)
    return int(stats.generated_tokens)


@pytest.mark.parametrize("by", ["configure", "call", "setting"])
def test_a_provider_shares_what_it_was_told_to_whom_and_how_much(
    by: str, bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    """Whether `configure` said it or the call did; how much, the settings too."""
    model = str(small_model_path)
    config = member(tmp_path / "owner", OTHER_SEED, bootstrap)
    if by == "configure":
        rules = RuleOverride(allow=(GUEST_KEY,))
        config = replace(config, rules=rules, models=(model,), answer_tokens=4)

    async def test() -> None:
        if by == "configure":
            provided = await start_qvac_provider()
        else:
            most = None if by == "setting" else 4
            if by == "setting":
                async with Core(config) as before:
                    await before.set_setting("sharing.answer_tokens", "4")
            provided = await start_qvac_provider(Firewall("allow", [GUEST_KEY]), models=[model], answer_tokens=most)
        assert provided.public_key == OTHER_KEY == qvac_core.get_consumer_public_key()
        assert _session.core is not None
        assert [shared.shared for shared in await _session.core.shared_models()] == [True]
        async with guest_of(bootstrap, tmp_path / "guest") as guest:
            assert await length(guest, OTHER_KEY, small_model_path.name) == 4
            with pytest.raises(LocalProtocolError, match="first call"):
                await start_qvac_provider(Firewall("allow", [GUEST_KEY]), answer_tokens=50)
            # What is shared, and with whom, may change while it runs.
            await start_qvac_provider(Firewall("deny", []), models=[])
            assert [shared.shared for shared in await _session.core.shared_models()] == [False]
            assert (await _session.core.access_rules()).mode is AccessMode.DENY
            await start_qvac_provider(Firewall("deny", [GUEST_KEY]))
            with pytest.raises(DelegationError):
                await guest.consumer.heartbeat(Delegate(OTHER_KEY, timeout=2).resolved())
            await qvac_core.stop_qvac_provider()
            assert (await _session.core.sharing()).phase is SharingPhase.OFF

    run(test, config)


def test_what_a_call_said_ends_with_its_core(bootstrap: str, tmp_path: Path) -> None:
    async def test() -> None:
        await start_qvac_provider(Firewall("deny", []))
        await qvac_core.close()
        await start_qvac_provider()
        assert _session.core is not None
        rules = await _session.core.access_rules()
        assert rules.mode is AccessMode.ALLOW and not rules.keys, "nobody"

    run(test, member(tmp_path, OTHER_SEED, bootstrap))


def test_a_firewall_of_an_unknown_mode_lets_nobody_in(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(LocalProtocolError, match="allow or deny"):
            await start_qvac_provider(Firewall("Allow", [GUEST_KEY]))  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError, match="at least 1"):
            await start_qvac_provider(answer_tokens=0)
        assert _session.core is None

    run(test, alone(tmp_path))


# --- As a guest -----------------------------------------------------------------------------------------------------


def test_a_guest_loads_asks_stops_and_gives_back(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def test() -> None:
        source = small_model_path.name
        async with Core(owner_config) as owner:
            await owner.add_model_file(small_model_path)
            await owner.start_sharing()
            there = Delegate(OTHER_KEY, timeout=30)
            assert 0 < await qvac_core.heartbeat(there) < 30
            model = await load_model(source, delegate=there, model_config={"predict": 5, "temp": 0})
            final = await completion(model, ASK).final
            assert final.stats is not None and final.stats.generated_tokens == 5
            over = await completion(model, ASK, generation_params={"predict": 2}).final
            assert over.stats is not None and over.stats.generated_tokens == 2
            told = await qvac_core.get_loaded_model_info(model)
            assert told == LoadedModelInfo(model, is_delegated=True, provider_public_key=OTHER_KEY)
            for by in ({"request_id": "mine"}, {"model_id": model}):
                answer = completion(model, ASK, request_id="mine", generation_params={"predict": 2000})
                await anext(answer.token_stream)
                assert await cancel(**by) == 1
                with pytest.raises(InferenceCancelled):
                    await answer.text
            assert await unload_model(model)
        gone = Delegate(OTHER_KEY, timeout=1, fallback_to_local=True)
        here = await load_model(str(small_model_path), delegate=gone, model_config={"predict": 3})
        final = await completion(here, ASK).final
        assert final.stats is not None and final.stats.generated_tokens == 3

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


# --- Of a core itself -----------------------------------------------------------------------------------------------


async def test_a_core_takes_its_models_from_another_folder(small_model_path: Path, tmp_path: Path) -> None:

    folder = tmp_path / "models"
    folder.mkdir()
    (folder / small_model_path.name).symlink_to(small_model_path.absolute())
    names = []
    for models_folder in (folder, None):
        async with Core(
            CoreConfig(tmp_path / "data", bytes(32), bootstrap=(NOBODY,), models_folder=models_folder)
        ) as core:
            await core.machine._library.scan()
            names.append([model.name for model in core.machine.chat_models()])
    assert names[0] and not names[1]


async def test_a_folder_is_held_by_one_core_unless_it_is_told_not_to(tmp_path: Path) -> None:

    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))):
        with pytest.raises(qvac_core.errors.StoreError):
            await Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))).start()
        async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,), exclusive=False)) as beside:
            assert beside.public_key == KeyPair.from_seed(bytes(32)).public_key.hex()


async def test_a_core_connects_through_its_relays(tmp_path: Path) -> None:
    relay = KeyPair.from_seed(b"\x07" * 32).public_key

    async with (
        await create_testnet(3) as net,
        Core(CoreConfig(tmp_path, bootstrap=tuple(net.bootstrap), relays=(relay,))) as core,
    ):
        assert await core.relays() == (relay.hex(),)
        await core.start_sharing()
        assert core._sharing._server is not None and core._sharing._server.relay_through == (relay,)


@pytest.mark.parametrize(("admission", "knocks"), [("deny", "false"), ("allow", "true")])
async def test_who_may_enter_is_what_the_settings_say(
    admission: str, knocks: str, bootstrap: str, tmp_path: Path
) -> None:

    config = member(tmp_path, OTHER_SEED, bootstrap)
    async with Core(config) as before:
        await before.set_setting("sharing.admission", admission)
        await before.set_setting("sharing.knocks", knocks)
    async with Core(config) as core:
        await core.start_sharing()
        decision = core._sharing._policy.decide(b"\x01" * 32, 0.0)
        assert decision is (Decision.ADMIT if admission == "deny" else Decision.KNOCK)
        await core.set_knocks(False)
        await core.set_access_mode(AccessMode.ALLOW)
        assert core._sharing._policy.decide(b"\x01" * 32, 0.0) is Decision.REFUSE


async def test_the_chosen_model_of_this_machine_answers(
    small_model_path: Path, thinking_model_path: Path, tmp_path: Path
) -> None:

    async with Core(CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))) as core:
        for path in (small_model_path, thinking_model_path):
            await core.add_model_file(path)
        names = [model.name for model in core.machine.chat_models()]
        assert len(names) == 2
        for name in names:
            await core.set_setting("chat.local_model", name)
            chosen = core.machine._choose("")
            assert chosen is not None and chosen.name == name
