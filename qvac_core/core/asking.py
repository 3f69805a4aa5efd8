"""One way to ask: an answer from whoever can give it, handed on from one to the next until it stands.

Ours. Where it was asked for, then at the others of the conversation, at last on this machine; a second one beside a
slow first one; this machine ahead of a silent one; tools between the rounds. Conversations that are kept, the terminal
and programs ask through here, so each of them has all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace

from qvac_core.core.ahead import Ahead
from qvac_core.core.answering import (
    AnswerPart,
    Began,
    Edges,
    LocalResponder,
    Question,
    RemoteResponder,
    Responder,
    Thinking,
    no_model_here,
    told_apart,
    without_pictures,
)
from qvac_core.core.chat_parameters import longest, response_format
from qvac_core.core.choosing import Choice, choose
from qvac_core.core.error_text import describe, why_left
from qvac_core.core.hedging import FirstWords, Second, left_behind
from qvac_core.core.seams import ANEW, start_of, with_seam
from qvac_core.core.state import (
    AnswerSeam,
    AnswerStats,
    AnswerThinking,
    AnswerTokens,
    AnswerTool,
    Conversation,
    CoreEvent,
    Message,
    Target,
    ToolUse,
)
from qvac_core.core.tool_rounds import NO_TOOLS, ToolRounds
from qvac_core.core.tool_turns import is_open, settled, with_use
from qvac_core.delegation.failures import Reason
from qvac_core.delegation.life_signs import stopped_answering
from qvac_core.errors import DelegationError, QvacError
from qvac_core.store.settings import ChatSettings, FirstAsked
from qvac_core.tasks import TaskOwner, beside

# How long nothing may come of a provider before who goes on begins the answer anew (seconds).
ANEW_SECONDS = 3.0
# How long before this machine begins to compute what it may have to say (seconds). A provider that is there is heard
# in less, also while it reads a long prompt.
AHEAD_SECONDS = 0.35
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class AnswerRun:
    """One answer while it is being given. Whoever asks makes one and hears of each change.

    conversation: who else may answer, and how; kept or made for this one answer. tell: hears the events of the answer.
    keep: hears the message after each change, and whether it is to be kept at once, since what ran has run.
    terms: in place of the settings.
    """

    conversation: Conversation
    message: Message
    tell: Callable[[CoreEvent], None]
    keep: Callable[[Message, bool], None] = lambda message, at_once: None
    terms: ChatSettings | None = None
    tools: ToolRounds | None = None  # in place of those of the conversation
    ahead_here: bool = True  # whether this machine may begin before it is wanted
    patience: asyncio.Timeout | None = None  # with the provider, while it is asked
    handed_over: bool = False  # a person did not want to wait for it any more
    ahead: Ahead | None = None  # what this machine begins while a provider is silent
    asked_again: bool = False  # the one that lost it, and is there
    is_silent: bool = False  # who is asked now; somebody else goes on
    asked_at: float = 0.0  # of whoever answers now
    first_at: float = 0.0  # their first piece; 0: none yet
    pieces: int = 0  # theirs; a token each, as they send them
    said: int = 0  # pieces of those before them, whose words they continue
    asked: str = ""  # why it broke off and who is asked to go on, until they have begun
    wished: str = ""  # who goes on because a person wants more of it, until they have begun
    target: Target = field(default_factory=Target)  # who is asked now
    stopped: bool = False  # by a person
    blind: bool = False  # whoever answers now is not shown the pictures
    second: Second | None = None  # asked too, as the first word is late
    won: Ahead | None = None  # what that one says, who began first
    beside: tuple[str, float] = ("", 0.0)  # who worked for nothing, and for how long (seconds)


class Asking:
    """remote, local: who answers. settings: what holds now for answers that bring no terms of their own."""

    def __init__(
        self,
        remote: RemoteResponder,
        local: LocalResponder,
        settings: Callable[[], ChatSettings],
        tools: ToolRounds = NO_TOOLS,
    ) -> None:
        self._remote = remote
        self._local = local
        self._settings = settings
        self._tools = tools
        self._tasks = TaskOwner()
        self._first_words = FirstWords()

    def by(self, remote: RemoteResponder, local: LocalResponder) -> Asking:
        """The same by others, with the same memory of who is slow. Whoever asks for it closes it."""
        other = Asking(remote, local, self._settings)
        other._first_words = self._first_words
        return other

    def settings(self) -> ChatSettings:
        """What holds now for answers without terms of their own."""
        return self._settings()

    async def close(self) -> None:
        """When no answer is given any more: await what was left behind."""
        await self._tasks.close()

    def _terms(self, run: AnswerRun) -> ChatSettings:
        return self._settings() if run.terms is None else run.terms

    async def answer(self, run: AnswerRun, question: Question) -> None:
        """Until the answer stands in `run.message`. Raises the QvacError of the last one, when nobody can give it.

        A cancel ends whoever is at it; `run.message` then has what came.
        """
        try:
            await self._answer_somewhere(run, question)
        finally:
            if (won := self._taken(run)) is not None:  # stopped before it was heard
                await self._close(won)
            await self._forget_ahead(run)

    async def continue_here(self, run: AnswerRun) -> None:
        """Do not wait for the provider any more: this machine goes on. Raises ModelError when it has no model."""
        if run.patience is None:
            return
        if not await self._local.can_answer():
            raise no_model_here()
        name = self._remote.name_of(run.target.provider_key)
        if run.patience is not None and not run.handed_over:
            run.handed_over = True
            run.asked = run.wished = ""
            await self.go_on_here(run, f"Nothing came from {name} any more.")
            # Leaving a provider that answers late takes some seconds, so the seam comes first.
            if run.patience is not None:
                run.patience.reschedule(asyncio.get_running_loop().time())

    async def _answer_somewhere(self, run: AnswerRun, question: Question) -> None:
        """Where the conversation points; if that provider is or goes away, at the next one, from the same point.

        At last on this machine.
        """
        response_format(question.parameters)  # what is no schema is none anywhere
        if not question.target.provider_key:
            await self._stream(self._local, run, question)
            return
        order = (question.target, *(other for other in run.conversation.others if other.provider_key))
        first = await self._first_asked(run, order)
        waiting = [target for target in order if target != first.target]
        if first.target != question.target:
            run.asked = first.why
            question = self._hand_on(run, question, first.target)
        while (target := await self._answer_there(run, question, waiting)) is not None:
            if target.provider_key:
                question = self._hand_on(run, question, target)
                question = question if run.won is None else run.won.question
                continue
            await self._answer_here(run, question)
            return

    async def _first_asked(self, run: AnswerRun, order: Sequence[Target]) -> Choice:
        """Of the providers, for an answer that may have begun already."""
        # Who goes on with one is no matter of the sooner first word.
        manner = FirstAsked.ORDER if so_far_of(run.message) else self._terms(run).first_asked
        if len(order) > 1 and manner is not FirstAsked.ORDER:
            await self._remote.look(order)
        standings = [self._remote.standing(target) for target in order]
        quickest = self._first_words.quickest
        return choose([replace(one, first_word=quickest(one.target.provider_key)) for one in standings], manner)

    async def _answer_here(self, run: AnswerRun, question: Question) -> None:
        """What a provider began."""
        if (won := self._taken(run)) is not None:
            await self._stream(self._local, run, won.question, won)
            return
        here, ahead = self._rest_of(run, question, Target()), run.ahead
        if ahead is not None and ahead.question == here:
            await self._stream(self._local, run, here, ahead)
        else:
            await self._stream(self._local, run, here)

    @staticmethod
    def _taken(run: AnswerRun) -> Ahead | None:
        """What the second one has begun; who asks for it closes it."""
        won, run.won = run.won, None
        return won

    def _next_there(self, waiting: Sequence[Target]) -> Target | None:
        """The next one that is not known to be away."""
        return next((target for target in waiting if not self._remote.is_away(target.provider_key)), None)

    async def _who_goes_on(self, run: AnswerRun, waiting: Sequence[Target]) -> tuple[Target | None, bool]:
        """In the conversation's order, this machine last; but who can continue goes before who answers anew.

        And whether what was said is continued. None: nobody.
        """
        message = run.message
        here = self._terms(run).fallback and await self._local.can_answer()
        if so_far_of(message):
            present = [target for target in waiting if not self._remote.is_away(target.provider_key)]
            same = next((target for target in present if self._remote.has_model(target, message.model_sha256)), None)
            if same is not None:
                return same, True
            if here and self._local.continues(message.model_sha256):
                return Target(), True
        there = self._next_there(waiting)
        return (Target() if there is None and here else there), not so_far_of(message)

    def _hand_on(self, run: AnswerRun, question: Question, target: Target) -> Question:
        """To another provider; `run.asked` says why."""
        run.asked = f"{run.asked} {self._remote.name_of(target.provider_key)}"
        self.seam(run, f"{run.asked} is asked {'to go on' if run.message.text else 'now'}.")
        return self._rest_of(run, question, target)

    def _rest_of(self, run: AnswerRun, question: Question, target: Target) -> Question:
        """What somebody else is asked: to go on with what was said, and to make it no longer than it was to be."""
        message, parameters = run.message, run.conversation.parameters
        so_far = so_far_of(message)
        most = longest(parameters, self._terms(run).answer_tokens)
        if so_far and most > 0:
            parameters = replace(parameters, max_tokens=max(1, most - run.said - run.pieces))
        return replace(question, target=target, so_far=so_far, model_sha256=message.model_sha256, parameters=parameters)

    async def _answer_there(self, run: AnswerRun, question: Question, waiting: list[Target]) -> Target | None:
        """At a provider; None when the answer has ended, else who goes on: one of `waiting`, or this machine.

        Raises the provider's error when nobody can.
        """
        key = question.target.provider_key
        waiting[:] = [target for target in waiting if target.provider_key != key]
        run.target, run.is_silent = question.target, False
        begun = self._taken(run)
        name = self._remote.name_of(key)
        asked = AnswerStats(name, "delegated", "", question.target.model, 0.0, 0.0, 0, 0, key)
        run.message = replace(run.message, stats=asked)
        try:
            async with asyncio.timeout(None) as run.patience:
                try:
                    async with beside(self._notice_silence(run, question, waiting)):
                        await self._stream(self._remote, run, question, begun)
                finally:
                    self._forget_second(run)
                    if run.first_at and begun is None:
                        self._first_words.came(key, run.first_at - run.asked_at)
            return None
        except TimeoutError:
            if run.handed_over:
                return Target()
            target: Target | None
            if run.won is not None:
                left, target = f"{name} had not begun yet.", run.won.question.target
            elif run.is_silent:
                left = f"Nothing came from {name} any more."
                target, _ = await self._who_goes_on(run, waiting)
            else:
                raise
            if target is None:
                raise stopped_answering() from None
        except QvacError as error:
            if run.handed_over:
                return Target()
            left = why_left(describe(error), name)
            target, _ = await self._who_goes_on(run, waiting)
            if target is None and _is_there(error) and not run.asked_again:
                run.asked_again, target = True, question.target
            if target is None:
                raise
        finally:
            run.patience = None
        if target.provider_key:
            run.asked = left
        else:
            run.asked = run.wished = ""
            await self.go_on_here(run, left)
        return target

    async def _notice_silence(self, run: AnswerRun, question: Question, waiting: Sequence[Target]) -> None:
        """End the provider's part when nothing comes of it and somebody else can go on.

        At once where the answer is continued at its next token; with more patience where it would begin anew. This
        machine begins to compute a little earlier, so that its next token is there when it is wanted.
        """
        key, loop = run.target.provider_key, asyncio.get_running_loop()
        asked_at = since = loop.time()  # the last time, as far as it is known here
        hedges = self._terms(run).hedge
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if any(map(is_open, run.message.tools)):
                await self._forget_ahead(run)  # a person or a tool is waited for, and nobody far away
                asked_at = loop.time()
                continue
            quiet = min(self._remote.quiet(key), loop.time() - asked_at)
            if quiet < AHEAD_SECONDS:
                await self._forget_ahead(run)
            elif run.ahead is None:
                await self._compute_ahead(run, question, waiting)
            if hedges and await self._is_overtaken(run, question, waiting, loop.time() - since, quiet):
                if run.patience is not None:
                    run.patience.reschedule(loop.time())
                return
            if not self._remote.is_gone(key) and quiet < ANEW_SECONDS:
                continue
            target, continues = await self._who_goes_on(run, waiting)
            if target is not None and (continues or quiet >= ANEW_SECONDS):
                run.is_silent = True
                if run.patience is not None:
                    run.patience.reschedule(asyncio.get_running_loop().time())
                return

    async def _is_overtaken(
        self, run: AnswerRun, question: Question, waiting: Sequence[Target], waited: float, quiet: float
    ) -> bool:
        """Whether somebody else has the next word, where a person allows that two are asked.

        waited: seconds since the first one was asked; quiet: seconds in which nothing at all came from it.
        """
        if run.ahead is not None and run.ahead.ready and quiet >= AHEAD_SECONDS:
            run.is_silent = True
            return True
        second = run.second
        if run.first_at:
            self._forget_second(run)
        elif second is None and waited >= self._first_words.patience(question.target.provider_key):
            await self._ask_second(run, question, waiting)
        elif second is not None and second.ahead.ready:
            run.won, run.second = second.ahead, None
            run.beside = (self._remote.name_of(question.target.provider_key), waited)
            return True
        return False

    async def _ask_second(self, run: AnswerRun, question: Question, waiting: Sequence[Target]) -> None:
        target, _ = await self._who_goes_on(run, waiting)
        shows = any(message.pictures for message in question.history)
        if target is None or shows or run.message.tools or run.conversation.tools.servers:
            return
        if target == Target() and (run.ahead is not None or not run.ahead_here):
            return  # this machine is at it, or must not be yet
        responder: Responder = self._remote if target.provider_key else self._local
        rest = self._rest_of(run, question, target)
        name = self._remote.name_of(target.provider_key) if target.provider_key else "This machine"
        ahead = Ahead(rest, responder.answer(rest))
        run.second = Second(target, name, ahead, asyncio.get_running_loop().time())

    def _forget_second(self, run: AnswerRun) -> None:
        """Somebody else was quicker: it is stopped, and nobody waits for that."""
        second, run.second = run.second, None
        if second is not None:
            run.beside = (second.name, asyncio.get_running_loop().time() - second.asked_at)
            self._tasks.start(second.ahead.close(), "a second answer that is not wanted")

    async def _compute_ahead(self, run: AnswerRun, question: Question, waiting: Sequence[Target]) -> None:
        if not run.ahead_here or (run.second is not None and run.second.target == Target()):
            return  # it must not be at it yet, or is
        target, continues = await self._who_goes_on(run, waiting)
        shows = any(message.pictures for message in question.history)
        if run.message.tools or run.conversation.tools.servers:
            return  # what is computed ahead calls no tools
        if target == Target() and continues and not shows:
            here = self._rest_of(run, question, Target())
            run.ahead = Ahead(here, self._local.answer(here))

    async def _forget_ahead(self, run: AnswerRun) -> None:
        ahead, run.ahead = run.ahead, None
        if ahead is not None:
            await self._close(ahead)

    @staticmethod
    async def _close(ahead: Ahead) -> None:
        await asyncio.shield(asyncio.create_task(ahead.close()))  # who closes it may be cancelled meanwhile

    async def go_on_here(self, run: AnswerRun, left: str) -> None:
        """The seam between what somebody else said, who left, and this machine."""
        here = await self._here(run.message)
        if here.endswith(ANEW) and so_far_of(run.message) and not run.message.text.endswith("\n\n"):
            self._add(run, "\n\n")
        self.seam(run, f"{left} {here}".lstrip())

    async def _here(self, answer: Message) -> str:
        """What this machine does with an answer that somebody else began."""
        if answer.text and not (so_far_of(answer) and self._local.continues(answer.model_sha256)):
            return f"This machine {ANEW}"
        return f"This machine continues with {await self._local.describe(answer.model_sha256)}."

    async def _stream(
        self,
        responder: Responder,
        run: AnswerRun,
        question: Question,
        begun: Ahead | None = None,
    ) -> None:
        """begun: the answer, where it was begun already."""
        run.blind = not responder.sees(question.target) and any(each.pictures for each in question.history)
        if run.blind:
            question = without_pictures(question)
        edges = Edges(run.message.thinking)
        run.said += run.pieces
        run.asked_at, run.first_at, run.pieces = time.monotonic(), 0.0, 0
        message = run.message
        answer: AsyncGenerator[AnswerPart | ToolUse, None]
        if begun is not None:
            answer = begun.parts()
        else:
            answer = (run.tools or self._tools).answer(
                responder, question, run.conversation.id, message.tools, start_of(message.seams)
            )
            if responder is self._remote and self._terms(run).hedge:
                answer = left_behind(answer, self._tasks.start)
        async with contextlib.AsyncExitStack() as ending:
            if begun is not None:
                ending.push_async_callback(self._close, begun)
            parts = await ending.enter_async_context(contextlib.aclosing(answer))
            async for part in parts:
                if isinstance(part, str | Thinking):
                    run.pieces += 1
                    run.first_at = run.first_at or time.monotonic()
                if isinstance(part, Began):
                    self._begin(run, part)
                elif isinstance(part, str):
                    self._add(run, edges.answer(part))
                elif isinstance(part, Thinking):
                    self._add_thinking(run, edges.thinking(part.text))
                elif isinstance(part, ToolUse):
                    self._take_use(run, part)
                elif isinstance(part, AnswerStats):
                    run.message = replace(run.message, stats=part)

    def _begin(self, run: AnswerRun, began: Began) -> None:
        if not began.continues:
            run.said = 0
        run.message = replace(run.message, model_sha256=began.model_sha256)
        who = run.asked or ("" if began.continues else run.wished)
        run.asked = run.wished = ""
        if not who:
            return
        if not run.message.text:
            self.seam(run, f"{who} answers.")
            return
        if not began.continues and not run.message.text.endswith("\n\n"):
            self._add(run, "\n\n")
        self.seam(run, f"{who} {'continues.' if began.continues else ANEW}")

    def _add(self, run: AnswerRun, text: str) -> None:
        if not text:
            return
        run.message = replace(run.message, text=run.message.text + text)
        run.tell(AnswerTokens(run.conversation.id, run.message.id, text))
        run.keep(run.message, False)

    def _add_thinking(self, run: AnswerRun, text: str) -> None:
        if not text:
            return
        run.message = replace(run.message, thinking=run.message.thinking + text)
        run.tell(AnswerThinking(run.conversation.id, run.message.id, text))
        run.keep(run.message, False)

    def _take_use(self, run: AnswerRun, use: ToolUse) -> None:
        """A call of a tool, or what became of one."""
        run.message = with_use(run.message, use)
        run.tell(AnswerTool(run.conversation.id, run.message.id, use))
        run.keep(run.message, True)

    def seam(self, run: AnswerRun, sentence: str) -> None:
        offset = len(run.message.text)
        run.message = with_seam(run.message, offset, sentence)
        run.tell(AnswerSeam(run.conversation.id, run.message.id, offset, sentence))


def ended(run: AnswerRun) -> Message:
    """The message of an answer that has ended, with all that is known of it."""
    return settled(told_apart(_with_ending(_with_numbers(run), run)))


def _with_ending(message: Message, run: AnswerRun) -> Message:
    """What only this machine knows of it."""
    stats = message.stats
    if stats is None:
        return message
    ending = "stopped" if run.stopped and message.status == "stopped" else stats.ending
    beside, seconds = run.beside
    stats = replace(stats, ending=ending, blind=run.blind, beside=beside, beside_seconds=seconds)
    return replace(message, stats=stats)


def _with_numbers(run: AnswerRun) -> Message:
    """What is known of an answer that ended before its statistics came: its pieces were counted here."""
    message, stats = run.message, run.message.stats
    if stats is None or message.status == "done" or not run.pieces or stats.generated_tokens:
        return message
    seconds = time.monotonic() - run.first_at
    known = replace(
        stats,
        time_to_first_token=run.first_at - run.asked_at,
        tokens_per_second=run.pieces / seconds if seconds > 0 else 0.0,
        generated_tokens=run.pieces,
    )
    return replace(message, stats=known)


def _is_there(error: QvacError) -> bool:
    """Its provider lost the answer, and can be asked at once to go on with it."""
    reason = error.typed_fields.get("reason") if isinstance(error, DelegationError) else None
    return error.name == "WORKER_CRASHED" or reason == Reason.GUEST_AWAY.value


def so_far_of(answer: Message) -> str:
    return answer.text[start_of(answer.seams) :]
