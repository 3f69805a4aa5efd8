"""Using somebody else's models by key: load, ask, cancel, unload, over one kept and probed connection per provider.

What 0.16.0 does in dist/server/rpc/handlers/*-delegated.js and delegate-rpc-client.js (docs/wire/qvac.md sections 2, 3,
6 and 7), with every wait bounded. Times are in seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from qvac_core.delegation.blob_upload import Progress
from qvac_core.delegation.completion import Completion
from qvac_core.delegation.connection import CANCEL_SECONDS, ProviderConnection, ReplyT, connection_failed, timed_out
from qvac_core.delegation.copying import copied_bytes
from qvac_core.delegation.failures import Code
from qvac_core.delegation.given_receipts import FEATURE
from qvac_core.delegation.live_requests import Kind
from qvac_core.delegation.load_messages import load_message
from qvac_core.delegation.messages import (
    AnyLoad,
    BundleEntry,
    Cancel,
    CancelKind,
    CancelReply,
    ClaimGrant,
    ClaimGrantReply,
    CompletionStream,
    ContinueFrom,
    CopyEntry,
    Embed,
    EmbedReply,
    GenerationParams,
    Heartbeat,
    HeartbeatReply,
    HelloReply,
    HistoryMessage,
    ListCopies,
    ListCopiesReply,
    ListModels,
    ListModelsReply,
    LoadModel,
    LoadModelReply,
    LoadSpeechModel,
    LoadTranslationModel,
    Manage,
    ManageReply,
    Message,
    ModelEntry,
    ModelProgress,
    ResponseFormat,
    Terms,
    Tool,
    ToolChoice,
    ToolDialect,
    Translate,
    UnloadModel,
    UnloadModelReply,
    encode,
)
from qvac_core.delegation.model_config import F32LE, LLM_MODEL_TYPE, TRANSLATION_MODEL_TYPE, WhisperConfig
from qvac_core.delegation.peer_stream import PeerStream
from qvac_core.delegation.picture_upload import put_pictures
from qvac_core.delegation.receipt_exchange import ReceiptExchange, TakenReceipts
from qvac_core.delegation.receipts import Seen
from qvac_core.delegation.tool_wire import for_sdk, says_of_tools
from qvac_core.delegation.transcript import RemoteLive, Transcript, UploadProgress
from qvac_core.delegation.translation_run import TranslationRun, lines_from
from qvac_core.engines.live_words import LiveOptions
from qvac_core.engines.speech import Audio, TranscriptionEvent
from qvac_core.engines.translation import TranslationRequest, wrong_with_chat
from qvac_core.errors import (
    ConnectionClosed,
    DelegationError,
    IdentityError,
    LocalProtocolError,
    ModelError,
    NetworkError,
    ProviderError,
    QvacError,
    RemoteProtocolError,
)
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

KEY_BYTES = 32
# 0.16.0: delegate.timeout and healthCheckTimeout are at least this.
MIN_TIMEOUT = 0.1


@dataclass(frozen=True, slots=True)
class Delegate:
    """Whose models, and how. timeout: to connect, then for each reply and each silence of a stream; None = defaults.

    fallback_to_local and force_new_connection act in `load_model` only, as in the SDK. Ours also forgets where the
    provider was, and asks the network.
    """

    provider_public_key: bytes
    timeout: float | None = None
    fallback_to_local: bool = False
    force_new_connection: bool = False
    health_check_timeout: float = 1.5

    def __post_init__(self) -> None:
        if len(self.provider_public_key) != KEY_BYTES:
            raise IdentityError("A provider's key is 32 bytes, written as 64 hex digits.")
        if (self.timeout is not None and self.timeout < MIN_TIMEOUT) or self.health_check_timeout < MIN_TIMEOUT:
            raise LocalProtocolError(f"A timeout is at least {MIN_TIMEOUT} seconds.")


@dataclass(frozen=True, slots=True)
class Waits:
    """Bounds where a delegate sets none. first_connect: the network may be cold. idle: silence inside an answer.

    copy_idle: silence inside the bytes of a file, for which nobody computes.
    """

    first_connect: float = 60.0
    connect: float = 10.0
    reply: float = 30.0
    load: float = 900.0
    work: float = 1800.0
    load_idle: float = 300.0
    idle: float = 60.0
    copy_idle: float = 20.0


class Connect(Protocol):
    async def __call__(self, public_key: bytes, force_new: bool, seconds: float) -> PeerStream:
        """An open connection to the peer, tried for so long; `force_new`: as if it had never been met.

        Raises NetworkError.
        """


ProgressCallback = Callable[[ModelProgress], None]


class LocalLoader(Protocol):
    async def __call__(
        self, model_src: str, model_config: Mapping[str, Any], on_progress: ProgressCallback | None, model_type: str
    ) -> str:
        """Load it on this machine instead; returns its model id. Raises QvacError."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """where: "delegated" or "local". delegated_error: why it fell back to local."""

    model_id: str
    where: str
    provider_public_key: bytes | None = None
    delegated_error: QvacError | None = None


class Consumer:
    """`connect` opens connections; nothing here knows the network. Used from one loop; `close()` ends everything.

    Set `closing` when the program begins to end: answers that are left from then on are left for good.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        local_loader: LocalLoader | None = None,
        waits: Waits | None = None,
        on_suspect: Callable[[Completion], None] | None = None,
        receipts: TakenReceipts | None = None,
    ) -> None:
        """receipts: where those of requests that have ended are signed and kept; None = none are."""
        self._connect = connect
        self._local_loader = local_loader
        self._waits = waits or Waits()
        self._on_suspect = on_suspect
        self._connections: dict[bytes, ProviderConnection] = {}
        self._connecting: dict[bytes, asyncio.Task[ProviderConnection]] = {}
        self._connected_once = False
        self._models: dict[str, Delegate] = {}
        self._without_tools: set[str] = set()  # models that were loaded here and ignore tools
        self._translators: set[str] = set()  # ids of models that are translation engines
        self._runs: dict[str, Completion | TranslationRun] = {}
        self._loads: dict[str, ProviderConnection] = {}
        self._working: dict[str, ProviderConnection] = {}  # requests other than answers, by their id
        self._transcripts: dict[str, Transcript] = {}
        self._tasks = TaskOwner(heard=(QvacError, TimeoutError))
        self._speech_configs: dict[str, WhisperConfig] = {}
        self._closed = False
        self.closing = False
        self._receipts = None if receipts is None else ReceiptExchange(receipts, self._tasks.own)
        self._files: dict[bytes, dict[str, ModelEntry]] = {}  # by provider and name, as it said last
        self._sources: dict[str, str] = {}  # of models that were loaded, by id

    # --- Connections ------------------------------------------------------------------------------------------

    def connection(self, public_key: bytes) -> ProviderConnection | None:
        """The open connection to this provider, if there is one now."""
        connection = self._connections.get(public_key)
        return None if connection is None or connection.closed else connection

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionClosed("The consumer is closed.", name="ECLOSED")

    async def _ready(self, delegate: Delegate, *, force_new: bool = False) -> ProviderConnection:
        """A connection that answers: the kept one if it passes its probe, else a new one."""
        self._check_open()
        key = delegate.provider_public_key
        kept = self.connection(key)
        if kept is not None and not force_new:
            if await self._is_there(kept, delegate):
                return kept
            if (newer := self.connection(key)) is not None and newer is not kept:
                return newer
        elif kept is not None:
            await self._retire(kept)
        return await self._open(key, delegate.timeout, force_new)

    async def _is_there(self, kept: ProviderConnection, delegate: Delegate) -> bool:
        """Probe a connection that was kept; one that does not answer is dropped."""
        probe = delegate.health_check_timeout
        if await kept.healthy(probe if delegate.timeout is None else min(probe, delegate.timeout / 2)):
            return True
        kept.destroy()
        return False

    async def _open(self, key: bytes, wanted: float | None, force_new: bool) -> ProviderConnection:
        """Connect once for all who wait. Each waits for its own time; the attempt itself is bounded too."""
        default = self._waits.connect if self._connected_once else self._waits.first_connect
        seconds = default if wanted is None else wanted
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            left = deadline - loop.time()
            task = self._connecting.get(key)
            if task is None:
                task = self._tasks.start(self._open_once(key, max(left, default), force_new), "connect to a provider")
                self._connecting[key] = task
            try:
                return await self._share(task, key, left)
            except TimeoutError:
                if loop.time() >= deadline:
                    raise timed_out(seconds) from None
                # It was begun by somebody who had less time than we have.

    async def _share(self, task: asyncio.Task[ProviderConnection], key: bytes, seconds: float) -> ProviderConnection:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(task)
        except NetworkError as error:
            raise connection_failed(key, error) from error
        except asyncio.CancelledError:
            if not (self._closed and task.cancelled()):
                raise
            raise ConnectionClosed("The consumer was closed.", name="ECLOSED") from None

    async def _open_once(self, key: bytes, seconds: float, force_new: bool) -> ProviderConnection:
        try:
            async with asyncio.timeout(seconds):
                stream = await self._connect(key, force_new, seconds)
        finally:
            self._connecting.pop(key, None)
        exchange = self._receipts
        connection = ProviderConnection(stream, frozenset({FEATURE}) if exchange is None else frozenset())
        if exchange is not None:
            connection.on_greeted = lambda: exchange.begin(connection)
        self._connections[key] = connection
        self._connected_once = True
        self._tasks.own(connection.task)
        connection.task.add_done_callback(lambda _: self._forget_connection(connection))
        return connection

    def _forget_connection(self, connection: ProviderConnection) -> None:
        if self._connections.get(connection.public_key) is connection:
            del self._connections[connection.public_key]

    async def _retire(self, connection: ProviderConnection) -> None:
        """Close a connection in a way that a JavaScript provider survives: its answers are left properly first."""
        await self._leave_all([run for run in self._runs.values() if run.connection is connection])
        await connection.close()

    async def _leave_all(self, runs: Sequence[Completion | TranslationRun]) -> None:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run.leave(closing=True))

    async def _ask(
        self, connection: ProviderConnection, message: Message, expect: type[ReplyT], seconds: float
    ) -> ReplyT:
        """As `ProviderConnection.ask`; a failure that is not the provider's own drops the connection, as in the SDK."""
        try:
            return await connection.ask(message, expect, seconds)
        except ProviderError:
            raise
        except QvacError:
            connection.destroy()
            raise

    # --- Calls ------------------------------------------------------------------------------------------------

    async def heartbeat(self, delegate: Delegate) -> float:
        """Ask whether the provider is there; the time it took in seconds."""
        connection = await self._ready(delegate)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await self._ask(connection, Heartbeat(), HeartbeatReply, delegate.timeout or self._waits.reply)
        return loop.time() - started

    async def hello(self, delegate: Delegate) -> HelloReply | None:
        """What the provider says of itself; None when it is not one of ours. Raises its refusal."""
        connection = await self._ready(delegate)
        await self._ask(connection, Heartbeat(), HeartbeatReply, delegate.timeout or self._waits.reply)
        return await connection.greeted()

    async def list_models(self, delegate: Delegate) -> list[ModelEntry] | None:
        """The models this key may use there; None when the provider is not one of ours and cannot tell."""
        connection = await self._ready(delegate)
        seconds = delegate.timeout or self._waits.reply
        try:
            reply = await self._ask(connection, ListModels(), ListModelsReply, seconds)
            connection.terms = reply.terms if isinstance(reply.terms, Terms) else connection.terms
            self._files[delegate.provider_public_key] = {entry.name: entry for entry in reply.models}
            return reply.models
        except ProviderError as error:
            connection.raise_if_rejected(error)
            return None

    async def claim(self, delegate: Delegate, grant: str) -> None:
        """Show an invite, and be let in. Raises ProviderError with the owner's reason."""
        connection = await self._ready(delegate)
        await self._ask(connection, ClaimGrant(grant), ClaimGrantReply, delegate.timeout or self._waits.reply)
        if self.connection(delegate.provider_public_key) is connection and connection.hello is None:
            await connection.close()  # it was let in to show it alone: the next one is a guest's

    async def manage(self, delegate: Delegate, message: Manage) -> ManageReply:
        """Act on a machine of one's own. Raises ProviderError for its refusal."""
        connection = await self._ready(delegate)
        return await self._ask(connection, message, ManageReply, delegate.timeout or self._waits.reply)

    async def list_copies(self, delegate: Delegate) -> list[CopyEntry | BundleEntry]:
        """The models this key may copy there; none where the provider is not one of ours, or an older one."""
        connection = await self._ready(delegate)
        await connection.greeted()
        if not connection.offers("copies"):
            return []
        reply = await self._ask(connection, ListCopies(), ListCopiesReply, delegate.timeout or self._waits.reply)
        return [*reply.copies, *reply.bundles]

    async def copy_model(self, delegate: Delegate, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of such a file from an offset on; it may end before the last one, and nobody has judged them.

        Raises ProviderError for its refusal, and what a lost connection raises.
        """
        connection = await self._ready(delegate)
        async with aclosing(
            copied_bytes(connection, sha256, offset, delegate.timeout or self._waits.copy_idle)
        ) as chunks:
            async for chunk in chunks:
                yield chunk

    async def load_model(
        self,
        model_src: str,
        *,
        delegate: Delegate,
        model_type: str = LLM_MODEL_TYPE,
        model_config: Mapping[str, Any] | None = None,
        model_name: str | None = None,
        on_progress: ProgressCallback | None = None,
        request_id: str | None = None,
    ) -> Loaded:
        """Have the provider load a model. model_type: canonical; `loading.load_message` knows which.

        Raises ModelError if it cannot, DelegationError if it cannot be reached, LocalProtocolError for what is no type
        or no configuration of it.
        """
        message = load_message(
            model_type,
            model_config,
            model_src=model_src,
            model_name=UNSET if model_name is None else model_name,
            with_progress=True if on_progress else UNSET,
            seed=False,
            request_id=request_id or str(uuid.uuid4()),
        )
        try:
            return await self._load_delegated(message, delegate, on_progress)
        except ModelError:
            raise  # it was reached and said no: the SDK does not fall back then either
        except QvacError as error:
            if not delegate.fallback_to_local or self._local_loader is None:
                raise
            return await self._load_locally(model_src, model_type, model_config or {}, on_progress, error)

    async def completion(
        self,
        model_id: str,
        history: Sequence[HistoryMessage],
        *,
        delegate: Delegate | None = None,
        stream: bool = True,
        generation_params: GenerationParams | None = None,
        kv_cache: bool | str | None = None,
        tools: Sequence[Tool] | None = None,
        tool_choice: ToolChoice | UnsetType = UNSET,
        parallel_tool_calls: bool = True,
        tool_dialect: ToolDialect | UnsetType = UNSET,
        response_format: ResponseFormat | None = None,
        capture_thinking: bool = False,
        emit_raw_deltas: bool = False,
        continue_from: ContinueFrom | None = None,
        request_id: str | None = None,
        pictures: Mapping[str, bytes] = MappingProxyType({}),
        on_upload: Progress | None = None,
    ) -> Completion:
        """Start an answer of a loaded model. Raises if its provider cannot be reached; the rest fails in the answer.

        Pictures that the history names are sent first: files of this machine by `path`, those of `pictures` by
        `sha256`; on_upload hears how much of each is there, in bytes. Raises LocalProtocolError for a file that cannot
        be read, ModelError for what is no picture, DelegationError MODEL_OPERATION_NOT_SUPPORTED for a provider that
        cannot take any.
        """
        message = CompletionStream(
            model_id=model_id,
            history=list(history),
            stream=stream,
            kv_cache=UNSET if kv_cache is None else kv_cache,
            tools=list(tools) if tools else UNSET,
            tool_choice=tool_choice if tools else UNSET,
            parallel_tool_calls=UNSET if parallel_tool_calls else False,
            tool_dialect=tool_dialect if tools else UNSET,
            response_format=UNSET if response_format is None else response_format,
            generation_params=UNSET if generation_params is None else generation_params,
            capture_thinking=True if capture_thinking else UNSET,
            emit_raw_deltas=True if emit_raw_deltas else UNSET,
            continue_from=UNSET if continue_from is None else continue_from,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self.ask(message, delegate, pictures=pictures, on_upload=on_upload)

    async def ask(
        self,
        message: CompletionStream,
        delegate: Delegate | None = None,
        *,
        pictures: Mapping[str, bytes] = MappingProxyType({}),
        on_upload: Progress | None = None,
    ) -> Completion:
        """As `completion`, for a request that is written already. It has a request id.

        One of ours is asked and probed at once: a round trip less to the first token. Where the probe fails, it is
        asked anew on another connection, and what it makes of the first request ends with the old one.
        """
        self._check_open()
        delegate = delegate or self._delegate_of(message.model_id)
        kept = self.connection(delegate.provider_public_key)
        if kept is not None and kept.hello is not None and not any(part.attachments for part in message.history):
            run = await self._ask_unprobed(kept, message, delegate)
            if run is not None:
                return run
        connection = await self._ready(delegate)
        # Calls are checked by the whole schemas; those that 0.16 is sent are flat.
        tools = message.tools or ()
        if says_of_tools(message) and await connection.greeted() is None:
            message = for_sdk(message)
        history = await put_pictures(connection, message.history, pictures, on_upload)
        return self._begin(connection, msgspec.structs.replace(message, history=history), delegate, tools)

    async def _ask_unprobed(
        self, kept: ProviderConnection, message: CompletionStream, delegate: Delegate
    ) -> Completion | None:
        """None when the probe that went ahead of the request was not answered."""
        probe = self._tasks.start(self._is_there(kept, delegate), "probe of a provider")
        await asyncio.sleep(0)  # it is in front of a request that may be long, and in one packet with a short one
        if kept.closed:
            return None
        run = self._begin(kept, message, delegate, message.tools or ())
        try:
            return run if await probe else None
        except BaseException:
            self._tasks.start(run.leave(), "leaving an answer")
            raise

    def _begin(
        self, connection: ProviderConnection, message: CompletionStream, delegate: Delegate, tools: Sequence[Tool]
    ) -> Completion:
        run = Completion(
            connection,
            message,
            idle_seconds=delegate.timeout or self._waits.idle,
            on_suspect=self._on_suspect,
            closing=lambda: self.closing,
            tools=tools,
        )
        self._runs[run.request_id] = run
        self._tasks.own(run.task)
        asked_at, size = time.time(), len(encode(message))
        run.task.add_done_callback(lambda _: self._forget_run(run))
        run.task.add_done_callback(
            lambda _: self._served(
                connection,
                *("completionStream", run.request_id, run.model_id, asked_at, size),
                run.pieces,
                run.counted,
            )
        )
        return run

    def _served(
        self,
        connection: ProviderConnection,
        method: str,
        request_id: str,
        model_id: str,
        asked_at: float,
        size: int,
        pieces: int = 0,
        counted: tuple[int, int] | None = None,
        amount: tuple[float, str] | None = None,
    ) -> None:
        """One request has ended, in whatever way: its receipt is asked for. counted: tokens, as its last line said.

        amount: texts or seconds of sound that were sent, with that word.
        """
        if self._receipts is None:
            return
        source = self._sources.get(model_id, "")
        entry = self._files.get(connection.public_key, {}).get(source)
        seen = Seen(
            connection.public_key.hex(),
            *(request_id, method, asked_at, time.time()),
            *(source, "" if entry is None else entry.sha256, size, pieces),
            *(counted or (None, None)),
            *(amount or (None, "")),
        )
        self._receipts.served(connection, seen)

    def _forget_run(self, run: Completion) -> None:
        if self._runs.get(run.request_id) is run:  # not the one that was asked anew under its id
            del self._runs[run.request_id]

    async def embed(
        self,
        model_id: str,
        text: str | Sequence[str],
        *,
        delegate: Delegate | None = None,
        request_id: str | None = None,
    ) -> EmbedReply:
        """The vector of a text, or those of a list of them. Leaving it stops it at the provider.

        Raises ProviderError (too many texts, one too long, quota, …), DelegationError, ConnectionClosed.
        """
        delegate = delegate or self._delegate_of(model_id)
        message = Embed(
            model_id=model_id,
            text=text if isinstance(text, str) else list(text),
            request_id=request_id or str(uuid.uuid4()),
        )
        connection = await self._ready(delegate)
        asked_at, its_id = time.time(), str(message.request_id)
        try:
            reply = await self._ask_work(connection, message, its_id, EmbedReply, delegate)
        finally:
            texts = 1 if isinstance(message.text, str) else len(message.text)
            amount = texts, Kind.EMBEDDINGS.unit
            self._served(connection, "embed", its_id, model_id, asked_at, len(encode(message)), amount=amount)
        if not reply.success:
            said = reply.error if isinstance(reply.error, str) else "The provider could not make the embedding."
            raise ProviderError(said)
        return reply

    def speech_config(self, model_id: str) -> WhisperConfig:
        """What a speech model was loaded with by `load_model`. Raises DelegationError for one that never was."""
        self._delegate_of(model_id)
        return self._speech_configs.get(model_id, WhisperConfig())

    def ignores_tools(self, model_id: str) -> bool:
        """Whether the model was loaded here, and without `tools`: its provider says nothing of tools it gets then."""
        return model_id in self._without_tools

    def is_translator(self, model_id: str) -> bool:
        """Whether the model was loaded here as a translation engine."""
        return model_id in self._translators

    async def translate(
        self,
        model_id: str,
        text: str | Sequence[str],
        *,
        to: str = "",
        from_: str | None = None,
        context: str | None = None,
        stream: bool = True,
        delegate: Delegate | None = None,
        request_id: str | None = None,
    ) -> TranslationRun:
        """Start a translation by a loaded chat or translation model. to, from_: language codes, or names.

        text: several, by a translation model. Raises LocalProtocolError, or if its provider cannot be reached; the rest
        fails in the translation.
        """
        delegate = delegate or self._delegate_of(model_id)
        several = () if isinstance(text, str) else tuple(text)
        by_engine = model_id in self._translators
        if not by_engine and (wrong := wrong_with_chat(TranslationRequest("", str(text), to, texts=several))):
            raise LocalProtocolError(wrong)
        message = Translate(
            model_id=model_id,
            model_type=TRANSLATION_MODEL_TYPE if by_engine else LLM_MODEL_TYPE,
            text=text if isinstance(text, str) else list(text),
            stream=stream,
            to=to,
            from_=UNSET if from_ is None else from_,
            context=UNSET if context is None else context,
            request_id=request_id or str(uuid.uuid4()),
        )
        connection = await self._ready(delegate)
        its_id = str(message.request_id)

        async def stop() -> int:
            reply = await connection.ask(Cancel(operation="request", request_id=its_id), CancelReply, CANCEL_SECONDS)
            return reply.cancelled if isinstance(reply.cancelled, int) else 0

        lines = lines_from(connection, message, delegate.timeout or self._waits.idle)
        run = TranslationRun(its_id, lines, stop, connection, several=bool(several))
        self._runs[its_id] = run
        self._tasks.own(run.task)
        asked_at, size = time.time(), len(encode(message))
        run.task.add_done_callback(lambda _: self._runs.pop(its_id, None))
        run.task.add_done_callback(
            lambda _: self._served(
                connection, *("translate", its_id, model_id, asked_at, size), len(run.text_so_far.encode())
            )
        )
        return run

    async def cancel(
        self, *, request_id: str | None = None, model_id: str | None = None, kind: CancelKind | None = None
    ) -> int:
        """Stop one request, or all of this key on a model, at the provider; how many it stopped."""
        if request_id is not None:
            return await self._cancel_request(request_id)
        if model_id is None:
            raise LocalProtocolError("cancel needs a request_id or a model_id")
        delegate = self._delegate_of(model_id)
        connection = await self._ready(delegate)
        message = Cancel(operation="broad", model_id=model_id, kind=UNSET if kind is None else kind)
        reply = await self._ask(connection, message, CancelReply, delegate.timeout or self._waits.reply)
        if not reply.success:
            raise ProviderError(reply.error if isinstance(reply.error, str) else "The provider could not cancel.")
        return reply.cancelled if isinstance(reply.cancelled, int) else 0

    def provider_of(self, model_id: str) -> bytes:
        """The public key of the provider at which it was loaded. Raises DelegationError MODEL_NOT_FOUND."""
        return self._delegate_of(model_id).provider_public_key

    async def unload_model(self, model_id: str) -> bool:
        """Give the model back. It is forgotten here in any case; False when the provider did not confirm."""
        delegate = self._models.pop(model_id, None)
        if delegate is None:
            return False
        try:
            connection = await self._ready(delegate)
            seconds = delegate.timeout or self._waits.reply
            reply = await self._ask(connection, UnloadModel(model_id=model_id), UnloadModelReply, seconds)
        except QvacError as error:
            logger.debug("a provider was not told of an unload: %s", error)
            return False
        return reply.success

    async def disconnect(self, public_key: bytes) -> None:
        """Leave this provider's answers and close its connection."""
        if (connection := self.connection(public_key)) is not None:
            await self._retire(connection)

    async def close(self) -> None:
        """Leave every answer properly, close every connection, end every task. Bounded."""
        self._closed = self.closing = True
        for task in self._connecting.values():
            task.cancel()
        await self._leave_all(list(self._runs.values()))
        if self._receipts is not None:
            await self._receipts.close()
        async with asyncio.TaskGroup() as group:
            for connection in list(self._connections.values()):
                group.create_task(connection.close())
        await self._tasks.settle()

    async def transcribe(
        self,
        model_id: str,
        audio: Audio,
        *,
        delegate: Delegate | None = None,
        prompt: str = "",
        request_id: str | None = None,
        on_upload: UploadProgress | None = None,
        start_ms: int = 0,
        impatient: Callable[[], bool] | None = None,
    ) -> AsyncGenerator[TranscriptionEvent, None]:
        """What `SpeechModel.transcribe` yields, from a loaded model at its provider. Leaving it stops it there.

        A file travels as it is, in parts; on_upload: its bytes there, and in all. A provider of the SDK's own gets raw
        samples with the requests. start_ms: what is before it was heard already, by somebody else. impatient: whether
        somebody else could go on; then a provider that is gone is given up within a second.

        Raises ProviderError (no sound in it, longer than allowed, …), DelegationError, LocalProtocolError for a file
        that cannot be read, ConnectionClosed.
        """
        delegate = delegate or self._delegate_of(model_id)
        connection = await self._ready(delegate)
        request_id = request_id or str(uuid.uuid4())
        self._working[request_id] = connection
        asked_at = time.time()
        float32 = self._speech_configs.get(model_id, WhisperConfig()).audio_format == F32LE
        run = Transcript(
            connection, model_id, request_id, prompt, float32=float32, start_ms=start_ms, impatient=impatient
        )
        try:
            self._transcripts[request_id] = run
            async with aclosing(run.events(audio, on_upload)) as events:
                async for event in events:
                    yield event
        finally:
            self._working.pop(request_id, None)
            self._transcripts.pop(request_id, None)
            told = None if run.heard_seconds is None else (run.heard_seconds, Kind.TRANSCRIBE.unit)
            self._served(connection, "transcribe", request_id, model_id, asked_at, 0, amount=told)

    async def transcribe_live(
        self,
        model_id: str,
        options: LiveOptions,
        *,
        delegate: Delegate | None = None,
        request_id: str | None = None,
    ) -> RemoteLive:
        """A live transcript by a loaded model at its provider; its language and translation are those it was loaded
        with, as is the format of its sound, which has to be f32le (`load_model`)."""
        delegate = delegate or self._delegate_of(model_id)
        connection = await self._ready(delegate)
        live = RemoteLive(connection, model_id, options, request_id or str(uuid.uuid4()))
        self._tasks.own(live.task)
        asked_at = time.time()
        live.task.add_done_callback(
            lambda _: self._served(
                connection,
                *(Kind.TRANSCRIBE.method, live.request_id, model_id, asked_at, 0),
                amount=(live.sent_seconds, Kind.TRANSCRIBE.unit),
            )
        )
        return live

    async def _ask_work(
        self,
        connection: ProviderConnection,
        message: Message,
        request_id: str,
        expect: type[ReplyT],
        delegate: Delegate,
    ) -> ReplyT:
        """A reply that takes its time to make. Leaving it, and giving it up, tell the provider to stop."""
        self._working[request_id] = connection
        try:
            return await self._ask(connection, message, expect, delegate.timeout or self._waits.work)
        except asyncio.CancelledError:
            if not connection.closed:
                self._tasks.start(connection.stop_request(request_id), "stopping a request")
            raise
        finally:
            self._working.pop(request_id, None)

    # --- Parts of calls ---------------------------------------------------------------------------------------

    async def _load_delegated(
        self, message: AnyLoad, delegate: Delegate, on_progress: ProgressCallback | None
    ) -> Loaded:
        connection = await self._ready(delegate, force_new=delegate.force_new_connection)
        request_id = str(message.request_id)
        self._loads[request_id] = connection
        try:
            if on_progress is None:
                seconds = delegate.timeout or self._waits.load
                reply = await self._ask(connection, message, LoadModelReply, seconds)
            else:
                seconds = delegate.timeout or self._waits.load_idle
                reply = await self._load_streamed(connection, message, on_progress, seconds)
        finally:
            self._loads.pop(request_id, None)
        if not reply.success:
            raise _load_failed(reply)
        model_id = reply.model_id if isinstance(reply.model_id, str) else message.model_src
        self._models[model_id] = delegate
        self._sources[model_id] = message.model_src
        if isinstance(message, LoadSpeechModel) and not isinstance(message.model_config, UnsetType):
            self._speech_configs[model_id] = message.model_config
        (self._translators.add if isinstance(message, LoadTranslationModel) else self._translators.discard)(model_id)
        has_tools = isinstance(message, LoadModel) and message.model_config.tools is True
        (self._without_tools.discard if has_tools else self._without_tools.add)(model_id)
        return Loaded(model_id, "delegated", delegate.provider_public_key)

    async def _load_streamed(
        self, connection: ProviderConnection, message: AnyLoad, on_progress: ProgressCallback, seconds: float
    ) -> LoadModelReply:
        loop = asyncio.get_running_loop()
        stream = connection.open_stream(message)
        try:
            async with asyncio.timeout(seconds) as idle:
                async for reply in connection.replies(stream):
                    idle.reschedule(loop.time() + seconds)
                    if isinstance(reply, LoadModelReply):
                        return reply
                    if isinstance(reply, ModelProgress):
                        on_progress(reply)
        except TimeoutError:
            await connection.stop_request(str(message.request_id))
            raise timed_out(seconds) from None
        except (ConnectionClosed, RemoteProtocolError):
            connection.destroy()
            raise
        finally:
            stream.destroy()
        code = Code.DELEGATE_NO_FINAL_RESPONSE
        raise DelegationError("The provider ended the load without a result.", name=code.name, code=code.value)

    async def _load_locally(
        self,
        source: str,
        model_type: str,
        config: Mapping[str, Any],
        on_progress: ProgressCallback | None,
        delegated: QvacError,
    ) -> Loaded:
        assert self._local_loader is not None
        try:
            model_id = await self._local_loader(source, config, on_progress, model_type)
        except QvacError as local:
            raise ModelError(
                "Both delegated and local loading failed. "
                f"Delegated error: {delegated.message} Local error: {local.message}"
            ) from local
        return Loaded(model_id, "local", delegated_error=delegated)

    async def _cancel_request(self, request_id: str) -> int:
        run = self._runs.get(request_id)
        if isinstance(run, TranslationRun):
            return await run.cancel()
        transcript = self._transcripts.get(request_id)
        if transcript is not None and transcript.cancel():
            return 1
        working = self._loads.get(request_id) or self._working.get(request_id)
        connection = working if run is None else run.connection
        if connection is None:
            return 0
        message = Cancel(operation="request", request_id=request_id)
        reply = await self._ask(connection, message, CancelReply, self._waits.reply)
        return reply.cancelled if isinstance(reply.cancelled, int) else 0

    def _delegate_of(self, model_id: str) -> Delegate:
        delegate = self._models.get(model_id)
        if delegate is None:
            code = Code.MODEL_NOT_FOUND
            raise DelegationError(f'Model with ID "{model_id}" is not loaded.', name=code.name, code=code.value)
        return delegate


def _load_failed(reply: LoadModelReply) -> ModelError:
    said = reply.error if isinstance(reply.error, str) else "Unknown error"
    # Ours says who speaks; the original's text does not.
    ours = said.startswith(("This provider ", "The provider "))
    return ModelError(
        said if ours else f"The provider failed to load the model: {said}",
        name=reply.name if isinstance(reply.name, str) else None,
        code=reply.code if isinstance(reply.code, int) else None,
    )
