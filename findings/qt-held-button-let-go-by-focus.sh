#!/usr/bin/env bash
# Qt (PySide6-Essentials 6.11.3): a button that is held down is "released" as soon as the focus moves, with the mouse still on it.
#
# Expected: `released` comes when the mouse button goes up, once, and until then `isDown()` is true.
# What happens: a `pressed` handler that gives the focus to a text field (hold to talk: the words go there) gets `released` at
# once, from QAbstractButton's focusOutEvent; `isDown()` is false, and when the mouse button really goes up, nothing comes.
# The documentation of `released` does not say so.
# Who is hurt: hold-to-talk and hold-to-record buttons, which take every hold for a tap. What helps: leave the focus on the button
# until `released`, or give the button the focus policy NoFocus (then keyboards do not reach it).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check PySide6-Essentials==6.11.3 2>/dev/null
cat >hold.py <<'PY'
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QVBoxLayout, QWidget

app = QApplication([])


def hold(moves_focus: bool) -> tuple[list[str], bool]:
    window = QWidget()
    layout = QVBoxLayout(window)
    button, field = QPushButton("Hold to talk"), QLineEdit()
    layout.addWidget(button)
    layout.addWidget(field)
    told: list[str] = []
    button.pressed.connect(lambda: told.append("pressed"))
    button.released.connect(lambda: told.append("released"))
    if moves_focus:
        button.pressed.connect(field.setFocus)
    window.show()
    window.activateWindow()
    QTest.qWaitForWindowActive(window)
    QTest.mousePress(button, Qt.MouseButton.LeftButton)
    QTest.qWait(50)
    told.append("the mouse button goes up")
    down = button.isDown()
    QTest.mouseRelease(button, Qt.MouseButton.LeftButton)
    return told, down


plain, moved = hold(False), hold(True)
print("focus stays:", plain)
print("focus moves:", moved)
up = "the mouse button goes up"
holds = plain == (["pressed", up, "released"], True) and moved == (["pressed", "released", up], False)
print("holds:", holds)
raise SystemExit(not holds)
PY
QT_QPA_PLATFORM=offscreen timeout 60 python/bin/python hold.py
