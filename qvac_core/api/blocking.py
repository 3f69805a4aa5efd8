"""The functions of `qvac_core.api` as plain calls, for scripts and notebooks: `from qvac_core import blocking as qvac`.

Their names, parameters and errors are the same. What is awaited there is waited for here; a stream is an ordinary
iterator; an iterator that is given may be an ordinary one. Callbacks run in the thread that waits. Ctrl-C ends what is
waited for, down to the GPU, and so does letting go of an answer before its end. Everything is closed when the program
ends. Works from several threads at once, and where an event loop runs already (Jupyter).

One process uses one form: either these, or those of `qvac_core.api` on a loop of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import cache, wraps
from typing import Any

from qvac_core import api
from qvac_core.api.background import Background, Call

_END = object()
_background = Background("qvac-blocking")


def __getattr__(name: str) -> Any:
    """Whatever `qvac_core.api` has got, there is here: nothing is listed twice."""
    if name in api.__all__:
        return _plain(getattr(api, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *api.__all__})


def close() -> None:
    """End everything this process started; the next call starts anew."""
    if _background.running:
        try:
            _background.run(api.close)
        finally:
            _background.close()


class Blocking:
    """An answer, or whatever else the API hands out and lets one await: its attributes, without `await`.

    `with` it, or read it to its end; one that is let go of, or whose reading Ctrl-C interrupts, is ended.
    """

    def __init__(self, waited_for: Any) -> None:
        self._waited_for = waited_for
        if hasattr(waited_for, "__aexit__"):
            weakref.finalize(self, _background.begin, lambda: _leave(waited_for)).atexit = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # notebooks ask every object for a dozen of these
            raise AttributeError(name)
        value = inspect.getattr_static(self._waited_for, name, None)
        if inspect.isfunction(value):
            return _waiting(getattr(self._waited_for, name))
        return self._run(lambda: getattr(self._waited_for, name))

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._waited_for) if not name.startswith("_")]

    def __repr__(self) -> str:
        return f"<{type(self._waited_for).__name__}>"

    def __iter__(self) -> Iterator[Any]:
        return self._each(aiter(self._waited_for))

    def __enter__(self) -> Blocking:
        entered: Blocking = self._run(self._waited_for.__aenter__)
        return entered

    def __exit__(self, *why: object) -> None:
        _background.run(lambda: self._waited_for.__aexit__(*why))

    def _run(self, work: Callable[[], Any]) -> Any:
        try:
            value = _background.run(work)
        except KeyboardInterrupt:
            self._leave()
            raise
        if value is self._waited_for:
            return self
        return self._each(value) if isinstance(value, AsyncIterator) else _seen(value)

    def _leave(self) -> None:
        if hasattr(self._waited_for, "__aexit__"):
            _background.run(lambda: _leave(self._waited_for))

    def _each(self, stream: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while (value := self._run(lambda: anext(stream, _END))) is not _END:
                yield value
        except KeyboardInterrupt:
            self._leave()
            raise
        finally:
            if hasattr(stream, "aclose"):
                _background.begin(stream.aclose)


@cache
def _plain(value: Any) -> Any:
    """What the API has got under a name, as it is here: functions wait, data stays as it is."""
    if inspect.isclass(value):
        return Blocking if _is_waited_for(value) else value
    return _waiting(value) if callable(value) else value


def _waiting(function: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters
    order = list(parameters)
    streams = {name for name, each in parameters.items() if "Async" in str(each.annotation)}

    @wraps(function)
    def wait(*arguments: Any, **named: Any) -> Any:
        call = Call()
        given = [
            _given(argument, call, as_stream=index < len(order) and order[index] in streams)
            for index, argument in enumerate(arguments)
        ]
        names = {name: _given(argument, call, as_stream=name in streams) for name, argument in named.items()}
        return _seen(_background.run(lambda: function(*given, **names), call))

    return wait


def _given(argument: Any, call: Call, *, as_stream: bool) -> Any:
    """An argument as the API wants it: an iterator as a stream, or all that it has."""
    if isinstance(argument, Blocking):
        return argument._waited_for
    if isinstance(argument, Iterator) and not hasattr(argument, "read"):  # a file is one, too
        return _pulled(argument) if as_stream else list(argument)
    if callable(argument) and not inspect.isclass(argument):
        return call.here(argument)
    return argument


async def _pulled(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    while (value := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield value


def _seen(value: Any) -> Any:
    """A result as a thread may use it."""
    return Blocking(value) if _is_waited_for(value) else value


def _is_waited_for(value: Any) -> bool:
    return hasattr(value, "__aexit__") or hasattr(value, "__aiter__")


async def _leave(waited_for: Any) -> None:
    await waited_for.__aexit__(None, None, None)


def _close_at_exit() -> None:
    interrupted = isinstance(getattr(sys, "last_value", None), KeyboardInterrupt)
    close()
    if interrupted:
        # A program that Ctrl-C ends dies of that signal, which its shell looks at. CPython (3.11) forgets it
        # where anything compiles a text at the exit (dataclasses do); one that raises this brings it back.
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102


# Before threads are waited for, and before executors refuse work, both of which closing needs; atexit comes after.
getattr(threading, "_register_atexit", atexit.register)(_close_at_exit)
