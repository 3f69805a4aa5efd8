"""Buttons by kind: primary, quiet (the default), flat, danger, link, stop, talk.

One primary per region; destructive acts are outlined in red, never filled.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QClipboard, QGuiApplication
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.announcements import announce
from app.i18n import tr
from app.theme import Theme
from app.widgets.focus import KeyboardFocusButton
from app.widgets.label import restyle

ICON_TOKEN = {
    "primary": "onacc",
    "quiet": "text",
    "flat": "text2",
    "danger": "danger",
    "link": "accent",
    "stop": "bg",
    "talk": "onacc",
}
COPIED_SECONDS = 2.0
ICON_PAD = 3


def _icon_only(icon: str, text: str) -> str:
    return "true" if icon and not text else "false"


def _spoken(text: str) -> str:
    return text.rstrip("….").strip()


class Button(KeyboardFocusButton):
    """`size`: small (24, headers), medium (28), large (32). Without `text`, `name` is accessible name and tooltip."""

    def __init__(
        self,
        theme: Theme,
        text: str = "",
        *,
        kind: str = "quiet",
        icon: str = "",
        name: str = "",
        size: str = "medium",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self._theme = theme
        self._icon = icon
        self._busy: tuple[str, str] | None = None
        self.setProperty("kind", kind)
        self.setProperty("measure", size)
        self.setProperty("iconOnly", _icon_only(icon, text))
        self.setAutoDefault(False)
        self.setAccessibleName(name or _spoken(text))
        if not text:
            self.setToolTip(name)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._show_icon()
        theme.changed.connect(self._show_icon)

    def setText(self, text: str) -> None:
        """One that had an icon alone becomes as wide as its text; what is spoken follows, unless it was named."""
        named_by_text = self.accessibleName() == _spoken(self.text())
        super().setText(text)
        if named_by_text and text:  # one that shows its icon alone for a while keeps its name
            self.setAccessibleName(_spoken(text))
        if (only := _icon_only(self._icon, text)) != self.property("iconOnly"):
            self.setProperty("iconOnly", only)
            restyle(self)
            self._show_icon()

    @property
    def kind(self) -> str:
        return str(self.property("kind"))

    def set_kind(self, kind: str) -> None:
        if kind != self.kind:
            self.setProperty("kind", kind)
            restyle(self)
            self._show_icon()

    def set_icon(self, icon: str) -> None:
        self._icon = icon
        self._show_icon()

    def start_busy(self, doing: str) -> None:
        """Keep the width, say what is being done, take no more clicks."""
        if self._busy is None:
            self._busy = (self.text(), self._icon)
            self.setMinimumWidth(self.width())
            self.setText(doing)
            self.set_icon("loader-circle")
            self.setEnabled(False)

    def end_busy(self) -> None:
        if self._busy is not None:
            text, icon = self._busy
            self._busy = None
            self.setMinimumWidth(0)
            self.setText(text)
            self.set_icon(icon)
            self.setEnabled(True)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._show_icon()

    def _show_icon(self) -> None:
        if self._icon:
            # Fusion leaves 4 px between icon and text; the design wants 7.
            pad = (-ICON_PAD if self.isRightToLeft() else ICON_PAD) if self.text() else 0
            self.setIcon(self._theme.icon(self._icon, ICON_TOKEN[self.kind], 16, pad))
            self.setIconSize(QSize(16 + abs(pad), 16))


class CopyButton(Button):
    """Copies `value` and says so for two seconds."""

    def __init__(
        self,
        theme: Theme,
        value: str = "",
        *,
        text: str | None = None,
        name: str = "",
        kind: str = "quiet",
        size: str = "medium",
        parent: QWidget | None = None,
    ) -> None:
        text = tr("Copy") if text is None else text
        super().__init__(theme, text, kind=kind, icon="copy", name=name, size=size, parent=parent)
        self.value = value
        self._text = text
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(int(COPIED_SECONDS * 1000))
        self._timer.timeout.connect(self._restore)
        self.clicked.connect(self.copy)

    def copy(self) -> None:
        QGuiApplication.clipboard().setText(self.value, QClipboard.Mode.Clipboard)
        self.show_copied()

    def show_copied(self) -> None:
        self.setMinimumWidth(self.width())
        if self._text:
            self.setText(tr("Copied"))
        self.set_icon("check")
        self._timer.start()
        announce(self, tr("Copied."))

    def _restore(self) -> None:
        self.setMinimumWidth(0)
        self.setText(self._text)
        self.set_icon("copy")
