"""LaTeX as pictures: ziamath makes an SVG of a formula in one worker thread, so that no event of the window waits.

A formula takes 5 to 50 ms. What ziamath does not understand, or what would take it long, is shown as it was written:
its time doubles with each level of nesting (8 levels: a second).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from PySide6.QtCore import QByteArray, QCoreApplication, QObject, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtSvg import QSvgRenderer

from qvac_core.late_dataclass import dataclass

LONGEST, DEEPEST = 600, 6
KEPT = 2_000  # formulas
WRONG = "wrong"
UNITS = 20.0  # the size in which they are made
INK = "#010203"  # stands for the text's colour; a colour that a formula sets itself is another one
_LEVEL = re.compile(r"\\[{}]|([{]|\\left\b|\\begin\b)|([}]|\\right\b|\\end\b)")


@dataclass(frozen=True, slots=True)
class Formula:
    """`svg` in `UNITS`; `width`, `ascent` and `descent` (below 0 for a dash) in parts of the font's size."""

    svg: bytes
    width: float
    ascent: float
    descent: float


class FormulaStore(QObject):
    """`get` never waits: None while a formula is being made (then `made` fires), WRONG for what cannot be shown."""

    made = Signal()
    _arrived = Signal(object, object)  # (source, display), Formula or WRONG

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._known: dict[tuple[str, bool], Formula | str] = {}
        self._asked: set[tuple[str, bool]] = set()
        self._worker: ThreadPoolExecutor | None = None
        self._arrived.connect(self._keep, Qt.ConnectionType.QueuedConnection)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    def get(self, source: str, *, display: bool) -> Formula | str | None:
        key = (source, display)
        known = self._known.get(key)
        if known is None and not drawable(source):
            return WRONG
        if known is None and key not in self._asked:
            self._asked.add(key)
            self._worker = self._worker or ThreadPoolExecutor(1, "formulas")
            self._worker.submit(self._make, key)
        return known

    def close(self) -> None:
        """End the worker; a formula asked for later (an event loop may be run again) has a new one."""
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._worker = None
            self._asked.clear()

    def _make(self, key: tuple[str, bool]) -> None:
        self._arrived.emit(key, make(key[0], display=key[1]))

    def _keep(self, key: tuple[str, bool], formula: Formula | str) -> None:
        self._asked.discard(key)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[key] = formula
        self.made.emit()


def drawable(source: str) -> bool:
    """Whether it is worth trying: neither empty nor so long or deep that it would take seconds."""
    if not source.strip() or len(source) > LONGEST:
        return False
    level = deepest = 0
    for found in _LEVEL.finditer(source):
        level += bool(found[1]) - bool(found[2])
        deepest = max(deepest, level)
    return deepest <= DEEPEST


def make(source: str, *, display: bool) -> Formula | str:
    """Slow: for the worker's thread."""
    try:
        return _make(source, display)
    except Exception:  # noqa: BLE001 - a parser's many errors for one cause: this is no LaTeX that it knows
        return WRONG


def _make(source: str, display: bool) -> Formula | str:
    ziamath = _ziamath()
    math = ziamath.Latex(source, size=UNITS, inline=not display, color=INK, margin=0)
    for element in math.mathml.iter():
        text = element.text or ""
        # An unknown command comes back as its own name; a letter that the font lacks would be a box.
        if text.startswith("\\") or any(not math.font.glyphindex(letter) for letter in text if not letter.isspace()):
            return WRONG
    box = math.node.bbox
    svg = math.svg().encode()
    return Formula(svg, (box.xmax - box.xmin) / UNITS, box.ymax / UNITS, -box.ymin / UNITS)


@lru_cache(maxsize=1)
def _ziamath() -> Any:
    """Imported when the first formula comes: it reads a font of 1.5 MB."""
    import ziamath
    from ziamath.config import config

    config.svg2 = False  # plain paths: QtSvg draws no symbols
    return ziamath


@lru_cache(maxsize=256)
def renderer(svg: bytes, colour: str) -> QSvgRenderer:
    """For painting, with the text's colour."""
    return QSvgRenderer(QByteArray(svg.replace(INK.encode(), QColor(colour).name().encode())))
