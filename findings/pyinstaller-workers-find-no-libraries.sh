#!/usr/bin/env bash
# PyInstaller 6.22.3: a frozen program that puts LD_LIBRARY_PATH back, as its manual says, starts its own workers without their libraries.
#
# Expected: the manual ("LD_LIBRARY_PATH considerations") has a program restore LD_LIBRARY_PATH from LD_LIBRARY_PATH_ORIG before it starts
# others. An executable of the same program that is started then sets its path anew: its start does so by itself.
# What happens: variables named _PYI_… tell the child that it is a part of its parent, so it leaves the path as it is. Whatever is found by the
# path alone is missing, on machines that have no such library of their own: it works where it was built, and not in a bare system.
# Who is hurt: programs that start themselves again as worker processes. What helps: take the _PYI_… variables out as well, or set
# PYINSTALLER_RESET_ENVIRONMENT=1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python >/dev/null
python/bin/pip install -q --disable-pip-version-check pyinstaller==6.22.3 2>/dev/null
cat > program.py <<'PY'
import os, subprocess, sys

if sys.argv[1:] == ["worker"]:
    print(os.environ.get("LD_LIBRARY_PATH", "none"))
    sys.exit()
os.environ.pop("LD_LIBRARY_PATH", None)
for taken in ("", "_PYI_"):
    kept = {name: value for name, value in os.environ.items() if not taken or not name.startswith(taken)}
    said = subprocess.run([sys.executable, "worker"], env=kept, capture_output=True, text=True, check=True).stdout
    print("without _PYI_…:" if taken else "as it is:", said.strip())
PY
python/bin/pyinstaller --log-level ERROR program.py >/dev/null
said=$(env -u LD_LIBRARY_PATH dist/program/program)
echo "$said"
grep -q "^as it is: none$" <<<"$said" && grep -q "^without _PYI_…: .*_internal" <<<"$said"
