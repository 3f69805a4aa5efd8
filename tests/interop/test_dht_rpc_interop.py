"""Our dht_rpc nodes and the original's in one network on loopback, both as guests and as hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from qvac_core.codec import Address, Writer
from qvac_core.dht_rpc import IncomingRequest, Internal, Persistent, Reply, ReplyError, RequestSpec, peer_id
from tests.interop.dht_rpc_sockets import JavaScriptNodes, SocketDriver

PUT, GET = 70, 71
TARGET = bytes(range(32))
PERSISTENT = {"ephemeral": False, "firewalled": False}


def as_json(addresses: Sequence[Address]) -> list[dict[str, Any]]:
    return [{"host": host, "port": port} for host, port in addresses]


def serve(driver: SocketDriver) -> dict[bytes, bytes]:
    stored: dict[bytes, bytes] = {}

    def on_request(request: IncomingRequest) -> None:
        if request.command == PUT and request.token_valid and request.target and request.value:
            stored[request.target] = request.value
            request.reply()
        elif request.command == GET and request.target:
            request.reply(stored.get(request.target))
        else:
            request.error(ReplyError.UNKNOWN_COMMAND)

    driver.node.on_request = on_request
    return stored


def put_spec(value: bytes) -> Any:
    def commit(reply: Reply) -> RequestSpec | None:
        return RequestSpec(PUT, TARGET, value, reply.token) if reply.token else None

    return commit


async def test_our_node_joins_a_javascript_network(js_home: Path) -> None:
    async with JavaScriptNodes(js_home) as javascript:
        started = await javascript.call("start", bootstrap=[], options=PERSISTENT)
        bootstrap = [("127.0.0.1", started[0]["server"])]
        started += await javascript.call("start", bootstrap=as_json(bootstrap), options=PERSISTENT, count=4)
        async with SocketDriver(bootstrap, **PERSISTENT) as ours:
            assert ours.node.remote_address() == ours.address
            assert ours.node.id == peer_id(ours.address)
            assert any(isinstance(event, Persistent) for event in ours.events)
            stored = serve(ours)
            await they_know_us(javascript, ours, len(started))
            await they_ask_us(javascript, ours)
            await both_store_for_each_other(javascript, ours, stored)


async def they_know_us(javascript: JavaScriptNodes, ours: SocketDriver, count: int) -> None:
    port = ours.address[1]
    knowing = [
        index
        for index in range(count)
        if port in [known["port"] for known in (await javascript.call("info", node=index))["known"]]
    ]
    assert len(knowing) >= 4, "a persistent node's own requests carry its id"
    assert port in await javascript.call("find", node=1, target=ours.node.table.id.hex())


async def they_ask_us(javascript: JavaScriptNodes, ours: SocketDriver) -> None:
    to = as_json([ours.address])[0]
    pong = await javascript.call("ping", node=1, to=to)
    assert pong == {"to": pong["to"], "error": 0, "token": False, "id": True}
    assert (await javascript.call("delayedPing", node=1, to=to, ms=60))["ms"] >= 50
    unknown = await javascript.call("request", node=1, to=to, command=99, target=TARGET.hex())
    assert unknown["error"] == ReplyError.UNKNOWN_COMMAND
    assert unknown["token"] is None
    assert unknown["closer"] > 0
    refused = await javascript.call("request", node=1, to=to, command=PUT, target=TARGET.hex(), token="00" * 32)
    assert refused["error"] == ReplyError.INVALID_TOKEN
    again = await javascript.call(
        "request", node=1, to=to, command=PUT, target=TARGET.hex(), token=refused["token"], value="11"
    )
    assert again["error"] == 0, "a refused token is answered with one that works"


async def both_store_for_each_other(
    javascript: JavaScriptNodes, ours: SocketDriver, stored: dict[bytes, bytes]
) -> None:
    asked = await javascript.call("put", node=1, target=TARGET.hex(), value="2222")
    assert ours.address[1] in asked
    assert stored[TARGET] == b"\x22\x22"
    result, _ = await ours.query(TARGET, GET, commit=put_spec(b"from us"))
    assert result.error is None
    assert result.committed >= 4
    values = await javascript.call("get", node=2, target=TARGET.hex())
    assert b"from us".hex() in [value["value"] for value in values]
    _, replies = await ours.query(TARGET, GET)
    assert b"from us" in [reply.value for reply in replies]


async def test_javascript_nodes_join_our_network(js_home: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(SocketDriver([], first=True, **PERSISTENT))
        ours = [first]
        for seed in range(2, 5):
            driver = SocketDriver([first.address], seed=seed, **PERSISTENT)
            ours.append(await stack.enter_async_context(driver))
        stores = [serve(driver) for driver in ours]
        assert all(not driver.node.ephemeral for driver in ours[1:])
        javascript = await stack.enter_async_context(JavaScriptNodes(js_home))
        bootstrap = as_json([first.address])
        joined = await javascript.call("start", bootstrap=bootstrap, options=PERSISTENT, count=2)
        for info in joined:
            assert not info["ephemeral"]
            assert info["port"] == info["server"]
        await javascript.call("put", node=0, target=TARGET.hex(), value="3333")
        assert sum(TARGET in store for store in stores) >= 3
        values = await javascript.call("get", node=1, target=TARGET.hex())
        assert {value["value"] for value in values} == {"3333"}
        await quick_firewall_test_works_with_us(javascript, bootstrap)
        await they_answer_us(ours[1], joined[0]["server"])


async def quick_firewall_test_works_with_us(javascript: JavaScriptNodes, bootstrap: list[dict[str, Any]]) -> None:
    """An ordinary node asks the first that answers to ping its server socket; whether the answer is in before its
    bootstrap query ends is a race in the original, but it must never come out wrong."""
    info = (await javascript.call("start", bootstrap=bootstrap))[0]
    assert info["ephemeral"]
    assert info["firewalled"] or info["port"] == info["server"]


async def they_answer_us(ours: SocketDriver, port: int) -> None:
    to = ("127.0.0.1", port)
    pong = await ours.request(Internal.PING, to, internal=True)
    assert pong.to == ours.address
    assert pong.id == peer_id(to)
    assert pong.token is None
    value = Writer().uint16(ours.address[1]).finish()
    nat = await ours.request(Internal.PING_NAT, to, internal=True, value=value)
    assert nat.to == ours.address
    unknown = await ours.request(9, to, internal=True)
    assert unknown.error == ReplyError.UNKNOWN_COMMAND


async def test_an_ordinary_node_of_ours_finds_out_that_it_is_reachable(js_home: Path) -> None:
    async with JavaScriptNodes(js_home) as javascript:
        started = await javascript.call("start", bootstrap=[], options=PERSISTENT)
        bootstrap = [("127.0.0.1", started[0]["server"])]
        await javascript.call("start", bootstrap=as_json(bootstrap), options=PERSISTENT, count=6)
        async with SocketDriver(bootstrap) as ours:
            assert (ours.node.ephemeral, ours.node.host) == (True, "127.0.0.1")
            answer = asyncio.get_running_loop().create_future()
            ours.node.reachability.update(answer.set_result)
            assert await ours._finish(answer)
            assert (ours.node.ephemeral, ours.node.firewalled) == (False, False)
            assert ours.node.remote_address() == ours.address
