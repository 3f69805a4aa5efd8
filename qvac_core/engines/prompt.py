"""A rendered prompt that knows which of its text is the template's own, and which a person, a guest or a tool wrote.

Control tokens come from the template's own text only. What looks like one in the text of others is replaced, before the
template sees it, by a stand-in: one private character that survives trimming, cutting and joining. Private characters
also stand at the seams of each text, so that no half of a control token in it joins with a half in the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

# Supplementary Private Use Area B, without its last rows (`thinking.Mark`): no tokenizer has a token for them.
_PRIVATE = range(0x100000, 0x10F000)


@dataclass(frozen=True, slots=True)
class Prompt:
    """text: as the model reads it. marked: the same with private characters; `meanings`: what each of them stands for.

    opened: the tag with which it leaves the model thinking, or "".
    """

    text: str
    marked: str
    meanings: dict[int, str] = field(default_factory=dict)
    opened: str = ""

    def plain(self, marked: str) -> str:
        """A part of `marked` as the model reads it."""
        return marked.translate(self.meanings)


class Disguise:
    """The private characters of one conversation. `controls`: the texts that would become control tokens."""

    def __init__(self, texts: Collection[str], controls: Collection[str]) -> None:
        together = "\0".join(texts)
        used = set(together)
        self._free: Iterator[str] = (chr(code) for code in _PRIVATE if chr(code) not in used)
        self._stand_ins: dict[str, str] = {}
        present = sorted((control for control in controls if control in together), key=len, reverse=True)
        self._controls = re.compile("|".join(map(re.escape, present))) if present else None
        self.meanings: dict[int, str] = {}

    def hide(self, text: str, spare: Collection[str] = ()) -> str:
        """The text with a stand-in for each control token in it, but for those in `spare`."""
        if self._controls is None:
            return text
        return self._controls.sub(lambda match: match[0] if match[0] in spare else self._stand_in(match[0]), text)

    def break_up(self, text: str) -> str:
        """The text with its control tokens made unreadable: for a template that does not let stand-ins through."""
        while self._controls is not None and self._controls.search(text):
            text = self._controls.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        return text

    def seam(self) -> str:
        return self._private("")

    def _stand_in(self, control: str) -> str:
        if control not in self._stand_ins:
            self._stand_ins[control] = self._private(control)
        return self._stand_ins[control]

    def _private(self, meaning: str) -> str:
        character = next(self._free)
        self.meanings[ord(character)] = meaning
        return character


def with_seams(text: str, seam: str) -> str:
    """The text between two seams, inside of the white space around it: templates trim that."""
    core = text.strip()
    if not core:
        return text
    start = text.index(core)
    return f"{text[:start]}{seam}{core}{seam}{text[start + len(core) :]}"


def texts_in(value: object) -> Iterator[str]:
    """Every text in a JSON value, names too."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            pending += [*node, *node.values()]
        elif isinstance(node, list | tuple):
            pending += node


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The JSON value anew, with each text changed. Its depth is bounded by whoever read it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): with_texts(item, change) for key, item in value.items()}
    return [with_texts(item, change) for item in value] if isinstance(value, list) else value
