"""The last messages of the program, kept in memory for reports of problems; keys in them are shortened. No Qt."""

from __future__ import annotations

import logging
import re
from collections import deque
from pathlib import Path

from qvac_core.codec.key_text import short_key

MOST = 500  # messages
LONGEST = 1000  # letters of one
# 64 hex digits, bare or grouped as people write keys.
_KEY = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F][ \-]?){63}[0-9a-fA-F](?![0-9a-fA-F])")
_SEPARATORS = re.compile(r"[ \-]")


class RecentLog(logging.Handler):
    """Install with `install`; its messages are read in the window's thread and written from any."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=MOST)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record)[:LONGEST])
        except (ValueError, TypeError, KeyError):  # a message that does not fit its arguments
            self._lines.append(f"{record.levelname} {record.name}: {record.msg!r}"[:LONGEST])

    @property
    def text(self) -> str:
        return shortened("\n".join(self._lines))


recent_log = RecentLog()


def install() -> None:
    """From now on everything from INFO upwards is kept; what goes to the terminal stays what it was."""
    root = logging.getLogger()
    if recent_log in root.handlers:
        return
    level = root.level or logging.WARNING
    for handler in root.handlers:
        if handler.level < level:
            handler.setLevel(level)
    root.addHandler(recent_log)
    root.setLevel(min(level, logging.INFO))


def shortened(text: str, home: Path | None = None) -> str:
    """Keys as "abcd abcd … abcd", and the person's folder as ~."""
    where = str(home or Path.home())
    without = text.replace(where, "~") if len(where) > 1 else text
    return _KEY.sub(lambda match: short_key(_SEPARATORS.sub("", match[0]).lower()), without)
