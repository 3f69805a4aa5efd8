#!/usr/bin/env bash
# "Toggle", which Qt offers to assistive technology for a check box or a radio button, emits no clicked().
# Expected: the signal that a mouse click and the space bar emit, for somebody has chosen. A radio button has no other action.
# Hurt: whoever uses a screen reader, voice control or a switch, in every program that connects clicked() so as to tell
# what people do from what code does: the mark moves, and nothing else happens.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install -q --disable-pip-version-check PySide6-Essentials==6.11.3 || exit 2
cat >"$folder/toggles.py" <<'PY'
import sys
from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QRadioButton

app = QApplication([])
holds = True
print(f"Qt {qVersion()}, Python {sys.version.split()[0]}")
print("expected: Toggle by assistive technology is heard as a key press is, by clicked() and toggled()")
for kind in (QCheckBox, QRadioButton):
    heard = {}
    for how in ("space bar", "Toggle"):
        button = kind("Choice")
        button.show()
        said = heard[how] = []
        button.clicked.connect(lambda *_: said.append("clicked"))
        button.toggled.connect(lambda *_: said.append("toggled"))
        acts = QAccessible.queryAccessibleInterface(button).actionInterface()
        offered = acts.actionNames()
        if how == "Toggle":
            acts.doAction("Toggle")
        else:
            QTest.keyClick(button, Qt.Key.Key_Space)
        app.processEvents()
    print(f"happens:  {kind.__name__} offers {offered}: {heard}")
    holds &= sorted(heard["space bar"]) == ["clicked", "toggled"] and heard["Toggle"] == ["toggled"]
    holds &= ("Press" in offered) is (kind is QCheckBox)
print(f"holds: {'yes' if holds else 'no'}")
sys.exit(not holds)
PY
QT_QPA_PLATFORM=offscreen timeout 60 "$folder/venv/bin/python" "$folder/toggles.py"
