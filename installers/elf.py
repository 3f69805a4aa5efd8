"""Linux binaries in the packaged folder: what they need of the system, and without what only debuggers read.

`strip` (binutils 2.40) moves the segments of libraries that auditwheel's patchelf has grown, and says nothing: the
loader refuses them afterwards ("not page-aligned"). So each is looked at after it, and put back where that happened.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

_LOAD = 1
_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian


def binaries(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) == _MAGIC:
                    yield path


def is_loadable(data: bytes) -> bool:
    """Whether each LOAD segment lies in the file as its address wants it (elf(5), p_align)."""
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for place in range(table, table + size * count, size):
        kind, _flags, offset, address, _physical, _filled, _memory, align = struct.unpack_from("<IIQQQQQQ", data, place)
        if kind == _LOAD and align > 1 and (address - offset) % align:
            return False
    return True


def strip(folder: Path) -> list[Path]:
    """Take symbols for debuggers out of every binary. Returns those that had to stay as they are."""
    kept = []
    for path in binaries(folder):
        before, rights = path.read_bytes(), path.stat().st_mode
        command = ["strip", "--strip-unneeded", str(path)]
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
        if not done or not is_loadable(path.read_bytes()):
            path.write_bytes(before)
            path.chmod(rights)
            kept.append(path)
    return kept


def glibc_floor(folder: Path) -> str:
    """The newest version of the C library that a binary asks for: "2.34"."""
    found = {(2, 0)}
    for path in binaries(folder):
        found |= {(int(a), int(b)) for a, b in re.findall(rb"GLIBC_(\d+)\.(\d+)", path.read_bytes())}
    return ".".join(map(str, max(found)))
