#!/usr/bin/env bash
# PySide6 6.11.3: pyside6-lupdate leaves out texts of ordinary Python calls, without a word, and gives others a wrong context.
#
# What runs as `tr` and `translate` should be found, as with C++: the tool names the strings that it cannot read. For Python
# it names none. Left out: a call inside an f-string's braces, translate() with the plural count as `n=`, a text in brackets of
# its own. A conditional between two texts yields the first one only. And translate() with a count that is a variable is found
# as a text without plural forms; with a number written out (which no program has) it gets them, and tr() gets them always.
# Who is hurt: translators and users of Python programs: "Found 3 source text(s)", a catalogue that says 100 % translated, and
# labels that stay English in every language.
# What helps: plain positional calls, one a statement; or one's own search of the syntax tree, compared with the catalogue.
set -euo pipefail
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check PySide6-Essentials==6.11.3
cat >"$folder/window.py" <<'PY'
from PySide6.QtCore import QCoreApplication, QObject


class Window(QObject):
    def texts(self, count):
        yield self.tr("positional")
        yield QCoreApplication.translate("Window", "%n positional", None, count)
        yield f"{self.tr('in an f-string')}:"
        yield QCoreApplication.translate("Window", "%n by keyword", n=count)
        yield QCoreApplication.translate("Window", "%n written out", None, 2)
        yield self.tr("%n of tr", None, count)
        yield self.tr(("in brackets"))
        yield self.tr("one" if count == 1 else "several")


if __name__ == "__main__":
    print("at run time:", list(Window().texts(2)))
PY
cat >"$folder/compare.py" <<'PY'
import sys
import xml.etree.ElementTree as ElementTree

found = {}
for context in ElementTree.parse(sys.argv[1]).getroot().iter("context"):
    for message in context.iter("message"):
        found[message.findtext("source")] = (context.findtext("name"), message.get("numerus") == "yes")
plural = {"%n positional", "%n by keyword", "%n written out", "%n of tr"}
texts = ["positional", "%n positional", "in an f-string", "%n by keyword", "%n written out", "%n of tr"]
texts += ["in brackets", "one", "several"]
for text in texts:
    print(f"{text:22} expected {('Window', text in plural)}, got {found.get(text, 'nothing')}")
right = {text for text in texts if found.get(text) == ("Window", text in plural)}
missing = {text for text in texts if text not in found}
print(f"expected  {len(texts)} texts; right: {sorted(right)}; missing: {sorted(missing)}")
holds = right == {"positional", "%n written out", "%n of tr", "one"} and found["%n positional"] == ("Window", False)
holds = holds and missing == {"in an f-string", "%n by keyword", "in brackets", "several"}
print(f"holds: {'yes' if holds else 'no'} (texts are left out, and nothing is said)")
sys.exit(0 if holds else 1)
PY
"$PYTHON" --version
QT_QPA_PLATFORM=offscreen timeout 60 "$folder/venv/bin/python" "$folder/window.py"
cd "$folder"
timeout 60 venv/bin/pyside6-lupdate window.py -ts window.ts
venv/bin/python compare.py window.ts
