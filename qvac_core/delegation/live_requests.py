"""The requests a provider works on now: found for cancel, stopped when their peer goes, and logged exactly once.

docs/wire/qvac.md sections 5 and 6; a stranger reaches only requests of its own key.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from qvac_core.delegation.events import (
    Outcome,
    ProviderEvent,
    RequestEnded,
    RequestPlaced,
    RequestProgressed,
    RequestStarted,
)
from qvac_core.delegation.failures import Code, Rejection
from qvac_core.delegation.messages import QueueLine
from qvac_core.delegation.owner_stops import OwnerStop
from qvac_core.delegation.parts import RequestLog
from qvac_core.delegation.rpc_streams import Gone
from qvac_core.errors import QvacError, StoreError

logger = logging.getLogger(__name__)

# Progress events of one request: at most one in this many seconds.
PROGRESS_SECONDS = 0.5
CONTENTS_LIMIT = 200_000  # letters of a question, and of an answer, that are kept


class Kind(Enum):
    """Values are the `kind` of a broad cancel. Logged is all that costs the owner something, and loads that failed."""

    COMPLETION = "completion"
    LOAD = "loadModel"
    EMBEDDINGS = "embeddings"
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"
    COPY = "copyModel"

    @property
    def method(self) -> str:
        """The request's `type` on the wire, by which the log calls it."""
        return _METHODS[self]

    @property
    def unit(self) -> str:
        """What it is measured in beside tokens: "texts", "seconds" of audio, "bytes"; "" = tokens alone."""
        return _UNITS.get(self, "")


class Ending(Enum):
    """Why a request is asked to stop before its end."""

    CANCELLED = "cancelled"  # its consumer said so, by cancel or by destroying the answer
    DISCONNECTED = "disconnected"  # its consumer is gone
    LEFT = "left"  # its consumer is about to go, and still takes the last line
    STOPPED = "stopped"  # the owner did something: see the request's `owner_stop`


@dataclass(slots=True)
class Measure:
    """What a request cost, filled in while it is worked on. amount: in `Kind.unit` (texts, seconds of audio)."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    amount: float = 0.0


class LiveRequest:
    """One request in work. `stop` may be called from anywhere, any number of times; the first reason stays."""

    def __init__(
        self, kind: Kind, public_key: bytes, session: object, request_id: str, model_id: str, model: str, now: float
    ) -> None:
        self.id = uuid.uuid4().hex
        self.kind = kind
        self.public_key = public_key
        self.session = session
        self.request_id = request_id
        self.asked_as = request_id  # of its receipt, also when the id was given to another
        self.model_id = model_id
        self.model = model
        self.model_sha256 = ""
        self.quantization = ""
        self.ended = asyncio.Event()
        self.started = now
        self.began = now  # when its turn came
        self.started_at = time.time()
        self.ending: Ending | None = None
        self.owner_stop: OwnerStop | None = None
        self.note = ""
        self.place = 0  # in the line for a slot; 0: it is being worked on
        self.keeps_contents = False  # its guest was told so before it came
        self.generated_tokens = 0
        self.reserved_tokens = 0  # for its prompt, which nobody has counted yet
        self.measure = Measure()  # of what is no chat
        self.progressed = now
        self.judge: Callable[[], OwnerStop | None] = lambda: None  # why the policy admits it no longer, if so
        self._on_stop: Callable[[], None] | None = None
        self.on_away: Callable[[bool], bool] | None = None
        """Its guest says nothing any more, or is there again. True: nothing is computed for it meanwhile."""

    def guest_is_away(self, away: bool) -> bool:
        """True: nothing is computed for it until the guest is heard."""
        return self.on_away is not None and self.on_away(away)

    def stop(self, ending: Ending, note: str = "") -> bool:
        """True when this call is the one that stops it. `note`: a sentence for the log, where there is more to say."""
        if self.ending is not None:
            return False
        self.ending = ending
        self.note = note
        if self._on_stop is not None:
            self._on_stop()
        return True

    def stop_by_owner(self, why: OwnerStop) -> bool:
        """As `stop`; the consumer is told why, and the log as well."""
        if self.ending is None:
            self.owner_stop = why
        return self.stop(Ending.STOPPED, why.logged)

    def on_stop(self, callback: Callable[[], None] | None) -> None:
        """Called at once when it was stopped already."""
        self._on_stop = callback
        if callback is not None and self.ending is not None:
            callback()


def stop_for(request: LiveRequest, gone: Gone, connection_error: QvacError | None = None) -> None:
    """Its consumer took back what it asked for, or is no longer there."""
    if gone is not Gone.DISCONNECTED:
        request.stop(Ending.CANCELLED)
        return
    lost = connection_error is not None and connection_error.name == "ETIMEDOUT"
    request.stop(Ending.DISCONNECTED, "The connection to the guest was lost." if lost else "")


_METHODS = {
    Kind.COMPLETION: "completionStream",
    Kind.LOAD: "loadModel",
    Kind.EMBEDDINGS: "embed",
    Kind.TRANSCRIBE: "transcribe",
    Kind.TRANSLATE: "translate",
    Kind.COPY: "copyModel",
}
_UNITS = {Kind.EMBEDDINGS: "texts", Kind.TRANSCRIBE: "seconds", Kind.TRANSLATE: "texts", Kind.COPY: "bytes"}


class LiveRequests:
    """All of one provider. `clock` gives loop time in seconds."""

    def __init__(
        self,
        log: RequestLog,
        emit: Callable[[ProviderEvent], None],
        clock: Callable[[], float],
        on_ended: Callable[[LiveRequest, RequestEnded], None] = lambda request, ended: None,
        expected_wait: Callable[[str], float] = lambda request_id: 0.0,
    ) -> None:
        """on_ended: of what is logged, behind it. expected_wait: seconds until the turn of one in the line, by `id`."""
        self._log = log
        self._on_ended = on_ended
        self._expected_wait = expected_wait
        self._emit = emit
        self._clock = clock
        self._requests: dict[str, LiveRequest] = {}

    def __iter__(self) -> Iterator[LiveRequest]:
        return iter(list(self._requests.values()))

    def __len__(self) -> int:
        return len(self._requests)

    def open(
        self, kind: Kind, public_key: bytes, session: object, request_id: str | None, model_id: str, model: str
    ) -> LiveRequest:
        """Raises Rejection REQUEST_ID_CONFLICT when the key has a live request of this id."""
        if request_id is not None and self.find(public_key, request_id) is not None:
            raise Rejection(Code.REQUEST_ID_CONFLICT, "A request with this requestId is still being answered.")
        request = LiveRequest(kind, public_key, session, request_id or "", model_id, model, self._clock())
        self._requests[request.id] = request
        if kind is not Kind.LOAD:
            self._start(request)
        return request

    def supersede(self, lost: LiveRequest, session: object) -> None:
        """Its guest asks anew on another connection, having lost the one on which it asked: nobody waits there."""
        if lost.session is not session:
            lost.request_id = ""
            lost.stop(Ending.DISCONNECTED, "The guest asked anew on another connection.")

    def find(self, public_key: bytes, request_id: str) -> LiveRequest | None:
        for request in self._requests.values():
            if request.request_id == request_id and request.public_key == public_key:
                return request
        return None

    def amount(self, public_key: bytes, unit: str) -> float:
        """What a key's live requests have cost so far, in this unit."""
        mine = (one for one in self._requests.values() if one.public_key == public_key and one.kind.unit == unit)
        return sum(one.measure.amount for one in mine)

    def get(self, id: str) -> LiveRequest | None:
        return self._requests.get(id)

    def placed(self, request: LiveRequest, place: int) -> None:
        """Its place in the line has changed; 0: it is being worked on."""
        if place != request.place and request.id in self._requests:
            request.place = place
            request.began = self._clock()
            self._emit(RequestPlaced(request.id, place))

    def queue_line(self, request: LiveRequest, place: int) -> QueueLine:
        """What its guest is told of its place."""
        seconds = self._expected_wait(request.id) if place else 0.0
        return QueueLine(place=place, wait_ms=round(1000 * seconds))

    def keep_contents(self, request: LiveRequest, question: str, answer: str) -> None:
        """What was asked and answered, where its guest was told that this is kept."""
        if request.keeps_contents:
            question, answer = question[:CONTENTS_LIMIT], answer[:CONTENTS_LIMIT]
            self._note(lambda: self._log.keep_contents(request.id, question, answer))

    def progress(self, request: LiveRequest) -> None:
        """Count one token, end what the policy admits no longer, and now and then tell the owner."""
        request.generated_tokens += 1
        self.judge(request)
        now = self._clock()
        if now - request.progressed >= PROGRESS_SECONDS:
            request.progressed = now
            self._note(lambda: self._log.advance(request.id, request.generated_tokens))
            rate = request.generated_tokens / max(now - request.began, PROGRESS_SECONDS)
            self._emit(RequestProgressed(request.id, request.generated_tokens, rate))

    def judge(self, request: LiveRequest) -> None:
        if request.ending is None and (why := request.judge()) is not None:
            request.stop_by_owner(why)

    def tokens_now(self, public_key: bytes | None = None) -> int:
        """Of what runs, its prompts as they were estimated: of one key, or of all."""
        requests = self._requests.values()
        return sum(
            one.reserved_tokens + one.generated_tokens
            for one in requests
            if public_key is None or one.public_key == public_key
        )

    def finish(
        self,
        request: LiveRequest,
        outcome: Outcome,
        *,
        prompt_tokens: int = 0,
        generated_tokens: int | None = None,
        amount: float = 0.0,
        error: str = "",
    ) -> None:
        """End it. A second call does nothing, so that every outcome is logged once."""
        if self._requests.pop(request.id, None) is None:
            return
        request.on_stop(None)
        request.ended.set()
        if request.kind is Kind.LOAD:
            if not error:
                return
            self._start(request)  # a load that goes well is no news; of one that fails only the owner can learn why
        ended = RequestEnded(
            id=request.id,
            remote_public_key=request.public_key.hex(),
            method=request.kind.method,
            model=request.model,
            started_at=request.started_at,
            ms=(self._clock() - request.started) * 1000,
            outcome=outcome,
            prompt_tokens=prompt_tokens,
            generated_tokens=request.generated_tokens if generated_tokens is None else generated_tokens,
            error=error,
            amount=amount,
            unit=request.kind.unit,
        )
        self._log_end(ended)
        self._emit(ended)
        self._on_ended(request, ended)

    def _start(self, request: LiveRequest) -> None:
        method = request.kind.method
        key = request.public_key.hex()
        self._note(lambda: self._log.start(request.id, key, method, request.model, request.started_at))
        self._emit(RequestStarted(request.id, key, method, request.model, request.started_at))

    def _note(self, write: Callable[[], object]) -> None:
        """In the log. A full disk costs the log a line, not the consumer an answer."""
        try:
            write()
        except StoreError:
            logger.warning("a request could not be logged", exc_info=True)

    def _log_end(self, ended: RequestEnded) -> None:
        self._note(
            lambda: self._log.finish(
                ended.id,
                ended.outcome.value,
                prompt_tokens=ended.prompt_tokens,
                generated_tokens=ended.generated_tokens,
                ms=ended.ms,
                error=ended.error,
                amount=ended.amount,
                unit=ended.unit,
            )
        )
