"""The theme: contrast of every token where it is used, a palette without gaps, icons in colour, one sheet."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from app.style_sheet import style_sheet
from app.theme import SCALES, TOKEN_NAMES, Theme, palette
from app.tokens import DARK, LIGHT, Tokens

ROOT = Path(__file__).parents[2]
ICONS = ROOT / "resources" / "icons"


def luminance(colour: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else math.pow((channel + 0.055) / 1.055, 2.4)

    parsed = QColor(colour)
    return 0.2126 * linear(parsed.redF()) + 0.7152 * linear(parsed.greenF()) + 0.0722 * linear(parsed.blueF())


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


PAGE = ("bg", "surface", "side")
TEXT = [
    *product(("text", "text2", "text3"), PAGE),
    *product(("accent", "local", "warn", "danger"), ("surface",)),
    ("text", "sel"),
    ("text2", "sel"),
    ("onacc", "accent"),
    ("onacc", "accent_hover"),
    ("accent", "accent_soft"),
    ("local", "local_soft"),
    ("warn", "warn_soft"),
    ("danger", "danger_soft"),
    ("text2", "danger_soft"),
    ("text2", "warn_soft"),
]


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(tokens: Tokens) -> None:
    weak = [
        (fore, back, round(contrast(getattr(tokens, fore), getattr(tokens, back)), 2))
        for fore, back in TEXT
        if contrast(getattr(tokens, fore), getattr(tokens, back)) < 4.5
    ]
    assert weak == []
    for control, back in product(("ctl", "live"), PAGE):
        assert contrast(getattr(tokens, control), getattr(tokens, back)) >= 3, (control, back)
    for name in ("keyword", "string", "comment", "number", "function"):
        assert contrast(getattr(tokens.code, name), tokens.code.background) >= 4.5, name


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_the_palette_has_every_role(qapp: QApplication, tokens: Tokens) -> None:
    result = palette(tokens)
    for role in QPalette.ColorRole:
        if role not in (QPalette.ColorRole.NoRole, QPalette.ColorRole.NColorRoles):
            assert result.isBrushSet(QPalette.ColorGroup.Active, role), role
    disabled = result.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text)
    assert disabled == QColor(tokens.text3)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_the_sheet_uses_only_colours_of_its_theme(tokens: Tokens) -> None:
    sheet = style_sheet(tokens, 10.0, SCALES, "monospace")
    used = set(re.findall(r"#[0-9A-Fa-f]{6}\b", sheet))
    assert used <= {getattr(tokens, name) for name in TOKEN_NAMES}
    assert sheet.count("{") == sheet.count("}")
    assert "{{" not in sheet


def test_a_choice_changes_palette_and_icons(qapp: QApplication, theme: Theme) -> None:
    heard: list[bool] = []
    theme.changed.connect(lambda: heard.append(theme.dark))
    light = theme.pixmap("check", "accent", 16).toImage()
    theme.choose("dark")
    assert heard == [True]
    assert theme.tokens is DARK
    assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(DARK.bg)
    assert theme.pixmap("check", "accent", 16).toImage() != light
    theme.choose("purple")
    assert theme.setting == "system"


def test_icons_are_painted_in_the_token_and_sharp(theme: Theme) -> None:
    pixmap = theme.pixmap("square", "danger", 16, 2.0)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (32, 2.0)
    image = pixmap.toImage()
    colours = {
        image.pixelColor(x, y).name() for x in range(32) for y in range(32) if image.pixelColor(x, y).alpha() == 255
    }
    assert QColor(theme.tokens.danger).name() in colours


def test_every_icon_file_is_used_and_every_used_icon_is_there() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    there = {path.stem for path in ICONS.glob("*.svg")}
    unused = {name for name in there if f'"{name}"' not in source}
    assert unused == set()
    named = set(re.findall(r'icon="([a-z0-9-]+)"', source))
    assert named <= there
    assert "ISC License" in (ICONS / "LICENSE").read_text()


def test_larger_system_text_makes_larger_text(qapp: QApplication, theme: Theme) -> None:
    before = qapp.font()
    larger = qapp.font()
    larger.setPointSizeF(theme.base_points * 2)
    try:
        small = theme.font("small").pointSizeF()
        qapp.setFont(larger)
        assert theme.font("small").pointSizeF() == pytest.approx(2 * small)
    finally:
        qapp.setFont(before)
