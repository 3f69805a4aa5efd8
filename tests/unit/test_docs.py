"""What docs/ says of errors, verbs, options, settings and files, held against the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli.options import build_parser, verbs_of
from app.presenters.settings_rows import SECTIONS
from qvac_core.core.error_text import _BY_NAME

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TROUBLE = (ROOT / "docs/troubleshooting.md").read_text()


def rows(text: str) -> dict[str, tuple[str, str]]:
    """Tables with a name in capitals: name → what happened, what helps."""
    found = re.findall(r"^\| ([A-Z_0-9]+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {name: (happened, helps) for name, happened, helps in found}


def test_every_error_with_words_of_its_own_is_explained_in_them() -> None:
    told = rows(TROUBLE)
    assert {name: told.get(name) for name in _BY_NAME} == _BY_NAME


def test_every_error_that_is_explained_exists() -> None:
    source = "\n".join(path.read_text() for room in ("app", "qvac_core") for path in (ROOT / room).rglob("*.py"))
    assert [name for name in rows(TROUBLE) if f'"{name}"' not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    parser = build_parser()
    verbs = verbs_of(parser)
    for line in re.findall(r"`?qvac-desktop ((?:[a-z-]+|--[a-z-]+)[^`\n]*)", page.read_text()):
        first, *rest = line.split()
        if first.startswith("qvac://") or "/" in first:
            continue
        assert first in verbs or first in parser._option_string_actions, (page.name, line)
        known = (verbs.get(first, parser))._option_string_actions
        for word in rest:
            if word.startswith("--"):
                assert word.strip("`.,;:") in known, (page.name, line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_places_in_settings_exist(page: Path) -> None:
    titles = {section.title for section in SECTIONS}
    for place in re.findall(r"\*Settings, ([^*,]+)", page.read_text()):
        assert place in titles, (page.name, place)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), (page.name, target)
