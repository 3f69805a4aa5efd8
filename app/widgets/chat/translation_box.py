"""A message in another language, below it: the text as it comes, who translates, Copy, and a way to put it away."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QAccessible, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.core_words import told
from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.chat.long_text import ANSWER, cut
from app.widgets.chat.prose_block import ProseBlock
from app.widgets.chat.seam import Seam
from app.widgets.elided_label import ElidedLabel
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from qvac_core.core.state import ErrorInfo

HEADER = 34
PADDING = 12
RADIUS = 8


class TranslationBox(QFrame):
    accessible_role = QAccessible.Role.Grouping

    stop_wanted = Signal()
    again_wanted = Signal()
    dismissed = Signal()

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        """name: of the language, as it is told."""
        super().__init__(parent)
        self._theme = theme
        self._running = True
        self._width = 0
        self.title = ElidedLabel(weight=600)
        self.state = Label(scale="hint", tone="text3")
        self.copy = CopyButton(theme, text="", kind="flat", size="small", name=tr("Copy the translation"))
        self.stop = Button(theme, tr("Stop"), size="small", icon="square", name=tr("Stop the translation"))
        self.stop.clicked.connect(self.stop_wanted)
        self.close_button = Button(theme, kind="flat", size="small", icon="x", name=tr("Put the translation away"))
        self.close_button.clicked.connect(self.dismissed)
        self.text = ProseBlock(theme, scale="answer")
        self.text.setAccessibleName(tr("Translation"))
        self.seam = Seam(theme, "")
        self.seam.hide()
        self.error = ErrorPanel(theme, dismissable=False)
        header = QHBoxLayout()
        header.setContentsMargins(PADDING, 0, 6, 0)
        header.setSpacing(8)
        header.addWidget(IconLabel(theme, "languages"))
        header.addWidget(self.title)
        header.addWidget(self.state)
        header.addStretch(1)
        for button in (self.stop, self.copy, self.close_button):
            header.addWidget(button)
        head = QWidget()
        head.setFixedHeight(HEADER)
        head.setLayout(header)
        body = QVBoxLayout()
        body.setContentsMargins(PADDING, 0, PADDING, PADDING - 2)
        body.setSpacing(8)
        body.addWidget(self.seam)
        body.addWidget(self.text)
        body.addWidget(self.error)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(1, 1, 1, 1)
        self._layout.setSpacing(0)
        self._layout.addWidget(head)
        self._layout.addLayout(body)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.show_language(name)

    def show_language(self, name: str) -> None:
        self.title.setText(name)
        self.setAccessibleName(tr("In {language}", language=name))

    def show_translation(self, text: str, *, running: bool, error: ErrorInfo | None, seam: str = "") -> None:
        """seam: why another machine translates it than the one that was asked."""
        shown = cut(text, ANSWER)
        self.text.set_html("".join(f"<p>{escape(line) or '<br/>'}</p>" for line in shown.split("\n")), growing=running)
        self.text.set_caret("accent" if running and text else "")
        self.text.setVisible(bool(text))
        self.copy.value = text
        self.copy.setVisible(bool(text) and not running)
        self.stop.setVisible(running)
        self.close_button.setVisible(not running)
        self.state.setText(tr("translating…") if running else "" if text or error is not None else tr("stopped"))
        if seam != self.seam.sentence:
            self.seam.set_sentence(seam)
            announce(self, told(seam))
        self.seam.setVisible(bool(seam))
        if error is None:
            self.error.clear()
        elif not self.error.isVisibleTo(self):
            again = Act(tr("Try again"), self.again_wanted.emit, "primary", "rotate-cw")
            self.error.show_error(error, (again,))
        if self._running and not running and error is None and text:
            announce(self, tr("In {language}: {text}", language=self.title.text(), text=shown))
        self._running = running
        if self._width:
            self.fit(self._width)

    def fit(self, width: int) -> None:
        self._width = width
        self.text.fit(max(60, width - 2 * PADDING - 2))
        self.seam.fit(max(60, width - 2 * PADDING - 2))

    def settle(self) -> None:
        self._layout.activate()

    def retheme(self) -> None:
        self.text.retheme()
        self.seam.retheme()
        self.update()

    def stops(self) -> tuple[QWidget, ...]:
        return tuple(w for w in (self.text, self.stop, self.copy, self.close_button) if w.isVisible())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.end()
