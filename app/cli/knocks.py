"""Who knocks at a provider in a terminal: a line for each and, where a person sits there, a question with its answer.

Nothing is read where nobody could answer: of a service, behind a pipe, for a program (`--json`). In the background of a
shell (`&`, Ctrl-Z and `bg`) reading would stop the whole provider: then the terminal is left alone.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from app.cli.lines import Lines
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.state import CoreEvent, KnocksChanged
from qvac_core.errors import QvacError

HOW_TO_LET_IN = "To let it in: qvac-desktop guests allow KEY"
QUESTION = "Let it in? y = yes, h = for an hour, n = not now, b = never (block), Enter = later: "
FOR_AN_HOUR = 1.0
_MEANINGS = {"y": "allow", "yes": "allow", "h": "hour", "n": "deny", "no": "deny", "b": "block", "": "later"}


def asks_here(output: Output) -> bool:
    """Whether a person sits at this terminal, and may be asked."""
    return not output.as_json and all(
        stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stdout)
    )


def never_stop_for_reading() -> None:
    """Reading in the background of a shell is an error from now on, and no stop."""
    if hasattr(signal, "SIGTTIN"):
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)


class Door:
    """asks: as `asks_here`. `take` hears the core's events, `keep` runs until it is cancelled."""

    def __init__(self, core: Core, output: Output, *, asks: bool) -> None:
        self._core = core
        self._output = output
        self._asks = asks
        self._told: set[str] = set()  # keys that knock now and stand on the screen
        self._waiting: list[str] = []  # for a word of the person, the first one is asked about
        self._changed = False  # another one is asked about than when the person began to type

    def take(self, event: CoreEvent) -> None:
        if not isinstance(event, KnocksChanged):
            return
        now = {knock.public_key for knock in event.knocks}
        asked = self._waiting[:1]
        self._waiting = [key for key in self._waiting if key in now]
        if asked and asked != self._waiting[:1]:
            self._output.note(f"\n{short_key(asked[0])} waits no longer.")
            self._changed = True  # also where the next one knocks much later: a line may stand half typed
            self._ask()
        for knock in reversed(event.knocks):
            if knock.public_key not in self._told:
                self._tell(knock.public_key)
        self._told = now

    async def keep(self) -> None:
        if not self._asks:
            await asyncio.Event().wait()
        never_stop_for_reading()
        lines = Lines()
        while (line := await lines.next()) is not None:
            if self._waiting and not self._changed:
                await self._answer(line.strip().lower())
                continue
            if self._waiting and line.strip():
                self._output.note("That line was begun before this question.")
            self._changed = False
            self._ask()
        self._asks = False
        self._waiting.clear()
        await asyncio.Event().wait()

    def _tell(self, public_key: str) -> None:
        self._output.text(f"Asks to be let in: {public_key}")
        if not self._asks:
            self._output.text(HOW_TO_LET_IN)
            return
        self._waiting.append(public_key)
        if len(self._waiting) == 1:
            self._ask()

    def _ask(self) -> None:
        if self._waiting:
            self._output.note(f"{short_key(self._waiting[0])}: {QUESTION}", end="")

    async def _answer(self, line: str) -> None:
        key = self._waiting[0]
        name = short_key(key)
        if line not in _MEANINGS:
            self._output.note("Please answer y, h, n or b.")
            self._ask()
            return
        self._waiting.pop(0)
        try:
            match _MEANINGS[line]:
                case "allow":
                    await self._core.allow_key(key, name)
                    self._output.text(f"{name} may use this machine from now on.")
                case "hour":
                    await self._core.allow_key(key, name, hours=FOR_AN_HOUR)
                    self._output.text(f"{name} may use this machine for an hour.")
                case "deny":
                    await self._core.dismiss_knock(key)
                    self._output.text(f"{name} is told to ask again later.")
                case "block":
                    await self._core.block_key(key, name)
                    self._output.text(f"{name} is blocked.")
                case _:
                    self._output.text(f"{name} waits: qvac-desktop guests knocks")
        except QvacError as error:
            self._output.error(error)
        self._ask()
