"""The line that is always true: an icon, a bold coloured clause, then the facts."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.announcements import announce
from app.theme import Theme
from app.widgets.icon_label import IconLabel

PITCH = 116  # of Inter's own line, which is 1.21 of its size: the design's 1.4


class StatusLine(QWidget):
    """`tone` colours icon and clause: accent, text2, warn, danger, local."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._icon_name, self._clause, self._facts, self._tone = "power", "", "", "text2"
        self.icon = IconLabel(theme, "power", "text2", 18)
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.RichText)
        self.label.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.label.setSizePolicy(policy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(9)
        layout.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.label, 1)
        theme.changed.connect(self._render)

    @property
    def text(self) -> str:
        return f"{self._clause} {self._facts}".strip()

    def show_status(self, icon: str, clause: str, facts: str = "", tone: str = "text2") -> None:
        new = (icon, clause, facts, tone)
        if new != (self._icon_name, self._clause, self._facts, self._tone):
            if clause != self._clause and self.isVisible():
                announce(self, f"{clause} {facts}".strip())
            self._icon_name, self._clause, self._facts, self._tone = new
            self._render()

    def _render(self) -> None:
        self.icon.set_icon(self._icon_name, self._tone)
        colour = self._theme.colour(self._tone).name()
        facts = f" {escape(self._facts)}" if self._facts else ""
        self.label.setText(
            f'<p style="line-height:{PITCH}%; margin:0"><span style="color:{colour}; font-weight:600">'
            f"{escape(self._clause)}</span>{facts}</p>"
        )
        self.label.setAccessibleName(self.text)
        # Now, and not once our own layout has heard of it: whoever measures next must get the new height.
        self.updateGeometry()
