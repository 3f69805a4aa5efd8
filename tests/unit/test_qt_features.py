"""What is imported after Qt is not read by PySide: the switch that a start does without is still where it was."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from app import qt_features

READ = """
import sys
from app.qt_features import leave_sources_alone
if sys.argv[1:]:
    leave_sources_alone()
import PySide6.QtCore
import this_is_read
import linecache
print(any("this_is_read" in name for name in linecache.cache))
"""


@pytest.mark.parametrize(("arguments", "read"), [([], "True"), (["without"], "False")])
def test_the_source_of_what_comes_after_qt_is_left_alone(
    arguments: list[str], read: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "this_is_read.py").write_text("")
    command = [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{READ}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == read


def test_it_does_nothing_where_pyside_has_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("PySide6.QtCore")
    feature = importlib.import_module("shibokensupport.feature")
    monkeypatch.delattr(feature, qt_features.NAME)
    qt_features.leave_sources_alone()
    assert not hasattr(feature, qt_features.NAME)
