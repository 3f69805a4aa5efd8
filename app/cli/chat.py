"""`qvac-desktop chat`: ask a provider's model once, or line by line; with `--fallback` this machine can go on."""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec import UNSET, UnsetType

from app.cli.chat_tools import Progress, TerminalTools, chosen, is_terminal
from app.cli.config import core_config
from app.cli.lines import Lines
from app.cli.output import Output
from app.cli.refusal import is_refusal, with_own_key
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.answering import AnswerPart, Began, Question, Thinking
from qvac_core.core.asking import so_far_of
from qvac_core.core.choosing import Standing
from qvac_core.core.error_text import describe
from qvac_core.core.local_completion import LocalCompletion
from qvac_core.core.state import (
    AnswerSeam,
    AnswerThinking,
    AnswerTokens,
    CoreEvent,
    DownloadChanged,
    Notice,
    Parameters,
    Target,
)
from qvac_core.core.waiting_times import believed, rounded
from qvac_core.delegation.completion import Completion, CompletionFinal
from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.failures import Code
from qvac_core.delegation.messages import (
    Attachment,
    ContentDelta,
    ContinueFrom,
    Event,
    GenerationParams,
    HistoryMessage,
    ModelProgress,
    Stats,
    ThinkingDelta,
)
from qvac_core.delegation.picture_upload import read_history
from qvac_core.delegation.tool_wire import wire_tools
from qvac_core.engines.interface import CompletionRequest, SamplingParams, ToolChoice, ToolMode
from qvac_core.errors import DelegationError, LocalProtocolError, ModelError, QvacError
from qvac_core.hyperdht.stream.connection import LOCAL_PATH
from qvac_core.models import by_name

CONTEXT_TOKENS = 4096
LOCAL = "local"
DELEGATED = "delegated"


@dataclass(slots=True)
class _Chat:
    """One conversation in the terminal. where: who is asked next. model_id: the provider's; local_id: this one's.

    sha256: of the provider's model file, "" where it does not tell.
    """

    core: Core
    options: argparse.Namespace
    output: Output
    where: str = DELEGATED
    model_id: str = ""
    sha256: str = ""
    local_id: str = ""
    history: list[HistoryMessage] = field(default_factory=list)
    pictures: list[Attachment] = field(default_factory=list)
    """For the next question."""
    tools: TerminalTools | None = None
    lines: Lines | None = None

    @property
    def delegate(self) -> Delegate:
        return Delegate(
            self.options.provider_key,
            timeout=self.options.timeout,
            force_new_connection=self.options.force_new_connection,
        )


async def chat(options: argparse.Namespace, output: Output) -> int:
    """Returns the exit code; raises QvacError, whose sentence is the one line that says why."""
    pictures = [Attachment(path) for path in options.picture]
    await read_history([HistoryMessage("user", "", pictures)])  # a mistake is told before anybody is asked
    core, conversation = Core(core_config(options)), None
    core.subscribe(lambda event: _report(event, output))
    try:
        await core.start()
        conversation = _Chat(core, options, output, pictures=pictures)
        if options.tools:
            conversation.tools = await _open_tools(conversation)
        await _load(conversation)
        if options.prompt is not None:
            await _ask(conversation, options.prompt)
        else:
            await _converse(conversation)
    finally:
        if conversation is not None and conversation.tools is not None:
            await conversation.tools.close()
        await core.close()
    return 0


async def _open_tools(conversation: _Chat) -> TerminalTools:
    async def ask(question: str) -> str | None:
        if conversation.lines is None and (conversation.output.as_json or not is_terminal()):
            return None
        conversation.lines = conversation.lines or Lines()
        conversation.output.note(question, end="")
        return await conversation.lines.next()

    entries = await conversation.core.tools.servers()
    servers = await asyncio.to_thread(chosen, conversation.options.tools, [entry.server for entry in entries])
    tools = TerminalTools(conversation.output, conversation.options.allow_tool, ask)
    try:
        await tools.open(servers)
    except BaseException:
        await tools.close()
        raise
    return tools


def _report(event: CoreEvent, output: Output) -> None:
    if isinstance(event, Notice):
        output.note(f"{event.title} {event.message}".strip())
    elif isinstance(event, DownloadChanged):
        output.event("progress", model=event.model, downloaded=event.downloaded, total=event.total)


async def _load(conversation: _Chat) -> None:
    core, options, output = conversation.core, conversation.options, conversation.output
    if options.provider_key.hex() == core.public_key:
        output.note("This is your own key: the model of this machine answers.")
        await _load_here(conversation)
        conversation.where = LOCAL
        return
    if options.local_model and not options.fallback:
        raise LocalProtocolError("--local-model is for --fallback: give both, or neither.", name="INVALID_OPTION")
    try:
        source = await _source(conversation)
        loaded = await core.consumer.load_model(
            source,
            delegate=conversation.delegate,
            model_name=options.model if options.model and by_name(options.model) else None,
            model_config={"ctx_size": CONTEXT_TOKENS, **({"tools": True} if conversation.tools else {})},
            on_progress=lambda report: _progress(output, report),
        )
    except ModelError as error:
        # The provider was reached and said no: another machine is not what was asked for.
        if error.code == Code.MODEL_NOT_FOUND.value:
            raise await _with_offers(conversation, error) from None
        raise
    except QvacError as error:
        if is_refusal(error) and not options.fallback:
            raise with_own_key(core.public_key, error) from None
        if not options.fallback:
            raise
        output.note(f"{describe(error).title} This machine answers instead.")
        await _load_here(conversation)
        conversation.where = LOCAL
        return
    conversation.model_id = loaded.model_id
    conversation.sha256 = await _file_of(conversation, source)
    path, relay = _path(conversation)
    output.event("loaded", modelId=loaded.model_id, where=DELEGATED, model=source, path=path, relay=relay or None)
    way = f" through the relay {short_key(relay)}" if relay else ", found on your network" if path == LOCAL_PATH else ""
    output.note(f"Connected to {short_key(options.provider_key.hex())}{way}, model {source}.")
    _watch_path(conversation)


def _path(conversation: _Chat) -> tuple[str, str]:
    """How the provider is reached now, and the key of the relay."""
    connection = conversation.core.consumer.connection(conversation.options.provider_key)
    return ("", "") if connection is None else (connection.path, connection.relay)


def _watch_path(conversation: _Chat) -> None:
    connection = conversation.core.consumer.connection(conversation.options.provider_key)

    def moved(_: object) -> None:
        path, relay = _path(conversation)
        if path:
            conversation.output.event("path", path=path, relay=relay or None)

    if connection is not None:
        connection.stream.when_path_changes(moved)


async def _with_offers(conversation: _Chat, error: ModelError) -> ModelError:
    """An unknown model is told with those that there are."""
    try:
        listed = await conversation.core.consumer.list_models(conversation.delegate)
    except QvacError:  # it went away meanwhile; what it said still holds
        return error
    offers = ", ".join(entry.name for entry in listed or () if "chat" in entry.abilities)
    return ModelError(
        f"This provider does not share a model named {conversation.options.model}. "
        + (f"It shares: {offers}" if offers else "Ask its owner which one it shares."),
        name=error.name,
        code=error.code,
    )


async def _source(conversation: _Chat) -> str:
    """What is sent as modelSrc: the SDK's name of a model becomes its source; without `--model`, what is shared."""
    name = conversation.options.model
    if name:
        known = by_name(name)
        return known.src if known is not None else str(name)
    listed = await conversation.core.consumer.list_models(conversation.delegate)
    if listed is None:
        raise DelegationError(
            "This provider does not list its models. Name one with --model: an SDK name such as "
            "LLAMA_3_2_1B_INST_Q4_0, or a path on the provider."
        )
    offers = [entry for entry in listed if "chat" in entry.abilities]
    if not offers:
        raise DelegationError("This provider shares no chat model at the moment. Ask its owner to share one.")
    return next((entry.name for entry in offers if entry.loaded), offers[0].name)


async def _file_of(conversation: _Chat, source: str) -> str:
    """The SHA-256 of the model that was loaded, by which an answer that broke off is continued."""
    names = (source, conversation.options.model)
    try:
        listed = await conversation.core.consumer.list_models(conversation.delegate)
    except QvacError:  # it went away meanwhile; what is asked next says so
        return ""
    return next((entry.sha256 for entry in listed or () if entry.name in names), "")


def _progress(output: Output, report: ModelProgress) -> None:
    output.event(
        "progress",
        downloaded=report.downloaded,
        total=report.total,
        percentage=report.percentage,
        model=report.download_key,
    )


def _name_here(conversation: _Chat) -> str:
    """The local model: `--local-model`, else the same model; "" = any of the library."""
    return str(conversation.options.local_model or conversation.options.model or "")


async def _load_here(conversation: _Chat) -> str:
    """Returns what it is called. Once is enough."""
    core = conversation.core
    name = _name_here(conversation)
    if not name:
        models = core.machine.chat_models()
        if not models:
            raise ModelError("There is no local model to answer with. Name one with --local-model NAME_OR_PATH.")
        name = models[0].name
    if not conversation.local_id:
        report = partial(_progress, conversation.output)
        conversation.local_id = await core.machine.load_local(name, None, report)
        conversation.output.event("loaded", modelId=conversation.local_id, where=LOCAL, model=name)
    return core.machine.name_of(name)


async def _converse(conversation: _Chat) -> None:
    output = conversation.output
    output.note("Ask something; an empty line or Ctrl-D ends it.")
    lines = conversation.lines = Lines()
    while True:
        output.note("> ", end="")
        line = await lines.next()
        if line is None:
            output.note("")  # Ctrl-D leaves the cursor behind the prompt
        if line is None or not line.strip():
            return
        before = len(conversation.history)
        try:
            await _ask(conversation, line.strip())
        except QvacError as error:
            output.error(error)
            del conversation.history[before:]


async def _ask(conversation: _Chat, prompt: str) -> None:
    """One answer, streamed; where the provider goes away in the middle, `--fallback` lets this machine finish it."""
    attachments, conversation.pictures = conversation.pictures, []
    conversation.history.append(HistoryMessage("user", prompt, attachments or UNSET))
    output = conversation.output
    started = time.monotonic()
    progress = Progress()
    try:
        answer = await _stream(conversation)
        while conversation.tools is not None and (told := await conversation.tools.answers_to(answer.final)):
            output.end_line()
            conversation.history += told
            again = progress.next(answer.final)
            answer = await _stream(conversation, calls=again)
            if not again:
                break
    except QvacError:
        output.end_line()
        raise
    output.end_line()
    conversation.history.append(HistoryMessage("assistant", answer.text))
    _show_stats(output, answer.where, answer.final.stats, time.monotonic() - started)
    if answer.final.stop_reason == "length" and not output.as_json:
        output.note(
            "The answer stops here: it is as long as it may be (--predict N), or the conversation fills the context."
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    """final: its end, as whoever gave the last of it told it. where: who that was."""

    text: str
    final: CompletionFinal
    where: str


async def _stream(conversation: _Chat, *, calls: bool = True) -> _Answer:
    """calls: whether it may call tools."""
    core, options, output = conversation.core, conversation.options, conversation.output
    there, here = _There(conversation, calls), _Here(conversation, calls)
    target = Target(options.provider_key.hex() if conversation.where == DELEGATED else "", conversation.model_id)
    terms = replace(core.answers.settings(), fallback=options.fallback, answer_tokens=0)
    async with core.answers.by(there, here) as answers:
        asked = answers.ask(
            target,
            await read_history(conversation.history),
            parameters=Parameters(temperature=options.temp, max_tokens=options.predict),
            terms=terms,
            ahead_here=here.is_here(),
            again=bool(conversation.sha256),
        )
        async with asked as stream:
            thinks = False
            async for event in stream:
                match event:
                    case AnswerThinking(text=text):
                        if not thinks:
                            output.note("Thinking …")
                        thinks = True
                        output.event("thinking", text=text)
                    case AnswerTokens(text=text):
                        output.event("token", text=text)
                        output.text(text, end="")
                    case AnswerSeam(sentence=sentence):
                        output.note(sentence)
                        output.event("seam", **{"from": DELEGATED, "to": LOCAL if here.answers else DELEGATED})
    if here.answers and there.has_left():
        conversation.where = LOCAL
    if here.final is not None and (here.answers or there.final is None):
        return _Answer(so_far_of(stream.message), here.final, LOCAL)
    assert there.final is not None
    return _Answer(so_far_of(stream.message), there.final, DELEGATED)


class _There:
    """The provider, with the model that it loaded for this chat. Implements RemoteResponder."""

    def __init__(self, conversation: _Chat, calls: bool) -> None:
        self._conversation, self._calls = conversation, calls
        self._place = 0
        self.final: CompletionFinal | None = None

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        sha256, goes_on = self._conversation.sha256, await self._goes_on(question)
        continue_from = ContinueFrom(question.so_far, sha256) if goes_on else None
        async with await _start(self._conversation, continue_from, calls=self._calls) as completion:
            completion.when_placed(self._placed)
            yield Began(sha256, continues=goes_on)
            async for part in _parts(completion.events):
                yield part
            self.final = await completion.final

    async def _goes_on(self, question: Question) -> bool:
        """Whether it continues what was said, in the same file. Another one would begin anew."""
        connection, sha256 = self._connection, self._conversation.sha256
        if connection is None or not (question.so_far and sha256 and sha256 == question.model_sha256):
            return False
        await connection.greeted()
        return connection.offers("continue")

    def _placed(self, place: int, wait_ms: float) -> None:
        output, wait = self._conversation.output, believed(wait_ms)
        output.event("queue", place=place, waitMs=round(1000 * wait))
        if place and place != self._place:
            about = f", about {rounded(wait)} s" if wait else ""
            output.note(f"The provider is busy with others: you are number {place} in line{about}.")
        self._place = place

    @property
    def _connection(self) -> ProviderConnection | None:
        return self._conversation.core.consumer.connection(self._conversation.options.provider_key)

    def has_left(self) -> bool:
        connection = self._connection
        return connection is None or connection.gone

    def sees(self, target: Target) -> bool:
        return True  # it says itself what it cannot

    def is_away(self, provider_key: str) -> bool:
        return self.is_gone(provider_key)

    def is_gone(self, provider_key: str) -> bool:
        connection = self._connection
        return connection is not None and connection.gone

    def quiet(self, provider_key: str) -> float:
        connection = self._connection
        return 0.0 if connection is None else max(0.0, connection.quiet - 2 * connection.stream.rtt)

    def look_for(self, provider_key: str) -> bool:
        return False  # whoever sits at the terminal asks again

    async def look(self, targets: Sequence[Target]) -> None:
        """It is the only one that was named."""

    def standing(self, target: Target) -> Standing:
        return Standing(target, self.name_of(target.provider_key), away=self.is_away(target.provider_key))

    def has_model(self, target: Target, model_sha256: str) -> bool:
        return bool(model_sha256) and model_sha256 == self._conversation.sha256

    def name_of(self, provider_key: str) -> str:
        return short_key(provider_key)


class _Here:
    """This machine, which loads `--local-model` when it is asked. Implements LocalResponder."""

    def __init__(self, conversation: _Chat, calls: bool) -> None:
        self._conversation, self._calls = conversation, calls
        self.answers = conversation.where == LOCAL
        """Whether what comes now is its own."""
        self.final: CompletionFinal | None = None

    def is_here(self) -> bool:
        """Whether it could answer without fetching anything."""
        name = _name_here(self._conversation)
        return bool(self._conversation.local_id) or not name or self._conversation.core.machine.named(name) is not None

    def sees(self, target: Target) -> bool:
        return True

    async def can_answer(self) -> bool:
        return True  # an option says that it is to; what it lacks is told then

    def continues(self, model_sha256: str) -> bool:
        return True

    async def describe(self, model_sha256: str = "") -> str:
        self.answers = True
        return await _load_here(self._conversation)

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        await _load_here(self._conversation)
        async with await self._start(question) as completion:
            yield Began("", continues=True)
            async for part in _parts(completion.events):
                yield part
            self.final = await completion.final

    async def _start(self, question: Question) -> LocalCompletion:
        core, options, history = self._conversation.core, self._conversation.options, self._conversation.history
        tools = self._conversation.tools.tools if self._conversation.tools is not None else ()
        choice = ToolChoice() if self._calls else ToolChoice(ToolMode.NONE)
        model = core.machine.loaded_here(self._conversation.local_id)
        if model is None:
            raise ModelError("The local model was unloaded.")
        request = CompletionRequest(
            request_id=str(uuid.uuid4()),
            history=await read_history(history),
            sampling=SamplingParams(temp=options.temp, predict=question.parameters.max_tokens),
            owner=LOCAL,
            continue_from=question.so_far,
            tools=tools,
            tool_choice=choice if tools else ToolChoice(),
        )
        return LocalCompletion(model, request, capture_thinking=True)


async def _parts(events: AsyncIterator[Event]) -> AsyncGenerator[str | Thinking, None]:
    async for event in events:
        if isinstance(event, ThinkingDelta):
            yield Thinking(event.text)
        elif isinstance(event, ContentDelta):
            yield event.text


async def _start(conversation: _Chat, continue_from: ContinueFrom | None = None, *, calls: bool = True) -> Completion:
    core, options, output = conversation.core, conversation.options, conversation.output
    tools = conversation.tools.tools if conversation.tools is not None else ()
    choice = ToolChoice() if calls else ToolChoice(ToolMode.NONE)
    params = GenerationParams(
        temp=UNSET if options.temp is None else options.temp,
        predict=UNSET if options.predict is None else options.predict,
    )
    return await core.consumer.completion(
        conversation.model_id,
        conversation.history,
        generation_params=params,
        capture_thinking=True,
        continue_from=continue_from,
        on_upload=lambda there, size: output.event("upload", sent=there, total=size),
        **wire_tools(tools, choice),
    )


def _show_stats(output: Output, where: str, stats: Stats | None, seconds: float) -> None:
    if stats is None:
        return
    fields: dict[str, float | str | UnsetType] = {
        "timeToFirstToken": stats.time_to_first_token,
        "tokensPerSecond": stats.tokens_per_second,
        "cacheTokens": stats.cache_tokens,
        "promptTokens": stats.prompt_tokens,
        "generatedTokens": stats.generated_tokens,
        "avgConcurrentSeq": stats.avg_concurrent_seq,
        "backendDevice": stats.backend_device,
    }
    output.event("stats", where=where, **{name: _plain(value) for name, value in fields.items() if value is not UNSET})
    if not output.as_json:
        first, speed, taken, given = (
            value if isinstance(value := fields[name], int | float) else 0
            for name in ("timeToFirstToken", "tokensPerSecond", "promptTokens", "generatedTokens")
        )
        output.note(
            f"{where} · first token {first / 1000:.2f} s · {speed:.0f} tok/s · {taken:.0f} in, {given:.0f} out"
            f" · {seconds:.1f} s in all"
        )


def _plain(value: float | str | UnsetType) -> float | str | UnsetType:
    """A count as JavaScript writes it: 32, not 32.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
