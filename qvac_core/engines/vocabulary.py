"""A model's vocabulary: from text to tokens, and from tokens to text.

llama.cpp cuts a text at its control tokens and tokenizes what lies between; with `special` false it takes them for
text. What a vocabulary holds, and llama.cpp's own cutting, come from an engine's `VocabularySource`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from qvac_core.engines.prompt import Prompt
from qvac_core.engines.thinking import TAGS, TOOL_MARKS, ThinkingStyle, style_of
from qvac_core.errors import RequestRefused

CHARACTERS_PER_TOKEN = 64  # no text has more over its whole length; a longer prompt needs no counting
_TURN_MARK = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)
# Without a space before them in any vocabulary, and rarely merged with what follows.
_ANCHORS = ("\n", "|", ".", "0")


@dataclass(frozen=True, slots=True)
class Special:
    """A control token, or one that was added to the vocabulary. hidden: its text is not shown when a model writes it.

    strips_left, strips_right: white space beside it goes.
    """

    token: int
    text: str
    hidden: bool
    strips_left: bool = False
    strips_right: bool = False


class VocabularySource(Protocol):
    """What an engine knows of the vocabulary of the model that it has loaded. Tokens are numbers; -1 is none."""

    @property
    def bos(self) -> int: ...

    @property
    def eos(self) -> int: ...

    @property
    def adds_bos(self) -> bool:
        """Whether a sequence of this model begins with `bos`."""

    def specials(self) -> Iterable[Special]: ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Without the start of the sequence. Raises ModelError when the text cannot be read."""

    def piece(self, token: int, *, special: bool) -> bytes:
        """The bytes of a token; of control tokens only with `special`."""


class Vocabulary:
    """Of one loaded model, for as long as that is loaded. template: its chat template's text."""

    def __init__(self, source: VocabularySource, template: str = "") -> None:
        self._source = source
        self._pieces: dict[int, bytes] = {}
        self._read_specials(template)
        self.style: ThinkingStyle = style_of(template, self._hidden, self._added)
        for text, mark in (self.style.marks or {}).items():
            self._pieces[self._specials[text]] = mark.encode()
        self._revealed: dict[str, str] = {}
        self.bos = self._special_text(source.bos)
        self.eos = self._special_text(source.eos)

    def _read_specials(self, template: str) -> None:
        """Control tokens, and the added ones that mark turns in some models."""
        self._specials: dict[str, int] = {}
        self._hidden: set[str] = set()  # the text of these is not shown when a model writes them
        self._added: set[str] = set()
        self._strips: dict[str, tuple[bool, bool]] = {}
        tags = {tag for pair in TAGS for tag in pair}
        for special in self._source.specials():
            text, hidden = special.text, special.hidden
            if not hidden and text in tags:
                self._added.add(text)
            if not text.strip() or not (hidden or _marks_turns(text, template)):
                continue
            self._specials[text] = special.token
            self._strips[text] = special.strips_left, special.strips_right
            if hidden:
                self._hidden.add(text)

    def _special_text(self, token: int) -> str:
        return "" if token < 0 else self._source.piece(token, special=True).decode("utf-8", "replace")

    @property
    def controls(self) -> frozenset[str]:
        """The texts that mean something in a prompt, and must therefore come from its template only."""
        return frozenset(self._specials)

    def reveal(self, controls: Iterable[str]) -> None:
        """Give the text of these control tokens too when a model writes them, each as one private character at first:
        `thinking.ToolMarks` makes text of it. An ordinary answer leaves them out."""
        for text in sorted(set(controls) & self._hidden - set(self.style.marks or ()) - {self.bos, self.eos}):
            if len(self._revealed) < len(TOOL_MARKS):
                self._revealed[text] = mark = TOOL_MARKS[len(self._revealed)]
                self._pieces[self._specials[text]] = mark.encode()

    @property
    def marks(self) -> dict[str, str]:
        """The control tokens that mean something in an answer, and the private character that stands for each."""
        return {**(self.style.marks or {}), **self._revealed}

    @property
    def controls_by_mark(self) -> dict[str, str]:
        """What each private character stands for that `reveal` gave out."""
        return {mark: text for text, mark in self._revealed.items()}

    # --- To text --------------------------------------------------------------------------------------------------

    def piece(self, token: int) -> bytes:
        """The bytes of a token; of control tokens b"", or the private character of a mark (`thinking.Mark`)."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._source.piece(token, special=False)
        return known

    def read(self, token: int) -> bytes:
        """The bytes of a token as a prompt has them, control tokens too."""
        return self._source.piece(token, special=True)

    # --- To tokens ------------------------------------------------------------------------------------------------

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """`special`: whether the text of control tokens stands for them, or for itself."""
        return self._source.tokenize(text, special=special)

    def prompt_tokens(self, prompt: Prompt, n_ctx: int, *, opens: bool = True) -> list[int]:
        """The prompt as tokens, with the start of the sequence where the model wants one and the template made none.

        opens: nothing stands before it in its sequence.
        """
        characters = len(prompt.text)
        if characters > n_ctx * CHARACTERS_PER_TOKEN:
            return [0] * (characters // CHARACTERS_PER_TOKEN)  # too long whatever it says; counting would take seconds
        tokens = self._tokens(prompt)
        bos = self._source.bos
        if self._source.adds_bos:
            if opens and tokens[:1] != [bos]:
                tokens.insert(0, bos)
            elif not opens and tokens[:1] == [bos]:
                del tokens[0]
        return tokens

    def prompt_text(self, prompt: Prompt) -> str:
        """The prompt for who cuts it alone: there each control token is one, whoever wrote it.

        So those that are not the template's are broken up, and the start of the sequence is left to who puts it there.
        Raises ModelError where that is not enough.
        """
        text = prompt.text
        if self._cut(prompt.marked)[1::2] != self._cut(text)[1::2]:
            text = prompt.marked.translate({code: self._broken(meant) for code, meant in prompt.meanings.items()})
            if self._cut(prompt.marked)[1::2] != self._cut(text)[1::2]:
                raise RequestRefused(
                    "The text beside these pictures has control tokens of the model in it. Send it without them."
                )
        return text.removeprefix(self.bos) if self._source.adds_bos and self.bos else text

    def _broken(self, text: str) -> str:
        while any(special in text for special in self._specials):
            for special in self._specials:
                text = text.replace(special, f"{special[0]} {special[1:]}")
        return text

    def answer_tokens(self, text: str) -> list[int]:
        """What a model said, behind its prompt."""
        return self._continued(text)

    def _tokens(self, prompt: Prompt) -> list[int]:
        """As llama.cpp's own where each control token in the text is the template's, else cut in the same way here.

        What lies between two control tokens is one text, whoever wrote which part of it: tokens merge across the seams,
        and vocabularies of the SentencePiece kind put a space before each text that is tokenized alone.
        """
        if self._cut(prompt.marked)[1::2] == self._cut(prompt.text)[1::2]:
            return self.tokenize(prompt.text, special=True)
        return self.tokens_by_parts(prompt)

    def tokens_by_parts(self, prompt: Prompt) -> list[int]:
        """Cut at the control tokens of the template here."""
        parts = self._cut(prompt.marked)
        tokens: list[int] = []
        for place, part in enumerate(parts):
            if place % 2:
                tokens.append(self._specials[part])
                continue
            before, after = parts[place - 1] if place else "", parts[place + 1] if place + 1 < len(parts) else ""
            text = prompt.plain(part)
            if self._strips.get(before, (False, False))[1]:
                text = text.lstrip()
            if self._strips.get(after, (False, False))[0]:
                text = text.rstrip()
            tokens += self._text(text)
        return tokens

    def _cut(self, text: str) -> list[str]:
        """The text between control tokens and these, in turn: the odd places hold the control tokens."""
        present = sorted((special for special in self._specials if special in text), key=len, reverse=True)
        return re.split(f"({'|'.join(map(re.escape, present))})", text) if present else [text]

    def _text(self, text: str) -> list[int]:
        """Tokens of a text in which nothing is a control token.

        llama.cpp finds the added tokens even here: those that mark turns are cut in two, so that it does not.
        """
        added = [special for special in self._specials if special not in self._hidden and special in text]
        if not added:
            return self.tokenize(text, special=False) if text else []
        cuts = [match.start() + 1 for match in re.finditer("|".join(map(re.escape, added)), text)]
        ends = [*cuts, len(text)]
        tokens = self.tokenize(text[: ends[0]], special=False)
        for start, end in pairwise(ends):
            tokens += self._continued(text[start:end])
        return tokens

    def _continued(self, text: str) -> list[int]:
        """Tokens of a text that goes on behind another one: without the space before it."""
        for anchor in _ANCHORS:
            tokens = self.tokenize(anchor + text, special=False)
            read = b""
            for count, token in enumerate(tokens, start=1):
                read += self.read(token)
                if read.lstrip(b" ") == anchor.encode():
                    return tokens[count:]
        return self.tokenize(text, special=False)


def _marks_turns(added: str, template: str) -> bool:
    """Whether an added token is one that the template uses: as it stands there, or put together around a role."""
    return len(added) > 1 and (added in template or _TURN_MARK.fullmatch(added) is not None)
