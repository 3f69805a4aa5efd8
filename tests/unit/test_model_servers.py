"""Servers of other programs: what is kept of them and where, their models' names, and what follows a change."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core.core.event_hub import EventHub
from qvac_core.core.model_servers import ModelServersRoom
from qvac_core.core.model_servers_state import ModelServersChanged, ServerState
from qvac_core.core.served_models import find, models_of, titles_of
from qvac_core.core.state import CoreEvent
from qvac_core.engines.openai_address import base_address, place_of
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.records import KeptModel, ModelServer
from qvac_core.store.server_keys import ServerKeys
from qvac_core.store.store import Store
from tests.servers.scripted import Asked, Connection, Scripted

ID = "a" * 32


class Ring:
    """A keyring that may be locked."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.locked = False

    def get(self, name: str) -> str | None:
        if self.locked:
            raise RuntimeError("locked")
        return self.kept.get(name)

    def set(self, name: str, secret: str) -> None:
        if self.locked:
            raise RuntimeError("locked")
        self.kept[name] = secret


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        (" http://localhost:1234/ ", "http://localhost:1234/v1"),
        ("https://host/openai/v1/", "https://host/openai/v1"),
        ("http://host/v1/chat/completions", "http://host/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_as_people_write_it(written: str, base: str) -> None:
    assert base_address(written) == base and base_address(base) == base


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ftp://host",
        "file:///etc/passwd",
        "http://",
        "http://[",
        "http://me:pw@host",
        "http://host?x=1",
        "http://h#x",
        "http://host:99999",
        "javascript:alert(1)",
        "http://ho\nst",
        "http://xn--a",
        "http://" + "a" * 600,
    ],
)
def test_what_is_no_address(written: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        base_address(written)
    assert "pw" not in raised.value.message


def test_the_place_is_its_name_where_nobody_gives_one() -> None:
    assert place_of("http://[::1]:8080/v1") == "[::1]:8080" and place_of("https://host/v1") == "host"


def folder(path: Path, *, explicit: bool) -> DataDir:
    return replace(DataDir.locate(path), explicit=explicit)


def test_keys_lie_in_the_keyring_or_in_a_file_of_their_owner(tmp_path: Path) -> None:
    ring = Ring()
    place = folder(tmp_path, explicit=False)
    place.create()
    keys = ServerKeys(place, keyring=ring)
    assert keys.get(ID) == "" and not keys.has(ID)
    keys.put(ID, " s3cret\n")
    assert keys.get(ID) == "s3cret" and keys.has(ID)
    assert "s3cret" not in place.server_keys_file.read_text() and "s3cret" in ring.kept.values()
    ring.locked = True
    with pytest.raises(StoreError, match="keyring"):
        keys.get(ID)
    keys.put("b" * 32, "other")
    assert ServerKeys(place, keyring=ring).get("b" * 32) == "other"
    if sys.platform != "win32":
        assert stat.S_IMODE(place.server_keys_file.stat().st_mode) == 0o600
    ring.locked = False
    keys.put(ID, "")
    assert not keys.has(ID) and "s3cret" not in ring.kept.values()
    with pytest.raises(LocalProtocolError):
        keys.put(ID, "two words")
    place.server_keys_file.write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        keys.get(ID)


def test_a_chosen_folder_has_its_keys_in_itself(tmp_path: Path) -> None:
    ring = Ring()
    place = folder(tmp_path, explicit=True)
    place.create()
    ServerKeys(place, keyring=ring).put(ID, "s3cret")
    assert ring.kept == {} and json.loads(place.server_keys_file.read_text()) == {ID: "s3cret"}


def test_names_of_models() -> None:
    assert titles_of(("llama3.2:3b", "Qwen/Qwen3-32B", "/m/a.gguf", "C:\\m\\b.gguf")) == [
        *("llama3.2:3b", "Qwen3-32B", "a", "b"),
    ]
    assert titles_of(("x/Model", "y/model", "z")) == ["x/Model", "y/model", "z"]
    one = ModelServer(ID, "Rack", "http://h/v1", models=(KeptModel("Qwen/Qwen3"), KeptModel("bge-m3", embeds=True)))
    other = ModelServer("b" * 32, "Desk", "http://g/v1", models=(KeptModel("Qwen/Qwen3"),))
    models = (*models_of(one), *models_of(other))
    assert [model.name for model in models] == ["Qwen3@Rack", "bge-m3@Rack", "Qwen3@Desk"]
    assert len({model.sha256 for model in models} | {str(model.path) for model in models}) == 6
    assert find(models, "qwen3@desk") == models[2] and find(models, models[1].sha256) == models[1]
    assert find(models, "bge-m3") == models[1] and find(models, "Qwen3") is None, "two have it"
    renamed = models_of(replace(one, url="http://elsewhere/v1", name="Other"))
    assert [model.sha256 for model in renamed] == [model.sha256 for model in models[:2]]


def in_room(
    path: Path, act: Callable[[ModelServersRoom, Scripted, Store, list[ModelServersChanged]], Awaitable[None]]
) -> None:
    async def main() -> None:
        store = Store.open(DataDir.locate(path), now=0.0)
        events = EventHub()
        told: list[ModelServersChanged] = []

        def listen(event: CoreEvent) -> None:
            if isinstance(event, ModelServersChanged):
                told.append(event)

        events.subscribe(listen)
        room = ModelServersRoom(store, events, shared_names=lambda: store.settings.settings.sharing.models)
        try:
            async with Scripted() as server:
                await room.open()
                await act(room, server, store, told)
        finally:
            await room.close()
            store.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def share(store: Store, *names: str) -> None:
    store.settings.change(lambda now: replace(now, sharing=replace(now.sharing, models=names)))


def test_a_server_is_kept_whether_it_answers_or_not(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        there = await room.keep(server.address, "Rack", key="s3cret", requests=3)
        assert (there.state, there.parallel, [model.name for model in there.models]) == (
            *(ServerState.THERE, 3, ["small@Rack"]),
        )
        away = await room.keep("http://127.0.0.1:9", "Desk")
        assert away.state is ServerState.AWAY and "does not answer" in away.problem
        with pytest.raises(StoreError, match="already"):
            await room.keep(server.address, "rack")
        with pytest.raises(LocalProtocolError, match="neither"):
            await room.keep(server.address, "a/b")
        assert [entry.name for entry in told[-1].servers] == ["Desk", "Rack"]
        assert "s3cret" not in repr(told) + repr(store.model_servers.list())
        assert {asked.headers["authorization"] for asked in server.asked if asked.path == "/v1/models"} == {
            "Bearer s3cret"
        }

    in_room(tmp_path, act)


def test_what_is_set_by_a_models_name_follows_its_server(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        entry = await room.keep(server.address, "Rack")
        share(store, "small@Rack", "own")
        entry = await room.keep(server.address, "Desk", id=entry.id)
        assert [*store.settings.settings.sharing.models] == ["own", "small@Desk"]
        assert [(model.name, model.shared) for model in entry.models] == [("small@Desk", True)]
        await room.remove(entry.id)
        left: tuple[str, ...] = store.settings.settings.sharing.models
        assert left == ("own",) and room.models() == ()

    in_room(tmp_path, act)


def test_a_key_never_goes_to_another_address_by_itself(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        entry = await room.keep("http://127.0.0.1:9", "Rack", key="s3cret")
        for attempt in (room.keep(server.address, "Rack", id=entry.id), room.test(server.address, id=entry.id)):
            with pytest.raises(LocalProtocolError, match="old address"):
                await attempt
        assert server.asked == []
        assert (await room.keep(server.address, "Rack", key="", id=entry.id)).has_key is False
        assert all("authorization" not in asked.headers for asked in server.asked)

    in_room(tmp_path, act)


def test_testing_keeps_nothing(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        found = await room.test(server.address, "s3cret")
        assert [model.served for model in found.models] == ["small"]
        assert store.model_servers.list() == () and not told

    in_room(tmp_path, act)


def test_names_that_are_none_are_left_out(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        async def odd(connection: Connection, asked: Asked) -> None:
            rows = [
                {"id": "a\u202eb"},
                {"id": ""},
                {"id": 7},
                "x",
                {"id": "n" * 300},
                {"id": "good"},
                {"id": "whisper-1"},
            ]
            await connection.json({"data": rows})

        server.on("models", odd)
        assert [model.served for model in (await room.keep(server.address, "Rack")).models] == ["good"]

    in_room(tmp_path, act)


def test_a_change_in_a_terminal_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.core.model_servers.TICK_SECONDS", 0.05)

    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        await room.first_look()
        store.model_servers.keep(ModelServer(ID, "Rack", server.address))
        while not room.models():
            await asyncio.sleep(0.02)
        store.model_servers.remove(ID)
        while room.models():
            await asyncio.sleep(0.02)

    in_room(tmp_path, act)


@pytest.mark.parametrize("owner", [["x"], {}, 7, None, True])
def test_an_owner_that_is_no_text_stops_no_look(tmp_path: Path, owner: object) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        async def odd(connection: Connection, asked: Asked) -> None:
            await connection.json(
                {"data": [{"id": "a", "owned_by": owner}, {"id": "b", "owned_by": "me"}, {"id": "a"}]}
            )

        server.on("models", odd)
        assert [model.served for model in (await room.keep(server.address, "Rack")).models] == ["a", "b"]

    in_room(tmp_path, act)


def test_a_list_of_lm_studio_that_is_none_is_passed_over(tmp_path: Path) -> None:
    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        async def its(connection: Connection, asked: Asked) -> None:
            await connection.json({"data": [{"id": "a", "owned_by": "organization_owner"}]})

        async def odd(connection: Connection, asked: Asked) -> None:
            await connection.json({"data": [{"id": ["a"]}, {"id": "a", "type": "embeddings"}, 7]})

        server.on("models", its)
        server.on("/api/v0/models", odd)
        assert [(model.served, model.ability) for model in (await room.keep(server.address)).models] == [("a", "embed")]

    in_room(tmp_path, act)


def test_a_disk_that_is_full_ends_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(server: ModelServer) -> None:
        raise StoreError("The disk is full.")

    async def act(room: ModelServersRoom, server: Scripted, store: Store, told: list[ModelServersChanged]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(store.model_servers, "seen", full)
            entry = await room.keep(server.address, "Rack")
        assert (entry.state, [model.name for model in entry.models]) == (ServerState.THERE, ["small@Rack"])
        await room.first_look()

    in_room(tmp_path, act)
