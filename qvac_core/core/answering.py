"""One answer, wherever it is computed: what the chats ask of a responder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from qvac_core.core.state import AnswerStats, Target
from qvac_core.engines.interface import ChatMessage


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered. so_far: text that already stands at the start of the answer, to be continued."""

    answer_id: str
    target: Target
    history: tuple[ChatMessage, ...]
    so_far: str = ""


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of what the model thinks before it answers."""

    text: str


AnswerPart = str | Thinking | AnswerStats


class Responder(Protocol):
    def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """Thinking and text as they come, then once the statistics. Closing it early cancels down to the GPU.

        Raises QvacError.
        """


class RemoteResponder(Responder, Protocol):
    def name_of(self, provider_key: str) -> str:
        """What this person calls the provider."""


class LocalResponder(Responder, Protocol):
    async def can_answer(self) -> bool:
        """Whether this machine has a model to go on with."""

    async def describe(self) -> str:
        """The model it would use, by display name."""


def chat_history(messages: Sequence[tuple[str, str]]) -> tuple[ChatMessage, ...]:
    """(role, text) pairs as the engine takes them: without empty answers, and without the questions they leave open.

    A question that was stopped or failed before its first token was not answered; many templates refuse two in a row.
    """
    kept: list[ChatMessage] = []
    for role, text in messages:
        if not text:
            continue
        if role == "user" and kept and kept[-1].role == "user":
            kept.pop()
        kept.append(ChatMessage(role, text))
    return tuple(kept)
