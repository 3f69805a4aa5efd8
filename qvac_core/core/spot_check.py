"""Spot checks: does a provider compute with the model file that it names? The same questions go to somebody who has it.

Questions are made of words drawn by chance, so that none is known beforehand, and answered at temperature 0 with a few
tokens. What that shows is told as it is: equal words speak for the same file, for these questions; other words speak
against it only where they part at once, for two machines round differently and one token carries the rest along.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from qvac_core.codec.key_text import parse_public_key
from qvac_core.core.answering import Question, Responder, Thinking
from qvac_core.core.state import Parameters, ProviderEntry, RemoteModel, Target
from qvac_core.engines.interface import ChatMessage, LibraryModel
from qvac_core.errors import ModelError

QUESTIONS: Final = 3
TOKENS: Final = 16  # of each answer
SECONDS: Final = 300.0  # for one answer, a load included
WORDS: Final = (
    *("river", "copper", "window", "seven", "garden", "winter", "paper", "island", "silver", "engine"),
    *("forest", "salt", "bridge", "candle", "harbour", "mirror", "planet", "rope", "station", "violin"),
)
# Of its letters, in which two answers of the same file agree at least, where two machines round differently.
MOSTLY: Final = 0.5


class Finding(StrEnum):
    SAME = "same"  # every answer is the same to its last letter
    MOSTLY = "mostly"  # they begin alike, and part later on
    DIFFERENT = "different"  # they part at once


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with both answers. agreement: of the letters, from the beginning on; 0 to 1."""

    question: str
    theirs: str
    reference: str

    @property
    def agreement(self) -> float:
        longest = max(len(self.theirs), len(self.reference))
        same = next(
            (place for place, (a, b) in enumerate(zip(self.theirs, self.reference, strict=False)) if a != b),
            min(len(self.theirs), len(self.reference)),
        )
        return 1.0 if not longest else same / longest


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """model: its name there; sha256: of the file that its provider names. compared_with: a key, "" = this machine."""

    model: str
    sha256: str
    compared_with: str
    pairs: tuple[Pair, ...]

    @property
    def agreement(self) -> float:
        return sum(pair.agreement for pair in self.pairs) / len(self.pairs)

    @property
    def finding(self) -> Finding:
        if all(pair.agreement == 1.0 for pair in self.pairs):
            return Finding.SAME
        return Finding.MOSTLY if self.agreement >= MOSTLY else Finding.DIFFERENT


@dataclass(frozen=True, slots=True)
class SpotCheckAsked:
    """So many questions of a running check have been answered by both. of: how many there are."""

    public_key: str
    answered: int
    of: int


class SpotCheckInterface(Protocol):
    """`core.spot_checks`."""

    async def check(self, public_key: str, model: str = "", other: str = "") -> SpotCheck:
        """Compare a model of this provider; SpotCheckAsked tells how far it is. model: "" = its first; other: a
        provider's key, "" = this machine's file, else a provider that is connected and names the same one.

        Raises ModelError where there is nobody to compare with, and what an answer raises that cannot be had.
        """


class SpotChecks:
    """Asks a provider and somebody who has the same file, and compares word by word.

    providers, here: who answers. connect, entries: of the known providers, by key in hexadecimal. of_sha256: the model
    of this machine with that file, None = none. ModelError where nobody else has the file; DelegationError as any
    answer.
    """

    def __init__(
        self,
        providers: Responder,
        here: Responder,
        connect: Callable[[str], Awaitable[ProviderEntry]],
        entries: Callable[[], Sequence[ProviderEntry]],
        of_sha256: Callable[[str], LibraryModel | None],
        emit: Callable[[SpotCheckAsked], None] = lambda _: None,
    ) -> None:
        self._providers, self._here = providers, here
        self._connect, self._entries, self._of_sha256 = connect, entries, of_sha256
        self._emit = emit

    async def check(self, public_key: str, model: str = "", other: str = "") -> SpotCheck:
        key = parse_public_key(public_key).hex()
        named = _model_of(await self._connect(key), model)
        if not named.sha256:
            raise ModelError(
                "This provider does not say which model file it has: its program is another one than QVAC Desktop.",
                name="NO_MODEL_HASH",
            )
        other, reference = await self._reference(key, named, other)
        pairs = []
        for place, question in enumerate(_question() for _ in range(QUESTIONS)):
            self._emit(SpotCheckAsked(key, place, QUESTIONS))
            theirs, ours = await asyncio.gather(
                self._answer(self._providers, Target(key, named.source), question),
                self._answer(self._providers if other else self._here, reference, question),
            )
            if theirs or ours:  # where both are silent, nothing speaks for the same file
                pairs.append(Pair(question, theirs, ours))
        if not pairs:
            raise ModelError("Neither of them said a word: there is nothing to compare.", name="NOTHING_TO_COMPARE")
        return SpotCheck(named.name, named.sha256, other, tuple(pairs))

    async def _reference(self, key: str, named: RemoteModel, other: str) -> tuple[str, Target]:
        """Who else has the same file, and what it is called there."""
        if other:
            other = parse_public_key(other).hex()
            if other == key:
                raise ModelError("A provider cannot be compared with itself. Name another one.", name="SAME_PROVIDER")
            found = _of_hash(await self._connect(other), named.sha256)
            if found is None:
                raise ModelError(
                    "The other provider has no model file with this hash. Name another one.", name="NOBODY_TO_COMPARE"
                )
            return other, Target(other, found.source)
        if (here := self._of_sha256(named.sha256)) is not None:
            return "", Target("", here.name)
        for entry in self._entries():
            found = _of_hash(entry, named.sha256) if entry.public_key != key and entry.state == "online" else None
            if found is not None:
                return entry.public_key, Target(entry.public_key, found.source)
        raise ModelError(
            f"Nobody else is there who has the file of {named.name}. Get the same model on this machine, or connect to "
            "a second provider that has it.",
            name="NOBODY_TO_COMPARE",
        )

    async def _answer(self, responder: Responder, target: Target, question: str) -> str:
        wanted = Question(
            str(uuid.uuid4()),
            target,
            (ChatMessage("user", question),),
            parameters=Parameters(temperature=0.0, max_tokens=TOKENS, seed=1, think=False),
        )
        said = []
        try:
            async with asyncio.timeout(SECONDS), aclosing(responder.answer(wanted)) as parts:
                async for part in parts:
                    if isinstance(part, str):
                        said.append(part)
                    elif isinstance(part, Thinking):
                        said.append(part.text)
        except TimeoutError:
            raise ModelError(f"An answer took longer than {SECONDS:.0f} seconds.", name="REQUEST_TIMEOUT") from None
        return "".join(said)


def _question() -> str:
    words = ", ".join(secrets.choice(WORDS) for _ in range(4))
    return f"Write one sentence with these words: {words}."


def _model_of(entry: ProviderEntry, wanted: str) -> RemoteModel:
    found = next((one for one in entry.models if wanted in ("", one.name, one.source)), None)
    if found is None:
        what = f"no chat model called {wanted[:128]}" if wanted else "no chat model"
        raise ModelError(f"This provider offers your key {what}.", name="MODEL_NOT_FOUND")
    return found


def _of_hash(entry: ProviderEntry, sha256: str) -> RemoteModel | None:
    return next((one for one in entry.models if one.sha256 == sha256), None)
