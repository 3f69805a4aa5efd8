#!/usr/bin/env bash
# PySide6 6.11.3: QTextDocument.setMarkdown() hides whatever stands between a rule in the first line and the next rule.
#
# A text that begins with `---` begins with a rule in CommonMark and in GitHub's dialect, which setMarkdown() names as its
# default. Qt takes it for front matter (YAML of web-site builders) without looking whether it is any: paragraphs, headings
# and lists up to the next `---` line are kept aside and never shown. The same text behind an empty first line is shown whole,
# and so is a rule of asterisks.
# Who is hurt: programs that show model answers or notes in Markdown: an answer that is set between rules loses its first part
# with nothing to see. A stream shows the text first and loses it in the moment in which the second rule arrives.
# What helps: MarkdownDialectCommonMark (which has no tables), or an empty line before the text.
set -euo pipefail
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
timeout 300 "$folder/venv/bin/pip" install --quiet --disable-pip-version-check PySide6-Essentials==6.11.3
cat >"$folder/show.py" <<'PY'
import sys

from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication, QTextDocument

application = QGuiApplication([])
Feature = QTextDocument.MarkdownFeature
GITHUB = Feature.MarkdownDialectGitHub
ANSWER = "---\n\n## Summary\n\nTake the early train, it is *cheaper*.\n\n---\n\nHave a good trip."


def shown(markdown, features=GITHUB):
    document = QTextDocument()
    document.setMarkdown(markdown, features)
    return document.toPlainText()


print("Qt", qVersion())
streamed = shown(ANSWER[: ANSWER.rindex("---")])
whole = shown(ANSWER)
stars = shown(ANSWER.replace("---", "***"))
commonmark = shown(ANSWER, Feature.MarkdownDialectCommonMark)
spaced = shown("\n" + ANSWER)
print("before the second rule came ", repr(streamed))
print("with both rules             ", repr(whole))
print("rules of asterisks          ", repr(stars))
print("CommonMark as the dialect   ", repr(commonmark))
print("behind an empty line        ", repr(spaced))
print("expected  'Take the early train' is shown in all five")
there = ["Take the early train" in text for text in (streamed, whole, stars, commonmark, spaced)]
print("got      ", there)
holds = there == [True, False, True, True, True] and "Have a good trip." in whole
print(f"holds: {'yes' if holds else 'no'} (text between a first rule and the next is hidden)")
sys.exit(0 if holds else 1)
PY
"$PYTHON" --version
QT_QPA_PLATFORM=offscreen timeout 60 "$folder/venv/bin/python" "$folder/show.py"
