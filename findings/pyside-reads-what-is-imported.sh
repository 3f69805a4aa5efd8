#!/usr/bin/env bash
# Qt (PySide6 6.11.3): once it is imported, the source of every module that comes after it is opened and read to its end.
#
# Expected: an import runs the compiled module in `__pycache__`; its source is looked at for its time alone.
# What happens: PySide looks into each module's source for the word "PySide6", to know where `from __feature__ import snake_case` may
# count (shibokensupport/feature.py, `_mod_uses_pyside`, by inspect.getsource); also in programs that never use that switch. All lines
# stay in memory, too, in `linecache.cache`.
# Who is hurt: programs of many modules: with 360 of them it is a tenth of the processor time until the window is seen. What helps: to
# put a function that says False in the place of that one, before the program's own modules are imported.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python" >/dev/null
"$folder/python/bin/pip" install -q --disable-pip-version-check PySide6-Essentials==6.11.3 2>/dev/null
for number in $(seq 100); do echo "# a module that knows no Qt" >"$folder/plain$number.py"; done
cd "$folder"
"$folder/python/bin/python" - <<'PY'
import importlib
import linecache


def read() -> int:
    return sum("plain" in name for name in linecache.cache)


for number in range(1, 51):
    importlib.import_module(f"plain{number}")
before = read()
import PySide6.QtCore  # noqa: E402, F401

for number in range(51, 101):
    exec(f"import plain{number}")
after = read()
print(f"sources read: {before} of 50 modules before Qt, {after} of 50 after it")
raise SystemExit(0 if (before, after) == (0, 50) else "They are left alone now.")
PY
