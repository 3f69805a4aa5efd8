"""One request of a guest that costs the owner something, other than a chat's answer: its turn, its time, its end.

What `Answer` is to a completion, for everything whose result is a reply or a few lines. Whatever happens, it ends with
one outcome in the log; errors leave as exceptions, and `Session.handle` sends them in the shape the guest waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.events import Outcome
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.live_requests import Ending, LiveRequest, LiveRequests, Measure
from qvac_core.delegation.turns import Turns
from qvac_core.errors import ConnectionClosed, QvacError

T = TypeVar("T")

# How long the engine may take to stop between two steps before the request is ended without it.
STOP_GRACE_SECONDS = 2.0


class WorkParts(Protocol):
    """What a request needs of the connection it came on."""

    limits: Limits
    turns: Turns
    requests: LiveRequests
    public_key: bytes

    @property
    def parallel(self) -> int: ...

    @property
    def first(self) -> bool: ...


class Work:
    """`run` it once. `live`: opened by the caller, finished here."""

    def __init__(self, parts: WorkParts, live: LiveRequest) -> None:
        self._parts = parts
        self._live = live
        self._cancel: Callable[[str], bool] | None = None
        self._deadline: asyncio.Timeout | None = None

    @property
    def measure(self) -> Measure:
        return self._live.measure

    @property
    def id(self) -> str:
        """Ours, not the guest's: the engine knows the request by it."""
        return self._live.id

    def cancellable(self, cancel: Callable[[str], bool]) -> None:
        """From now on the engine is at it: `cancel(id)` asks it to stop, and answers whether it will."""
        self._cancel = cancel

    async def run(
        self,
        make: Callable[[], Awaitable[T]],
        send: Callable[[T], Awaitable[None]],
        *,
        forbidden: QvacError | None = None,
        on_place: Callable[[int], None] = lambda place: None,
    ) -> None:
        """`make` in its turn and within its time, then `send` what it made. `forbidden`: why it may not be done at all.

        Raises QvacError with the cause: of the engine, of the owner who stopped it (with what they did), or
        INFERENCE_CANCELLED for one that its guest took back.
        """
        live = self._live
        try:
            if forbidden is not None:
                raise forbidden
            made = await self._made(make, on_place)
            await send(made)
            self._finish(Outcome.EOS)
        except ConnectionClosed:
            live.stop(Ending.DISCONNECTED)
            raise
        except QvacError as error:
            if live.ending is None:
                self._finish(Outcome.ERROR, error.message)
            raise
        except asyncio.CancelledError:
            live.stop(Ending.DISCONNECTED)
            raise
        finally:
            self._finish(self._outcome())

    async def _made(self, make: Callable[[], Awaitable[T]], on_place: Callable[[int], None]) -> T:
        parts, live = self._parts, self._live

        def placed(place: int) -> None:
            parts.requests.placed(live, place)
            on_place(place)

        try:
            async with asyncio.timeout(parts.limits.request_seconds) as deadline:
                self._deadline = deadline
                live.on_stop(self._stop)
                async with parts.turns.turn(parts.public_key, parts.parallel, placed, first=parts.first):
                    parts.requests.placed(live, 0)
                    made = await make()
        except TimeoutError:
            if live.ending is None:
                raise by_policy(
                    Reason.LIMIT, f"A request may take {parts.limits.request_seconds:.0f} seconds here."
                ) from None
            raise self._stopped() from None
        except QvacError:
            if live.ending is None:
                raise
            raise self._stopped() from None  # an engine that fails while it is being stopped has stopped
        finally:
            live.on_stop(None)
            self._deadline = None
        if live.ending is not None:
            raise self._stopped()
        return made

    def _stop(self) -> None:
        assert self._deadline is not None
        now = asyncio.get_running_loop().time()
        stopping = self._cancel is not None and self._cancel(self.id)
        self._deadline.reschedule(now + STOP_GRACE_SECONDS if stopping else now)

    def _stopped(self) -> QvacError:
        if self._live.owner_stop is not None:
            return self._live.owner_stop.rejection()
        return Rejection(Code.INFERENCE_CANCELLED, "The request was cancelled.")

    def _outcome(self) -> Outcome:
        match self._live.ending:
            case Ending.DISCONNECTED | Ending.LEFT:
                return Outcome.DISCONNECTED
            case Ending.STOPPED:
                return Outcome.STOPPED
            case Ending.CANCELLED:
                return Outcome.CANCELLED
        return Outcome.ERROR

    def _finish(self, outcome: Outcome, error: str = "") -> None:
        """A second call does nothing."""
        measure = self.measure
        self._parts.requests.finish(
            self._live,
            outcome,
            prompt_tokens=measure.prompt_tokens,
            generated_tokens=measure.generated_tokens,
            amount=measure.amount,
            error=error or self._live.note,
        )
