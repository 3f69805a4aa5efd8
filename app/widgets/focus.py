"""Buttons by keyboard: the focus ring that only a keyboard brings up, and Enter, which presses what has the focus.

Qt focuses a button on a mouse click too; the sheet's ring asks for the property that is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from app.widgets.label import restyle

KEYBOARD_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


# The window went to the back, or a menu opened: the focus comes back to where it was, and so does the ring.
PASSING_REASONS = (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason)


def ring_after(event: QFocusEvent, ring: bool) -> bool:
    """Whether the ring is to be seen after a focus event; `ring`: whether it was before."""
    if event.reason() in PASSING_REASONS:
        return ring
    return event.gotFocus() and event.reason() in KEYBOARD_REASONS


def show_ring(widget: QWidget, event: QFocusEvent) -> None:
    """Keep the property that the sheet's ring asks for."""
    before = widget.property("keyboardFocus") == "true"
    ring = ring_after(event, before)
    if ring != before:
        widget.setProperty("keyboardFocus", "true" if ring else "false")
        restyle(widget)


def next_stop(window: QWidget, stops: Sequence[QWidget]) -> None:
    """F6: the focus to the stop behind the one that has it."""
    focus = window.focusWidget() or window
    here = next((i for i, stop in enumerate(stops) if stop.hasFocus() or stop.isAncestorOf(focus)), -1)
    stops[(here + 1) % len(stops)].setFocus(Qt.FocusReason.ShortcutFocusReason)


def focus_was_lost() -> bool:
    """Whether what has the focus was just hidden or switched off, as a button is by its own act.

    Qt (6.11) then moves the focus on as Tab does, with Tab's reason and through the same `focusNextPrevChild`.
    """
    focus = QApplication.focusWidget()
    return focus is not None and not (focus.isVisible() and focus.isEnabled())


def hand_on_focus(move: Callable[[], bool]) -> bool:
    """A window's `focusNextPrevChild`; `move` is Qt's own.

    Where a button goes away that nobody reached by keyboard, its neighbour gets the focus without the keyboard's ring.
    """
    before = QApplication.focusWidget()
    by_mouse = before is not None and focus_was_lost() and before.property("keyboardFocus") != "true"
    moved = move()
    after = QApplication.focusWidget()
    if moved and by_mouse and after is not None:
        after.clearFocus()
        after.setFocus(Qt.FocusReason.OtherFocusReason)
    return moved


def came_by_keyboard() -> bool:
    """Whether what has the focus shows the keyboard's ring: what it opens was opened by keyboard."""
    focus = QApplication.focusWidget()
    return focus is not None and focus.property("keyboardFocus") == "true"


def forget_tab(focus: QWidget) -> None:
    """Tell what has the focus that nobody pressed Tab: QDialog (6.11) says so whenever it is shown."""
    QApplication.sendEvent(focus, QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.OtherFocusReason))


class KeyboardFocusButton(QPushButton):
    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses this button, and not the default one of its dialog, which Qt asks unless `autoDefault` is on.

        That in turn would make any button the default of a dialog that has none on purpose.
        """
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif not event.isAutoRepeat():  # the Enter that opened a dialog may still be held
            self.click()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        show_ring(self, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        show_ring(self, event)
