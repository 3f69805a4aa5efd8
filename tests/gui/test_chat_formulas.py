"""LaTeX in answers: what is a formula, what is a price, how it is set, what is copied and read out."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from app.formulas import DEEPEST, LONGEST, WRONG, Formula, drawable, make
from app.theme import Theme
from app.widgets.chat.markdown import GrowingText, parse, settled
from app.widgets.chat.maths import split
from app.widgets.chat.prose_block import OBJECT, ProseBlock

LIMIT = 60_000  # milliseconds; the first formula reads a font


def formulas(text: str) -> list[str]:
    html = "".join(block.html for block in parse(text))
    return [unescape(found) for found in re.findall(r"<maths(?: display)?>(.*?)</maths>", html, re.DOTALL)]


def shown(qtbot: QtBot, theme: Theme, text: str) -> ProseBlock:
    """The only block of a text, with its formulas made."""
    (block,) = parse(text)
    prose = ProseBlock(theme)
    qtbot.addWidget(prose)
    prose.set_html(block.html)
    prose.fit(600)
    qtbot.waitUntil(lambda: not prose.waiting, timeout=LIMIT)
    return prose


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so $E = mc^2$ and \(a^2+b^2\).", ["$E = mc^2$", r"\(a^2+b^2\)"]),
        (r"$$\frac{1}{2}$$", [r"$$\frac{1}{2}$$"]),
        ("\\[\na\n+ b\n= c\n\\]\nafter", ["\\[\na\n+ b\n= c\n\\]"]),
        ("before\n$$\n- a\n# b\n> c\n$$", ["$$\n- a\n# b\n> c\n$$"]),
        (r"a \[x\] b", [r"\[x\]"]),
        ("- item\n\n  $$\n  y\n  $$", ["$$\ny\n$$"]),
        ("| $a$ | b |\n|---|---|\n| \\(x\\) | 2 |", ["$a$", r"\(x\)"]),
        (r"$\$5$", [r"$\$5$"]),
        ("It costs $5 and $10, or US$ 7, or 8$.", []),
        ("$5 or 6 US$.", []),
        ("$HOME/bin:$PATH and a$b$c", []),
        ("`$x$` and `\\(y\\)`", []),
        ("```\n$$\nx\n$$\n```", []),
        (r"\\(x\\) and \$x\$", []),
        ("an $ alone, a \\( alone", []),
        ("$ x $", []),
    ],
)
def test_what_is_a_formula(text: str, found: list[str]) -> None:
    assert formulas(text) == found


def test_a_formula_that_is_not_closed_is_text() -> None:
    (block,) = parse("$$\n- a\n- b")
    assert block.html == "<p>$$<br />\n- a<br />\n- b</p>"


def test_a_half_formula_is_not_shown_while_it_grows() -> None:
    assert settled("so \\(a^2") == "so "
    assert settled("so \\") == "so "
    assert settled("so $$\nx") == "so "
    assert settled("so \\(a\\) is") == "so \\(a\\) is"
    assert settled("`\\(` is") == "`\\(` is"
    assert settled("```sh\necho $$ x") == "```sh\necho $$ x"


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="$\\[]()ab \n-#>`1", max_size=60), st.lists(st.integers(1, 9), max_size=30))
def test_growing_shows_what_one_parse_shows(text: str, steps: list[int]) -> None:
    growing = GrowingText()
    end = 0
    for step in steps:
        end = min(len(text), end + step)
        growing.update(text[:end])
    assert growing.update(text) == parse(text)
    assert text.startswith(settled(text))


@pytest.mark.parametrize(
    "source",
    [
        r"E = mc^2",
        r"\int_0^\infty e^{-x^2}\,dx = \frac{\sqrt{\pi}}{2}",
        r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
        r"\begin{cases} 1 & x>0 \\ 0 & \text{otherwise}\end{cases}",
        r"P(A|B) = \frac{P(B|A)\,P(A)}{P(B)}",
        r"\left\{ x \in \mathbb{R} \right\}",
    ],
)
def test_formulas_are_set(source: str) -> None:
    formula = make(source, display=True)
    assert isinstance(formula, Formula)
    assert 0.5 < formula.width < 20
    assert 0.4 < formula.ascent < 4


def test_a_fraction_hangs_below_the_line_and_a_letter_does_not() -> None:
    fraction, letter = make(r"\frac{a}{b}", display=True), make("a", display=False)
    assert isinstance(fraction, Formula)
    assert isinstance(letter, Formula)
    assert fraction.descent > 0.4
    assert letter.descent < 0.1
    assert fraction.ascent > 2 * letter.ascent


@pytest.mark.parametrize("source", [r"\frac{", r"\foo{x}", r"\left( x", "x_", "", "   ", r"\ce{H2O}", "日本", "}{"])
def test_what_is_no_latex_is_told_apart(source: str) -> None:
    assert make(source, display=True) == WRONG


def test_what_would_take_long_is_not_tried() -> None:
    assert drawable(r"\frac{1}{" * DEEPEST + "x" + "}" * DEEPEST)
    assert not drawable(r"\frac{1}{" * (DEEPEST + 1) + "x" + "}" * (DEEPEST + 1))
    assert not drawable(r"\left(" * (DEEPEST + 1) + "x" + r"\right)" * (DEEPEST + 1))
    assert not drawable("x" * (LONGEST + 1))
    assert not drawable("")


def test_a_formula_is_a_picture_and_wrong_latex_its_source(qtbot: QtBot, theme: Theme) -> None:
    prose = shown(qtbot, theme, r"So $E = mc^2$, \(\frac{a}{b}\) and \(\foo\).")
    assert prose.toPlainText() == f"So {OBJECT}, {OBJECT} and \\(\\foo\\)."


def test_nothing_waits_for_a_formula(qtbot: QtBot, theme: Theme) -> None:
    """Shown at once as its source, and as a picture when the worker has made it."""
    prose = ProseBlock(theme)
    qtbot.addWidget(prose)
    prose.set_html(parse(r"New: $q_{17} + w$")[0].html)
    assert prose.toPlainText() == "New: $q_{17} + w$"
    qtbot.waitUntil(lambda: prose.toPlainText() == f"New: {OBJECT}", timeout=LIMIT)
    assert not prose.waiting


def test_the_source_is_copied_and_read_out(qtbot: QtBot, theme: Theme) -> None:
    prose = shown(qtbot, theme, r"So $E = mc^2$ and \(a < b\).")
    assert prose.accessibleDescription() == r"So $E = mc^2$ and \(a < b\)."
    prose.selectAll()
    prose.copy()
    data = QGuiApplication.clipboard().mimeData()
    assert data.text() == r"So $E = mc^2$ and \(a < b\)."
    assert "math:" not in data.html()
    assert r"\(a &lt; b\)" in data.html()


def test_a_formula_makes_room_for_itself(qtbot: QtBot, theme: Theme) -> None:
    plain = shown(qtbot, theme, "a").height()
    assert shown(qtbot, theme, "$x$").height() == pytest.approx(plain, abs=5)
    assert shown(qtbot, theme, r"$$\frac{a}{b}$$").height() > plain + 2


def test_a_wide_formula_is_made_to_fit(qtbot: QtBot, theme: Theme) -> None:
    prose = shown(qtbot, theme, "$$" + "+".join("abcdefghijklmnopqrstuvwxyz") + "$$")
    wide = prose.natural_width(2_000)
    prose.fit(200)
    assert wide > 300
    assert prose.document().idealWidth() <= 200


def test_it_is_painted_in_the_colour_of_the_text(qtbot: QtBot, theme: Theme) -> None:
    prose = shown(qtbot, theme, r"$$\blacksquare$$")

    def darkest_and_brightest() -> tuple[int, int]:
        image = prose.grab().toImage()
        values = [image.pixelColor(x, y).lightness() for x in range(40) for y in range(image.height())]
        return min(values), max(values)

    assert darkest_and_brightest()[0] < 80
    theme.choose("dark")
    prose.retheme()
    assert darkest_and_brightest()[1] > 150


@settings(deadline=None)
@given(st.text(alphabet="\\[]() ab{}", min_size=1, max_size=30))
def test_marks_are_taken_off(source: str) -> None:
    for opening, closing, display in (("\\(", "\\)", False), ("$", "$", False), ("\\[", "\\]", True)):
        assert split(f"{opening}{source}{closing}") == (source.strip(), display)
