"""One version as each packager wants it: a candidate (`0.2.0rc1`) is older than the release everywhere.

dpkg and rpm sort `0.2.0rc1` after `0.2.0`; both take what stands behind a tilde as earlier than nothing.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?(?:\.dev(\d+))?")


def _parts(version: str) -> re.Match[str]:
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"{version} is no version of ours: 1.2.3, 1.2.3rc1, 1.2.3.dev4.")
    return found


def tilde(version: str) -> str:
    """For dpkg and rpm."""
    major, minor, patch, stage, number, dev = _parts(version).groups()
    text = f"{major}.{minor}.{patch}"
    if stage:
        text += f"~{stage}{number}"
    return f"{text}~dev{dev}" if dev else text


def numbers(version: str) -> str:
    """Three numbers, for macOS's CFBundleVersion, which knows no candidates."""
    return ".".join(_parts(version).groups()[:3])


def four_numbers(version: str) -> str:
    """For Windows' file versions. A release is 1.2.3.65535, above all its candidates."""
    major, minor, patch, stage, number, dev = _parts(version).groups()
    if not stage and not dev:
        return f"{major}.{minor}.{patch}.65535"
    place = {"a": 10_000, "b": 20_000, "rc": 30_000, None: 40_000}[stage] + int(number or 0) * 10
    return f"{major}.{minor}.{patch}.{place - 1 if dev else place}"
