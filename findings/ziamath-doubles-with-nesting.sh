#!/bin/sh
# ziamath (LaTeX and MathML to SVG in Python): the work for a formula about doubles with each level of nesting.
# Expected: a root in a root adds one node, so it adds about as much work as the one before: eight levels, some ten times one.
# Happens: each level does twice what the one before did; eight levels make over a hundred times the calls of one, and an
# ordinary continued fraction takes seconds. The calls of Python functions are counted, not the time.
# Hurt: whoever sets formulas that somebody else wrote (chats, notebooks, documentation builds) in the thread that draws.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check ziamath==0.13 ziafont==0.11 latex2mathml==3.81.1
cat > "$folder/show.py" <<'PY'
import sys
from importlib.metadata import version

import ziamath

print("versions:", *(f"{name} {version(name)}" for name in ("ziamath", "ziafont", "latex2mathml")))


def calls(source):
    count = 0

    def see(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(see)
    try:
        ziamath.Latex(source).svg()
    finally:
        sys.setprofile(None)
    return count


ziamath.Latex("x").svg()  # what is done once
as_seen = True
for name, one in (("root", r"\sqrt{%s}"), ("fraction", r"1+\frac{1}{%s}")):
    source, counted = "x", []
    for _level in range(8):
        source = one % source
        counted.append(calls(source))
    grown = counted[7] / counted[3]
    print(f"{name}: calls for 1 to 8 levels {counted}; from 4 to 8 levels expected about 2 times, is {grown:.0f} times")
    as_seen = as_seen and grown > 6
print("holds:" if as_seen else "holds no longer:", "ziamath does about twice the work for each level of nesting")
raise SystemExit(not as_seen)
PY
timeout 100 "$folder/venv/bin/python" "$folder/show.py"
