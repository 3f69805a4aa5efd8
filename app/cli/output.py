"""What a command prints: JSON lines on stdout with `--json`, else text; people's words go to stderr when JSON is on.

The events and their fields are a contract (ARCHITECTURE.md, "Contracts that others rely on").
"""

from __future__ import annotations

import json
import sys
from typing import Any

from qvac_core.errors import QvacError


class Output:
    """One command's voice. Every line is flushed: a program reads us through a pipe while we run."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def event(self, name: str, /, **fields: Any) -> None:
        """One JSON object on stdout; nothing without `--json`."""
        if self.as_json:
            print(json.dumps({"event": name, **fields}, ensure_ascii=False), flush=True)

    def text(self, text: str, *, end: str = "\n") -> None:
        """The command's result for a person: stdout, or nothing when programs read it."""
        if not self.as_json:
            print(text, end=end, flush=True)

    def note(self, text: str) -> None:
        """A word beside the result: always stderr."""
        print(text, file=sys.stderr, flush=True)

    def error(self, error: QvacError) -> None:
        """The one line that says why, and the `error` event."""
        self.event("error", name=error.name, code=error.code, message=error.message)
        self.note(f"Error: {error.message}")
