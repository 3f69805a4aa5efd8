"""Lines of wrapped labels stand apart as the design wants, and what holds texts grows with the font: all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontInfo, QImage
from PySide6.QtWidgets import QApplication, QLabel

from app.theme import Theme
from app.views.chat_page import SIDE_WIDTH
from app.widgets.chat.question_box import WIDTH, QuestionBox
from app.widgets.label import PITCH, Label
from app.widgets.own_width import MOST
from app.window import MainWindow
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run

APP = Path(__file__).parents[2] / "app"
LONG = "It goes on sharing from the tray while nobody looks, and says so once when that begins for the first time. " * 2
# Not of a text: a bar, a page within its scroll area, what is measured by its own texts, what gives way to nothing.
NO_TEXT = re.compile(r"BAR|widest|wide\b|narrow|NO_LIMIT|width\(\)|\((?:0|1|80|width|WIDTH)\)$|breadth|grown\(")
SETS = re.compile(r"\.set(?:Fixed|Minimum|Maximum)Width\((.*)\)")


@pytest.mark.parametrize("selectable", [False, True])
@pytest.mark.parametrize("scale", ["hint", "body", "answer"])
def test_lines_stand_apart(theme: Theme, scale: str, selectable: bool) -> None:
    label = Label(LONG, scale=scale, wrap=True, selectable=selectable)
    label.ensurePolished()
    em = QFontInfo(label.font()).pixelSize()
    one, high = label.heightForWidth(100_000), label.heightForWidth(300)
    lines = 1 + (high - one) / label.pitch()
    assert lines == int(lines) and lines >= 3
    assert label.pitch() >= int(em * PITCH)
    label.resize(300, high)
    image = label.grab().toImage()
    rows = _rows_with_ink(image)
    assert max(rows) < image.height() and max(rows) - min(rows) >= (lines - 1) * label.pitch()


def test_arabic_letters_are_not_cut_where_one_line_wraps(theme: Theme) -> None:
    QApplication.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    try:
        label = Label("هل يستخدم Studio النموذج الذي يذكره؟", scale="answer", weight=600, wrap=True)
        label.ensurePolished()
        label.resize(400, label.heightForWidth(400))
        rows = _rows_with_ink(label.grab().toImage())
        tall = label.height()
        label.resize(400, 2 * tall)
        whole = _rows_with_ink(label.grab().toImage())
    finally:
        QApplication.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
    assert label.heightForWidth(400) == tall and max(rows) - min(rows) == max(whole) - min(whole)


def _rows_with_ink(image: QImage) -> list[int]:
    empty = image.pixel(image.width() - 1, 0)
    return [y for y in range(image.height()) if any(image.pixel(x, y) != empty for x in range(image.width() - 1))]


def test_every_label_that_wraps_is_one_of_ours(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        for page in window.tools:
            window.open_page(page)
        labels = [label for label in window.findChildren(QLabel) if label.wordWrap()]
        assert len(labels) > 30
        foreign = [label for label in labels if not isinstance(label, Label)]
        assert [label.text() for label in foreign if "line-height" not in label.text() and label.text()] == []

    run(test)


def test_no_width_of_a_text_is_fixed_without_the_fonts_breadth() -> None:
    offenders = [
        f"{path.relative_to(APP)}: {line.strip()}"
        for path in sorted(APP.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if (found := SETS.search(line)) and not NO_TEXT.search(f"({found[1]})")
        if path.name not in ("own_width.py", "slider.py")
    ]
    assert offenders == []


def test_a_wide_font_widens_the_side_list_and_its_dialogs(run: Run, theme: Theme, qapp: QApplication) -> None:
    async def test(window: MainWindow) -> None:
        side = window.chat_page.side
        window.resize(1600, 800)
        box = QuestionBox(theme, "Remove it?", "It stays away.", "Remove", parent=window)
        assert (side.width(), box.width()) == (SIDE_WIDTH, WIDTH)
        before = QFont(qapp.font())
        try:
            theme.use("light", 200, "normal", "")
            assert side.width() == round(SIDE_WIDTH * MOST)
            assert box.width() == round(WIDTH * MOST)
        finally:
            theme.use("light", 100, "normal", "")
            qapp.setFont(before)
        assert side.width() == SIDE_WIDTH

    run(test)
