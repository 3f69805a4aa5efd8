"""What modules and documents cite in `docs/` is there: the file, and the section that is named after it."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITED = re.compile(r'(?<![\w/])(docs/[\w/-]+\.md)((?:,? (?:and )?"[^"\n]+")*)')
SECTION = re.compile(r'"([^"\n]+)"')
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#[^)]*)?\)")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@cache
def headings(document: str) -> frozenset[str]:
    return frozenset(
        re.sub(r"^#+\s+", "", line).strip()
        for line in (ROOT / document).read_text("utf-8").splitlines()
        if line.startswith("#")
    )


def citations() -> set[tuple[str, str, str]]:
    """(who cites, document, section or "")."""
    found = set()
    for path in tracked("*.py"):
        # A sentence may be broken over lines of a docstring or a comment.
        text = re.sub(r"\n\s*#?\s*", " ", path.read_text("utf-8"))
        for document, sections in CITED.findall(text):
            for section in SECTION.findall(sections) or [""]:
                found.add((str(path.relative_to(ROOT)), document, section))
    return {cited for cited in found if cited[0] != "tests/unit/test_documents.py"}


def test_there_are_citations() -> None:
    assert len(citations()) > 20


@pytest.mark.parametrize(("who", "document", "section"), sorted(citations()))
def test_what_a_module_cites_is_there(who: str, document: str, section: str) -> None:
    assert (ROOT / document).is_file(), f"{who} cites {document}"
    if section:
        known = {heading.removesuffix(".") for heading in headings(document)}
        assert section in known, f'{who} cites "{section}" of {document}, which has {sorted(known)}'


@pytest.mark.parametrize("document", [str(path.relative_to(ROOT)) for path in tracked("*.md")])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for target in LINK.findall((ROOT / document).read_text("utf-8")):
        assert (folder / target).exists(), f"{document} links to {target}"
