"""PySide's switch for snake_case, left alone: it reads the source of every module that is imported after Qt.

It looks there for its own name, to know where `from __feature__ import …` may count (shibokensupport/feature.py of
6.11). Nothing here uses that, and for hundreds of modules it is a tenth of a start. Where PySide does it no more, or
otherwise, nothing is changed.
"""

from __future__ import annotations

import importlib
from types import ModuleType

NAME = "_mod_uses_pyside"


def leave_sources_alone() -> None:
    """Before the modules of the window are imported."""
    importlib.import_module("PySide6.QtCore")
    try:
        feature = importlib.import_module("shibokensupport.feature")
    except ImportError:
        return
    if callable(getattr(feature, NAME, None)):
        setattr(feature, NAME, _uses_it_not)


def _uses_it_not(_module: ModuleType) -> bool:
    return False
