"""Marks in the texts of a message: where what is searched stands."""

from __future__ import annotations

from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from app.theme import Theme

MOST = 200  # in one block of text


def texts_of(row: QWidget) -> list[QTextEdit | QPlainTextEdit]:
    """From the top down."""
    texts: list[QTextEdit | QPlainTextEdit] = [*row.findChildren(QTextEdit), *row.findChildren(QPlainTextEdit)]
    return [text for text in texts if text.isVisibleTo(row)]


def mark(row: QWidget, text: str, theme: Theme) -> None:
    """ "" takes the marks away."""
    for each in texts_of(row):
        each.setExtraSelections(_selections(each.document(), " ".join(text.split()), theme) if text else [])


def marked(row: QWidget) -> list[tuple[QTextEdit | QPlainTextEdit, QTextCursor]]:
    """Each text with its first mark, from the top down."""
    found = []
    for text in texts_of(row):
        selections = text.extraSelections()  # a cursor lives as long as its selection: it is copied
        if selections:
            found.append((text, QTextCursor(selections[0].cursor)))
    return found


def _selections(document: QTextDocument, text: str, theme: Theme) -> list[QTextEdit.ExtraSelection]:
    found: list[QTextEdit.ExtraSelection] = []
    cursor = document.find(text, QTextCursor(document))
    while not cursor.isNull() and len(found) < MOST:
        selection = QTextEdit.ExtraSelection()
        selection.cursor = cursor
        selection.format.setBackground(theme.colour("accent_soft"))
        selection.format.setForeground(theme.colour("accent"))
        selection.format.setFontUnderline(True)  # in a bubble of mine the fill is the same
        found.append(selection)
        cursor = document.find(text, cursor)
    return found
