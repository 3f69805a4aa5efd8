"""Long messages between a guest and a provider over a real connection: they arrive beside an answer that streams."""

from __future__ import annotations

import pytest

from qvac_core.delegation.admission import AccessMode, AccessPolicy, AccessRules
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import HistoryMessage
from qvac_core.delegation.provider import Provider
from qvac_core.errors import ProviderError
from qvac_core.hyperdht import DHT, Connection, KeyPair, create_testnet
from tests.unit.scripted_engine import SMOL, MemoryLog, OneShared, ScriptedPool


def _ask(letters: int) -> list[HistoryMessage]:
    return [HistoryMessage(role="user", content="x" * letters)]


async def test_requests_of_a_megabyte_and_more_beside_an_answer() -> None:
    pool, log = ScriptedPool(), MemoryLog()
    pool.load_seconds, pool.model.step, pool.model.words = 0.0, 0.01, ["word "] * 300
    policy = AccessPolicy(AccessRules(AccessMode.DENY))
    provider = Provider(models=OneShared(), pool=pool, policy=policy, log=log)
    key_pair, guest = KeyPair.from_seed(b"\x07" * 32), KeyPair.from_seed(b"\x08" * 32)
    async with await create_testnet(3) as net, DHT(net.bootstrap, host="127.0.0.1") as dht:
        await dht.ready()
        server = dht.create_server(provider.serve, firewall=provider.firewall)
        await server.listen(key_pair)

        async def connect(public_key: bytes, force_new: bool, seconds: float) -> Connection:
            return await dht.connect(public_key, guest)

        consumer = Consumer(connect)
        loaded = await consumer.load_model(SMOL.name, delegate=Delegate(key_pair.public_key))
        streaming = await consumer.completion(loaded.model_id, _ask(10))
        await anext(streaming.token_stream)
        connection = consumer.connection(key_pair.public_key)
        long = await consumer.completion(loaded.model_id, _ask(1_100_000))
        with pytest.raises(ProviderError, match="too long for the provider"):
            await (await consumer.completion(loaded.model_id, _ask(20_000_000))).text
        assert not streaming.finished
        assert await long.text == await streaming.text == "word " * 300
        assert consumer.connection(key_pair.public_key) is connection
        await consumer.close()
        await server.close()
        await provider.close()
    assert sorted(log.outcomes) == ["eos", "eos", "error"]
