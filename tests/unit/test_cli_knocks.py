"""Who knocks at a provider in a terminal: told, asked about one after the other, decided; nothing read without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from app.cli import knocks
from app.cli.knocks import Door, asks_here
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.state import Knock, KnocksChanged
from qvac_core.errors import StoreError

ALICE, BOB = "a1" * 32, "b2" * 32


class FakeCore:
    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.door: Door | None = None
        self.calls: list[tuple[object, ...]] = []
        self.fail = False

    def knock(self, *keys: str) -> None:
        self.waiting = [*keys]
        self.tell()

    def tell(self) -> None:
        assert self.door is not None
        self.door.take(KnocksChanged(tuple(Knock(key, 1.0) for key in reversed(self.waiting))))

    async def allow_key(self, key: str, name: str, *, hours: float | None = None) -> None:
        if self.fail:
            raise StoreError("The disk is full.")
        self._decided("allow", key, hours)

    async def dismiss_knock(self, key: str) -> None:
        self._decided("dismiss", key)

    async def block_key(self, key: str, name: str = "") -> None:
        self._decided("block", key)

    def _decided(self, what: str, key: str, *more: object) -> None:
        self.calls.append((what, key, *more))
        self.waiting.remove(key)
        self.tell()


class Typed:
    """In the place of `Lines`."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def next(self) -> str | None:
        return await self._lines.get()

    async def type(self, *lines: str | None) -> None:
        for line in lines:
            self._lines.put_nowait(line)
            for _step in range(10):
                await asyncio.sleep(0)


def play(
    monkeypatch: pytest.MonkeyPatch, script: Callable[[FakeCore, Typed], object], *, asks: bool = True
) -> FakeCore:
    async def main() -> FakeCore:
        core, typed = FakeCore(), Typed()
        monkeypatch.setattr(knocks, "Lines", lambda: typed)
        monkeypatch.setattr(knocks, "never_stop_for_reading", lambda: None)
        core.door = Door(cast(Core, core), Output(as_json=False), asks=asks)
        keeping = asyncio.ensure_future(core.door.keep())
        await script(core, typed)  # type: ignore[misc]
        assert not keeping.done()
        keeping.cancel()
        await asyncio.wait({keeping})
        return core

    return asyncio.run(main())


def test_each_is_asked_about_and_decided(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        await typed.type("y")  # nobody knocks: it is about nobody
        core.knock(ALICE, BOB)
        await typed.type("maybe", " Y ", "h")

    core = play(monkeypatch, script)
    assert core.calls == [("allow", ALICE, None), ("allow", BOB, 1.0)]
    out, said = capsys.readouterr()
    assert ALICE in out and BOB in out
    assert said.index(short_key(ALICE)) < said.index("Please answer") < said.index(short_key(BOB))


def test_not_now_never_and_later(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        core.knock(ALICE)
        await typed.type("n")
        core.knock(BOB)
        await typed.type("b")
        core.knock(ALICE)
        await typed.type("")
        core.knock(ALICE)  # it goes on to knock: nobody is asked again
        await typed.type("y")

    core = play(monkeypatch, script)
    assert core.calls == [("dismiss", ALICE), ("block", BOB)]
    assert "qvac-desktop guests knocks" in capsys.readouterr().out


def test_an_answer_is_for_the_one_that_was_asked_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        core.knock(ALICE, BOB)
        core.knock(BOB)  # the first one was decided about elsewhere while the person typed
        await typed.type("y")
        assert core.calls == []
        await typed.type("b")

    assert play(monkeypatch, script).calls == [("block", BOB)]
    assert "waits no longer" in capsys.readouterr().err


def test_a_line_begun_for_one_who_left_is_no_answer_for_one_who_comes_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        core.knock(ALICE)
        core.knock()  # she goes, and nobody else waits
        core.knock(BOB)
        await typed.type("y")  # typed for her
        assert core.calls == []
        await typed.type("n")
        assert core.calls == [("dismiss", BOB)]

    play(monkeypatch, script)
    assert "begun before this question" in capsys.readouterr().err


def test_what_cannot_be_kept_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        core.fail = True
        core.knock(ALICE)
        await typed.type("y", None)
        core.knock(ALICE, BOB)

    play(monkeypatch, script)
    out, said = capsys.readouterr()
    assert "The disk is full." in said
    assert "qvac-desktop guests allow KEY" in out, "the terminal has gone: it is told what to do"


def test_without_a_terminal_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def script(core: FakeCore, typed: Typed) -> None:
        core.knock(ALICE)
        await typed.type("y")

    assert play(monkeypatch, script, asks=False).calls == []
    assert "qvac-desktop guests allow KEY" in capsys.readouterr().out
    assert not asks_here(Output(as_json=True))
    assert not asks_here(Output(as_json=False)), "pytest has no terminal"
