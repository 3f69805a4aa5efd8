"""What is shipped, told twice: a list for machines (CycloneDX 1.6) and the licence texts for people.

It is made from the packaged folder, so that it names what is in there and nothing else: Python packages by their
metadata, libraries of the build system by the package that owns them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

# Licence files that wheels do not carry, or that the metadata says in no usable form: by name, as SPDX.
KNOWN = {
    "pyside6-essentials": "LGPL-3.0-only",
    "shiboken6": "LGPL-3.0-only",
    "av": "BSD-3-Clause AND LGPL-3.0-or-later",
    "zeroconf": "LGPL-2.1-or-later",
    "python": "PSF-2.0",
    "xllamacpp": "MIT",
    "llama-cpp-python": "MIT",
    "pywhispercpp": "MIT",
    "tqdm": "MPL-2.0 AND MIT",
    "certifi": "MPL-2.0",
}
_TEXTS = re.compile(r"(?i)^(licen[cs]e|copying|notice|authors|copyright)")
_LONGEST = 200_000  # bytes of one licence text


@dataclass(frozen=True, order=True)
class Part:
    """One thing that is shipped. texts: of its licences."""

    name: str
    version: str
    licence: str
    kind: str  # "pypi" or "deb"
    texts: tuple[str, ...] = ()


def python_parts(site_packages: Path, shipped: Path) -> list[Part]:
    """Of the packages in the build's environment those whose modules lie in the packaged folder."""
    parts = []
    for info in sorted(site_packages.glob("*.dist-info")):
        head = HeaderParser().parsestr((info / "METADATA").read_text(errors="replace"))
        name = re.sub(r"[-_.]+", "-", str(head["Name"])).lower()
        if name == "qvac-desktop" or not _is_shipped(info, shipped):
            continue
        texts = tuple(
            path.read_text(errors="replace") for path in sorted(info.rglob("*")) if path.is_file() and _is_text(path)
        )
        parts.append(Part(name, str(head["Version"]), KNOWN.get(name) or _licence(head), "pypi", texts))
    return parts


def _is_text(path: Path) -> bool:
    """Of a licence; a module of that name (and what pip compiled of it, with today's date in it) is none."""
    return bool(_TEXTS.match(path.name)) and path.suffix not in (".py", ".pyc") and path.stat().st_size < _LONGEST


def _is_shipped(info: Path, shipped: Path) -> bool:
    record = info / "RECORD"
    if not record.exists():
        return False
    for line in record.read_text().splitlines():
        place = line.split(",")[0]
        if place.startswith("..") or ".dist-info/" in place or "__pycache__" in place:
            continue
        inside = shipped / place
        if inside.exists() or (place.endswith(".py") and inside.with_suffix(".pyc").exists()):
            return True
    return False


def _licence(head: object) -> str:
    get = head.get  # type: ignore[attr-defined]
    if get("License-Expression"):
        return str(get("License-Expression"))
    classifiers = [value for key, value in head.items() if key == "Classifier"]  # type: ignore[attr-defined]
    named = [value.rsplit("::", 1)[-1].strip() for value in classifiers if value.startswith("License ::")]
    said = " ".join(str(get("License") or "").split())
    return " AND ".join(named) or (said if 0 < len(said) < 60 else "see its text")


def system_parts(shipped: Path) -> list[Part]:
    """Libraries that PyInstaller took from the build system, by Debian's packages; none elsewhere."""
    if sys.platform != "linux" or not Path("/var/lib/dpkg/info").is_dir():
        return []
    wanted = {path.name for path in shipped.iterdir() if ".so" in path.name and path.is_file()}
    owners: dict[str, str] = {}
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        for line in listing.read_text(errors="replace").splitlines():
            if (name := line.rpartition("/")[2]) in wanted:
                owners[name] = listing.stem.partition(":")[0]
    parts = []
    for package in sorted(set(owners.values())):
        version = _dpkg_version(package)
        text = Path(f"/usr/share/doc/{package}/copyright")
        texts = (text.read_text(errors="replace"),) if text.is_file() else ()
        found = sorted(set(re.findall(r"^License: (\S.*)$", "\n".join(texts), re.MULTILINE)))
        parts.append(Part(package, version, " AND ".join(found[:6]) or "see its text", "deb", texts))
    return parts


def _dpkg_version(package: str) -> str:
    command = ["dpkg-query", "--show", "--showformat", "${Version}\n", package]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0]


def sbom(version: str, parts: list[Part]) -> str:
    """CycloneDX. The serial number comes from the content: the same parts make the same file."""
    components = [
        {
            "type": "library",
            "name": part.name,
            "version": part.version,
            "licenses": [{"license": {"name": part.licence}}],
            "purl": f"pkg:{part.kind}/{'debian/' if part.kind == 'deb' else ''}{part.name}@{part.version}",
        }
        for part in sorted(parts)
    ]
    content = json.dumps(components, sort_keys=True)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, version + content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "qvac-desktop",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"


def texts(notice: str, licence: str, parts: list[Part]) -> str:
    """Everything for people, in one file. A text that many packages share stands once."""
    shared: dict[str, list[Part]] = {}
    for part in sorted(parts):
        for text in part.texts:
            shared.setdefault(text.strip(), []).append(part)
    table = "\n".join(f"  {part.name} {part.version}: {part.licence}" for part in sorted(parts))
    chapters = [notice.strip(), f"What is in this package:\n\n{table}", licence.strip()]
    for text, owners in shared.items():
        chapters.append(f"{', '.join(f'{part.name} {part.version}' for part in owners)}\n\n{text}")
    return f"\n\n{'=' * 100}\n\n".join(chapters) + "\n"
