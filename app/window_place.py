"""Where a window stands, as a text for the settings, and back."""

from __future__ import annotations

import base64

from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QWidget


def place_of(window: QWidget) -> str:
    return bytes(window.saveGeometry().toBase64().data()).decode()


def put_back(window: QWidget, saved: str) -> None:
    """What is no place changes nothing."""
    try:
        geometry = base64.b64decode(saved, validate=True)
    except ValueError:
        return
    if geometry:
        window.restoreGeometry(QByteArray(geometry))
