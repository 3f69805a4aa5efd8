"""What a test of the window leaves in a cycle is gone, in Qt's own thread, before the next test begins."""

from __future__ import annotations

import threading
from weakref import ref

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QLabel

left: list[tuple[ref[QObject], list[str]]] = []


def test_leaves_a_widget_in_a_cycle(qapp: QApplication) -> None:
    label, died_in = QLabel("left behind"), list[str]()
    label.itself = label  # type: ignore[attr-defined]
    label.destroyed.connect(lambda: died_in.append(threading.current_thread().name))
    left.append((ref(label), died_in))


def test_finds_none() -> None:
    for label, died_in in left:
        assert label() is None
        assert died_in == ["MainThread"]
