"""Markdown of answers: blocks, what is held back while it grows, and that growing gives what one parse gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.widgets.chat.highlight import spans
from app.widgets.chat.markdown import Block, BlockKind, GrowingText, clean, open_fence, parse, question_blocks, settled

# Letters that mean something in Markdown, so that random texts are lists, fences, tables and quotes.
MARKDOWN_TEXT = st.text(alphabet="ab \n\n\n-*+_=#>`~|:[]()!12.<&\\\t", max_size=80)
ANY_TEXT = st.one_of(MARKDOWN_TEXT, st.text(max_size=120), st.text(alphabet=st.characters(), max_size=40))


def kinds(text: str) -> list[BlockKind]:
    return [block.kind for block in parse(text)]


def test_blocks_of_an_answer() -> None:
    blocks = parse("Intro with `code`.\n\n```python\nx = 1\n```\n\n> said\n\n---\n\n- a\n- b\n")
    assert [block.kind for block in blocks] == [
        BlockKind.PROSE,
        BlockKind.CODE,
        BlockKind.QUOTE,
        BlockKind.RULE,
        BlockKind.PROSE,
    ]
    assert blocks[0].html == "<p>Intro with <code>code</code>.</p>"
    assert blocks[1] == Block(BlockKind.CODE, code="x = 1", language="python")
    assert "<li>a</li>" in blocks[4].html


def test_a_heading_knows_its_level() -> None:
    assert [block.level for block in parse("# A\n\n### B\n\nc")] == [1, 3, 0]


def test_a_fence_that_is_still_open_is_code_already() -> None:
    assert parse("```js\nlet a") == (Block(BlockKind.CODE, code="let a", language="js"),)


def test_raw_html_stays_text() -> None:
    (block,) = parse("<script>alert(1)</script><img src=x onerror=y>")
    assert "<script" not in block.html
    assert "<img" not in block.html
    assert "&lt;script&gt;" in block.html


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_dangerous_links_are_no_links(target: str) -> None:
    (block,) = parse(f"[here]({target})")
    assert "href" not in block.html


def test_a_picture_is_a_link_and_never_an_image() -> None:
    (block,) = parse('![a "cat"](https://example.org/cat.png)')
    assert "<img" not in block.html
    assert 'href="https://example.org/cat.png"' in block.html
    assert "cat" in block.html


def test_line_breaks_of_models_are_kept() -> None:
    assert "<br" in parse("one\ntwo")[0].html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc\n``", "abc\n"),
        ("abc\n```pyth", "abc\n"),
        ("abc\n```python\n", "abc\n```python\n"),
        ("abc\n-", "abc\n"),  # would turn the line above into a heading
        ("abc\n- a", "abc\n- a"),
        ("abc\n#", "abc\n"),
        ("abc\n1.", "abc\n"),
        ("abc\n`x` is", "abc\n`x` is"),
        ("abc\n| a | b |", "abc\n"),
        ("abc\n| a | b |\n|--", "abc\n"),
        ("| a | b |\n|---|---|\n", "| a | b |\n|---|---|\n"),
        ("see [the guide](https://exam", "see "),
        ("see [the guide](https://example.org)", "see [the guide](https://example.org)"),
        ("| a |\n|---|\n| c", "| a |\n|---|\n| c"),
    ],
)
def test_what_is_held_back(text: str, shown: str) -> None:
    assert settled(text) == shown


def test_a_continuation_knows_the_fence_it_is_in() -> None:
    assert open_fence("Text\n```python\nx = 1\n") == "```python"
    assert open_fence("Text\n```python\nx = 1\n```\n") == ""
    assert open_fence("~~~~\n```\n~~~\n") == "~~~~"


def test_halves_of_a_letter_that_meet_become_one() -> None:
    assert clean("a\ud83d\ude00b") == "a😀b"
    assert clean("a\ud83d") == "a\N{REPLACEMENT CHARACTER}"
    assert clean("a\r\nb\rc\0") == "a\nb\nc\N{REPLACEMENT CHARACTER}"


def test_a_question_is_its_own_text() -> None:
    (block,) = question_blocks("<b> & `x < 1`")
    assert block.html == '<p style="white-space: pre-wrap">&lt;b&gt; &amp; <code>x &lt; 1</code></p>'


def test_fences_in_a_question_are_code() -> None:
    """Everything between them stays as it was written, Markdown or not."""
    text = "Review *this*:\n\n```python\nx = 1\n\n# not a heading\n```\n\n- and this\n~~~\nopen"
    assert question_blocks(text) == (
        Block(BlockKind.PROSE, html='<p style="white-space: pre-wrap">Review *this*:</p>'),
        Block(BlockKind.CODE, code="x = 1\n\n# not a heading", language="python"),
        Block(BlockKind.PROSE, html='<p style="white-space: pre-wrap">- and this</p>'),
        Block(BlockKind.CODE, code="open"),
    )
    (plain,) = question_blocks("a ``` b")
    assert plain.kind is BlockKind.PROSE


def test_task_lists_have_boxes_and_no_bullets() -> None:
    (block,) = parse("- [x] done *well*\n- [ ] open\n  - plain\n  - [ ] mixed")
    assert block.html.count('<ul style="list-style-type: none">') == 1
    assert "\N{BALLOT BOX WITH CHECK} done <em>well</em>" in block.html
    assert "\N{BALLOT BOX} open" in block.html
    assert "[" not in block.html
    assert "[x]" in parse("- a [x] b")[0].html
    assert "[x](y)" not in parse("- [x](https://y.org)")[0].html


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://example.org/a_b(c).", "https://example.org/a_b(c)"),
        ("(http://example.org/?a=1&b=2)", "http://example.org/?a=1&amp;b=2"),
        ("**https://example.org**", "https://example.org"),
        ("write to me@example.org!", "mailto:me@example.org"),
    ],
)
def test_bare_addresses_are_links(text: str, address: str) -> None:
    assert f'<a href="{address}">{address.removeprefix("mailto:")}</a>' in parse(text)[0].html


@pytest.mark.parametrize("text", ["main.py", "www.example.org", "ftp://a.b", "javascript:x", "`https://a.b`", "//a.b"])
def test_other_words_are_no_links(text: str) -> None:
    assert "<a " not in parse(text)[0].html


def test_a_look_alike_is_shown_as_it_was_written() -> None:
    assert ">https://xn--e1afmkfd.org</a>" in parse("https://xn--e1afmkfd.org")[0].html


def test_a_numbered_list_that_goes_on_is_one_list() -> None:
    growing = GrowingText()
    text = "1. a\n\n2. b\n"
    for end in range(1, len(text) + 1):
        assert growing.update(text[:end]) == parse(text[:end])


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_can_be_shown(text: str) -> None:
    parse(text)
    assert text.startswith(settled(text))
    open_fence(text)
    question_blocks(text)


@settings(deadline=None, max_examples=400)
@given(MARKDOWN_TEXT, st.lists(st.integers(1, 9), max_size=30))
def test_growing_shows_what_one_parse_shows(text: str, steps: list[int]) -> None:
    growing = GrowingText()
    end = 0
    for step in steps:
        end += step
        assert growing.update(text[:end]) == parse(text[:end])
    assert growing.update(text) == parse(text)


def test_growing_is_cheap_for_a_long_answer() -> None:
    growing = GrowingText()
    text = "A paragraph of some words.\n\n" * 400
    growing.update(text)
    assert growing._stable_end > len(text) - 100


def test_code_is_coloured_by_role() -> None:
    (line,) = spans('def f(): return "x"  # y', "python")
    roles = {span.role for span in line}
    assert roles == {"keyword", "function", "string", "comment"}


def test_offsets_count_as_qt_counts() -> None:
    (line,) = spans('"😀" + 1', "python")
    assert [(span.start, span.length) for span in line if span.role == "number"] == [(7, 1)]


def test_an_unknown_language_has_no_colours() -> None:
    assert spans("a\nb", "no-such-language") == [(), ()]


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from(["python", "html", "json", "bash", "c++", "", "rust"]))
def test_every_line_has_its_spans(code: str, language: str) -> None:
    code = clean(code)
    assert len(spans(code, language)) == code.count("\n") + 1
