"""What a command prints: JSON lines on stdout with `--json`, else text; people's words go to stderr when JSON is on.

The events and their fields are a contract (docs/architecture.md, "Contracts that others rely on").
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from qvac_core.errors import ModelError, QvacError, StoreError

# What a terminal obeys: a model's name or answer, a stranger's words, must not move its cursor or read its clipboard.
_UNSEEN = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Output:
    """One command's voice. Every line is flushed: a program reads us through a pipe while we run.

    When nobody can read any more (`| head -1`, a full disk), `failure` says why and `on_failure` is called once.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.failure: StoreError | None = None
        self.on_failure: Callable[[], object] = lambda: None
        self._line_open = False  # whether the result's last line still waits for its end
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal without our letters shows others; it must not end an answer. Programs always get UTF-8.
                stream.reconfigure(encoding="utf-8" if as_json and stream is sys.stdout else None, errors="replace")

    def event(self, name: str, /, **fields: Any) -> None:
        """One JSON object on stdout; nothing without `--json`."""
        if self.as_json:
            self._print(json.dumps({"event": name, **fields}, ensure_ascii=False) + "\n")

    def text(self, text: str, *, end: str = "\n") -> None:
        """The command's result for a person: stdout, or nothing when programs read it."""
        if not self.as_json and text + end:
            self._line_open = not (text + end).endswith("\n")
            self._print(text + end)

    def end_line(self) -> None:
        """End the line that the result stands in, where it has not been ended."""
        if self._line_open:
            self.text("")

    def note(self, text: str, *, end: str = "\n") -> None:
        """A word beside the result: always stderr. Where both go to one place, it gets a line of its own."""
        if self._line_open and _are_one(sys.stdout, sys.stderr):
            self.end_line()
        _write(sys.stderr, text + end)

    def over(self, text: str) -> None:
        """A word beside the result in the place of the line that a terminal shows; it stays open."""
        _write(sys.stderr, text, before="\r\x1b[K")

    def error(self, error: QvacError) -> None:
        """The one line that says why, and the `error` event."""
        self.event("error", name=error.name, code=error.code, message=error.message)
        # The core takes a while to import: wrong usage and --help need not wait for it.
        from qvac_core.core.error_text import describe

        words = describe(error)
        # What is wrong with a model is said best where it was noticed.
        self.note(
            f"Error: {error.message if isinstance(error, ModelError) else f'{words.title} {words.message}'.strip()}"
        )

    def _print(self, text: str) -> None:
        if self.failure is not None:
            return
        error = _write(sys.stdout, text)
        if error is not None:
            reason = "nobody reads it any more" if isinstance(error, BrokenPipeError) else error.strerror
            self.failure = StoreError(f"The output cannot be written: {reason}.", name="OUTPUT_CLOSED")
            _discard(sys.stdout)
            self.on_failure()


def _write(stream: TextIO | None, text: str, before: str = "") -> OSError | None:
    """What kept it from being written; a stream that was closed before we started takes everything.

    before: what a terminal shall obey.
    """
    try:
        if stream is not None:
            stream.write(before + (text.translate(_UNSEEN) if stream.isatty() else text))
            stream.flush()
    except OSError as error:
        return error
    return None


def _are_one(a: TextIO | None, b: TextIO | None) -> bool:
    """Whether two streams end in one place: a terminal, or one pipe or file (`2>&1`)."""
    try:
        return a is not None and b is not None and os.path.sameopenfile(a.fileno(), b.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False


def _discard(stream: TextIO) -> None:
    """What the broken stream still holds must not fail again when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
