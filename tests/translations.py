"""The files of the translators: `python -m tests.translations` brings them up to date with the texts of app/, and
compiles them. Then `pyside6-linguist resources/translations/qvac_de.ts` (any editor does) and the same command again.

`--missing CODE` lists what a language lacks, as JSON; `--fill CODE FILE` takes such a list back with its translations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import PySide6

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "resources" / "translations"
LANGUAGES = ("de", "ar")
# What a text is called in app/i18n.py, for Qt's reader of sources.
ALIASES = ("-tr-function-alias", "tr+=trn", "-tr-function-alias", "QT_TR_NOOP+=later")


@dataclass(frozen=True, slots=True)
class Text:
    source: str
    comment: str
    numerus: bool
    forms: tuple[str, ...]
    finished: bool


def ts(language: str) -> Path:
    return FOLDER / f"qvac_{language}.ts"


def qm(language: str) -> Path:
    return FOLDER / f"qvac_{language}.qm"


def extract(language: str, target: Path) -> None:
    """Bring a .ts file up to date with the sources, or make it."""
    sources = sorted(str(file.relative_to(ROOT)) for file in (ROOT / "app").rglob("*.py") if file.parent.name != "cli")
    options = ("-locations", "none", "-no-obsolete", "-silent", "-sort-messages", *ALIASES)
    _run("lupdate", *options, "-target-language", language, *sources, "-ts", str(target))


def compile_(source: Path, target: Path) -> None:
    _run("lrelease", "-silent", str(source), "-qm", str(target))


def _run(tool: str, *arguments: str) -> None:
    folder = Path(PySide6.__file__).parent
    found = next(path for path in (folder / tool, folder / f"{tool}.exe") if path.exists())
    subprocess.run([str(found), *arguments], cwd=ROOT, check=True)


def texts(file: Path) -> Iterator[Text]:
    for message in ElementTree.parse(file).iter("message"):
        translation = message.find("translation")
        assert translation is not None
        forms = tuple(form.text or "" for form in translation.iter("numerusform")) or (translation.text or "",)
        yield Text(
            message.findtext("source") or "",
            message.findtext("comment") or "",
            message.get("numerus") == "yes",
            forms,
            translation.get("type") != "unfinished",
        )


def missing(language: str) -> list[list[str]]:
    return [
        [text.source, text.comment] if text.comment else [text.source]
        for text in texts(ts(language))
        if not text.finished
    ]


def fill(language: str, given: dict[str, str | list[str]]) -> int:
    """Translations by source text, a list of forms for a counted one; how many of them found their text."""
    tree = ElementTree.parse(ts(language))
    count = 0
    for message in tree.iter("message"):
        translation = message.find("translation")
        source = message.findtext("source") or ""
        comment = message.findtext("comment") or ""
        said = given.get(f"{source}\x04{comment}" if f"{source}\x04{comment}" in given else source)
        if translation is None or said is None:
            continue
        count += 1
        translation.attrib.pop("type", None)
        if message.get("numerus") == "yes":
            places = list(translation)
            for form in places:
                translation.remove(form)
            translation.text = None
            # One text where all the forms are alike.
            for said_form in [said] * len(places) if isinstance(said, str) else said:
                ElementTree.SubElement(translation, "numerusform").text = said_form
        else:
            assert isinstance(said, str), source
            translation.text = said
    ts(language).write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n'
        + ElementTree.tostring(tree.getroot(), "unicode")
        + "\n",
        encoding="utf-8",
    )
    return count


def main() -> None:
    match sys.argv[1:]:
        case ["--missing", language]:
            print(json.dumps(missing(language), ensure_ascii=False, indent=0))
        case ["--fill", language, file]:
            print(fill(language, json.loads(Path(file).read_text("utf-8"))))
        case []:
            for language in LANGUAGES:
                extract(language, ts(language))
                compile_(ts(language), qm(language))
                print(f"{language}: {len(missing(language))} of {len(list(texts(ts(language))))} are missing")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
