"""A machine that answers for others: who gets in, what runs for whom, and an end that leaves nobody waiting.

docs/architecture.md "Safe by default"; docs/wire/qvac.md sections 6, 7, 12. The network hands in connections, others
the models.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from qvac_core.delegation.admission import AccessPolicy, Decision, Denials, KnockLimit, Limits
from qvac_core.delegation.blobs import BlobStore
from qvac_core.delegation.claims import Claims, NoClaims
from qvac_core.delegation.copies import CopiedModels, NoCopies
from qvac_core.delegation.events import (
    ConnectionChanged,
    ConnectionState,
    ModelsInUseChanged,
    Outcome,
    ProviderEvent,
    RequestEnded,
)
from qvac_core.delegation.failures import denied, not_admitted
from qvac_core.delegation.given_receipts import FEATURE, GivenReceipts, NoReceipts
from qvac_core.delegation.held_bytes import HeldBytes
from qvac_core.delegation.held_models import KnownModels, LimitsOf
from qvac_core.delegation.kv_sessions import KvSessions
from qvac_core.delegation.live_requests import LiveRequest, LiveRequests
from qvac_core.delegation.managed import Managed, NotManaged
from qvac_core.delegation.messages import ClaimGrant, ClaimGrantReply, decode_envelope, decode_request, encode
from qvac_core.delegation.methods import Shape, shape_of
from qvac_core.delegation.models_of_keys import ModelsOfKeys
from qvac_core.delegation.owner_stops import (
    BLOCKED,
    EXPIRED,
    NO_LONGER_ALLOWED,
    PAUSED,
    REMOVED,
    SHARING_OFF,
    STOPPED,
    OwnerStop,
)
from qvac_core.delegation.parts import ModelPool, RequestLog, SharedModels
from qvac_core.delegation.peer_stream import PeerStream
from qvac_core.delegation.receipts import THOUSANDTHS, Receipt
from qvac_core.delegation.rpc import Rpc, RpcLimits
from qvac_core.delegation.rpc_streams import IncomingRequest
from qvac_core.delegation.serving import Greeting, Service, Session, send_error
from qvac_core.delegation.turns import Turns
from qvac_core.errors import QvacError, RemoteProtocolError
from qvac_core.hyperdht import Refusal, Stranger
from qvac_core.rendezvous.places import Bounds, Full, Place, who_gives_way
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

# How long open answers may take to write their last line when sharing stops.
STOP_SECONDS = 5.0
# A handshake that is tried again (through another relay, by a client in a loop) is told to the owner once in this time.
REPEAT_SECONDS = 10.0
REMEMBERED_VERDICTS = 1024
KNOCK_OPEN_REQUESTS = 4


class Provider:
    """Serves connections for as long as its owner shares. `close()` ends all of them; it may serve again afterwards."""

    def __init__(
        self,
        *,
        models: SharedModels,
        pool: ModelPool,
        policy: AccessPolicy,
        log: RequestLog,
        limits: Limits | None = None,
        on_event: Callable[[ProviderEvent], None] = lambda event: None,
        public_key: bytes = b"",
        greeting: Callable[[], Greeting] = Greeting,
        limits_of: LimitsOf | None = None,
        copied: CopiedModels | None = None,
        claims: Claims | None = None,
        receipts: GivenReceipts | None = None,
        managed: Managed | None = None,
        expected_wait: Callable[[str], float] = lambda request_id: 0.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`wall_clock` gives Unix seconds. limits_of: bounds for one model, as they are now; None = `limits` for all.

        greeting: what is said of this provider, as it is now. copied: what guests may copy; None = nothing. claims:
        invites that keys may show; None = there are none. receipts: where they are signed; None = none are given.
        managed: what the owner's own machines act on. expected_wait: seconds until the turn of a request in the line,
        by its id in the log; 0 where nobody can tell.
        """
        self.public_key = public_key
        self.paused = False
        self.pause_ends: float | None = None  # Unix seconds at which guests may ask again; None = not known
        self._limits = limits or Limits()
        bounds = self._limits
        self._policy = policy
        self._emit = on_event
        self._now = wall_clock
        self._stopping = False
        self._sessions: dict[Session, asyncio.TimerHandle | None] = {}
        self._dismissed: set[Session] = set()
        self._ended = asyncio.Event()
        self._endings = TaskOwner()
        self._knock_limit = KnockLimit(bounds.knocks, bounds.knocks_per_address, bounds.knocks_per_network)
        self._knocking: dict[Rpc, None] = {}  # that said nothing yet, the oldest first
        self.denials = Denials()
        self._told: OrderedDict[tuple[bytes, ConnectionState], float] = OrderedDict()
        self._in_use: tuple[str, ...] = ()
        self._claims = claims or NoClaims()
        self._blobs = BlobStore(self._limits)
        self._receipts = receipts or NoReceipts()
        self.requests = LiveRequests(
            log, on_event, lambda: asyncio.get_running_loop().time(), self._give_receipt, expected_wait
        )
        self._service = Service(
            limits=self._limits,
            policy=policy,
            models=ModelsOfKeys(models, copied or NoCopies(), policy, wall_clock),
            pool=pool,
            known=KnownModels(),
            requests=self.requests,
            turns=Turns(self._limits.parallel, self._limits.queue_length, self._limits.queue_length_per_key),
            held=HeldBytes(self._limits.held_bytes, self._limits.held_bytes_share),
            sessions=KvSessions(),
            blobs=self._blobs,
            log=log,
            claims=self._claims,
            receipts=self._receipts,
            without=frozenset() if receipts is not None else frozenset({FEATURE}),
            managed=managed or NotManaged(),
            greeting=greeting,
            limits_of=limits_of or (lambda model: bounds),
            now=wall_clock,
            resting=self._resting,
            on_models_changed=self._models_changed,
        )
        policy.subscribe(self._judge_again)

    # --- The door ---------------------------------------------------------------------------------------------

    def firewall(self, remote_public_key: bytes, payload: object = None) -> bool | Refusal | Stranger:
        """The decision inside the handshake: False admits, True is silence, a Refusal answers no, a Stranger knocks."""
        decision = self._policy.decide(remote_public_key, self._now())
        if decision is Decision.BLOCK:
            self._tell(remote_public_key, ConnectionState.BLOCKED)
            return True
        if decision is Decision.ADMIT:
            return False
        full = len(self._sessions) >= self._limits.connections
        if decision is Decision.KNOCK and not full:
            return Stranger()  # whether it is heard depends on where it comes from, which is not proved yet
        self._tell(remote_public_key, ConnectionState.REFUSED)
        return Refusal()

    async def serve(self, stream: PeerStream) -> None:
        """One connection, until it ends."""
        decision = self._policy.decide(stream.remote_public_key, self._now())
        if decision is Decision.KNOCK and not self._stopping:
            await self._hear_knock(stream)
        elif decision is Decision.ADMIT and not self._stopping:
            await self._serve(stream)
        else:
            stream.destroy()  # the rules changed since the handshake

    def _make_room(self, session: Session) -> bool:
        """Idle connections give way to new ones; False when there is no idle one that should."""
        busy = {request.session for request in self.requests}
        present = [_place(other, other in busy) for other in self._sessions if other not in self._dismissed]
        limits = self._limits
        bounds = Bounds(limits.connections, limits.connections_per_key, limits.connections_per_host)
        leaving = who_gives_way(_place(session), present, bounds)
        if isinstance(leaving, Session):
            self._dismissed.add(leaving)
            leaving.rpc.destroy()
        return not isinstance(leaving, Full)

    async def _serve(self, stream: PeerStream) -> None:
        stream.limit_frames(self._limits.frame_bytes)
        session = Session(self._service, stream)
        if not self._make_room(session):
            stream.destroy()
            return
        self._watch_expiry(session)
        self._stream_event(stream, ConnectionState.OPEN)
        stream.when_path_changes(lambda _: self._moved(session, stream))
        try:
            await session.run()
        except ExceptionGroup:
            # A mistake of ours in one request: it costs its connection, not the provider.
            logger.exception("serving a consumer failed")
        finally:
            if (expiry := self._sessions.pop(session)) is not None:
                expiry.cancel()
            self._dismissed.discard(session)
            self._ended.set()
            self._stream_event(stream, ConnectionState.CLOSED)

    async def _hear_knock(self, stream: PeerStream) -> None:
        """A stranger may say one thing and leaves: it shows an invite, or is told that its key is not admitted.

        The owner hears of those that came without one. Their words are not kept.
        """
        if not self._knock_limit.take(stream.remote_address[0], self._now()):
            stream.destroy()
            return
        stream.limit_frames(self._limits.knock_frame_bytes)
        denied_for = self.denials.left(stream.remote_public_key, self._now())
        refusal = denied(denied_for) if denied_for else not_admitted(stream.remote_public_key.hex())
        heard = asyncio.Event()
        first = True

        def tell_owner() -> None:
            now = self._now()
            if not denied_for and self._policy.hears_of(stream.remote_public_key, now) and self._knock_limit.tells(now):
                self._stream_event(stream, ConnectionState.KNOCK)

        async def answer(request: IncomingRequest) -> None:
            nonlocal first
            is_first, first = first, False
            self._knocking.pop(rpc, None)
            grant = _grant_in(request) if is_first else None
            if grant is not None:
                await self._claim(stream.remote_public_key, grant, request)
            else:
                if is_first:
                    tell_owner()
                await send_error(request, _expected_shape(request), refusal)
            heard.set()

        limits = RpcLimits(frame_bytes=self._limits.knock_frame_bytes, open_requests=KNOCK_OPEN_REQUESTS)
        rpc = Rpc(stream, answer, limits)
        if len(self._knocking) >= self._limits.knocks_at_once:
            oldest = next(iter(self._knocking))
            del self._knocking[oldest]
            oldest.destroy()
        self._knocking[rpc] = None
        running = asyncio.create_task(rpc.run())
        running.add_done_callback(lambda _: heard.set())
        try:
            async with asyncio.timeout(self._limits.knock_seconds):
                await heard.wait()
                await rpc.finish(self._limits.knock_seconds)
        except TimeoutError:
            logger.debug("a knock said nothing")
        finally:
            self._knocking.pop(rpc, None)
            if first:  # it said nothing
                tell_owner()
            rpc.destroy()
            await running

    async def _claim(self, public_key: bytes, grant: str, request: IncomingRequest) -> None:
        try:
            await self._claims.claim(public_key, grant)
        except QvacError as error:
            await send_error(request, Shape.REPLY, error)
            return
        await request.reply(encode(ClaimGrantReply(success=True)))

    def _watch_expiry(self, session: Session) -> None:
        """Judge again when the session's allowance ends, as the rules are now."""
        if (timer := self._sessions.get(session)) is not None:
            timer.cancel()
        expires_at = self._policy.expiry(session.public_key)
        self._sessions[session] = (
            None
            if expires_at is None
            else asyncio.get_running_loop().call_later(max(0.0, expires_at - self._now()), self._judge_again)
        )

    # --- Rules that change ------------------------------------------------------------------------------------

    def _judge_again(self) -> None:
        """End the connections that the rules of now would not admit."""
        for session in list(self._sessions):
            decision = self._policy.decide(session.public_key, self._now())
            if decision is Decision.BLOCK:
                # Strangers get silence; a guest who was let in reads what became of its answer.
                self._end_soon(session, BLOCKED)
            elif decision is not Decision.ADMIT:
                self._end_soon(session, self._why_not_any_more(session.public_key))
            else:
                self._watch_expiry(session)
        # Limits that changed act on what runs, too.
        for request in self.requests:
            self.requests.judge(request)

    def _why_not_any_more(self, public_key: bytes) -> OwnerStop:
        expires_at = self._policy.expiry(public_key)
        return EXPIRED if expires_at is not None and expires_at <= self._now() else NO_LONGER_ALLOWED

    def judge_models_again(self) -> None:
        """The owner shares other models now: answers of those that are shared no more end."""
        for session in list(self._sessions):
            session.stop_unshared()

    def _end_soon(self, session: Session, why: OwnerStop) -> None:
        self._endings.start(self._end(session, why), "end of a session")

    async def _end(self, session: Session, why: OwnerStop) -> None:
        """Its open answers get their last line, then the connection closes."""
        session.stop_by_owner(why)
        await session.rpc.finish(STOP_SECONDS)

    def _give_receipt(self, request: LiveRequest, ended: RequestEnded) -> None:
        """To a guest of ours that says it signs, of what it asked for under an id."""
        session = request.session
        if not isinstance(session, Session) or not session.signs_receipts or not request.asked_as:
            return
        if not (ended.prompt_tokens or ended.generated_tokens or ended.amount) and ended.outcome is Outcome.ERROR:
            return  # refused, or failed before anything was served
        started_ms = int(ended.started_at * 1000)
        self._receipts.give(
            Receipt(
                provider=self.public_key,
                guest=request.public_key,
                id=bytes.fromhex(request.id),
                request_id=request.asked_as,
                method=ended.method,
                model=ended.model,
                model_sha256=request.model_sha256,
                quantization=request.quantization,
                prompt_tokens=ended.prompt_tokens,
                generated_tokens=ended.generated_tokens,
                amount=max(0, int(ended.amount * THOUSANDTHS)),
                unit=ended.unit,
                started_ms=started_ms,
                ended_ms=started_ms + max(0, int(ended.ms)),
                outcome=ended.outcome.value,
            )
        )

    # --- The owner's hand -------------------------------------------------------------------------------------

    def stop_request(self, id: str) -> bool:
        """Stop one answer; `id` is the one of its events. False = it is not running."""
        request = self.requests.get(id)
        return request is not None and request.stop_by_owner(REMOVED if request.place else STOPPED)

    def greet_again(self) -> None:
        """What is said of this provider has changed: guests that wait for nothing connect anew, and are told."""
        busy = {request.session for request in self.requests}
        for session in list(self._sessions):
            if session.is_ours and session not in busy:
                session.rpc.destroy()

    def end_for_pause(self) -> None:
        """End what is in work, with the word that it was paused; connections stay."""
        for request in self.requests:
            request.stop_by_owner(PAUSED)

    def release_unused(self) -> None:
        """Give back the models that no request uses now. Their guests keep the ids: the next request loads again."""
        for session in list(self._sessions):
            session.release_unused()

    def _resting(self) -> tuple[bool, float | None]:
        return self.paused or self._stopping, self.pause_ends if self.paused else None

    @property
    def models_in_use(self) -> tuple[str, ...]:
        """Names of the models that consumers hold, sorted."""
        return self._in_use

    async def close(self) -> None:
        """End all open answers with a last line, then all connections. Bounded by STOP_SECONDS and a little."""
        self._stopping = True
        try:
            async with asyncio.TaskGroup() as group:
                for session in list(self._sessions):
                    group.create_task(self._end(session, SHARING_OFF))
            await self._endings.settle()
            while self._sessions:
                self._ended.clear()
                await self._ended.wait()
            self._blobs.clear()
        finally:
            self._stopping = False

    # --- Events -----------------------------------------------------------------------------------------------

    def _stream_event(self, stream: PeerStream, state: ConnectionState) -> None:
        host, port = stream.remote_address
        relay = stream.relay.hex() if stream.relay is not None else ""
        self._emit(ConnectionChanged(stream.remote_public_key.hex(), state, f"{host}:{port}", stream.path, relay))

    def _moved(self, session: Session, stream: PeerStream) -> None:
        if session in self._sessions:
            self._stream_event(stream, ConnectionState.MOVED)

    @property
    def paths(self) -> list[str]:
        """How those who are connected reach us: "direct" or "relay", one for each."""
        return [session.stream.path for session in self._sessions]

    def _tell(self, public_key: bytes, state: ConnectionState) -> None:
        """A verdict of the handshake, which peers repeat: told once in a while."""
        now = self._now()
        last = self._told.pop((public_key, state), None)
        self._told[public_key, state] = now if last is None or now - last >= REPEAT_SECONDS else last
        if len(self._told) > REMEMBERED_VERDICTS:
            self._told.popitem(last=False)
        if last is None or now - last >= REPEAT_SECONDS:
            self._emit(ConnectionChanged(public_key.hex(), state))

    def _models_changed(self) -> None:
        names = tuple(sorted({name for session in self._sessions for name in session.held.names}))
        if names != self._in_use:
            self._in_use = names
            self._emit(ModelsInUseChanged(names))


def _place(session: Session, busy: bool = False) -> Place[Session]:
    return Place(session, session.public_key, session.host, busy=busy)


def _grant_in(request: IncomingRequest) -> str | None:
    """The invite that a stranger shows; None when it wants something else."""
    if request.body is None or request.too_long:
        return None
    try:
        if decode_envelope(request.body).type != "claimGrant":
            return None
        message = decode_request("claimGrant", request.body)
    except RemoteProtocolError:
        return None
    return message.grant if isinstance(message, ClaimGrant) else None


def _expected_shape(request: IncomingRequest) -> Shape:
    """The shape in which a stranger's request wants its refusal."""
    if request.body is None:
        return Shape.DUPLEX
    try:
        envelope = decode_envelope(request.body)
    except RemoteProtocolError:
        return Shape.REPLY
    method = envelope.type if isinstance(envelope.type, str) else ""
    return shape_of(method, envelope.withProgress is True)
