"""A block of prose: one QTextBrowser as high as its text, which loads nothing and opens no link by itself."""

from __future__ import annotations

import math
import re
from html import escape, unescape

from PySide6.QtCore import QMimeData, QRectF, Qt, QUrl, Signal
from PySide6.QtGui import (
    QFontMetricsF,
    QPainter,
    QPaintEvent,
    QPalette,
    QTextCursor,
    QTextFormat,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from app.formulas import Formula
from app.i18n import tr
from app.theme import SCALES, Theme
from app.widgets.chat.formula_object import PREFIX, FormulaObject, Placed
from app.widgets.chat.maths import split
from app.widgets.chat.text_changes import TextChanges

LINE_HEIGHT = 1.55  # of the font's size
HEADINGS = {1: 1.4, 2: 1.23, 3: 1.1}
QUOTE_INDENT = 14
LIST_INDENT = 22
CARET_WIDTH = 7
OBJECT = "\N{OBJECT REPLACEMENT CHARACTER}"
_MATHS = re.compile(r"<maths( display)?>(.*?)</maths>", re.DOTALL)
_PICTURE = re.compile(rf'<img[^>]*src="{PREFIX}(\d+)"[^>]*>')


def document_style(theme: Theme, scale: str) -> str:
    """The sheet of a rich text. Qt counts line heights in parts of the font's own, the design in parts of its size."""
    font = theme.font(scale)
    metrics = QFontMetricsF(font)
    line = round(100 * LINE_HEIGHT * _pixels(theme, scale) / metrics.height())
    tokens = theme.tokens
    fixed = theme.fixed_font().family()
    fixed_points = theme.base_points * SCALES["hint"]
    # In a bubble the fixed font is enough: grey on its teal is one surface too many.
    code_background = tokens.track if scale == "answer" else "transparent"
    headings = "\n".join(
        f".h{level} {{ font-size: {theme.base_points * HEADINGS.get(level, 1.04):.2f}pt; font-weight: 600; }}"
        for level in range(1, 7)
    )
    return f"""
p, li {{ line-height: {line}%; }}
p {{ margin: 0; }}
.formula {{ line-height: 100%; }}
li {{ margin: 2px 0; }}
ul, ol {{ margin: 0; }}
{headings}
a {{ color: {tokens.accent}; text-decoration: underline; }}
code {{ font-family: '{fixed}'; font-size: {fixed_points:.2f}pt; background-color: {code_background}; }}
pre {{ font-family: '{fixed}'; font-size: {fixed_points:.2f}pt; margin: 4px 0; }}
table {{ border-collapse: collapse; border-color: {tokens.border}; border-style: solid; margin: 0; }}
th {{ font-weight: 600; text-align: left; background-color: {tokens.code.background}; }}
th, td {{ border-color: {tokens.border}; }}
blockquote {{ margin: 4px 0 4px 12px; }}"""


class ProseBlock(QTextBrowser):
    """`fit` gives it a width; its height follows. A `quote` leaves room at its start for the bar that the list
    of blocks paints there."""

    link_activated = Signal(str)

    def __init__(
        self, theme: Theme, *, scale: str = "answer", quote: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._scale = scale
        self._quote = quote
        self._html = ""
        self._changes = TextChanges(self)
        self._caret = ""
        self._space = 0
        self._waiting = False  # for formulas
        self._formulas = FormulaObject(theme, self)
        self.document().documentLayout().registerHandler(QTextFormat.ObjectTypes.ImageObject.value, self._formulas)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QTextBrowser.LineWrapMode.FixedPixelWidth)
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)  # the conversation has one for all of its texts
        self.setAccessibleName(tr("Text of the answer"))
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(0)
        start = self.textCursor()
        start.setKeepPositionOnInsert(True)
        self.setTextCursor(start)
        self.document().setIndentWidth(LIST_INDENT)
        self.set_space_above(0)
        option = self.document().defaultTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDefaultTextOption(option)
        self.anchorClicked.connect(self._clicked)
        self._apply_theme()

    @property
    def indent(self) -> int:
        return QUOTE_INDENT if self._quote else 0

    @property
    def waiting(self) -> bool:
        """Whether a formula of it is still being made."""
        return self._waiting

    def set_space_above(self, space: int) -> None:
        """Headings stand a little further from what is above them."""
        self._space = space
        self.setViewportMargins(self.indent, space, 0, 0)

    def set_html(self, html: str, *, growing: bool = False) -> None:
        """Show `html`; what is selected stays selected."""
        if html == self._html:
            return
        self._html = html
        self._render(growing=growing)

    def retheme(self) -> None:
        self._apply_theme()
        self._render()

    def set_caret(self, token: str) -> None:
        """Where the text grows: a small block in the token's colour behind the last letter; "" takes it away."""
        if token != self._caret:
            self._caret = token
            self.viewport().update()

    def fit(self, width: int) -> int:
        """Wrap at `width` and take the height of the text; returns it."""
        self._wrap_at(max(1, width - self.indent))
        height = math.ceil(self.document().size().height()) + self._space
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)
        return height

    def natural_width(self, limit: int) -> int:
        """The width that the text needs, at most `limit`."""
        self._wrap_at(limit)
        return min(limit, math.ceil(self.document().idealWidth()) + 1)

    def _wrap_at(self, width: int) -> None:
        # Wrapping at the widget's own width, the editor lays out again at a width that is not the new one yet.
        self.setLineWrapColumnOrWidth(width)
        self.document().setTextWidth(width)

    def _render(self, *, growing: bool = False) -> None:
        cursor = self.textCursor()
        anchor, position = cursor.anchor(), cursor.position()
        with self._changes.quiet(growing=growing):
            # The document's own: the widget's tells the bus each time that its cursor is at the start again.
            self.document().setHtml(_MATHS.sub(self._maths, self._with_formulas()))
        # In the text itself a formula is a picture without words.
        said = self.written(0, self.document().characterCount() - 1) if self._formulas.placed else ""
        if said != self.accessibleDescription():
            self.setAccessibleDescription(said)
        end = max(0, self.document().characterCount() - 1)
        if anchor != position and max(anchor, position) <= end:
            cursor = self.textCursor()
            cursor.setPosition(anchor)
            cursor.setPosition(position, QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(cursor)
        elif self.textCursor().hasSelection():
            # What was written into the document took the end of the cursor along.
            cursor.setPosition(0)
            self.setTextCursor(cursor)
        if self.document().textWidth() > 0:
            self.fit(int(self.document().textWidth()) + self.indent)

    def _with_formulas(self) -> str:
        """Forget the formulas of the text before; ask again when one is made that this text waits for."""
        self._formulas.placed = []
        if self._waiting:
            self._theme.formulas.made.disconnect(self._made)
            self._waiting = False
        return self._html

    def _maths(self, found: re.Match[str]) -> str:
        """A formula as its picture, or as it was written while there is none."""
        display, written = bool(found[1]), unescape(found[2])
        formula = self._theme.formulas.get(split(written)[0], display=display)
        if isinstance(formula, Formula):
            placed = Placed(formula, written)
            self._formulas.placed.append(placed)
            place = "" if placed.shallow else ' style="vertical-align: middle"'
            html = f'<img src="{PREFIX}{len(self._formulas.placed) - 1}"{place} />'
        else:
            if formula is None and not self._waiting:
                self._waiting = True
                self._theme.formulas.made.connect(self._made)
            html = f"<code>{escape(written)}</code>"
        if not display:
            return html
        text = found.string
        before = "" if text.endswith(("<p>", '<p class="formula">', "<br />\n"), 0, found.start()) else "<br />"
        after = "" if text.startswith(("</p>", "<br />"), found.end()) else "<br />"
        return f"{before}{html}{after}"

    def _made(self) -> None:
        self._render()

    def written(self, start: int, end: int) -> str:
        """The text between two positions, formulas as they were written."""
        cursor = QTextCursor(self.document())
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        parts = cursor.selection().toPlainText().split(OBJECT)
        formulas = []
        for position in range(start, end):
            if self.document().characterAt(position) == OBJECT:
                cursor.setPosition(position + 1)
                placed = self._formulas.at(cursor.charFormat())
                formulas.append(placed.written if placed is not None else "")
        return "".join(part + formula for part, formula in zip(parts, [*formulas, ""], strict=True))

    def createMimeDataFromSelection(self) -> QMimeData:
        """What is copied has the source of its formulas."""
        if not self._formulas.placed:
            return super().createMimeDataFromSelection()
        cursor = self.textCursor()
        html = cursor.selection().toHtml()
        data = QMimeData()
        data.setText(self.written(cursor.selectionStart(), cursor.selectionEnd()))
        data.setHtml(_PICTURE.sub(lambda found: escape(self._formulas.placed[int(found[1])].written), html))
        return data

    def _apply_theme(self) -> None:
        self._formulas.token = "text2" if self._quote else "text"
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, self._theme.colour("text2" if self._quote else "text"))
        palette.setColor(QPalette.ColorRole.Highlight, self._theme.colour("accent"))
        palette.setColor(QPalette.ColorRole.HighlightedText, self._theme.colour("onacc"))
        self.setPalette(palette)
        self.document().setDefaultFont(self._theme.font(self._scale))
        self.document().setDefaultStyleSheet(document_style(self._theme, self._scale))

    def _clicked(self, url: QUrl) -> None:
        self.link_activated.emit(url.toString())

    # --- Qt

    def loadResource(self, _kind: int, _name: QUrl | str) -> None:
        """Nothing an answer names is fetched, neither from the network nor from this disk."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the conversation scrolls, not this block

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._caret:
            return
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        rect = QRectF(self.cursorRect(cursor))
        height = QFontMetricsF(self._theme.font(self._scale)).ascent() + 1
        painter = QPainter(self.viewport())
        painter.fillRect(
            QRectF(rect.left() + 2, rect.bottom() - height - 1, CARET_WIDTH, height), self._theme.colour(self._caret)
        )
        painter.end()


def _pixels(theme: Theme, scale: str) -> float:
    return theme.base_points * SCALES[scale] * 96 / 72
