"""Items of a view that act when assistive technology toggles them.

The one action that Qt offers for an item is "Toggle", which selects or deselects it through the selection model alone:
no click, no key. People and the view itself always clear before they select, so that a bare Select or Deselect of one
item is the wish of somebody who can do nothing else to it.

It takes the view's mode ExtendedSelection (in the others Qt refuses to toggle what is selected already) and the
behaviour SelectItems (else Qt toggles whole rows).
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QPersistentModelIndex, Signal

Command = QItemSelectionModel.SelectionFlag
BARE = (Command.Select, Command.Deselect)


class ActingSelection(QItemSelectionModel):
    """`acted(index)`: do what a click or Enter on this item would do."""

    acted = Signal(QModelIndex)

    def select(
        self, what: QModelIndex | QPersistentModelIndex | QItemSelection, command: QItemSelectionModel.SelectionFlag
    ) -> None:
        if isinstance(what, QModelIndex) and command in BARE:
            self.acted.emit(what)
        else:
            super().select(what, command)


def one_at_a_time(event: QEvent | None) -> QItemSelectionModel.SelectionFlag:
    """The `selectionCommand` of a view that has one selected item, as in the mode SingleSelection."""
    if event is not None and event.type() == QEvent.Type.MouseMove:
        return Command.NoUpdate
    return Command.ClearAndSelect
