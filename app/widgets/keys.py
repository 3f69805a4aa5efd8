"""Public keys as people handle them: grouped in fours, shortened, typed and pasted into a field."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QAccessible, QAction, QClipboard, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import tr
from app.key_words import GROUP, group_key
from app.theme import Theme
from app.widgets.label import restyle
from app.widgets.leading_icon import close_up
from app.widgets.own_font import keep_font
from qvac_core.codec.key_text import KEY_DIGITS, KeyCheck, bare_key, read_key


class KeyField(QLineEdit):
    """Regroups a key in fours while it is typed; copying gives it without spaces. `checked` fires on every change.

    `named`: what was pasted is a link, and calls the machine so. `picture_pasted`: the clipboard holds no text.
    """

    checked = Signal(object, str)  # KeyCheck, sentence
    named = Signal(str)
    invited = Signal(str)  # the letters of the grant in a link
    picture_pasted = Signal()

    def __init__(self, theme: Theme, name: str, placeholder: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        # Qt makes it a button: without a text it would be one without a name.
        self._icon = QAction(tr("Key"), self)
        self.addAction(self._icon, QLineEdit.ActionPosition.LeadingPosition)
        self.setAccessibleName(name)
        self.setPlaceholderText(placeholder)
        # A key reads left to right in every language.
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        close_up(self)
        self.textEdited.connect(self._regroup)
        self.textChanged.connect(self._check)
        theme.changed.connect(self._show_icon)
        self._show_icon()

    @property
    def key(self) -> str:
        """The complete key in hex, or "" while it is none."""
        return read_key(self.text()).key.hex()

    def set_key(self, text: str) -> None:
        self.setText(_shown(text))

    def _regroup(self, text: str) -> None:
        shown = _shown(text)
        if shown == text:
            return
        before = len(bare_key(text[: self.cursorPosition()]))
        self.setText(shown)
        self.setCursorPosition(min(len(shown), before + max(0, before - 1) // GROUP))
        found = read_key(text)
        if found.name:
            self.named.emit(found.name)
        if found.invite:
            self.invited.emit(found.invite)

    def _check(self, text: str) -> None:
        found = read_key(text)
        if self.property("state") != found.check.value:
            self.setProperty("state", found.check.value)
            restyle(self)
            self._show_icon()
            if found.check in (KeyCheck.KEY, KeyCheck.WRONG):
                announce(self, told(found.sentence) or tr("Valid key."))
        self.checked.emit(found.check, found.sentence)

    def _show_icon(self) -> None:
        name, token = {"key": ("check", "accent"), "wrong": ("circle-x", "danger")}.get(
            str(self.property("state")), ("key-round", "text3")
        )
        self._icon.setIcon(self._theme.icon(name, token, 16))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self.hasSelectedText():
            found = read_key(self.selectedText())
            whole = self.selectedText() if found.check is KeyCheck.WRONG else found.digits
            QGuiApplication.clipboard().setText(whole, QClipboard.Mode.Clipboard)
            return
        if event.matches(QKeySequence.StandardKey.Paste) and _no_text(QGuiApplication.clipboard().mimeData()):
            self.picture_pasted.emit()
            return
        super().keyPressEvent(event)


class KeyGrid(QWidget):
    """A key as four rows of four groups, in the fixed font."""

    accessible_role = QAccessible.Role.StaticText
    accessible_leaf = True

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
        self.setAccessibleName(tr("My key, {key}", key=group_key(public_key)))

    def _set_fonts(self) -> None:
        for label in self._labels:
            keep_font(label, self._theme, lambda: self._theme.fixed_font())


def _no_text(copied: QMimeData | None) -> bool:
    """A picture, or files; programs give text beside some, such as a file's name."""
    return copied is not None and (copied.hasImage() or copied.hasUrls()) and not read_key(copied.text()).key


def _shown(text: str) -> str:
    """How a field shows what was typed: whole keys of any spelling as hex, so that a key has one look."""
    found = read_key(text)
    if found.check is KeyCheck.KEY:
        return group_key(found.key.hex())
    # While it is typed a key as z-base-32 stays as its owner sees it.
    return group_key(found.digits) if found.check is KeyCheck.PARTIAL else text


def _group_label() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
