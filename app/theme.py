"""Colours, type and the application-wide style sheet: everything on screen reads its looks from here.

From the design's token table. The palette comes first (Fusion paints from it), the sheet second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import cast

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QStyle

from app.fonts import interface_font
from app.formulas import FormulaStore
from app.icons import IconStore
from app.style_sheet import style_sheet
from app.tokens import DARK, LIGHT, Tokens

SCALES = {"small": 0.85, "hint": 0.92, "body": 1.0, "answer": 1.04, "state": 1.23, "display": 1.85}
SAMPLE = "Studio laptop 0123456789"
SAMPLE_WIDTH = 163.4  # in Inter at 10 points
SETTINGS = ("system", "light", "dark")
SMALLEST_TEXT, LARGEST_TEXT = 80, 200  # percent


def high_contrast(tokens: Tokens) -> Tokens:
    """Strong outlines, no soft fills, and texts in two tones: what is quiet elsewhere can be read by everybody."""
    return replace(
        tokens,
        side=tokens.bg,
        text2=tokens.text,
        text3=tokens.text2,
        ctl=tokens.text2,
        border=tokens.text3,
        accent_soft=tokens.surface,
        local_soft=tokens.surface,
        warn_soft=tokens.surface,
        danger_soft=tokens.surface,
    )


LIGHT_HIGH, DARK_HIGH = high_contrast(LIGHT), high_contrast(DARK)

TOKEN_NAMES = frozenset(field.name for field in fields(Tokens) if field.name != "code")


class Theme(QObject):
    """The theme in force. `changed` follows the palette and the sheet: repaint, re-icon, re-highlight on it."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        app.setFont(interface_font(app.font()))
        self._plain_points = self.base_points  # at a text size of 100 %
        self._text_size = 100
        self._contrast = "system"
        self._code_font = ""
        self._setting = "system"
        self._tokens = LIGHT
        self._icons = IconStore()
        self.formulas = FormulaStore(self)
        self._applied: tuple[bool, bool, float, str] | None = None
        self.reduced_motion = False
        # PySide (6.11) forgets what belongs to hints that nobody holds.
        self._hints = QGuiApplication.styleHints()
        self._accessibility = self._hints.accessibility()
        self._hints.colorSchemeChanged.connect(self._system_changed)
        self._accessibility.contrastPreferenceChanged.connect(self._system_changed)

    @property
    def tokens(self) -> Tokens:
        return self._tokens

    @property
    def dark(self) -> bool:
        return self._tokens in (DARK, DARK_HIGH)

    @property
    def setting(self) -> str:
        """What the user chose: system, light or dark."""
        return self._setting

    def choose(self, setting: str) -> None:
        """Take a user's setting; anything unknown (or unset) means: follow the system."""
        self._setting = setting if setting in SETTINGS else "system"
        scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}.get(self._setting, Qt.ColorScheme.Unknown)
        # The platform follows too: title bar, native file dialogs. Offscreen this does nothing.
        QGuiApplication.styleHints().setColorScheme(scheme)
        self._apply()

    @property
    def text_size(self) -> int:
        """Percent of the system's."""
        return self._text_size

    def use(self, setting: str, text_size: int, contrast: str, code_font: str) -> None:
        """All of a look at once, live. text_size: percent of the system's, brought between 80 and 200. contrast: high,
        normal, else as the system. code_font: a family for code and keys, "" = the system's."""
        self._text_size = min(LARGEST_TEXT, max(SMALLEST_TEXT, text_size))
        self._contrast, self._code_font = contrast, code_font
        font = QFont(self._app.font())
        font.setPointSizeF(self._plain_points * self._text_size / 100)
        if font.pointSizeF() != self._app.font().pointSizeF():
            self._app.setFont(font)
        self.choose(setting)

    @contextmanager
    def undressed(self) -> Iterator[None]:
        """While a window is made: with a sheet Qt polishes a widget anew each time something around it moves."""
        sheet = self._app.styleSheet()
        self._app.setStyleSheet("")
        try:
            yield
        finally:
            self._app.setStyleSheet(sheet)

    def colour(self, token: str) -> QColor:
        return QColor(cast("str", getattr(self._tokens, token)))

    def font(self, scale: str = "body", weight: int = 400, *, tabular: bool = False) -> QFont:
        """The interface font at one of the design's SCALES. `tabular`: all figures equally wide, for columns."""
        font = QFont(self._app.font())
        font.setPointSizeF(self.base_points * SCALES[scale])
        font.setWeight(QFont.Weight(weight))
        if tabular:
            font.setFeature(QFont.Tag("tnum"), 1)
        return font

    def fixed_font(self, scale: str = "body") -> QFont:
        """The system's fixed font, for keys and code."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        if self._code_font and QFontDatabase.isFixedPitch(self._code_font):
            font.setFamily(self._code_font)
        font.setPointSizeF(self.base_points * SCALES[scale])
        return font

    @property
    def breadth(self) -> float:
        """How much wider than the design's 13 px Inter the font in force runs, at least 1: columns grow with it."""
        return max(1.0, QFontMetricsF(self._app.font()).horizontalAdvance(SAMPLE) / SAMPLE_WIDTH)

    @property
    def base_points(self) -> float:
        points = self._app.font().pointSizeF()
        # A platform that gives pixels says -1 points; 96 dots per inch is Qt's logical resolution.
        return points if points > 0 else self._app.font().pixelSize() * 72 / 96

    def duration(self, milliseconds: int) -> int:
        """How long a motion takes: nothing where the system asks for less motion, or `reduced_motion` is set."""
        style = self._app.style()
        still = self.reduced_motion or not style.styleHint(QStyle.StyleHint.SH_Widget_Animate)
        return 0 if still else milliseconds

    def icon(self, name: str, token: str = "text2", size: int = 16, pad: int = 0) -> QIcon:
        """A Lucide icon in a token's colour; its disabled form is text3. `pad`: room after it (below 0: before it)."""
        return self._icons.icon(name, self.colour(token), self.colour("text3"), size, pad)

    def pixmap(self, name: str, token: str = "text2", size: int = 16, ratio: float = 1.0) -> QPixmap:
        return self._icons.pixmap(name, self.colour(token), size, ratio)

    def _system_changed(self, _what: object) -> None:
        self._apply()

    @property
    def _wants_contrast(self) -> bool:
        if self._contrast in ("high", "normal"):
            return self._contrast == "high"
        return self._accessibility.contrastPreference() == Qt.ContrastPreference.HighContrast

    def _apply(self) -> None:
        dark = self._setting == "dark" or (
            self._setting == "system" and QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        )
        strong = self._wants_contrast
        tokens = (DARK_HIGH if strong else DARK) if dark else (LIGHT_HIGH if strong else LIGHT)
        look = (dark, strong, self.base_points, self.fixed_font().family())
        if self._applied == look:
            # A new sheet polishes every widget again: 0.2 s with both tabs.
            return
        self._applied = look
        self._tokens = tokens
        self._icons.clear()
        self._app.setPalette(palette(self._tokens))
        self._app.setStyleSheet(style_sheet(self._tokens, self.base_points, SCALES, self.fixed_font().family()))
        self.changed.emit()


def palette(tokens: Tokens) -> QPalette:
    """Every role that Fusion reads, so that a widget without a rule in the sheet still belongs."""
    role = QPalette.ColorRole
    colours = {
        role.Window: tokens.bg,
        role.WindowText: tokens.text,
        role.Base: tokens.surface,
        role.AlternateBase: tokens.side,
        role.Text: tokens.text,
        role.Button: tokens.surface,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.danger,
        role.ToolTipBase: tokens.surface,
        role.ToolTipText: tokens.text,
        role.PlaceholderText: tokens.text3,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.onacc,
        role.Link: tokens.accent,
        role.LinkVisited: tokens.accent,
        role.Accent: tokens.accent,
        role.Light: tokens.surface,
        role.Midlight: tokens.side,
        role.Mid: tokens.border,
        role.Dark: tokens.ctl,
        role.Shadow: tokens.border,
    }
    result = QPalette()
    for name, value in colours.items():
        result.setColor(name, QColor(value))
    for name in (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText):
        result.setColor(QPalette.ColorGroup.Disabled, name, QColor(tokens.text3))
    result.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(tokens.track))
    result.setColor(QPalette.ColorGroup.Disabled, role.HighlightedText, QColor(tokens.text3))
    return result
