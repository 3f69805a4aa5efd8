"""What modules and documents cite in `docs/` is there: the file, and the section that is named after it."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CITED = re.compile(r'(?<![\w/])(docs/[\w/-]+\.md)((?:,? (?:and )?"[^"\n]+")*)')
NUMBERED = re.compile(
    r"(?<![\w/])(docs/wire/[\w-]+\.md),? (?:sections? )?(\d+(?:\.\d+)?(?:(?:, | and | to |, and )\d+(?:\.\d+)?)*)"
)
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
        for document, numbers in NUMBERED.findall(text):
            for number in re.findall(r"\d+(?:\.\d+)?", numbers):
                found.add((str(path.relative_to(ROOT)), document, number))
    return {cited for cited in found if cited[0] != "tests/unit/test_documents.py"}


def test_there_are_citations() -> None:
    assert len(citations()) > 20


def test_what_a_module_cites_is_there() -> None:
    missing = []
    for who, document, section in sorted(citations()):
        if not (ROOT / document).is_file():
            missing.append(f"{who} cites {document}")
            continue
        known = {heading.removesuffix(".") for heading in headings(document)}
        if section[:1].isdigit():
            known = {heading.split()[0].removesuffix(".") for heading in known}
        if section and section not in known:
            missing.append(f"{who} cites {section} of {document}")
    assert not missing


def test_links_between_documents_lead_somewhere() -> None:
    missing = [
        f"{document.relative_to(ROOT)} links to {target}"
        for document in tracked("*.md")
        for target in LINK.findall(document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not missing


# --- Decisions ------------------------------------------------------------------------------------------------------

DEVIATES = re.compile(
    r"(?:^|[.;:(] ?|\n)Ours\b(?! alone)|(?:One|Two|Three) things? (?:is|are) (?:ours|stricter)"
    r"|(?:One|Two) things? differs?|Unlike the original|the original lacks",
)
NAMED = re.compile(r"`((?:app|qvac_core|tests)/[\w/-]+\.py)`")


def decisions() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in tracked("docs/decisions/*.md")}


def test_what_is_ours_has_a_page_that_says_why() -> None:
    named = {name for text in decisions().values() for name in NAMED.findall(text)}
    deviating = set()
    for path in tracked("qvac_core/*.py"):
        header = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        if DEVIATES.search(header):
            deviating.add(str(path.relative_to(ROOT)))
    assert len(deviating) > 30
    assert sorted(deviating - named) == []


def test_what_a_decision_names_is_there_and_it_is_on_the_list() -> None:
    pages = decisions()
    missing = [
        f"{page} names {name}"
        for page, text in pages.items()
        for name in NAMED.findall(text)
        if not (ROOT / name).exists()
    ]
    assert not missing
    listed = set(LINK.findall(pages["docs/decisions/README.md"]))
    assert listed == {Path(page).name for page in pages} - {"README.md"}


def test_a_decision_names_the_test_that_holds_it() -> None:
    untested = [
        page
        for page, text in decisions().items()
        if not page.endswith("README.md") and not any(name.startswith("tests/") for name in NAMED.findall(text))
    ]
    assert not untested


def test_what_the_window_promises_names_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "promises.md").read_text("utf-8")
    named = re.findall(r"`((?:unit|gui|e2e)/test_\w+\.py)::(test_\w+)`", page)
    assert len(named) > 80
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^(?:async )?def {test}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []
    # Every line of a table names one.
    bare = [
        line for line in page.splitlines() if line.startswith("| ") and "promise |" not in line and "::" not in line
    ]
    assert bare == []
