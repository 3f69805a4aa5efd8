"""The real @qvac/sdk 0.16 as a consumer of our provider, over our network. The engine is scripted; the wire is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules, Limits
from qvac_core.delegation.events import ConnectionChanged, ConnectionState, ProviderEvent
from qvac_core.delegation.provider import Provider
from qvac_core.errors import EngineCrashed
from qvac_core.hyperdht import DHT, KeyPair, create_testnet
from tests.interop.sdk_peer import EVENT_LIMIT, SdkPeer
from tests.unit.scripted_engine import SMOL, MemoryLog, OneShared, ScriptedPool

# The kit is installed by whoever comes first.
pytestmark = pytest.mark.timeout(900)

EVERYBODY = AccessRules(AccessMode.DENY)
SEED = "11" * 32
SILENCE = 8.0  # seconds in which a consumer that gets no answer has not given up yet
CONSUMER_KEY = KeyPair.from_seed(bytes.fromhex(SEED)).public_key


@dataclass
class Stage:
    provider: Provider
    policy: AccessPolicy
    pool: ScriptedPool
    models: OneShared
    log: MemoryLog
    events: list[ProviderEvent]
    public_key: str
    home: Path
    data: Path
    bootstrap: list[tuple[str, int]]
    changed: asyncio.Event

    def consumer(self, model: str, prompt: str, *options: str) -> SdkPeer:
        arguments = (self.public_key, model, prompt, "--seed", SEED, "--timeout", "20000", *options)
        return SdkPeer(self.home, self.data, self.bootstrap, "consumer.mjs", *arguments)

    async def until(self, wanted: Callable[[ProviderEvent], bool]) -> None:
        """Our provider said this. Raises TimeoutError."""
        async with asyncio.timeout(EVENT_LIMIT):
            while not any(map(wanted, self.events)):
                self.changed.clear()
                await self.changed.wait()

    def switch_model_off(self) -> None:
        self.models.shared = False
        self.provider.judge_models_again()

    def raw(self, *requests: str) -> SdkPeer:
        arguments = (self.public_key, *requests, "--seed", SEED, "--wait", "5000")
        return SdkPeer(self.home, self.data, self.bootstrap, "raw.mjs", *arguments)


@asynccontextmanager
async def stage(home: Path, data: Path, rules: AccessRules = EVERYBODY) -> AsyncIterator[Stage]:
    """A testnet of ours, a node of ours, our provider listening on it."""
    policy, pool, models, log = AccessPolicy(rules), ScriptedPool(), OneShared(), MemoryLog()
    events: list[ProviderEvent] = []
    changed = asyncio.Event()

    def note(event: ProviderEvent) -> None:
        events.append(event)
        changed.set()

    provider = Provider(models=models, pool=pool, policy=policy, log=log, on_event=note)
    async with await create_testnet(4) as net, DHT(net.bootstrap, host="127.0.0.1") as dht:
        await dht.ready()
        key_pair = KeyPair.from_seed(b"\x07" * 32)
        server = dht.create_server(provider.serve, firewall=provider.firewall)
        await server.listen(key_pair)
        key, bootstrap = key_pair.public_key.hex(), list(net.bootstrap)
        yield Stage(provider, policy, pool, models, log, events, key, home, data, bootstrap, changed)
        await server.close()
        await provider.close()
    assert pool.leases == 0 and len(provider.requests) == 0


async def test_load_with_progress_stream_statistics_unload(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        async with scene.consumer(SMOL.sources[0], "Hello", "--heartbeat", "1", "--runs", "2", "--profile") as peer:
            assert await peer.finish() == 0, peer.events
        progress = [event["data"] for event in peer.of("progress")]
        assert progress and progress[-1]["percentage"] == 100
        assert progress[0]["downloadKey"].startswith("registry:hf:")
        assert [event["text"] for event in peer.of("token")] == ["one ", "two ", "three"] * 2
        final = peer.of("final")[0]
        assert final["text"] == "one two three" and final["stopReason"] == "eos"
        assert final["stats"]["generatedTokens"] == 3 and final["stats"]["timeToFirstToken"] == 12.5
        assert len(peer.of("unloaded")) == 1
        assert scene.log.outcomes == ["eos", "eos"]
        assert scene.pool.leases == 0


async def test_cancel_by_model_stops_our_engine(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.words = ["word "] * 600
        async with scene.consumer(SMOL.name, "Hello", "--cancel-after", "3", "--no-progress") as peer:
            await peer.until("cancelled")
            failed = await peer.until("final")
            assert failed["failed"] and failed["tokens"] < 10
            await peer.finish()
        done = [event["data"] for event in peer.of("completion-event") if event["data"]["type"] == "completionDone"]
        assert done[0]["stopReason"] == "cancelled"
        assert scene.log.outcomes == ["cancelled"]
        assert scene.pool.model.running == {}


async def test_answers_in_parallel(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        async with scene.consumer(SMOL.name, "Hello", "--parallel", "6", "--quiet") as peer:
            assert await peer.finish() == 0, peer.events
        assert [event["text"] for event in peer.of("final")] == ["one two three"] * 6
        assert scene.pool.model.most_running == Limits().parallel_per_key


async def test_extras_of_a_completion_are_understood(sdk_peer_home: Path, tmp_path: Path) -> None:
    extras = {
        "stream": False,
        "kvCache": "../../etc/passwd",
        "emitRawDeltas": True,
        "captureThinking": True,
        "generationParams": {"temp": 0, "top_k": 40, "reasoning_budget": -1},
        "responseFormat": {
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    }

    async with stage(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.thoughts = ["zero, ", "then: "]
        async with scene.consumer(SMOL.name, "Hello", "--request", json.dumps(extras)) as peer:
            assert await peer.finish() == 0, peer.events
        events = [event["data"] for event in peer.of("completion-event")]
        thinking = "".join(event["text"] for event in events if event["type"] == "thinkingDelta")
        assert thinking == "zero, then: "
        assert peer.of("final")[0]["text"] == "one two three"
        request = scene.pool.model.requests[0]
        assert request.response_schema is not None and json.loads(request.response_schema)["type"] == "object"
        assert request.sampling.temp == 0


async def test_errors_are_read_as_errors(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        async with scene.consumer("/etc/passwd", "Hello") as peer:
            assert await peer.finish() == 1
        assert "does not share a model of that name" in peer.of("error")[0]["message"]
        scene.pool.model.failure = EngineCrashed("worker at /owner/secret died")
        async with scene.consumer(SMOL.name, "Hello") as peer:
            assert await peer.finish() == 1
        error = peer.of("error")[0]
        assert error["code"] == 52406 and "ended unexpectedly" in error["message"]
        assert "secret" not in json.dumps(peer.events)
        assert scene.log.outcomes == ["error"]


async def test_an_answer_in_work_ends_properly_when_sharing_stops(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.words = ["word "] * 600
        async with scene.consumer(SMOL.name, "Hello") as peer:
            await peer.until("token")
            await scene.provider.close()
            error = await peer.until("error", limit=10)
            assert "stopped sharing" in error["message"]
        assert scene.log.outcomes == ["stopped"]


async def test_what_the_owner_does_to_an_answer_is_told_in_words(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.words = ["word "] * 600
        blocked = AccessRules(AccessMode.DENY, denied=frozenset({CONSUMER_KEY}))
        acts: list[tuple[Callable[[], object], str, str]] = [
            (lambda: scene.provider.stop_request(scene.log.started[0]), "stopped this answer", "You stopped it."),
            (scene.switch_model_off, "no longer shares this model", "You no longer share this model."),
            (lambda: scene.policy.set_rules(blocked), "blocked your key", "You blocked this key."),
        ]
        for act, words, logged in acts:
            async with scene.consumer(SMOL.name, "Hello") as peer:
                await peer.until("token")
                act()
                error = await peer.until("error", limit=20)
                assert words in error["message"] and "(code: 52" in error["message"]
                await peer.finish()
            scene.models.shared = True
            entry = scene.log.finished[-1]
            assert (entry["outcome"], entry["error"]) == ("stopped", logged) and entry["generated_tokens"] > 0


async def test_long_messages_arrive_or_are_refused_in_words(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        letters = [1_100_000, 5_000_000, 10]
        asks = [{"history": [{"role": "user", "content": "x" * count}]} for count in letters]
        plan = tmp_path / "plan.json"
        plan.write_text(json.dumps([{"modelSrc": SMOL.name, "modelConfig": {}, "asks": asks}]))
        arguments = (scene.public_key, str(plan), "--seed", SEED, "--timeout", "20000")
        async with SdkPeer(scene.home, scene.data, scene.bootstrap, "asks.mjs", *arguments) as peer:
            await peer.until("end", limit=120)
        answers = peer.of("answer")
        assert [answer["text"] for answer in answers] == ["one two three", "", "one two three"]
        assert "too long for the provider" in answers[1]["error"]["message"], answers[1]
        assert [len(request.history[-1].content) for request in scene.pool.model.requests] == [1_100_000, 10]


async def test_a_key_that_is_not_allowed_is_refused_at_once_and_a_knock_is_told_why(
    sdk_peer_home: Path, tmp_path: Path
) -> None:
    async with stage(sdk_peer_home, tmp_path, AccessRules()) as scene:
        async with scene.consumer(SMOL.name, "Hello") as peer:
            await scene.until(lambda event: getattr(event, "state", None) is ConnectionState.REFUSED)
            # From here on: how long it takes to start and to find us is no matter of ours.
            await peer.until("load-failed", limit=SILENCE)
            assert await peer.finish() == 1
        scene.policy.set_rules(AccessRules(knock=True))
        async with scene.consumer(SMOL.name, "Hello") as peer:
            assert await peer.finish() == 1
        message = peer.of("error")[0]["message"]
        assert f"Ask its owner to allow your key: {CONSUMER_KEY.hex()}" in message
        states = {event.state for event in scene.events if isinstance(event, ConnectionChanged)}
        assert states == {ConnectionState.REFUSED, ConnectionState.KNOCK}
        assert scene.pool.loads == 0


async def test_what_strangers_may_not_call_is_answered_in_its_shape(sdk_peer_home: Path, tmp_path: Path) -> None:
    requests = [
        '{"type":"state"}',
        '{"type":"__shutdown__"}',
        '{"type":"stopProvide","topic":"x"}',
        '~{"type":"loggingStream","namespace":"x"}',
        "#not json",
        '{"type":"heartbeat"}',
    ]

    async with stage(sdk_peer_home, tmp_path) as scene:
        async with scene.raw(*requests) as peer:
            await peer.finish()
        replies = [line[kind] for line in peer.events for kind in ("reply", "chunk") if kind in line]
        assert [reply["type"] for reply in replies] == ["error"] * 5 + ["heartbeat"]
        assert [reply.get("code") for reply in replies[:4]] == [53704] * 4
        assert all("stack" not in reply for reply in replies)


async def test_a_killed_consumer_stops_its_generation(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with stage(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.words = ["word "] * 100_000
        async with scene.consumer(SMOL.name, "Hello") as peer:
            await peer.until("token")
            peer.kill()
            async with asyncio.timeout(60):
                while not scene.log.finished:
                    await scene.changed.wait()
                    scene.changed.clear()
        assert scene.log.outcomes == ["disconnected"]
        assert scene.pool.model.running == {}
