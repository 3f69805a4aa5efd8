"""The requests of programs, running and recent, without their contents: for whoever shows or stops them."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from qvac_core.endpoint.faults import Fault
from qvac_core.endpoint.interface import Call, Offer

KEPT = 200  # calls that have ended
TELL_EVERY = 0.5  # seconds between two reports of a running call's tokens
LONGEST_PROGRAM = 60  # letters
_SHOWN = re.compile(r"[^\x20-\x7e]+")
_AGENT = re.compile(r"([A-Za-z][\w.@-]*)(?: \(?(?:v)?|/)(\d+(?:\.\d+)*)")


def program_of(user_agent: str) -> str:
    """A short name out of a User-Agent, which is any text: "OpenAI/Python 3.57.0" is openai 3.57.0, Python."""
    text = _SHOWN.sub(" ", user_agent).strip()
    if not text:
        return ""
    if text.startswith("Mozilla/"):
        return "a web page"
    official = re.match(r"(?:Async)?(OpenAI)/(Python|JS) (\d[\w.]*)", text)
    if official:
        return f"openai {official[3]}, {'JavaScript' if official[2] == 'JS' else official[2]}"
    # The AI SDK names itself first and its runtime behind it.
    found = _AGENT.match(text)
    name = f"{found[1]} {found[2]}" if found else text
    return name[:LONGEST_PROGRAM]


class LiveCall:
    """One request while it runs. Whoever works on it is `task`."""

    def __init__(self, book: CallBook, call: Call, task: asyncio.Task[object] | None) -> None:
        self._book, self.call, self._task = book, call, task
        self._told = time.monotonic()
        self.stopped = ""  # why, once somebody has stopped it
        self.fail: Callable[[Fault], Awaitable[None]] | None = None  # how a begun stream tells an error

    def asks(self, kind: str, model: str) -> None:
        self.call = replace(self.call, kind=kind, model=model)
        self._book.changed(self)

    def answered_by(self, offer: Offer) -> None:
        self.call = replace(self.call, machine=offer.machine, model=offer.name)
        self._book.changed(self)

    def token(self) -> None:
        self.call = replace(self.call, generated_tokens=self.call.generated_tokens + 1)
        if time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            self._book.changed(self)

    def used(self, prompt_tokens: int | None, generated_tokens: int | None) -> None:
        call = self.call
        self.call = replace(
            call,
            prompt_tokens=call.prompt_tokens if prompt_tokens is None else prompt_tokens,
            generated_tokens=call.generated_tokens if generated_tokens is None else generated_tokens,
        )

    def moved(self) -> None:
        self.call = replace(self.call, outcome="moved")  # told at the end; the call still runs

    def stop(self, why: str) -> None:
        if not self.stopped and not self.call.ended and self._task is not None:
            self.stopped = why
            self._task.cancel()

    def end(self, outcome: str, reason: str = "") -> None:
        if not self.call.ended:
            if outcome == "done" and self.call.outcome == "moved":
                outcome = "moved"
            self.call = replace(self.call, outcome=outcome, reason=reason, ended=time.time())
            self._book.ended(self)


class CallBook:
    """on_change: hears of each call when it begins, changes and ends. Used on one loop."""

    def __init__(self, on_change: Callable[[Call], None] = lambda call: None) -> None:
        self._on_change = on_change
        self._running: dict[str, LiveCall] = {}
        self._recent: list[Call] = []  # the newest last

    def begin(self, user_agent: str, kind: str = "", origin: str = "") -> LiveCall:
        call = Call(uuid.uuid4().hex, time.time(), program_of(user_agent), kind, origin=origin)
        live = LiveCall(self, call, asyncio.current_task())
        self._running[call.id] = live
        return live

    def changed(self, live: LiveCall) -> None:
        self._on_change(live.call)

    def ended(self, live: LiveCall) -> None:
        self._running.pop(live.call.id, None)
        self._keep(live.call)

    def refused(self, user_agent: str, reason: str, origin: str = "") -> None:
        """One that was not let in. The same again takes the place of the last: a page could ask for ever."""
        now = time.time()
        call = Call(uuid.uuid4().hex, now, program_of(user_agent), "", ended=now, outcome="refused", reason=reason)
        call = replace(call, origin=origin[:LONGEST_PROGRAM])
        same = [each for each in self._recent if _who(each) == _who(call)]
        if same:
            self._recent.remove(same[-1])
            call = replace(call, id=same[-1].id)
        self._keep(call)

    def _keep(self, call: Call) -> None:
        self._recent.append(call)
        del self._recent[:-KEPT]
        self._on_change(call)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Those that run, then those that have ended; the newest first."""
        running = sorted((live.call for live in self._running.values()), key=lambda call: -call.started)
        return (*running, *reversed(self._recent))

    @property
    def running(self) -> tuple[LiveCall, ...]:
        return tuple(self._running.values())

    def stop(self, id: str, why: str) -> None:
        if (live := self._running.get(id)) is not None:
            live.stop(why)

    def clear(self) -> None:
        self._recent.clear()


def _who(call: Call) -> tuple[str, ...]:
    return (call.outcome, call.reason, call.program, call.origin) if call.outcome == "refused" else (call.id,)
