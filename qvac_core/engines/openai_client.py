"""Talking to an OpenAI-compatible server: one address, one key, its errors in our words, its streams line by line.

What a server writes in its errors may name its owner's files and accounts: the log has it, a sentence never. No
redirect is followed, so that the key goes nowhere but where the owner said.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qvac_core.errors import EngineCrashed, ModelError, RequestRefused
from qvac_core.lazy import Lazy

if TYPE_CHECKING:  # a start need not wait for an HTTP client
    import httpx

    from qvac_core.engines import http_client
else:
    httpx = Lazy("httpx")
    http_client = Lazy("qvac_core.engines.http_client")

log = logging.getLogger("qvac.engines")

ASK_SECONDS = 10.0  # for whatever a server can tell without computing
FIRST_SECONDS = 600.0  # until the first byte of an answer: a server may load a large model for it first
GAP_SECONDS = 120.0  # between two pieces of an answer that has begun
LINE_LIMIT = 4 * 1024 * 1024  # bytes of one event
BODY_LIMIT = 64 * 1024 * 1024  # bytes of an answer that is no stream: embeddings of many texts
ERROR_LIMIT = 64 * 1024  # bytes of an error that are read

GONE = "The server that runs this model does not answer. Start it, or look at its address."
BROKE_OFF = "The server that runs this model broke the answer off. Ask again."
SILENT = "The server that runs this model has said nothing for too long. Ask again, or start it anew."
KEY_REFUSED = "The server that runs this model wants a key. Give it the right one."
ELSEWHERE = "The server answers from another address. Write that one: the key is sent to no other."
NO_API = "At this address nothing answers as an OpenAI-compatible server does. It often ends in /v1."
NO_SUCH_MODEL = "The server does not have this model any more. Look at its list of models."
BUSY = "The server that runs this model has too much to do. Try again in a minute."
FAILED = "The server that runs this model failed. Its own log says why."
REFUSED = "The server that runs this model does not take this request."
UNREADABLE = "The server wrote something that is no answer of OpenAI's API."

_TOO_LONG = re.compile(
    r"exceed_context_size|context_length_exceeded|contextwindowexceeded|"
    r"(exceed|larger|longer|too (long|large)).{0,80}(context|n_ctx|max_model_len|n_ubatch|batch size)|"
    r"(context|n_ctx|max_model_len).{0,80}(exceed|too (long|small)|larger|longer)|too large to process|"
    r"maximum context length",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Server:
    """base: as of `base_address`. key: sent as a bearer token, "" = none."""

    base: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    ask: float = ASK_SECONDS
    first: float = FIRST_SECONDS
    gap: float = GAP_SECONDS


class Broken(EngineCrashed):
    """The server ended, fell silent or broke off: another one may do better."""


class OpenAiClient:
    """Used from one loop; `close` ends what is open."""

    def __init__(self, server: Server, patience: Patience | None = None) -> None:
        self.server = server
        self.patience = patience or Patience()
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, address: str, *, with_key: bool = True) -> Any:
        """JSON. Raises ModelError, Broken."""
        return await self._json("GET", address, None, self.patience.ask, with_key=with_key)

    async def post(self, path: str, body: Mapping[str, Any], seconds: float | None = None) -> Any:
        """JSON. Raises ModelError, Broken. Cancelling ends the request."""
        return await self._json("POST", path, body, self.patience.ask if seconds is None else seconds)

    async def _json(
        self, method: str, address: str, body: Mapping[str, Any] | None, seconds: float, *, with_key: bool = True
    ) -> Any:
        try:
            async with asyncio.timeout(seconds):
                response = await self._send(method, address, body, with_key=with_key)
                try:
                    await check(response)
                    content = await _read(response, BODY_LIMIT)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise Broken(SILENT) from None
        except httpx.HTTPError as error:
            raise _away(error) from error
        return parse(content)

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """The objects of a stream as they come, until [DONE] or its end; of an answer that is no stream, that one.

        An error in it is raised. Leaving closes the connection, which is how a server learns that nobody waits.
        """
        wait = self.patience.first
        try:
            async with asyncio.timeout(wait):
                response = await self._send("POST", path, body)
            try:
                async with asyncio.timeout(wait):
                    await check(response)
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                async with aclosing(_lines(response, wait, self.patience.gap)) as lines:
                    if kind == "application/json":
                        yield checked(parse(await _whole(lines)))
                        return
                    async for line in lines:
                        field_name, _, text = line.partition(":")
                        text = text.strip()
                        if field_name == "error":  # of some servers, outside of every rule
                            raise _told(text)
                        if field_name != "data" or not text:
                            continue
                        if text == "[DONE]":
                            return
                        yield checked(parse(text.encode()))
            finally:
                await response.aclose()
        except TimeoutError:
            raise Broken(SILENT) from None
        except httpx.HTTPError as error:
            raise _away(error) from error

    async def _send(
        self, method: str, address: str, body: Mapping[str, Any] | None, *, with_key: bool = True
    ) -> httpx.Response:
        async with self._opening:
            if self._client is None:
                secure = self.server.base.startswith("https:")
                self._client = await asyncio.to_thread(
                    lambda: http_client.open_client(redirects=0, read_timeout=None, secure=secure)
                )
        client = self._client
        url = address if "://" in address else f"{self.server.base}/{address}"
        # One request a connection: servers close idle ones after seconds, and a request that meets that end is lost.
        headers = {
            "Accept": "text/event-stream, application/json",
            "User-Agent": "qvac-desktop",
            "Connection": "close",
        }
        if self.server.key and with_key:
            headers["Authorization"] = f"Bearer {self.server.key}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        return await client.send(client.build_request(method, url, headers=headers, content=content), stream=True)


async def check(response: httpx.Response) -> None:
    """Raises what a status that is no success means."""
    status = response.status_code
    if status == httpx.codes.OK:
        return
    text = (await _read(response, ERROR_LIMIT, cut=True)).decode("utf-8", "replace")
    log.info("a model server answered %d: %s", status, " ".join(text.split())[:500])
    raise refusal(status, text)


def refusal(status: int, text: str) -> ModelError | EngineCrashed:
    """What an answer with an error means to whoever asked."""
    if status in (301, 302, 303, 307, 308):
        return ModelError(ELSEWHERE, name="SERVER_MOVED")
    if status in (401, 403):
        return ModelError(KEY_REFUSED, name="SERVER_KEY_REFUSED")
    if status != 401 and _TOO_LONG.search(text):
        return too_long()
    match status:
        case 404:
            gone = "model" in text.lower()
            return ModelError(NO_SUCH_MODEL if gone else NO_API, name="MODEL_NOT_FOUND" if gone else "NO_SUCH_API")
        case 405 | 501:
            return ModelError(NO_API, name="NO_SUCH_API")
        case 429:
            fields = {"reason": "queue_full"}
            return ModelError(BUSY, name="REQUEST_REJECTED_BY_POLICY", code=52420, typed_fields=fields)
        case 408 | 502 | 503 | 504:
            return Broken(BUSY if status == 503 else GONE)
    if 400 <= status < 500:
        return RequestRefused(REFUSED)
    return ModelError(FAILED, name="COMPLETION_FAILED", code=52406)


def too_long() -> ModelError:
    return ModelError(
        "The conversation is longer than the model's context at its server. Start a new conversation, shorten it, or "
        "give the model a larger context there.",
        name="CONTEXT_OVERFLOW",
        code=52421,
    )


def checked(value: Any) -> Mapping[str, Any]:
    """Raises for an error in the place of an event, and for what is no object."""
    if not isinstance(value, dict):
        raise ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406)
    error = value.get("error")
    if error:
        raise _told(json.dumps(error, ensure_ascii=False))
    if value.get("object") == "error" or ("detail" in value and "choices" not in value and "data" not in value):
        raise _told(json.dumps(value, ensure_ascii=False))
    return value


def _told(text: str) -> ModelError | EngineCrashed:
    log.info("a model server told of an error in its answer: %s", " ".join(text.split())[:500])
    if _TOO_LONG.search(text):
        return too_long()
    return Broken(BROKE_OFF)


def parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406) from None


def _away(error: httpx.HTTPError) -> ModelError | EngineCrashed:
    log.info("a model server cannot be reached: %s: %s", type(error).__name__, error)
    if isinstance(error, http_client.ProxyFailed):
        return Broken(str(error))
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)):
        return Broken(BROKE_OFF)
    return Broken(GONE)


async def _read(response: httpx.Response, most: int, *, cut: bool = False) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > most:
            if cut:
                return bytes(content[:most])
            raise ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406)
    return bytes(content)


async def _whole(lines: AsyncGenerator[str, None]) -> bytes:
    """Of an answer that is no stream."""
    content = bytearray()
    async for line in lines:
        content += line.encode() + b"\n"
        if len(content) > BODY_LIMIT:
            raise ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406)
    return bytes(content)


async def _lines(response: httpx.Response, first: float, gap: float) -> AsyncGenerator[str, None]:
    """Lines without their ends. A comment (`: ping`) is a sign of life only until the answer has begun: some servers
    send one from a thread that goes on beside an engine that hangs.
    """
    loop = asyncio.get_running_loop()
    held = b""
    begun = False
    deadline = loop.time() + first
    async with aclosing(response.aiter_bytes()) as chunks:  # type: ignore[type-var]
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            *lines, held = (held + chunk).split(b"\n")
            if len(held) > LINE_LIMIT:
                raise ModelError(UNREADABLE, name="COMPLETION_FAILED", code=52406)
            for line in lines:
                text = line.decode("utf-8", "replace").removesuffix("\r")
                if text and not text.startswith(":"):
                    begun = True
                    deadline = loop.time() + gap
                    yield text
                    deadline = loop.time() + gap  # whoever reads may take its time
                elif not begun:
                    deadline = loop.time() + first
    if held.strip():
        yield held.decode("utf-8", "replace").removesuffix("\r")
