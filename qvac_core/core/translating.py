"""Who translates a text: a provider's translation models or this machine's, or whoever chats; and who does it instead.

As with answers, somebody else goes on where a provider cannot be reached or goes away: the translation models of this
machine, then the other providers of the conversation, at last whoever chats here. A provider of ours says where a
sentence or a piece of the text is through: behind the last one it is gone on. Where nothing was said of that, the whole
begins anew, and what there was of it stays until there is more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from qvac_core.core.answering import TranslationWish
from qvac_core.core.error_text import describe, why_left
from qvac_core.core.state import Target
from qvac_core.delegation.life_signs import unless_lost
from qvac_core.delegation.translation_run import UpTo
from qvac_core.errors import InferenceCancelled, LocalProtocolError, QvacError

# How long nothing may come of a provider before this machine translates, and how often that is looked at (seconds).
ANEW_SECONDS = 3.0
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Anew:
    """From here on it is another machine's translation. sentence: why.

    keeps: characters of the translation so far that stay before it; 0 = it is one of the whole text.
    """

    sentence: str
    keeps: int = 0


TranslationPart = str | Anew


class TranslatesHere(Protocol):
    def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        """The text as it comes. Closing it stops the engine. Raises ModelError, LocalProtocolError."""

    def has_engine(self, wish: TranslationWish) -> bool:
        """Whether translation models of this machine know both languages, or are named."""

    async def can_answer(self) -> bool:
        """Whether there is a chat model."""


class TranslatesThere(Protocol):
    def translate(self, wish: TranslationWish) -> AsyncGenerator[str | UpTo, None]:
        """The text as it comes, with how far it is. Closing it cancels at the provider. Raises QvacError."""

    def name_of(self, provider_key: str) -> str: ...

    def has_engine(self, provider_key: str, wish: TranslationWish) -> bool:
        """Whether translation models of this provider know both languages."""

    def is_away(self, provider_key: str) -> bool:
        """Known not to answer now."""

    def is_gone(self, provider_key: str) -> bool: ...

    def quiet(self, provider_key: str) -> float: ...


class Translating:
    """fallback: whether this machine is to go on, as it is now."""

    def __init__(self, here: TranslatesHere, there: TranslatesThere, fallback: Callable[[], bool]) -> None:
        self._here = here
        self._there = there
        self._fallback = fallback

    async def translate(self, wish: TranslationWish) -> AsyncGenerator[TranslationPart, None]:
        """The text as it comes, with `Anew` before each other machine's. Closing it cancels. Raises QvacError."""
        by_engine = replace(wish, target=Target(), engines_at="")
        if wish.source and not wish.engines_at and self._here.has_engine(by_engine):
            wish = by_engine
        others = [other for other in wish.others if other.provider_key]
        said = kept = through = 0  # characters: of the translation, of what stays of it, of the text that it is of
        while key := _asked(wish):
            others = [other for other in others if other.provider_key != key]
            behind = through
            try:
                async with aclosing(self._watched(replace(wish, text=wish.text[behind:]), key, others)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, UpTo):
                            if behind + piece.characters > through:  # nobody goes back
                                kept, through = said, min(behind + piece.characters, len(wish.text))
                            continue
                        said += len(piece)
                        yield piece
                return
            except (InferenceCancelled, LocalProtocolError):
                raise
            except QvacError as error:
                heir = await self._who_goes_on(wish, others)
                if heir is None:
                    raise
                left = why_left(describe(error), self._there.name_of(key))
            wish, said = heir, kept
            yield Anew(f"{left} {self._goes_on(wish, rest=through > 0)}", kept)
            if not wish.text[through:].strip():
                return
        async with aclosing(self._texts_here(replace(wish, text=wish.text[through:]))) as texts:
            async for text in texts:
                yield text

    async def _who_goes_on(self, wish: TranslationWish, others: Sequence[Target]) -> TranslationWish | None:
        """What is asked of whom; None where nobody is left."""
        here = replace(wish, target=Target(), engines_at="")
        may = self._fallback()
        if may and self._here.has_engine(here):
            return here
        for other in others:
            key = other.provider_key
            if not self._there.is_away(key):
                by_engine = bool(wish.source) and self._there.has_engine(key, wish)
                return replace(wish, target=other, engines_at=key if by_engine else "")
        return here if may and await self._here.can_answer() else None

    def _goes_on(self, wish: TranslationWish, *, rest: bool) -> str:
        if not (key := _asked(wish)):
            return "This machine translates the rest." if rest else "This machine translates."
        name = self._there.name_of(key)
        return f"{name} translates the rest." if rest else f"{name} translates."

    async def _texts_here(self, wish: TranslationWish) -> AsyncGenerator[str, None]:
        async with aclosing(self._here.translate(wish)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield piece

    async def _watched(
        self, wish: TranslationWish, key: str, others: Sequence[Target]
    ) -> AsyncGenerator[str | UpTo, None]:
        """Raises ConnectionClosed when nothing comes any more, and somebody else can do it."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        goes_on = await self._who_goes_on(wish, others) is not None
        pieces = self._there.translate(wish)

        def is_lost() -> bool:
            quiet = min(self._there.quiet(key), loop.time() - asked_at)
            return goes_on and (self._there.is_gone(key) or quiet >= ANEW_SECONDS)

        async with aclosing(pieces), aclosing(unless_lost(pieces, is_lost, LOOK_SECONDS)) as watched:
            async for piece in watched:
                yield piece


def _asked(wish: TranslationWish) -> str:
    return wish.engines_at if wish.source and wish.engines_at else wish.target.provider_key
