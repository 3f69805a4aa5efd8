"""The interface font comes with the program: the same letters and line breaks on a machine that has no Inter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from PySide6.QtGui import QFontInfo
from PySide6.QtWidgets import QApplication

from app.theme import SAMPLE, SAMPLE_WIDTH, Theme

# Runs in a process of its own: fontconfig reads its file once.
SHOW = f"""
import json
from PySide6.QtGui import QFont, QFontDatabase, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QApplication
app = QApplication([])
before = QFontDatabase.families()
from app.theme import Theme
theme = Theme(app)
app.setFont(QFont(app.font().families(), 10))
print(json.dumps({{
    "before": before,
    "family": QFontInfo(theme.font()).family(),
    "width": QFontMetricsF(app.font()).horizontalAdvance({SAMPLE!r}),
    "weights": [QFontInfo(theme.font(weight=weight)).weight() for weight in (400, 500, 600, 700)],
    "tabular": len({{QFontMetricsF(theme.font(tabular=True)).horizontalAdvance(digit) for digit in "0123456789"}}),
}}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="fontconfig says which fonts there are")
def test_a_machine_without_inter_shows_inter(tmp_path: Path) -> None:
    fonts = tmp_path / "fonts.conf"
    fonts.write_text(f'<?xml version="1.0"?><fontconfig><cachedir>{tmp_path}/cache</cachedir></fontconfig>')
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "FONTCONFIG_FILE": str(fonts)}
    ran = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    shown = json.loads(ran.stdout)
    assert "Inter" not in shown["before"]
    assert shown["family"] == "Inter"
    assert shown["width"] == pytest.approx(SAMPLE_WIDTH, abs=1.0)  # hinting rounds the letters
    assert shown["weights"] == [400, 500, 600, 700]
    assert shown["tabular"] == 1


def test_the_window_uses_it_in_the_systems_size(qapp: QApplication, theme: Theme) -> None:
    assert QFontInfo(theme.font()).family() == "Inter"
    assert theme.base_points == qapp.font().pointSizeF()


def test_its_licence_lies_beside_it() -> None:
    folder = resources.files("resources.fonts")
    assert "SIL OPEN FONT LICENSE" in (folder / "LICENSE").read_text(encoding="utf-8")
