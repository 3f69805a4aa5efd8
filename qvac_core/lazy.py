"""Modules that are imported when something of them is asked for: what a start need not wait for.

A window that shows a chat needs neither numpy nor an HTTP client. Beside it, under TYPE_CHECKING, stands the plain
import: types and packagers read that.

    if TYPE_CHECKING:
        import numpy
    else:
        numpy = Lazy("numpy")
"""

from __future__ import annotations

import importlib
from typing import Any


class Lazy:
    """Stands for a module by its full name. Any thread may ask first; ImportError comes then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
