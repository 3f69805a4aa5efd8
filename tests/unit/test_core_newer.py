"""Newer versions: only a signed, unexpired file with a number not seen larger before is believed, once a day."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from app.update_source import update_source
from installers.newest import signed
from qvac_core.core import Core, CoreConfig
from qvac_core.core import core as core_module
from qvac_core.core.newer import DAY, LONGEST, Newer, UntrustedError, UpdateSource, order, read_newest
from qvac_core.core.state import CoreEvent, Notice
from qvac_core.errors import QvacError

KEY = SigningKey(bytes(range(32)))
PUBLIC = bytes(KEY.verify_key).hex()
NOW = datetime(2026, 12, 1, tzinfo=UTC)
PAGE = "https://example.org/qvac-desktop"


def newest(version: str = "0.2.0", number: Any = 7, key: SigningKey = KEY, **changes: Any) -> bytes:
    expires = changes.pop("expires", NOW + timedelta(days=90))
    return signed(key, version=version, number=number, page=changes.pop("page", PAGE), expires=expires, **changes)


def test_what_is_signed_is_believed() -> None:
    found = read_newest(newest(), PUBLIC, seen=7, now=NOW.timestamp())
    assert (found.version, found.number, found.page) == ("0.2.0", 7, PAGE)


def _changed(**changes: Any) -> bytes:
    """A file whose content was changed after it was signed."""
    outer = json.loads(newest())
    payload = json.loads(base64.b64decode(outer["payload"])) | changes
    outer["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    return json.dumps(outer).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (newest(key=SigningKey(bytes(32))), "signature"),
        (_changed(version="9.9.9"), "signature"),
        (newest(number=6), "older than one seen before"),
        (newest(product="another"), "something else"),
        (newest(number=True), "something else"),
        (newest(version="0.2"), "no version"),
        (newest(page="http://example.org"), "no page"),
        (newest(page="https://example.org/\u202eevil"), "no page"),
        (newest(expires=NOW - timedelta(days=1)), "expired"),
        (b"{}", "form"),
        (b"[1]", "form"),
        (b"\xff\xfe", "form"),
        (newest() + b" " * LONGEST, "too long"),
        (json.dumps({"payload": "é", "signature": ""}).encode(), "form"),
    ],
)
def test_what_is_not_to_be_believed_is_told_why(data: bytes, why: str) -> None:
    with pytest.raises(UntrustedError, match=why):
        read_newest(data, PUBLIC, seen=7, now=NOW.timestamp())


def test_versions_stand_in_order() -> None:
    versions = ["0.1.9", "0.2.0a1", "0.2.0b2", "0.2.0rc1", "0.2.0rc2", "0.2.0", "0.10.0"]
    assert sorted(versions, key=order) == versions


class Room:
    """A Newer over files that a test hands out, at a time that it sets."""

    def __init__(self, folder: Path, version: str = "0.1.0") -> None:
        self.files: list[bytes | QvacError] = []
        self.asked = 0
        self.events: list[CoreEvent] = []
        self.now = NOW.timestamp()
        self.wanted = True
        self.newer = Newer(
            UpdateSource("https://example.org/newest.json", PUBLIC, version),
            folder / "updates.json",
            lambda: self.wanted,
            self.events.append,
            fetch=self._fetch,
            clock=lambda: self.now,
            pace=0.001,
        )

    async def _fetch(self, _address: str) -> bytes:
        self.asked += 1
        file = self.files.pop(0)
        if isinstance(file, QvacError):
            raise file
        return file


async def test_it_asks_once_a_day_and_tells_of_a_newer_one(tmp_path: Path) -> None:

    room = Room(tmp_path)
    room.files = [newest(), newest("0.2.1", 8)]
    assert await room.newer.look() is not None
    assert room.events == [Notice("QVAC Desktop 0.2.0 is there.", f"You have 0.1.0; get the new one at {PAGE}")]
    assert await room.newer.look() is None and room.asked == 1
    again = Room(tmp_path)  # also after a restart
    again.now += DAY - 1
    assert await again.newer.look() is None and again.asked == 0
    room.now += DAY
    assert await room.newer.look() is not None and room.asked == 2


@pytest.mark.parametrize("version", ["0.2.0", "0.2.1", "0.3.0rc1"])
def test_none_is_told_of_the_same_or_an_older_one(tmp_path: Path, version: str) -> None:
    room = Room(tmp_path, version)
    room.files = [newest()]
    assert asyncio.run(room.newer.look()) is None
    assert not room.events


async def test_an_old_file_played_again_is_refused(tmp_path: Path) -> None:

    room = Room(tmp_path)
    room.files = [newest("0.2.1", 8), newest("0.2.0", 7)]
    await room.newer.look()
    room.now += DAY
    with pytest.raises(UntrustedError, match="7 after 8"):
        await room.newer.look()


async def test_a_failure_counts_as_asked_and_a_clock_set_back_asks_again(tmp_path: Path) -> None:

    room = Room(tmp_path)
    room.files = [QvacError("no way"), newest()]
    with pytest.raises(QvacError):
        await room.newer.look()
    assert await room.newer.look() is None and room.asked == 1
    room.now -= 10
    assert await room.newer.look() is not None


def test_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "updates.json").write_bytes(b'{"asked": "x"')
    room = Room(tmp_path)
    room.files = [newest()]
    assert asyncio.run(room.newer.look()) is not None


async def test_switched_off_it_asks_nobody_and_switched_on_it_does(tmp_path: Path) -> None:

    room = Room(tmp_path)
    (tmp_path / "updates.json").write_text('{"asked": 0, "number": 0}')
    room.wanted = False
    room.files = [newest()]
    room.newer.open()
    await asyncio.sleep(0.02)
    before = room.asked
    room.wanted = True
    async with asyncio.timeout(60):
        while not room.events:
            await asyncio.sleep(0.005)
    await room.newer.close()
    assert (before, room.asked) == (0, 1)


async def test_nothing_is_asked_on_the_first_day(tmp_path: Path) -> None:

    room = Room(tmp_path)
    room.newer.open()
    async with asyncio.timeout(60):
        while not (tmp_path / "updates.json").exists():
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    await room.newer.close()
    assert not room.asked
    room.now += DAY
    room.files = [newest()]
    assert await room.newer.look() is not None


def test_a_copy_that_is_no_release_has_nobody_to_ask() -> None:
    assert update_source() is None
    good = {"address": "https://example.org/newest.json", "key": PUBLIC}
    found = update_source(json.dumps(good))
    assert found is not None and found.key == PUBLIC
    for wrong in (good | {"address": "http://example.org"}, good | {"key": "00"}, [1]):
        assert update_source(json.dumps(wrong)) is None
    assert update_source("{") is None


async def test_a_core_that_knows_where_asks_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def fetched(address: str) -> bytes:
        asked.append(address)
        return signed(KEY, version="9.0.0", number=1, page=PAGE, expires=datetime.now(UTC) + timedelta(days=1))

    monkeypatch.setattr(core_module, "Newer", partial(Newer, fetch=fetched))

    (tmp_path / "updates.json").write_text('{"asked": 0, "number": 0}')

    source = UpdateSource("https://example.org/newest.json", PUBLIC, "0.1.0")
    config = CoreConfig(
        tmp_path, bytes(32), (("127.0.0.1", 9),), local_network=False, updates=source
    )  # fmt: skip
    core, told = Core(config), asyncio.Event()
    core.subscribe(lambda event: told.set() if isinstance(event, Notice) and "9.0.0" in event.title else None)
    async with core:
        await asyncio.wait_for(told.wait(), 60)
    assert asked == ["https://example.org/newest.json"]
