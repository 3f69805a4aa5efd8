"""Text that a verb works on: an argument, standard input ("-"), or a file. Whole UTF-8, and bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.cli.lines import Lines
from qvac_core.errors import LocalProtocolError

STDIN = "-"
# Beyond what any verb takes.
MOST_CHARACTERS = 4 * 1024 * 1024


async def text_of(argument: str | None, file: Path | None) -> str:
    """Raises LocalProtocolError for a file that cannot be read, is no text, or is too long."""
    if file is not None:
        return await asyncio.to_thread(_read, file)
    if argument != STDIN:
        return argument or ""
    lines, size = [], 0
    source = Lines()
    while (line := await source.next()) is not None:
        lines.append(line)
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            raise _too_long("The input")
    return "\n".join(lines)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_CHARACTERS + 1)
    except OSError as error:
        raise LocalProtocolError(f"{file} cannot be read: {error.strerror}.", name="FILE_NOT_READABLE") from None
    if len(data) > MOST_CHARACTERS:
        raise _too_long(str(file))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LocalProtocolError(f"{file} is no text in UTF-8. Save it as such.", name="FILE_NOT_READABLE") from None


def _too_long(what: str) -> LocalProtocolError:
    return LocalProtocolError(
        f"{what} is longer than {MOST_CHARACTERS // 2**20} MiB. Send it in parts.", name="INPUT_TOO_LONG"
    )
