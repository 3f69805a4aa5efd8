"""What a command prints: strangers' words at a terminal, and as they are in a pipe."""

from __future__ import annotations

import io
import sys

import pytest

from app.cli.output import Output

ODD = "a\x1b]52;c;eHl6\x07b\r\x9bc\td\ne"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_a_terminal_obeys_nothing_that_a_stranger_says(
    monkeypatch: pytest.MonkeyPatch, kind: type[io.StringIO]
) -> None:
    out, err = kind(), kind()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    output = Output(as_json=False)
    output.text(ODD)
    output.over(ODD)
    output.note(ODD)
    shown = "a\ufffd]52;c;eHl6\ufffdb\ufffd\ufffdc\td\ne" if kind is Terminal else ODD
    assert out.getvalue() == f"{shown}\n"
    assert err.getvalue() == f"\r\x1b[K{shown}{shown}\n"
