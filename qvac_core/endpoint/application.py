"""The endpoint as an ASGI application: who is let in, which path means what, limits, and how every outcome is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar
from urllib.parse import unquote

from qvac_core.endpoint.answering import answer, of_the_request
from qvac_core.endpoint.calls import CallBook, LiveCall
from qvac_core.endpoint.chat import (
    break_off,
    chat_stream,
    chat_whole,
    completion_asked,
    completion_stream,
    completion_whole,
    fault_in,
)
from qvac_core.endpoint.conversation import Asked, chat_asked
from qvac_core.endpoint.embeddings import embedding_answer, embedding_asked
from qvac_core.endpoint.exchange import Exchange, Left, Receive, Scope, Send
from qvac_core.endpoint.faults import Fault, mistake
from qvac_core.endpoint.fields import parsed
from qvac_core.endpoint.guard import Guard
from qvac_core.endpoint.interface import Ability, Reach
from qvac_core.endpoint.naming import Named, find, named, split
from qvac_core.endpoint.responses import Remembered, ResponseStream, response_asked, response_whole
from qvac_core.endpoint.transcriptions import speech_asked, transcript_answer
from qvac_core.errors import QvacError

T = TypeVar("T")

logger = logging.getLogger(__name__)

AT_ONCE = 64  # requests that are worked on; the engines have their own lines
_KINDS = {
    ("chat", "completions"): "chat",
    ("completions",): "completions",
    ("responses",): "responses",
    ("embeddings",): "embeddings",
    ("audio", "transcriptions"): "transcription",
    ("audio", "translations"): "translation",
}
_NOT_HERE = (
    "There is nothing at this path. This is an OpenAI-compatible endpoint: its base URL ends with /v1, as in "
    "http://127.0.0.1:8123/v1."
)


class Application:
    """guard: who may call now; it may be another one with each request."""

    def __init__(self, reach: Reach, guard: Callable[[], Guard], book: CallBook) -> None:
        self._reach, self._guard, self.book = reach, guard, book
        self.remembered = Remembered()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            exchange = Exchange(scope, receive, send)
        except Fault as fault:
            await send({"type": "http.response.start", "status": fault.status, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            await self._answer(exchange)
        except Left:
            pass
        except OSError as error:
            logger.debug("a program is gone: %s", error)

    async def _answer(self, exchange: Exchange) -> None:
        guard, headers = self._guard(), exchange.headers
        agent, origin = headers.get("user-agent", ""), headers.get("origin")
        try:
            guard.check_host(headers.get("host"))
            if exchange.method == "OPTIONS":
                await self._preflight(exchange, guard)
                return
            guard.check_origin(origin)
            exchange.extra = guard.cors(origin)
            guard.check_token(headers.get("authorization"))
        except Fault as fault:
            self.book.refused(agent, fault.code or "", origin or "")
            await self._tell(exchange, fault)
            return
        path = _path(exchange.path)
        kind = _KINDS.get(path) if exchange.method == "POST" else None
        if kind is None:
            await self._look_up(exchange, path)
            return
        if len(self.book.running) >= AT_ONCE:
            await self._tell(
                exchange, Fault(429, "Too many requests at once.", code="too_many_requests", retry_after=2)
            )
            return
        await self._work(exchange, self.book.begin(agent, kind, origin or ""), kind)

    async def _preflight(self, exchange: Exchange, guard: Guard) -> None:
        answer = guard.preflight(exchange.headers)
        if answer is None:
            guard.check_origin(exchange.headers.get("origin"))
            await exchange.nothing(204, {"allow": "GET, POST, DELETE, OPTIONS"})
        else:
            await exchange.nothing(204, answer)

    async def _tell(self, exchange: Exchange, fault: Fault) -> None:
        if _path(exchange.path)[:1] == ("api",):  # Ollama's clients show this form alone
            await exchange.json({"error": fault.message}, fault.status, fault.headers)
        else:
            await exchange.json(fault.body, fault.status, fault.headers)

    # --- What is only looked up

    async def _look_up(self, exchange: Exchange, path: tuple[str, ...]) -> None:
        try:
            await self._lookup(exchange, path)
        except Fault as fault:
            await self._tell(exchange, fault)
        except QvacError as error:
            await self._tell(exchange, fault_in(error))

    async def _lookup(self, exchange: Exchange, path: tuple[str, ...]) -> None:
        method = exchange.method
        if path in _KINDS:
            raise Fault(405, "This path is called by POST.", retry=False)
        if path in ((), ("health",)) and method in ("GET", "HEAD"):
            await exchange.json({"status": "ok"})
        elif path == ("models",) and method in ("GET", "HEAD"):
            models = named(await self._reach.offers())
            await exchange.json({"object": "list", "data": [_listed(model) for model in models]})
        elif path[:1] == ("models",) and method in ("GET", "HEAD"):
            name = "/".join(path[1:])
            known = [model for ability in Ability for model in find(named(await self._reach.offers()), name, ability)]
            if not known:
                raise _no_model(name, ())
            await exchange.json(_listed(known[0]))
        elif path[:1] == ("responses",) and len(path) == 2 and method == "GET":
            await exchange.json(self.remembered.get(path[1]))
        elif path[:1] == ("responses",) and len(path) == 2 and method == "DELETE":
            self.remembered.forget(path[1])
            await exchange.json({"id": path[1], "object": "response", "deleted": True})
        else:
            raise Fault(404, _NOT_HERE, code="unknown_url", retry=False)

    # --- What is worked on

    async def _work(self, exchange: Exchange, call: LiveCall, kind: str) -> None:
        """Whatever happens, the program is told once and the call has ended."""
        work: dict[str, Callable[[Exchange, LiveCall], Awaitable[None]]] = {
            "chat": self._chat,
            "completions": self._completions,
            "responses": self._responses,
            "embeddings": self._embeddings,
            "transcription": self._transcription,
            "translation": self._translation,
        }
        try:
            await work[kind](exchange, call)
            call.end("done")
        except Left:
            call.end("left")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not call.stopped or task is None:
                call.end("stopped")
                raise
            task.uncancel()
            call.end("stopped", call.stopped)
            await self._failed(exchange, call, Fault(503, call.stopped, code="stopped", retry=False))
        except Fault as fault:
            call.end("failed", fault.message)
            await self._failed(exchange, call, fault)
        except QvacError as error:
            told = fault_in(error)
            call.end("failed", told.message)
            await self._failed(exchange, call, told)
        except OSError:
            call.end("left")
        except Exception:
            logger.exception("a request of a program failed")
            call.end("failed", mistake().message)
            await self._failed(exchange, call, mistake())

    async def _failed(self, exchange: Exchange, call: LiveCall, fault: Fault) -> None:
        if not exchange.started:
            await self._tell(exchange, fault)
        elif call.fail is not None:
            await call.fail(fault)
        else:
            await break_off(exchange, fault)

    async def _places(self, call: LiveCall, kind: str, name: str, ability: Ability) -> tuple[Named, ...]:
        """Raises Fault 404 with what there is instead."""
        call.asks(kind, name)
        models = named(await self._reach.offers())
        if found := find(models, name, ability):
            return found
        if (parts := split(name)) is not None and (offer := await self._reach.unlisted(*parts)) is not None:
            return (Named(name, offer),)
        if others := [each for other in Ability if other is not ability for each in find(models, name, other)]:
            raise Fault(400, f"{others[0].id} cannot do this: {_for(ability)}", param="model", retry=False)
        raise _no_model(name, [model.id for model in models if ability.value in model.offer.abilities])

    async def _chat(self, exchange: Exchange, call: LiveCall) -> None:
        asked = chat_asked(parsed(await exchange.body()))
        await self._made(exchange, call, asked, "chat", chat_stream if asked.stream else chat_whole)

    async def _completions(self, exchange: Exchange, call: LiveCall) -> None:
        asked = completion_asked(parsed(await exchange.body()))
        await self._made(exchange, call, asked, "completions", completion_stream if asked.stream else completion_whole)

    async def _made(
        self, exchange: Exchange, call: LiveCall, asked: Asked, kind: str, tell: Callable[..., Awaitable[None]]
    ) -> None:
        async with exchange.unless_left():
            places = await self._places(call, kind, asked.model, Ability.CHAT)
            async with aclosing(answer(self._reach, places, asked.ask, call, asked.answer_tool)) as parts:
                await tell(exchange, parts, asked)

    async def _responses(self, exchange: Exchange, call: LiveCall) -> None:
        asked = response_asked(parsed(await exchange.body()), self.remembered)
        async with exchange.unless_left():
            places = await self._places(call, "responses", asked.model, Ability.CHAT)
            async with aclosing(answer(self._reach, places, asked.ask, call, asked.answer_tool)) as parts:
                if asked.stream:
                    stream = ResponseStream(exchange, asked)
                    call.fail = stream.fail
                    await stream.run(parts, self.remembered)
                else:
                    await response_whole(exchange, parts, asked, self.remembered)

    async def _embeddings(self, exchange: Exchange, call: LiveCall) -> None:
        asked = embedding_asked(parsed(await exchange.body()))
        async with exchange.unless_left():
            places = await self._places(call, "embeddings", asked.model, Ability.EMBED)
            place, made = await self._first(places, call, lambda each: self._reach.embed(each.offer, asked.texts))
            call.used(made.tokens, None)
            await embedding_answer(exchange, made, asked, place.id)

    async def _first(
        self, places: Sequence[Named], call: LiveCall, ask: Callable[[Named], Awaitable[T]]
    ) -> tuple[Named, T]:
        """By the first of them that can. Raises what the last one raised, at once what would fail everywhere."""
        for place in places[:-1]:
            call.answered_by(place.offer)
            try:
                return place, await ask(place)
            except QvacError as error:
                if of_the_request(error):
                    raise
        call.answered_by(places[-1].offer)
        return places[-1], await ask(places[-1])

    async def _transcription(self, exchange: Exchange, call: LiveCall) -> None:
        await self._heard(exchange, call, translate=False)

    async def _translation(self, exchange: Exchange, call: LiveCall) -> None:
        await self._heard(exchange, call, translate=True)

    async def _heard(self, exchange: Exchange, call: LiveCall, *, translate: bool) -> None:
        async with speech_asked(exchange, translate=translate) as asked, exchange.unless_left():
            kind = "translation" if translate else "transcription"
            place, *others = await self._places(call, kind, asked.model, Ability.TRANSCRIBE)
            call.answered_by(place.offer)
            heirs = [other.offer for other in others if other.offer.sha256 and other.offer.sha256 == place.offer.sha256]
            async with aclosing(self._reach.transcribe(place.offer, asked.ask, heirs)) as pieces:
                await transcript_answer(exchange, pieces, asked)


def _path(raw: str) -> tuple[str, ...]:
    """Parts of a path, with or without /v1. Dots and double slashes are no parts of anything here."""
    parts = [unquote(part) for part in raw.rstrip("/").split("/")[1:]]
    return tuple(parts[1:] if parts[:1] == ["v1"] else parts)


def _listed(model: Named) -> dict[str, object]:
    offer = model.offer
    return {
        "id": model.id,
        "object": "model",
        "created": 0,
        "owned_by": offer.machine,
        "abilities": list(offer.abilities),
        **({"context_window": offer.context_tokens} if offer.context_tokens else {}),
    }


def _no_model(name: str, there: Sequence[str]) -> Fault:
    listed = ", ".join(there[:8])
    say = (
        f" There are: {listed}{', …' if len(there) > 8 else ''}." if listed else " GET /v1/models lists what there is."
    )
    return Fault(404, f"There is no model '{name[:80]}' here.{say}", code="model_not_found", param="model", retry=False)


def _for(ability: Ability) -> str:
    return {
        Ability.CHAT: "choose a chat model.",
        Ability.EMBED: "choose an embedding model.",
        Ability.TRANSCRIBE: "choose a model that understands speech.",
    }[ability]
