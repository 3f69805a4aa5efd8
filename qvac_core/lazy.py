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
import sys
from collections.abc import Callable, Mapping
from typing import Any


class Lazy:
    """Stands for a module by its full name. Any thread may ask first; ImportError comes then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def exports(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names come from its modules, each imported with the first of its names.

    modules: a name → the module it is in.
    """

    def find(name: str) -> Any:
        if (module := modules.get(name)) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
