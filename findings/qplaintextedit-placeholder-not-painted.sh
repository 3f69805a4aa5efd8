#!/usr/bin/env bash
# A QPlainTextEdit that shows its placeholder goes on showing the old text after setPlaceholderText().
# Expected: the new text is painted, as in QTextEdit and QLineEdit, and as after any other setter that changes the look.
# Hurt: whoever changes the placeholder with the state of a program (a message field that says "Ask…" and then "Wait…").
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -q --disable-pip-version-check PySide6-Essentials==6.11.3 || exit 2
cat >"$folder/paints.py" <<'PY'
import sys
from PySide6.QtCore import QElapsedTimer, QEvent, QObject, qVersion
from PySide6.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QTextEdit

app = QApplication([])


class Count(QObject):
    paints = 0

    def eventFilter(self, _watched, event):
        self.paints += event.type() == QEvent.Type.Paint
        return False


def turn(ms=200):
    timer = QElapsedTimer()
    timer.start()
    while timer.elapsed() < ms:
        app.processEvents()


found = {}
for kind in (QLineEdit, QTextEdit, QPlainTextEdit):
    field = kind()
    field.setPlaceholderText("Ask something")
    field.resize(300, 80)
    field.show()
    turn()
    surface = field.viewport() if hasattr(field, "viewport") else field
    field.clearFocus()  # no blinking cursor among the paints
    turn()
    count = Count()
    surface.installEventFilter(count)
    field.setPlaceholderText("Wait for the answer")
    turn()
    found[kind.__name__] = count.paints
    field.hide()
print(f"Qt {qVersion()}, Python {sys.version.split()[0]}")
print("expected: each of them is painted at least once after setPlaceholderText()")
print("happens:  " + ", ".join(f"{name} {paints}" for name, paints in found.items()))
holds = found["QPlainTextEdit"] == 0 and found["QTextEdit"] > 0 and found["QLineEdit"] > 0
print(f"holds: {'yes' if holds else 'no'}")
sys.exit(not holds)
PY
QT_QPA_PLATFORM=offscreen timeout 60 "$folder/venv/bin/python" "$folder/paints.py"
