"""What assistive technology finds where Qt's own answer is not enough: roles of painted widgets, and open popups.

A widget says so in its class: `accessible_role`, and `accessible_leaf` where its parts are one thing to read. Qt leaves
popups out of the tree of the program, so that on Linux nobody could walk into an open menu: the window lists them.
Nothing here runs before something has asked for the tree.
"""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleEvent, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QApplication, QMenu, QWidget


def install() -> None:
    """Once, when there is an application."""
    QAccessible.installFactory(_interface)


def tell_opened(popup: QWidget) -> None:
    """Readers keep what they have seen of the tree: a popup has to be reported when it opens."""
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleEvent(popup, QAccessible.Event.ObjectCreated))


class Part(QAccessibleWidget):
    """A widget with the role that its class names."""


class Leaf(QAccessibleWidget):
    """A widget whose parts are not elements of their own."""

    def childCount(self) -> int:
        return 0

    def child(self, _index: int) -> QAccessibleInterface | None:  # type: ignore[override]
        return None


class Window(QAccessibleWidget):
    """The main window, and below it whatever has popped up."""

    def childCount(self) -> int:
        return super().childCount() + len(_popups(self.object()))

    def child(self, index: int) -> QAccessibleInterface:
        own = super().childCount()
        if index < own:
            return super().child(index)
        return QAccessible.queryAccessibleInterface(_popups(self.object())[index - own])

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        popups = _popups(self.object())
        here = child.object()
        return super().childCount() + popups.index(here) if here in popups else super().indexOfChild(child)


class PoppedUp(QAccessibleWidget):
    def parent(self) -> QAccessibleInterface:
        top = _window_of(self.object())
        return QAccessible.queryAccessibleInterface(top) if top is not None else super().parent()


def _popups(window: QObject) -> list[QWidget]:
    found = [w for w in QApplication.topLevelWidgets() if w.isVisible()]
    popups = [w for w in found if isinstance(w, QMenu) or _role(w) is QAccessible.Role.Dialog]
    return [w for w in popups if _window_of(w) is window]


def _window_of(popup: QObject) -> QWidget | None:
    """The one it was opened from; of those that belong to none, the first."""
    above: QObject | None = popup
    while above is not None:
        if _role(above) is QAccessible.Role.Window and isinstance(above, QWidget):
            return above
        above = above.parent()
    return next((w for w in QApplication.topLevelWidgets() if _role(w) is QAccessible.Role.Window), None)


def _role(thing: QObject) -> QAccessible.Role | None:
    return getattr(thing, "accessible_role", None)


def _interface(_class: str, thing: QObject) -> QAccessibleInterface | None:
    role = _role(thing)
    if role is None or not isinstance(thing, QWidget):
        return None
    if role is QAccessible.Role.Window:
        return Window(thing, role, "")
    if role is QAccessible.Role.Dialog:
        return PoppedUp(thing, role, "")
    return (Leaf if getattr(thing, "accessible_leaf", False) else Part)(thing, role, "")
