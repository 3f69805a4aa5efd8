"""The worker process: one model, one context, one thread that steps the scheduler.

`python -m qvac_core.engines.worker`, or `THE-APP --worker` where the app is frozen. Speaks `worker_protocol` on the
pipes that were its stdin and stdout; whatever native code prints goes to stderr. Ends when its parent does.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NoReturn, Protocol

from qvac_core.engines.abilities import not_supported
from qvac_core.engines.answer_length import ANSWER_TOKENS
from qvac_core.engines.answer_maker import Arrived, MediaPrompt, Order, open_maker
from qvac_core.engines.answer_reader import AnswerReader, Said
from qvac_core.engines.answer_text import checked_stop
from qvac_core.engines.available import choose, choose_for
from qvac_core.engines.interface import (
    CompletionRequest,
    CompletionStats,
    ModelInfo,
    StopReason,
    Token,
    ToolCall,
)
from qvac_core.engines.pictures import no_vision, pictures_of
from qvac_core.engines.request_defaults import merge_sampling, one_history, with_defaults
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.scheduler import overflow
from qvac_core.engines.thinking import OPEN_TAG, ThinkingReader
from qvac_core.engines.tool_history import frames_of, new_call_id, with_calls
from qvac_core.engines.tool_reader import ToolReader
from qvac_core.engines.tools import CheckedTool, candidates, force, usable
from qvac_core.engines.worker_pipes import worker_process
from qvac_core.engines.worker_protocol import (
    MODELS,
    Alive,
    Called,
    Cancel,
    Command,
    DeviceList,
    Done,
    Embed,
    Failed,
    Forget,
    ListDevices,
    Load,
    Loaded,
    Loading,
    NotCalled,
    Report,
    Shutdown,
    Submit,
    Text,
)
from qvac_core.errors import DelegationError, ModelError, RequestRefused

ALIVE_INTERVAL = 1.0  # seconds
SLOT_LIMIT = 64  # chats in one context; llama.cpp bears 256 sequences
REST_AFTER = 60.0  # seconds without a request
PROGRESS_STEP = 0.01  # of the load, between two reports

Inbox = queue.SimpleQueue[Command | Arrived]  # from the app, and from an engine's own threads


class Outbox:
    """Collects what one step produced and writes it as one frame."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._reports: list[Report] = []
        self._readers: dict[int, AnswerReader] = {}
        self._sent_at = time.monotonic()

    def read_as(self, job_id: int, reader: AnswerReader) -> None:
        """How the text of an answer is to be taken apart."""
        self._readers[job_id] = reader

    def put(self, report: Report) -> None:
        self._reports.append(report)

    def text(self, job_id: int, text: str) -> None:
        self._said(job_id, self._readers[job_id].feed(text))

    def _said(self, job_id: int, said: list[Said]) -> None:
        for part in said:
            if isinstance(part, Token):
                self.put(Text(job_id, part.text, part.thinking))
            else:
                self.put(Called(job_id, part) if isinstance(part, ToolCall) else NotCalled(job_id, part))

    def done(self, job_id: int, reason: StopReason, stats: CompletionStats) -> None:
        self._said(job_id, self._readers.pop(job_id).end())
        self.put(Done(job_id, reason, stats))

    def failed(self, job_id: int, error: ModelError) -> None:
        self._readers.pop(job_id, None)
        self.put(failed(job_id, error))

    def flush(self, *, busy: bool = False) -> None:
        if not self._reports and busy and time.monotonic() - self._sent_at > ALIVE_INTERVAL:
            self._reports.append(Alive())
        if self._reports:
            self._pipe.write(MODELS.frame_reports(self._reports))
            self._pipe.flush()
            self._reports = []
            self._sent_at = time.monotonic()


def failed(job_id: int, error: DelegationError) -> Failed:
    fields = dict(error.typed_fields)
    detail = str(fields.pop("log", ""))
    return Failed(
        job_id, error.name, error.code, error.message, detail, fields, refused=isinstance(error, RequestRefused)
    )


def _mistaken(error: Exception) -> ModelError:
    traceback.print_exception(error)  # to the log
    return ModelError(
        "This request cannot be answered: it trips the model process up.", name="COMPLETION_FAILED", code=52406
    )


class Runs(Protocol):
    """What makes the results of one loaded model; see `AnswerMaker`."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def steps(self) -> bool: ...

    @property
    def busy(self) -> bool: ...

    def step(self) -> None: ...

    def take(self, arrived: Arrived) -> None: ...

    def cancel(self, job_id: int) -> bool: ...


class ModelWorker:
    """One loaded model, from its load to the end of the process."""

    def __init__(self, runs: Runs, outbox: Outbox, inbox: Inbox) -> None:
        self._runs = runs
        self._outbox = outbox
        self._inbox = inbox
        outbox.put(Loaded(runs.info))
        outbox.flush()

    def accept(self, command: Submit | Embed) -> None:
        """A request. Raises ModelError when it is not to be answered."""
        raise NotImplementedError

    def rest(self) -> None:
        """Nothing was asked for REST_AFTER seconds."""

    def forget(self, owner: str) -> None:
        """Keep nothing of what this owner has said so far."""

    def end(self) -> None:
        """No more is asked: the process ends."""

    def run(self) -> None:
        """Until Shutdown."""
        rested = False
        while True:
            while not (self._runs.steps and self._inbox.empty()):
                try:
                    item = self._inbox.get(timeout=None if rested else REST_AFTER)
                except queue.Empty:
                    rested = not self._runs.busy
                    if rested:
                        self.rest()
                    continue
                rested = False
                if isinstance(item, Shutdown):
                    self.end()
                    return
                if isinstance(item, Arrived):
                    self._runs.take(item)
                    self._outbox.flush(busy=self._runs.busy)
                else:
                    self._obey(item)
            self._runs.step()
            self._outbox.flush(busy=self._runs.busy)

    def _obey(self, command: Command) -> None:
        if isinstance(command, Submit | Embed):
            try:
                self.accept(command)
            except ModelError as error:
                self._outbox.failed(command.id, error)
            except Exception as error:  # noqa: BLE001
                # A mistake of ours with what a stranger sent: it must not cost the others' answers, as a crash would.
                self._outbox.failed(command.id, _mistaken(error))
        elif isinstance(command, Cancel):
            self._runs.cancel(command.id)
        elif isinstance(command, Forget):
            self.forget(command.owner)
        self._outbox.flush()


class ChatWorker(ModelWorker):
    """A chat model's."""

    def __init__(self, load: Load, outbox: Outbox, inbox: Inbox) -> None:
        self._config = config = replace(load.config, slots=min(max(load.config.slots, 1), SLOT_LIMIT))
        self._reported = -1.0
        self._outbox = outbox
        path = Path(load.path)
        self._maker = open_maker(
            choose_for(config, load.engine),
            path,
            config,
            outbox,
            on_progress=self._progress,
            deliver=inbox.put,
            kept=load.kept,
        )
        super().__init__(self._maker, outbox, inbox)

    def _progress(self, fraction: float) -> None:
        if fraction >= 1.0 or fraction - self._reported >= PROGRESS_STEP:
            self._reported = fraction
            self._outbox.put(Loading(fraction))
            self._outbox.flush()

    def accept(self, command: Submit | Embed) -> None:
        if isinstance(command, Embed):
            raise not_supported("A chat model makes no embeddings. Choose an embedding model.")
        self._maker.submit(self._order(command.id, command.request))

    def rest(self) -> None:
        self._maker.rest()

    def forget(self, owner: str) -> None:
        self._maker.forget(owner)

    def end(self) -> None:
        self._maker.end()

    def _order(self, job_id: int, request: CompletionRequest) -> Order:
        tools = usable(request, self._maker.n_ctx)
        request = with_defaults(request, self._config)
        vocabulary, template = self._maker.vocabulary, self._maker.template
        frames = frames_of(request, template.format)
        request = with_calls(request, tools, frames)
        request, pictures = self._with_pictures(request)
        session, request = self._session_tokens(request, tools)
        grammar = grammar_for(request.response_schema) if request.response_schema else ""
        lead: str | None = None
        if must := candidates(request, tools):
            forced = force(must, template.format, several=request.parallel_tool_calls)
            grammar, lead = forced.grammar, forced.lead
        # A grammar leaves no room for thinking: it begins with the first token.
        answer_now = bool(grammar) or not request.thinking
        prompt = template.render(
            request.history,
            so_far=request.continue_from,
            answer_now=answer_now,
            tools=() if session else tools,
            lead=lead or "",
        )
        media = MediaPrompt(vocabulary.prompt_text(prompt), pictures) if pictures else None
        tokens = session + vocabulary.prompt_tokens(prompt, self._maker.n_ctx, opens=not session)
        begun = bool(request.continue_from or grammar)
        thinking = ThinkingReader(vocabulary.style, prompt.opened, begun=begun, tools=bool(tools))
        reader = None
        if tools:
            reader = ToolReader(tools, frames, new_id=new_call_id, several=request.parallel_tool_calls, lead=lead)
            reader.feed(request.continue_from)  # what was told of it already
        self._outbox.read_as(job_id, AnswerReader(thinking, reader, vocabulary.controls_by_mark))
        predict = ANSWER_TOKENS if request.sampling.predict is None else request.sampling.predict
        if request.context_tokens:
            if len(tokens) >= request.context_tokens:
                raise overflow(len(tokens), request.context_tokens)
            room = request.context_tokens - len(tokens)
            predict = min(predict, room) if predict > 0 else room
        return Order(
            id=job_id,
            prompt=tokens,
            session_tokens=len(session),
            show_stop=request.show_stop,
            sampling=merge_sampling(request.sampling, self._maker.sampling),
            grammar=grammar,
            so_far="" if lead else request.continue_from,
            owner=request.owner,
            stop=checked_stop(request.stop),
            predict=predict if predict > 0 else None,
            media=media,
        )

    def _with_pictures(self, request: CompletionRequest) -> tuple[CompletionRequest, tuple[bytes, ...]]:
        """The request with a marker for each picture, in front of the text of its message; and the pictures."""
        history = (*one_history(request.session), *request.history)
        pictures = pictures_of(history)
        if not pictures:
            return request, ()
        marker = self._maker.media_marker
        if not marker:
            raise no_vision()
        # As one conversation, without a session: what a prompt has in common with the last one is found all the same.
        marked = (replace(message, content=marker * len(message.pictures) + message.content) for message in history)
        return replace(request, history=tuple(marked), session=()), pictures

    def _session_tokens(
        self, request: CompletionRequest, tools: Sequence[CheckedTool]
    ) -> tuple[list[int], CompletionRequest]:
        """What stands in the session, and the request that follows it. Each turn was a prompt of its own there, and the
        tools stand in the first.

        A template that refuses a turn by itself (a system prompt without a question) gets one history of all turns.
        """
        tokens: list[int] = []
        try:
            for turn in request.session:
                prompt = self._maker.template.render(
                    turn.history, add_generation_prompt=turn.answer is not None, tools=() if tokens else tools
                )
                tokens += self._maker.vocabulary.prompt_tokens(prompt, self._maker.n_ctx, opens=not tokens)
                # An answer is kept with the tag that opens its thinking, also where the prompt has that tag.
                answer = (turn.answer or "").removeprefix(OPEN_TAG if prompt.opened else "")
                tokens += self._maker.vocabulary.answer_tokens(answer) if answer else []
        except ModelError:
            return [], replace(request, history=(*one_history(request.session), *request.history), session=())
        return tokens, request


def main() -> NoReturn:
    """The process, to its end: it never returns."""
    worker_process(MODELS, lambda inbox, reports: _serve(inbox, Outbox(reports)))


def _serve(inbox: Inbox, outbox: Outbox) -> None:
    while True:
        command = inbox.get()
        if isinstance(command, ListDevices):
            from qvac_core.engines.devices import list_devices

            outbox.put(DeviceList(list_devices(choose(command.engine))))
            outbox.flush()
        elif isinstance(command, Load):
            try:
                worker = _open(command, outbox, inbox)
            except ModelError as error:
                outbox.failed(0, error)
                outbox.flush()
                return
            worker.run()
            return
        elif isinstance(command, Shutdown):
            return


def _open(load: Load, outbox: Outbox, inbox: Inbox) -> ModelWorker:
    if not load.embeds:
        return ChatWorker(load, outbox, inbox)
    from qvac_core.engines.embedding_worker import EmbeddingWorker

    return EmbeddingWorker(load, outbox, inbox)


if __name__ == "__main__":
    main()
