#!/usr/bin/env bash
# GNU strip (binutils 2.40, Debian 12) and NumPy 2.4.6's wheel: `strip` ends with 0, and the library cannot be loaded any more.
#
# Expected: what PyInstaller's `strip=True` and Debian's packagers do to every library, `strip`, leaves a library that loads.
# What happens: auditwheel's patchelf has put a segment behind the others in NumPy's OpenBLAS. strip moves it to a place in the file that does
# not fit its address; the loader says "ELF load command address/offset not page-aligned". strip says nothing.
# Who is hurt: whoever packs NumPy stripped: the program is built without a word, and fails at `import numpy`. What helps: look at p_offset
# and p_vaddr of each LOAD segment after strip, and keep the file as it was where they no longer fit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python" >/dev/null
"$folder/python/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 2>/dev/null
"$folder/python/bin/python" -c 'import numpy; print("before: NumPy", numpy.__version__)'
strip "$folder"/python/lib/python3*/site-packages/numpy.libs/libscipy_openblas64_*.so
echo "strip ended with $?"
said=$("$folder/python/bin/python" -c 'import numpy' 2>&1 | grep -a "Original error" || true)
echo "after: ${said:-it is imported}"
grep -q "not page-aligned" <<<"$said"
