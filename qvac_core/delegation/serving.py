"""One consumer's connection at a provider: which method a request names, whether it may, and who answers it.

docs/wire/qvac.md sections 1, 2 and 12; docs/architecture.md "Safe by default". A heartbeat is answered here and now, in
front of every queue.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace as replace_fields

from qvac_core.delegation.admission import AccessPolicy, Allowance, Limits
from qvac_core.delegation.answer_lines import AnswerLines
from qvac_core.delegation.answers import Answer
from qvac_core.delegation.blobs import BlobStore, KeyBlobs
from qvac_core.delegation.claims import Claims
from qvac_core.delegation.copies import Copying, check_room, list_copies, not_to_be_copied
from qvac_core.delegation.copies import find as find_copy
from qvac_core.delegation.embeddings import embed
from qvac_core.delegation.events import Outcome
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy, error_reply
from qvac_core.delegation.given_receipts import AT_ONCE, ENDING_SECONDS, FEATURE, GivenReceipts
from qvac_core.delegation.held_bytes import HeldBytes
from qvac_core.delegation.held_models import (
    HeldModels,
    Known,
    KnownEmbeddingModel,
    KnownModel,
    KnownModels,
    KnownSpeechModel,
    KnownTranslationModel,
    LimitsOf,
    model_not_found,
)
from qvac_core.delegation.kv_sessions import KvSessions
from qvac_core.delegation.life_signs import (
    GUEST_GONE_SECONDS,
    GUEST_LOOK_SECONDS,
    GUEST_LOST_LINE_SECONDS,
    GUEST_LOST_SECONDS,
    Silence,
)
from qvac_core.delegation.live_requests import Ending, Kind, LiveRequest, LiveRequests, stop_for
from qvac_core.delegation.loads import load, plugin_not_found
from qvac_core.delegation.managed import Managed
from qvac_core.delegation.messages import (
    SERVED_MODEL_TYPES,
    AnyLoad,
    BlobStatus,
    BlobStatusReply,
    Cancel,
    CancelReply,
    ClaimGrant,
    ClaimGrantReply,
    CompletionStream,
    CopyModel,
    Embed,
    Envelope,
    Heartbeat,
    HeartbeatReply,
    Hello,
    HelloReply,
    Keepalive,
    KeepaliveReply,
    ListCopies,
    ListModels,
    ListModelsReply,
    Manage,
    Message,
    ModelEntry,
    PutBlob,
    PutBlobReply,
    Receipts,
    ReceiptsReply,
    SignReceipts,
    SignReceiptsReply,
    Terms,
    Transcribe,
    TranscribeStream,
    Translate,
    UnloadModel,
    UnloadModelReply,
    decode_envelope,
    decode_request,
    encode,
    split_payload,
)
from qvac_core.delegation.methods import REMOTE_SAFE, SHAPES, Shape, shape_of
from qvac_core.delegation.model_config import API_ONLY_MODEL_TYPES, LLM_MODEL_TYPE
from qvac_core.delegation.models_of_keys import ModelsOfKeys
from qvac_core.delegation.owner_stops import GUEST_AWAY, MODEL_OFF, OwnerStop
from qvac_core.delegation.parts import ModelPool, OfferedModel, RequestLog
from qvac_core.delegation.peer_stream import PeerStream
from qvac_core.delegation.policy import Act, Cause, State, Verdict, What, decide
from qvac_core.delegation.policy_words import rejection, stop
from qvac_core.delegation.prompt_estimate import prompt_estimate
from qvac_core.delegation.receipts import NO_FILE_SEEN
from qvac_core.delegation.rpc import Rpc, RpcLimits
from qvac_core.delegation.rpc_streams import IncomingRequest, IncomingStream, OutgoingStream
from qvac_core.delegation.terms import terms_of
from qvac_core.delegation.transcriptions import SpeechParts, transcribe, transcribe_live
from qvac_core.delegation.translations import translate
from qvac_core.delegation.turns import Turns
from qvac_core.delegation.work import Work
from qvac_core.engines.abilities import chat_of, embedding_of, speech_of
from qvac_core.engines.interface import EmbeddingModel, LoadedModel
from qvac_core.engines.speech import SpeechModel
from qvac_core.errors import ConnectionClosed, QvacError, RemoteProtocolError
from qvac_core.store.days import end_of_day

logger = logging.getLogger(__name__)

HELLO_VERSION = 1
# Of docs/wire/qvac.md section 12, what this version does.
# signs: a guest says something at least every 0.3 s while it waits, so that silence means that it is gone.
OUR_FEATURES = frozenset(
    {
        "models",
        "queue",
        "continue",
        "keepalive",
        "signs",
        "blobs",
        "pictures",
        "copies",
        "limits",
        "grants",
        "startMs",
        FEATURE,
    }
)
APP_NAME = "qvac-desktop"
HEAD_SECONDS = 10.0  # for the first chunk of a request whose body is a stream
NO_TRANSLATION = "This model does not translate. Load a chat model."
NO_ENGINE = "This model is no translation engine. Load one, or ask with the modelType llm."
NO_SPEECH = "This model transcribes no speech. Load a Whisper model."

# What ends an answer that runs.
_STOPPING = frozenset({Cause.MODEL, Cause.TOKENS, Cause.TOKENS_OF_ALL, Cause.ANSWER_LENGTH})

KnownKind = TypeVar("KnownKind", bound=Known)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a provider says of itself to our own consumers. logs_content: prompts and answers are kept.

    wake: to machines of the owner's own alone, addresses of network cards by which it is woken.
    """

    name: str = ""
    logs_content: bool = False
    wake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of one provider share. `now`: Unix seconds. `resting`: whether no request is taken now,
    and until when, where that is known. without: features of OUR_FEATURES that this provider does not have.
    """

    limits: Limits
    policy: AccessPolicy
    models: ModelsOfKeys
    pool: ModelPool
    known: KnownModels
    requests: LiveRequests
    turns: Turns
    held: HeldBytes
    sessions: KvSessions
    blobs: BlobStore
    log: RequestLog
    claims: Claims
    receipts: GivenReceipts
    without: frozenset[str]
    managed: Managed
    greeting: Callable[[], Greeting]
    limits_of: LimitsOf
    now: Callable[[], float]
    resting: Callable[[], tuple[bool, float | None]]
    on_models_changed: Callable[[], None]


class Session:
    """An admitted consumer on one connection. The provider owns it and awaits `run()`."""

    def __init__(self, service: Service, stream: PeerStream) -> None:
        self._service = service
        self.stream = stream
        self.public_key = stream.remote_public_key
        self.host = stream.remote_address[0]
        self.limits = service.limits
        self.models = service.models
        self.known = service.known
        self.requests = service.requests
        self.turns = service.turns
        self.held = HeldModels(service.pool, service.limits, service.on_models_changed, service.limits_of)
        self.sessions = service.sessions
        self.blobs = KeyBlobs(service.blobs, stream.remote_public_key)
        self.tells_places = False
        self.is_ours = False
        self.knows_limits = False
        self.gives_signs = False
        self.signs_receipts = False
        self._watching: asyncio.Task[None] | None = None
        self._told_of_contents = False
        self._duplexes = 0
        self._dismissed: OwnerStop | None = None
        limits = RpcLimits(
            frame_bytes=service.limits.frame_bytes,
            request_bytes=service.limits.message_bytes,
            open_request_bytes=service.limits.open_request_bytes,
        )
        self.rpc = Rpc(stream, self.handle, limits, service.held)

    # --- Life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the connection ends; then nothing of it runs or is held any more."""
        try:
            with self.blobs:
                await self.rpc.run()
        finally:
            if self._watching is not None:
                self._watching.cancel()
                await asyncio.wait({self._watching})
            self.stop_requests(Ending.DISCONNECTED)
            self.held.release_all()

    @property
    def is_lost(self) -> bool:
        """One of ours, which would have said something if it were still there."""
        quiet = asyncio.get_running_loop().time() - self.stream.heard_at - 2 * self.stream.rtt
        return self.is_ours and (self.rpc.closed or quiet >= GUEST_LOST_LINE_SECONDS)

    def _live(self) -> list[LiveRequest]:
        return [request for request in self.requests if request.session is self]

    def _watch_guest(self) -> None:
        if self.gives_signs and self._live() and (self._watching is None or self._watching.done()):
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """While something is computed for a guest: one that says nothing, not even that it takes what is sent, is gone.

        Its connection ends only later, and goes on where the guest was but cut off.
        """
        loop = asyncio.get_running_loop()
        silence = Silence(loop.time())
        while live := self._live():
            await asyncio.sleep(GUEST_LOOK_SECONDS)
            quiet = silence.look(self.stream.heard_at, loop.time()) - 2 * self.stream.rtt
            for request in live:
                rests = request.guest_is_away(quiet >= GUEST_GONE_SECONDS)
                if quiet >= GUEST_LOST_SECONDS and not rests and request.kind is not Kind.LOAD:
                    request.stop_by_owner(GUEST_AWAY)

    def stop_requests(self, ending: Ending) -> None:
        for request in self.requests:
            if request.session is self:
                request.stop(ending)

    def stop_by_owner(self, why: OwnerStop) -> None:
        """End all that is in work here, and refuse whatever comes before the connection is closed."""
        self._dismissed = why
        for request in self.requests:
            if request.session is self:
                request.stop_by_owner(why)

    def stop_unshared(self) -> None:
        """End the answers of models that are not shared with this key any more."""
        for request in self.requests:
            if request.session is self and request.kind is Kind.COPY:
                if find_copy(self.models, self.public_key, request.model_id) is None:
                    request.stop_by_owner(MODEL_OFF)
            elif request.session is self and request.kind is not Kind.LOAD:
                known = self._known(request.model_id)
                if known is None or self.models.find(known.source, self.public_key) is None:
                    request.stop_by_owner(MODEL_OFF)

    def release_unused(self) -> None:
        used = {request.model_id for request in self.requests if request.session is self}
        for model_id in self.held.ids - used:
            self.held.release(model_id)

    def drop(self) -> None:
        self.rpc.destroy(ConnectionClosed("the consumer does not take what it asked for", name="ETIMEDOUT"))

    @property
    def parallel(self) -> int:
        own = self.allowance
        if own.mine:
            return self.limits.parallel
        return self.limits.parallel_per_key if own.parallel is None else own.parallel

    @property
    def first(self) -> bool:
        """The owner's own machines go first."""
        return self.allowance.mine

    def _known(self, model_id: str) -> Known | None:
        return self.held.known(model_id) or self.known.get(self.public_key, model_id)

    @property
    def allowance(self) -> Allowance:
        return self._service.policy.allowance(self.public_key, self._service.now())

    def limits_of(self, known: Known) -> Limits:
        """The owner's bounds for this model and this key, as they are now."""
        limits, own = self._service.limits_of(known.model), self.allowance
        if own.mine:
            return limits
        return replace(
            limits,
            max_tokens=limits.max_tokens if own.answer_tokens is None else min(limits.max_tokens, own.answer_tokens),
            chat_tokens=own.context_tokens or 0,
        )

    # --- The policy -------------------------------------------------------------------------------------------

    def judge(self, act: Act, model: str = "", generated: int = 0, tokens: int = 0) -> Verdict:
        """What the policy says about this key now. tokens: that it would use beside what runs."""
        state = self._state()
        state = replace(state, used=state.used + tokens, used_by_all=state.used_by_all + tokens)
        return decide(self._service.policy.who(self.public_key), What(act, model, generated), state)

    def _state(self) -> State:
        service, key = self._service, self.public_key
        now = service.now()
        resting, until = service.resting()
        unit = Kind.TRANSCRIBE.unit
        return replace(
            service.policy.state(now),
            resting=resting,
            rests_until=until,
            day_ends=end_of_day(now),
            used=service.log.tokens_today(key.hex(), now) + self.requests.tokens_now(key),
            used_by_all=service.log.tokens_of_all_today(now) + self.requests.tokens_now(),
            heard=service.log.amount_today(key.hex(), unit, now) + self.requests.amount(key, unit),
            seconds_per_day=self.limits.audio_seconds_per_day,
        )

    def _require(self, act: Act, model: str = "", tokens: int = 0) -> None:
        """Raises the Rejection that the policy has for it."""
        if self._dismissed is not None:
            raise self._dismissed.rejection()
        verdict = self.judge(act, model, tokens=tokens)
        if not verdict.admits:
            raise self._rejection(verdict)

    def _rejection(self, verdict: Verdict) -> Rejection:
        return rejection(verdict, self._service.now(), self.public_key.hex(), tells_when=self._tells_when)

    @property
    def _tells_when(self) -> bool:
        return self.knows_limits or not self.is_ours

    def _why_stop(self, live: LiveRequest) -> OwnerStop | None:
        """Of a request that runs. What pauses and hours keep from beginning may end as it would have."""
        act = Act.LISTEN if live.kind is Kind.TRANSCRIBE else Act.KEEP if live.kind is Kind.COPY else Act.ANSWER
        verdict = self.judge(act, live.model, live.generated_tokens)
        if verdict.admits or verdict.cause not in _STOPPING:
            return None
        return stop(verdict, self._service.now(), tells_when=self._tells_when)

    def terms(self) -> Terms:
        """What this key may, as its guest reads it beforehand."""
        terms = terms_of(self.allowance, self._state(), self.limits)
        wake = self._service.greeting().wake if terms.mine is True else ()
        return replace_fields(terms, wake=list(wake)) if wake else terms

    def _offered(self) -> Sequence[OfferedModel]:
        return self.models.list(self.public_key)

    def slots(self, known: KnownModel) -> int:
        return self.held.slots(known)

    async def running_model(self, known: KnownModel) -> LoadedModel:
        return chat_of(await self.held.hold(known))

    # --- Requests ---------------------------------------------------------------------------------------------

    async def handle(self, request: IncomingRequest) -> None:
        """Answer one request, whatever it is. The only exceptions that leave are those of a connection that ended."""
        shape = Shape.REPLY if request.body is not None else Shape.DUPLEX
        try:
            if request.body is None:
                await self._handle_duplex(request)
                return
            if request.too_long:
                asked, shape = _by_head(request.body)
                self._refuse_too_long(asked, request.too_long)
            body, payload = split_payload(request.body)
            envelope = decode_envelope(body)
            method = envelope.type
            if not isinstance(method, str):
                raise RemoteProtocolError("Invalid input in the request: it has no type")
            shape = shape_of(method, envelope.withProgress is True)
            self._require(Act.LOOK)  # an allowance may have ended while the machine slept
            if method not in REMOTE_SAFE or shape is Shape.DUPLEX:
                raise _not_for_strangers(method if method in SHAPES else "this request type")
            await self._dispatch(request, method, envelope, body, payload)
        except ConnectionClosed:
            raise
        except QvacError as error:
            await send_error(request, shape, error)

    async def _handle_duplex(self, request: IncomingRequest) -> None:
        """A request whose body is a stream; its first chunk says what is asked."""
        self._require(Act.LOOK)
        if self._duplexes >= self.limits.parallel_per_key:
            raise by_policy(Reason.LIMIT, "Too many live requests at once. End one before beginning another.")
        self._duplexes += 1
        try:
            body = request.receive()
            async with asyncio.timeout(HEAD_SECONDS):
                head = await anext(body, b"")
            _check_size(len(head), self.limits.load_bytes)
            method = decode_envelope(head).type
            if method != "transcribeStream":
                raise _not_for_strangers("a request of the duplex shape")
            message = decode_request("transcribeStream", head)
            assert isinstance(message, TranscribeStream)
            await self._transcribe_live(request, message, len(head), body)
        except TimeoutError:
            raise RemoteProtocolError("Invalid input in the request: nothing came") from None
        finally:
            self._duplexes -= 1

    async def _dispatch(
        self, request: IncomingRequest, method: str, envelope: Envelope, body: bytes, payload: bytes
    ) -> None:
        if method == "loadModel" and (answer := _other_engine(envelope)) is not None:
            await self._reply(request, answer, streamed=envelope.withProgress is True)
            return
        message = decode_request(method, body, str(envelope.modelType))
        if isinstance(message, Heartbeat):
            await self._reply(request, HeartbeatReply(number=random.random() * 100))
        elif isinstance(message, Keepalive):
            await self._reply(request, KeepaliveReply())
        elif isinstance(message, Hello):
            await self._reply(request, self._hello(message))
        elif isinstance(message, ClaimGrant):
            await self._service.claims.claim(self.public_key, message.grant)
            await self._reply(request, ClaimGrantReply(success=True, policy=self.terms()))
        elif isinstance(message, Manage):
            self._require(Act.MANAGE)
            await self._reply(request, await self._service.managed.manage(message))
        elif isinstance(message, ListModels):
            await self._reply(request, self._list_models())
        elif isinstance(message, Cancel):
            await self._reply(request, self._cancel(message))
        elif isinstance(message, UnloadModel):
            await self._reply(request, self._unload(message))
        elif isinstance(message, Receipts):
            await self._reply(request, await self._unsigned(message))
        elif isinstance(message, SignReceipts):
            guest = self.public_key.hex()
            kept = [await self._service.receipts.hear(guest, word) for word in message.words]
            await self._reply(request, SignReceiptsReply(sum(kept)))
        elif isinstance(message, BlobStatus):
            self._require(Act.KEEP)
            received = self.blobs.received(message.sha256, message.size_bytes)
            await self._reply(request, BlobStatusReply(received))
        elif isinstance(message, PutBlob):
            self._require(Act.KEEP)
            received = self.blobs.put(message.sha256, message.size_bytes, message.offset, payload)
            await self._reply(request, PutBlobReply(received))
        elif isinstance(message, ListCopies):
            await self._reply(request, list_copies(self.models, self.public_key))
        elif isinstance(message, CopyModel):
            await self._copy(request, message)
        elif isinstance(message, AnyLoad):
            self._require(Act.KEEP)
            _check_size(len(body), self.limits.load_bytes)
            await load(self, request, message)
        elif isinstance(message, Embed):
            await self._embed(request, message, len(body))
        elif isinstance(message, Translate):
            await self._translate(request, message, len(body))
        elif isinstance(message, Transcribe):
            await self._transcribe(request, message, len(body))
        elif isinstance(message, TranscribeStream):
            raise _not_for_strangers("transcribeStream in this shape")
        else:
            await self._complete(request, message, len(body))

    async def _reply(self, request: IncomingRequest, message: Message, *, streamed: bool = False) -> None:
        if streamed:
            await request.respond().write(encode(message) + b"\n")
        else:
            await request.reply(encode(message))

    def _hello(self, message: Hello) -> HelloReply:
        features = sorted(OUR_FEATURES & set(message.features) - self._service.without)
        self.is_ours = message.app == APP_NAME
        self.tells_places = self.is_ours and "queue" in features
        self.knows_limits = self.is_ours and "limits" in features
        self.gives_signs = self.is_ours and "signs" in features
        self.signs_receipts = self.is_ours and FEATURE in features
        self._watch_guest()
        greeting = self._service.greeting()
        self._told_of_contents = greeting.logs_content
        return HelloReply(
            version=HELLO_VERSION,
            features=features,
            name=greeting.name,
            logs_content=greeting.logs_content,
            terms=self.terms() if self.knows_limits else UNSET,
        )

    def _list_models(self) -> ListModelsReply:
        terms = self.terms() if self.knows_limits else UNSET
        return ListModelsReply([_entry(offered) for offered in self._offered()], terms)

    async def _unsigned(self, message: Receipts) -> ReceiptsReply:
        """This key's receipts that it has not signed; those of what is ending just now as well."""
        wanted = set(message.request_ids)
        mine = [live for live in self.requests if live.public_key == self.public_key and live.asked_as in wanted]
        if mine:
            ends = [asyncio.create_task(live.ended.wait()) for live in mine]
            try:
                await asyncio.wait(ends, timeout=ENDING_SECONDS)
            finally:
                for end in ends:
                    end.cancel()
        return ReceiptsReply(list(await self._service.receipts.unsigned(self.public_key.hex(), AT_ONCE)))

    async def _copy(self, request: IncomingRequest, message: CopyModel) -> None:
        """The bytes of a model's file; nothing of the model is computed."""
        self._require(Act.KEEP)
        model = find_copy(self.models, self.public_key, message.sha256)
        if model is None:
            raise not_to_be_copied()
        check_room(self.requests, self.public_key)
        live = self.requests.open(Kind.COPY, self.public_key, self, None, model.copy_sha256, model.name)
        request.on_gone = lambda gone: stop_for(live, gone, self.rpc.error)
        if request.gone is not None:
            stop_for(live, request.gone, self.rpc.error)

        def allowed() -> bool:
            return find_copy(self.models, self.public_key, message.sha256) is not None

        await Copying(model, self.requests, live, allowed, self.limits.stall_seconds).run(request.respond(), message)

    def _cancel(self, message: Cancel) -> CancelReply:
        """Only the caller's own requests. A targeted cancel that finds nothing is a success, as in 0.16."""
        if isinstance(message.request_id, str) and message.operation == "request":
            found = self.requests.find(self.public_key, message.request_id)
            ending = Ending.LEFT if message.leaving is True else Ending.CANCELLED
            return CancelReply(success=True, cancelled=int(found is not None and found.stop(ending)))
        model_id = message.model_id if isinstance(message.model_id, str) else ""
        if self._known(model_id) is None:
            return CancelReply(success=False, error=model_not_found(model_id).message)
        wanted = [
            live
            for live in self.requests
            if live.public_key == self.public_key
            and live.model_id == model_id
            and (message.kind is UNSET or message.kind == live.kind.value)
        ]
        return CancelReply(success=True, cancelled=sum(live.stop(Ending.CANCELLED) for live in wanted))

    def _unload(self, message: UnloadModel) -> UnloadModelReply:
        """Only this connection's reference; files are never touched, whatever clearStorage says."""
        for live in self.requests:
            if live.session is self and live.model_id == message.model_id:
                live.stop(Ending.CANCELLED)
        if not self.held.release(message.model_id):
            error = f'Model with ID "{message.model_id[:64]}" is not loaded'
            return UnloadModelReply(success=False, error=error)
        self.known.forget(self.public_key, message.model_id)
        return UnloadModelReply(success=True, has_active_models=bool(self.held.names), has_active_providers=True)

    async def _complete(self, request: IncomingRequest, message: CompletionStream, size: int) -> None:
        stream = request.respond()
        known = self._shared(message.model_id, KnownModel, "This model cannot chat. Load a chat model.")
        live = self._open(request, Kind.COMPLETION, message.request_id, known)
        tokens = prompt_estimate(part.content for part in message.history)
        await Answer(self, stream, live, message, known).run(self._check_tokens(size, known, live, tokens))

    async def _embed(self, request: IncomingRequest, message: Embed, size: int) -> None:
        known = self._shared(
            message.model_id, KnownEmbeddingModel, "This model makes no embeddings. Load an embedding model."
        )
        live = self._open(request, Kind.EMBEDDINGS, message.request_id, known)
        work = Work(self, live)
        tokens = prompt_estimate([message.text] if isinstance(message.text, str) else message.text)

        async def running_model() -> EmbeddingModel:
            return embedding_of(await self.held.hold(known))

        await work.run(
            lambda: embed(work, message, known, self.public_key.hex(), running_model, self.limits),
            lambda reply: self._reply(request, reply),
            forbidden=self._check_tokens(size, known, live, tokens),
        )

    async def _translate(self, request: IncomingRequest, message: Translate, size: int) -> None:
        stream = request.respond()
        known = self._translator(message)
        live = self._open(request, Kind.TRANSLATE, message.request_id, known)
        tokens = prompt_estimate([message.text] if isinstance(message.text, str) else message.text)
        work = Work(self, live)
        lines = self._lines(stream, live)
        owner = self.public_key.hex()
        with lines.alive():
            await work.run(
                lambda: translate(
                    work,
                    message,
                    owner,
                    lambda: self.held.hold(known),
                    self.limits_of(known),
                    lines,
                    lambda: self.requests.progress(live),
                ),
                lines.write,
                forbidden=self._check_tokens(size, known, live, tokens),
                on_place=lines.on_place,
            )

    def _translator(self, message: Translate) -> KnownModel | KnownTranslationModel:
        """By the request's modelType, as in the SDK. Raises Rejection."""
        if message.model_type in (LLM_MODEL_TYPE, "llm"):
            return self._shared(message.model_id, KnownModel, NO_TRANSLATION)
        return self._shared(message.model_id, KnownTranslationModel, NO_ENGINE)

    async def _transcribe(self, request: IncomingRequest, message: Transcribe, size: int) -> None:
        stream = request.respond()
        known = self._shared(message.model_id, KnownSpeechModel, NO_SPEECH)
        live = self._open(request, Kind.TRANSCRIBE, message.request_id, known)
        work, lines = Work(self, live), self._lines(stream, live)
        with lines.alive():
            await work.run(
                lambda: transcribe(work, message, known, self._speech_parts(known), self.blobs, lines.write),
                lines.write,
                forbidden=self._check(size, Act.LISTEN, known),
                on_place=lines.on_place,
            )

    async def _transcribe_live(
        self, request: IncomingRequest, message: TranscribeStream, size: int, body: IncomingStream
    ) -> None:
        stream = request.respond()
        known = self._shared(message.model_id, KnownSpeechModel, NO_SPEECH)
        live = self._open(request, Kind.TRANSCRIBE, message.request_id, known)
        work, lines = Work(self, live), self._lines(stream, live)
        with lines.alive():
            await work.run(
                lambda: transcribe_live(work, message, known, self._speech_parts(known), body, lines.write),
                lines.write,
                forbidden=self._check(size, Act.LISTEN, known),
                on_place=lines.on_place,
            )

    def _lines(self, stream: OutgoingStream, live: LiveRequest) -> AnswerLines:
        return AnswerLines(
            stream,
            live,
            stall_seconds=self.limits.stall_seconds,
            place_line=(lambda place: self.requests.queue_line(live, place)) if self.tells_places else None,
            drop=self.drop,
        )

    def _speech_parts(self, known: KnownSpeechModel) -> SpeechParts:
        async def running_model() -> SpeechModel:
            return speech_of(await self.held.hold(known))

        def seconds_left() -> float:
            if self.allowance.mine:
                return math.inf
            unit = Kind.TRANSCRIBE.unit
            heard = self._service.log.amount_today(self.public_key.hex(), unit, self._service.now())
            return self.limits.audio_seconds_per_day - heard - self.requests.amount(self.public_key, unit)

        return SpeechParts(self.public_key.hex(), running_model, self.limits, self.is_ours, seconds_left)

    def _shared(self, model_id: str, kind: type[KnownKind], otherwise: str) -> KnownKind:
        """What this id means to the key, now. Raises Rejection, with `otherwise` for a model of another kind."""
        known = self._known(model_id)
        if known is None:
            raise model_not_found(model_id)
        if self.models.find(known.source, self.public_key) is None:
            raise MODEL_OFF.rejection()  # it was shared with this key, which loaded it
        if not isinstance(known, kind):
            raise Rejection(Code.MODEL_OPERATION_NOT_SUPPORTED, otherwise)
        return known

    def _open(self, request: IncomingRequest, kind: Kind, request_id: str | UnsetType, known: Known) -> LiveRequest:
        """A request that costs the owner something; it stops when its guest goes. Raises Rejection."""
        own_id = request_id if isinstance(request_id, str) else None
        if own_id is not None:
            lost = self.requests.find(self.public_key, own_id)
            if lost is not None and isinstance(lost.session, Session) and lost.session.is_lost:
                self.requests.supersede(lost, self)
        live = self.requests.open(kind, self.public_key, self, own_id, known.model_id, known.model.name)
        live.model_sha256 = known.model.sha256
        live.quantization = known.model.quantization if known.model.at is None else NO_FILE_SEEN
        live.judge = lambda: self._why_stop(live)
        self._watch_guest()
        live.keeps_contents = self._told_of_contents and self._service.greeting().logs_content
        request.on_gone = lambda gone: stop_for(live, gone, self.rpc.error)
        if request.gone is not None:
            stop_for(live, request.gone, self.rpc.error)
        return live

    def _check(self, size: int, act: Act, known: Known) -> QvacError | None:
        """What forbids one more request now."""
        try:
            self._require(act, known.model.name)
            _check_size(size, self.limits.message_bytes)
        except Rejection as error:
            return error
        return None

    def _check_tokens(self, size: int, known: Known, live: LiveRequest, tokens: int) -> QvacError | None:
        """As `_check`, of an answer whose prompt likely has so many tokens: they are reserved while it runs."""
        try:
            self._require(Act.ANSWER, known.model.name, tokens)
            _check_size(size, self.limits.message_bytes)
        except Rejection as error:
            return error
        live.reserved_tokens = tokens
        return None

    def _refuse_too_long(self, method: str, size: int) -> None:
        """The owner sees such a question in the log like any other that was refused."""
        try:
            _check_size(size, self.limits.message_bytes)
        except Rejection as error:
            if SHAPES.get(method) is Shape.STREAM:
                live = self.requests.open(Kind.COMPLETION, self.public_key, self, None, "", "")
                self.requests.finish(live, Outcome.ERROR, error=error.message)
            raise


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise by_policy(
            Reason.LIMIT,
            f"This message is too long for the provider: {_size(size)}, where {_size(limit)} are the most. Shorten it.",
        )


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


_TYPE = re.compile(rb'"type"\s*:\s*"(\w{1,40})"')
_WITH_PROGRESS = re.compile(rb'"withProgress"\s*:\s*true')


def _by_head(head: bytes) -> tuple[str, Shape]:
    """What is asked, and the shape of its answer, where only the beginning is kept: `type` comes first in all."""
    found = _TYPE.search(head)
    method = found.group(1).decode() if found else "completionStream"  # nothing else has reason to be long
    return method, shape_of(method, _WITH_PROGRESS.search(head) is not None)


async def send_error(request: IncomingRequest, shape: Shape, error: QvacError) -> None:
    """An error in the shape that its caller waits for."""
    body = encode(error_reply(error))
    if request.stream is not None:
        await request.stream.write(body + b"\n")
    elif shape is Shape.REPLY:
        await request.reply(body)
    else:
        await request.respond().write(body + b"\n")


def _not_for_strangers(what: str) -> Rejection:
    return Rejection(Code.RPC_UNKNOWN_REQUEST_TYPE, f"A remote peer cannot ask this provider for {what}.")


def _other_engine(envelope: Envelope) -> Message | None:
    """The answer to a load for an engine that is not here; None where there is one. Raises RemoteProtocolError."""
    model_type = envelope.modelType
    if not isinstance(model_type, str) or model_type in API_ONLY_MODEL_TYPES:
        raise RemoteProtocolError("Invalid input in loadModel: modelType is not a canonical name")
    return None if model_type in SERVED_MODEL_TYPES else plugin_not_found(model_type)


def _entry(offered: OfferedModel) -> ModelEntry:
    model = offered.model
    return ModelEntry(
        name=model.name,
        model_type=model.model_type,
        abilities=list(offered.abilities),
        size_bytes=model.size_bytes,
        context_tokens=offered.context_tokens,
        sha256=model.sha256,
        loaded=offered.loaded,
        wait_ms=offered.wait_ms,
        languages=list(model.languages) or UNSET,
    )
