#!/usr/bin/env bash
# Qt (PySide6 6.11.3): an address of another scheme whose host has more than 63 letters is lost, and so is its text.
#
# Expected: `qvac://KEY`, with a key of 64 hex digits, is an address: RFC 3986 gives the registered name of a host no longest length, and
# browsers keep such addresses. `QUrl(text).toString()` gives it back, or at least the text as it was.
# What happens: QUrl takes every host for a name of the DNS, of at most 63 letters between two dots. It is invalid and empty, and
# `QFileOpenEvent.url()`, by which macOS hands links to a program, tells nothing of the link that a person clicked.
# Who is hurt: programs with links that carry a public key, a hash or a token as host. What helps: the text stands in
# `errorString()`; or a link without the slashes (`qvac:KEY`), which has no host.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python" >/dev/null
"$folder/python/bin/pip" install -q --disable-pip-version-check PySide6-Essentials==6.11.3 2>/dev/null
"$folder/python/bin/python" - <<'PY'
from PySide6.QtCore import QUrl

for link in ("qvac://" + "ab" * 31 + "a", "qvac://" + "ab" * 32, "qvac:" + "ab" * 32):
    url = QUrl(link)
    print(f"{len(link):3} letters: valid {url.isValid()}, {url.toString()!r}")
lost = QUrl("qvac://" + "ab" * 32)
raise SystemExit(0 if lost.toString() == "" and "ab" * 32 in lost.errorString() else "It is kept now.")
PY
