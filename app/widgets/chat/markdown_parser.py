"""markdown-it-py as answers need it: formulas, boxes of task lists, pictures as links, addresses as written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from app.widgets.chat import maths

_TASK = re.compile(r"\[([ xX])\]\s")
OPEN_TASK, DONE_TASK = "\N{BALLOT BOX}", "\N{BALLOT BOX WITH CHECK}"


class _Parser(MarkdownIt):
    def normalizeLinkText(self, link: str) -> str:
        """A bare address is shown as it was written: decoded, a look-alike would read like the one it imitates."""
        return link


class _Renderer(RendererHTML):
    def maths(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        html = f"<maths{' display' if token.info else ''}>{escape(token.content)}</maths>"
        return f'<p class="formula">{html}</p>' if token.block else html

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A picture from an answer is never fetched: it is a link that says where it points."""
        token = tokens[idx]
        label = self.renderInlineAsText(token.children, options, env) if token.children else ""
        source = str(token.attrGet("src") or "")
        return f'<a href="{escape(source)}">{escape(label or source)}</a>'


def parser() -> MarkdownIt:
    """With every rule that an answer may need."""
    options = {"html": False, "breaks": True, "linkify": True, "maxNesting": 40}
    made = _Parser("commonmark", options, renderer_cls=_Renderer).enable(["table", "strikethrough", "linkify"])
    assert made.linkify is not None
    # Words with a dot are more often files (main.py) than hosts.
    made.linkify.set({"fuzzy_link": False, "fuzzy_email": True}).add("ftp:", None).add("//", None)
    maths.add_to(made)
    made.core.ruler.push("tasks", _tasks)
    return made


def _tasks(state: StateCore) -> None:
    """`[ ]` and `[x]` at the start of a list item are boxes."""
    for index, token in enumerate(state.tokens):
        if token.type != "inline" or index < 2 or state.tokens[index - 2].type != "list_item_open":
            continue
        first = token.children[0] if token.children else token
        found = _TASK.match(first.content) if first.type == "text" else None
        if found is not None:
            first.content = (OPEN_TASK if found[1] == " " else DONE_TASK) + " " + first.content[found.end() :]
            state.tokens[index - 2].attrSet("class", "task")
    lists: list[Token] = []
    for token in state.tokens:
        if token.type == "bullet_list_open":
            token.attrSet("class", "tasks")
            lists.append(token)
        elif token.type == "bullet_list_close":
            lists.pop()
        elif token.type == "list_item_open" and lists and token.level == lists[-1].level + 1 and not token.attrs:
            lists[-1].attrs.pop("class", None)
