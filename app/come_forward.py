"""A window brought to the front, as far as the system lets a program do that."""

from __future__ import annotations

import os

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from app.instance import TOKEN_VARIABLE


def come_forward(window: QWidget, token: str = "") -> None:
    """Where it does not, the window asks for attention."""
    if token:
        os.environ[TOKEN_VARIABLE] = token  # Qt's Wayland platform takes it from there
    window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()
    if QGuiApplication.applicationState() is not Qt.ApplicationState.ApplicationActive:
        QApplication.alert(window)
