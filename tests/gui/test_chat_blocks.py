"""An answer's blocks on screen: what a new token touches, what stays, and what is never loaded or opened."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAccessible, QGuiApplication, QTextCursor, QTextDocument, QWheelEvent
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.chat.answer_text import AnswerText
from app.widgets.chat.code_block import CodeBlock
from app.widgets.chat.markdown import Block, BlockKind
from app.widgets.chat.markdown_view import MarkdownView
from app.widgets.chat.prose_block import ProseBlock
from app.widgets.chat.seam import Seam
from tests.gui.chat_scenes import AFTER, BEFORE, EVERYTHING, SEAM

TEXT = "First *words*.\n\n```python\nx = 1\n```\n\nLast words grow"


def show(view: MarkdownView, text: str, *, streaming: bool = False) -> None:
    parts = AnswerText().update(text, (), streaming=streaming)
    view.show_parts(parts, caret="accent" if streaming else "")


def make(qtbot: QtBot, theme: Theme, width: int = 600) -> MarkdownView:
    view = MarkdownView(theme)
    qtbot.addWidget(view)
    view.fit(width)
    return view


def texts(view: MarkdownView) -> list[str]:
    result = []
    for widget in view.widgets:
        if isinstance(widget, ProseBlock):
            result.append(widget.toPlainText())
        elif isinstance(widget, CodeBlock):
            result.append(widget.text.toPlainText())
        elif isinstance(widget, Seam):
            result.append(widget.sentence)
    return result


def test_one_widget_per_block(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, TEXT)
    assert [type(widget) for widget in view.widgets] == [ProseBlock, CodeBlock, ProseBlock]
    assert texts(view) == ["First words.", "x = 1", "Last words grow"]


def test_a_token_touches_only_the_block_that_grows(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, TEXT, streaming=True)
    before = view.widgets
    documents = [w.document().revision() for w in before if isinstance(w, ProseBlock)]
    show(view, TEXT + " more", streaming=True)
    assert view.widgets == before
    after = [w.document().revision() for w in view.widgets if isinstance(w, ProseBlock)]
    assert after[0] == documents[0]
    assert texts(view)[-1] == "Last words grow more"


def test_the_height_follows_the_text_and_the_width(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, 600)
    show(view, "word " * 60)
    wide = view.widgets[0].height()
    view.fit(200)
    assert view.widgets[0].height() > 2 * wide


def test_selection_stays_while_the_block_grows(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "Last words grow", streaming=True)
    prose = view.widgets[0]
    assert isinstance(prose, ProseBlock)
    cursor = prose.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(4, QTextCursor.MoveMode.KeepAnchor)
    prose.setTextCursor(cursor)
    show(view, "Last words grow and grow", streaming=True)
    assert prose.textCursor().selectedText() == "Last"
    assert prose.toPlainText() == "Last words grow and grow"


def test_nothing_is_selected_that_nobody_selected(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    for end in range(1, 20):
        show(view, "Last words grow and grow"[:end], streaming=True)
        (prose,) = view.widgets
        assert isinstance(prose, ProseBlock)
        assert not prose.textCursor().hasSelection()
    view.retheme()
    assert isinstance(view.widgets[0], ProseBlock)
    assert not view.widgets[0].textCursor().hasSelection()


def test_selection_stays_in_growing_code(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "```python\nimport csv", streaming=True)
    code = view.widgets[0]
    assert isinstance(code, CodeBlock)
    cursor = code.text.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(6, QTextCursor.MoveMode.KeepAnchor)
    code.text.setTextCursor(cursor)
    show(view, "```python\nimport csv\nimport sys", streaming=True)
    assert view.widgets[0] is code
    assert code.text.textCursor().selectedText() == "import"
    assert code.text.toPlainText() == "import csv\nimport sys"


def test_a_block_that_changes_its_kind_gets_a_new_widget(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "> said")
    show(view, "said")
    assert [type(widget) for widget in view.widgets] == [ProseBlock]
    show(view, "    said")
    assert [type(widget) for widget in view.widgets] == [CodeBlock]
    show(view, "")
    assert view.widgets == ()


def test_an_answer_never_gets_shorter_while_it_streams(qtbot: QtBot, theme: Theme) -> None:
    """Half a fence, half a list, half a table: what is shown only grows."""
    view = make(qtbot, theme)
    answer = AnswerText()
    height = 0
    for end in range(len(EVERYTHING)):
        view.show_parts(answer.update(EVERYTHING[:end], (), streaming=True), caret="accent")
        now = view.sizeHint().height()
        assert now >= height, EVERYTHING[:end]
        height = now


def test_streaming_ends_with_what_one_render_shows(qtbot: QtBot, theme: Theme) -> None:
    grown, whole = make(qtbot, theme), make(qtbot, theme)
    answer = AnswerText()
    for end in range(0, len(EVERYTHING), 7):
        grown.show_parts(answer.update(EVERYTHING[:end], (), streaming=True), caret="accent")
    grown.show_parts(answer.update(EVERYTHING, (), streaming=False))
    show(whole, EVERYTHING)
    assert texts(grown) == texts(whole)
    assert [w.height() for w in grown.widgets] == [w.height() for w in whole.widgets]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.text(alphabet="a \n-*`~>|#1.[]()<&", max_size=60)))
def test_any_text_can_be_shown(qtbot: QtBot, theme: Theme, text: str) -> None:
    view = make(qtbot, theme)
    for end in range(0, len(text) + 1, 5):
        show(view, text[:end], streaming=True)
    show(view, text)
    view.retheme()


def test_a_seam_stands_between_the_halves(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    view.show_parts(AnswerText().update(BEFORE + AFTER, ((len(BEFORE), SEAM),), streaming=False))
    assert [type(widget) for widget in view.widgets] == [ProseBlock, Seam, ProseBlock]
    seam = view.widgets[1]
    assert isinstance(seam, Seam)
    assert seam.token == "local"
    assert QAccessible.queryAccessibleInterface(seam).text(QAccessible.Text.Name) == SEAM


def test_a_seam_inside_code_keeps_both_sides_code() -> None:
    text = "```python\nx = 1\ny = 2\n```\n"
    parts = AnswerText().update(text, ((16, SEAM),), streaming=False)
    kinds = [part.kind for part in parts if isinstance(part, Block)]
    assert kinds == [BlockKind.CODE, BlockKind.CODE]


def test_code_is_copied_as_it_is(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "```sh\nls  -l\n\necho x\n```")
    code = view.widgets[0]
    assert isinstance(code, CodeBlock)
    code.copy.click()
    assert QGuiApplication.clipboard().text() == "ls  -l\n\necho x"
    assert code.copy.text() == "Copied"
    assert code.copy.accessibleName() == "Copy code, sh"


def test_code_colours_follow_the_theme(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "```python\nimport csv\n```")
    code = view.widgets[0]
    assert isinstance(code, CodeBlock)

    def colours() -> set[str]:
        formats = code.text.document().begin().layout().formats()
        return {form.format.foreground().color().name().upper() for form in formats}

    assert colours() == {theme.tokens.code.keyword}
    theme.choose("dark")
    view.retheme()
    assert colours() == {theme.tokens.code.keyword}


def test_links_are_handed_on_and_nothing_is_loaded(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "![cat](https://example.org/cat.png) [x](https://example.org/x)")
    prose = view.widgets[0]
    assert isinstance(prose, ProseBlock)
    assert "￼" not in prose.toPlainText()
    resource = prose.document().resource(QTextDocument.ResourceType.ImageResource, QUrl("https://example.org/cat.png"))
    assert resource is None
    with qtbot.waitSignal(view.link_activated, timeout=1000) as clicked:
        prose.anchorClicked.emit(QUrl("https://example.org/x"))
    assert clicked.args == ["https://example.org/x"]
    assert prose.source().isEmpty()


def test_the_wheel_belongs_to_the_conversation(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme)
    show(view, "a\n\n```\nb\n```")
    prose, code = view.widgets
    assert isinstance(prose, ProseBlock)
    assert isinstance(code, CodeBlock)
    for widget in (prose, code.text):
        event = QWheelEvent(
            QPointF(5, 5),
            QPointF(5, 5),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        widget.wheelEvent(event)
        assert not event.isAccepted()


LONG_CODE = (
    "\n".join(f'def f{i}(x):\n    return "{i}" + x  # {i}' for i in range(30)) + '\n"""a\nlong\n' + "text\n" * 40
)


def coloured(code: CodeBlock) -> list[list[tuple[int, int, str]]]:
    result = []
    block = code.text.document().begin()
    while block.isValid():
        formats = block.layout().formats()
        result.append([(part.start, part.length, part.format.foreground().color().name()) for part in formats])
        block = block.next()
    return result


def test_code_that_grew_is_coloured_as_code_that_came_at_once(qtbot: QtBot, theme: Theme) -> None:
    """Growing code is lexed at its end only, and a long string reaches into that end from above."""
    grown, whole = make(qtbot, theme), make(qtbot, theme)
    answer = AnswerText()
    text = f"```python\n{LONG_CODE}"
    for end in range(0, len(text), 11):
        grown.show_parts(answer.update(text[:end], (), streaming=True), caret="accent")
    grown.show_parts(answer.update(text, (), streaming=False))
    show(whole, text)
    (first,), (second,) = grown.widgets, whole.widgets
    assert isinstance(first, CodeBlock)
    assert isinstance(second, CodeBlock)
    assert coloured(first) == coloured(second)
