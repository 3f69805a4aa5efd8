"""One answer, wherever it is computed: what the chats ask of a responder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from qvac_core.core.choosing import Standing
from qvac_core.core.state import AnswerStats, Message, Parameters, Target
from qvac_core.engines.interface import ChatMessage, Tool, ToolCall, ToolChoice, ToolError
from qvac_core.engines.thinking import CLOSE_TAG, OPEN_TAG, without_thinking
from qvac_core.errors import ModelError

# Names of errors of a provider that was there and may be again, and for how long its return is news (seconds).
WENT_AWAY = frozenset(
    ("ECONNRESET", "ETIMEDOUT", "ECLOSED", "REQUEST_TIMEOUT", "PEER_CONNECTION_FAILED", "PEER_NOT_FOUND", "RELAY_LOST")
)
WAIT_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered. so_far: text that already stands at the start of the answer, to be continued.

    model_sha256: the model file that wrote it; "" when that is not known. tools: what the model may call.
    """

    answer_id: str
    target: Target
    history: tuple[ChatMessage, ...]
    so_far: str = ""
    model_sha256: str = ""
    parameters: Parameters = field(default_factory=Parameters)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)


@dataclass(frozen=True, slots=True)
class TranslationWish:
    """What is to be translated. to, source: language codes or names; source "" = whatever it is written in.

    target: who chats, and does it where no translation model does. engines_at: with a source, whose translation models
    are asked first: a provider's key, "" = this machine's. others: who of the conversation may go on, in this order.
    """

    id: str
    target: Target
    text: str
    to: str
    source: str = ""
    engines_at: str = ""
    others: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class Began:
    """Who answers has begun: with which model file ("": unknown), and whether behind `so_far` or from the start."""

    model_sha256: str
    continues: bool


class Edges:
    """Takes off the empty lines with which models set their thinking and the answer behind it apart.

    before: what somebody else thought, who began this answer; new thinking goes below it.
    """

    def __init__(self, before: str = "") -> None:
        self._before = before
        self._thinking = False
        self._answer = False
        self._thought = False  # also where all of it was white space

    def thinking(self, text: str) -> str:
        self._thought = True
        if self._thinking:
            return text
        text = text.lstrip()
        self._thinking = bool(text)
        return f"\n\n{text}" if text and self._before else text

    def answer(self, text: str) -> str:
        text = text if self._answer or not self._thought else text.lstrip()
        self._answer = self._answer or bool(text)
        return text


AnswerPart = Began | str | Thinking | ToolCall | ToolError | AnswerStats


class Responder(Protocol):
    def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """Once `Began`, thinking, text and calls of tools as they come, then the statistics. Raises QvacError.

        Statistics without numbers may come before: who answers is known from there on, however it ends.

        Closing it early cancels down to the GPU.
        """

    def sees(self, target: Target) -> bool:
        """Whether the model there can be shown pictures, as far as it is known."""


class RemoteResponder(Responder, Protocol):
    def is_away(self, provider_key: str) -> bool:
        """Whether it is known not to answer now: it was tried, and waits for the next try."""

    def is_gone(self, provider_key: str) -> bool:
        """Whether it was there and now says nothing, for longer than one that is there does, however busy it is."""

    def quiet(self, provider_key: str) -> float:
        """Seconds for which nothing came from it though something was expected, or since its connection was lost."""

    def look_for(self, provider_key: str) -> bool:
        """Bring it back, as it is waited for. False: it was never there, so nobody knows that it will be."""

    async def look(self, targets: Sequence[Target]) -> None:
        """Ask those that are connected how they stand now. Short: whoever does not answer is not waited for."""

    def standing(self, target: Target) -> Standing:
        """As far as it is known."""

    def has_model(self, target: Target, model_sha256: str) -> bool:
        """Whether it is known to run this model file there: who does continues at the next token."""

    def name_of(self, provider_key: str) -> str:
        """What this person calls the provider."""


class LocalResponder(Responder, Protocol):
    async def can_answer(self) -> bool:
        """Whether this machine has a model to go on with."""

    def continues(self, model_sha256: str) -> bool:
        """Whether it goes on with the words of this model file ("": not known) instead of answering anew."""

    async def describe(self, model_sha256: str = "") -> str:
        """The model it would use, by display name; to go on with the words of that one."""


def without_pictures(question: Question) -> Question:
    """A question that only shows something stays one: every template wants text."""
    return replace(question, history=tuple(_without_pictures(message) for message in question.history))


def _without_pictures(message: ChatMessage) -> ChatMessage:
    if not message.pictures:
        return message
    return replace(message, pictures=(), content=message.content or "(a picture)")


def no_model_here() -> ModelError:
    return ModelError(
        "There is no model on this machine yet. Get a small one, or add a GGUF file.", name="MODEL_NOT_FOUND_HERE"
    )


def told_apart(answer: Message) -> Message:
    """An answer of a JavaScript provider whose model thinks from its prompt on, told apart at its end.

    The SDK knows thinking by the tag that opens it. Where the prompt has that tag, it sends the thinking as text, with
    the closing tag alone in it.
    """
    thinking, tag, text = answer.text.partition(CLOSE_TAG)
    if not tag or OPEN_TAG in thinking or answer.thinking or answer.seams or answer.model_sha256:
        return answer
    return replace(answer, thinking=thinking.strip(), text=text.lstrip())


def chat_history(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Messages as the engine takes them: without empty answers, and without the questions they leave open.

    A question that was stopped or failed before its first token was not answered; many templates refuse two in a row.
    """
    kept: list[ChatMessage] = []
    for message in messages:
        if message.role == "assistant":  # kept by an earlier version, as one text with tags
            message = replace(message, content=without_thinking(message.content))
        if not message.content and not message.pictures and not message.tool_calls:
            continue
        if message.role == "user" and kept and kept[-1].role == "user":
            kept.pop()
        kept.append(message)
    return tuple(kept)
