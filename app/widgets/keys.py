"""Public keys as people handle them: grouped in fours, shortened, read from any spacing, typed into a field."""

from __future__ import annotations

import re
from enum import Enum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QClipboard, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from app.theme import Theme
from app.widgets.label import restyle
from qvac_core.codec.key_text import short_key as short_key

KEY_DIGITS = 64
GROUP = 4
LINK = "qvac://"
_NOISE = re.compile(r"[\s:\-]+")
_HEX = re.compile(r"[0-9a-f]*")


class KeyCheck(Enum):
    """What a typed text is: nothing, the beginning of a key, a key, or no key."""

    EMPTY = "empty"
    PARTIAL = "partial"
    KEY = "key"
    WRONG = "wrong"


def strip_key(text: str) -> str:
    """The bare lower-case digits of whatever was pasted: spaces, line breaks, dashes and a qvac:// link go."""
    bare = text.strip().lower()
    bare = bare.removeprefix(LINK).split("?")[0].strip("/")
    return _NOISE.sub("", bare)


def check_key(text: str) -> tuple[KeyCheck, str]:
    """The kind of `text` and a sentence about it ("" when there is nothing to say)."""
    bare = strip_key(text)
    if not bare:
        return KeyCheck.EMPTY, ""
    if not _HEX.fullmatch(bare):
        return KeyCheck.WRONG, "A key has only the digits 0 to 9 and the letters a to f."
    if len(bare) > KEY_DIGITS:
        return KeyCheck.WRONG, f"A key has {KEY_DIGITS} characters, this has {len(bare)}."
    if len(bare) < KEY_DIGITS:
        return KeyCheck.PARTIAL, f"{len(bare)} of {KEY_DIGITS} characters."
    return KeyCheck.KEY, ""


def group_key(public_key: str) -> str:
    """In groups of four, for eyes."""
    return " ".join(public_key[i : i + GROUP] for i in range(0, len(public_key), GROUP))


class KeyField(QLineEdit):
    """Regroups a key in fours while it is typed; copying gives it without spaces. `checked` fires on every change."""

    checked = Signal(object, str)  # KeyCheck, sentence

    def __init__(self, theme: Theme, name: str, placeholder: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._icon = QAction(self)
        self.addAction(self._icon, QLineEdit.ActionPosition.LeadingPosition)
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        # A key reads left to right in every language.
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.textEdited.connect(self._regroup)
        self.textChanged.connect(self._check)
        theme.changed.connect(self._show_icon)
        self._show_icon()

    @property
    def key(self) -> str:
        """The complete key in hex, or "" while it is none."""
        state, _ = check_key(self.text())
        return strip_key(self.text()) if state is KeyCheck.KEY else ""

    def set_key(self, text: str) -> None:
        self.setText(group_key(strip_key(text)) if check_key(text)[0] is not KeyCheck.WRONG else text)

    def _regroup(self, text: str) -> None:
        state, _ = check_key(text)
        if state in (KeyCheck.WRONG, KeyCheck.EMPTY):
            return
        before = len(strip_key(text[: self.cursorPosition()]))
        grouped = group_key(strip_key(text))
        if grouped == text:
            return
        self.setText(grouped)
        self.setCursorPosition(min(len(grouped), before + max(0, before - 1) // GROUP))

    def _check(self, text: str) -> None:
        state, sentence = check_key(text)
        if self.property("state") != state.value:
            self.setProperty("state", state.value)
            restyle(self)
            self._show_icon()
        self.checked.emit(state, sentence)

    def _show_icon(self) -> None:
        name, token = {"key": ("check", "accent"), "wrong": ("circle-x", "danger")}.get(
            str(self.property("state")), ("key-round", "text3")
        )
        self._icon.setIcon(self._theme.icon(name, token, 16))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self.hasSelectedText():
            text = self.selectedText()
            whole = text if check_key(text)[0] is KeyCheck.WRONG else strip_key(text)
            QGuiApplication.clipboard().setText(whole, QClipboard.Mode.Clipboard)
            return
        super().keyPressEvent(event)


class KeyGrid(QWidget):
    """A key as four rows of four groups, in the fixed font."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setHorizontalSpacing(12)
        self._layout.setVerticalSpacing(7)
        self._labels = [_group_label() for _ in range(KEY_DIGITS // GROUP)]
        for index, label in enumerate(self._labels):
            self._layout.addWidget(label, index // 4, index % 4)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        theme.changed.connect(self._set_fonts)
        self._set_fonts()

    def set_key(self, public_key: str) -> None:
        for label, group in zip(self._labels, group_key(public_key).split(" "), strict=False):
            label.setText(group)
        self.setAccessibleName(f"My key, {group_key(public_key)}")

    def _set_fonts(self) -> None:
        for label in self._labels:
            label.setFont(self._theme.fixed_font())


def _group_label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
