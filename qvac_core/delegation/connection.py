"""A consumer's connection to one provider: requests with a time limit, answers as lines, health probe, greeting.

docs/wire/qvac.md sections 1, 3, 7, 12; what 0.16.0 does in dist/server/bare/delegate-rpc-client.js,
delegate-transport.js.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from qvac_core.delegation.blob_upload import BytesSource, Progress, Source, not_taken, open_file, upload
from qvac_core.delegation.failures import Code, Reason, is_key_refused, provider_error
from qvac_core.delegation.life_signs import (
    ASK_AFTER_SECONDS,
    ASK_OURS_AFTER_SECONDS,
    GONE_SECONDS,
    LOOK_SECONDS,
    ORIGINAL_GONE_SECONDS,
    Silence,
)
from qvac_core.delegation.lines import lines_of
from qvac_core.delegation.messages import (
    Cancel,
    CancelReply,
    ErrorReply,
    Heartbeat,
    HeartbeatReply,
    Hello,
    HelloReply,
    Keepalive,
    KeepaliveReply,
    Message,
    Reply,
    Terms,
    decode_reply,
    encode,
)
from qvac_core.delegation.peer_stream import PeerStream
from qvac_core.delegation.rpc import Rpc
from qvac_core.delegation.rpc_streams import IncomingStream, OutgoingStream
from qvac_core.delegation.serving import APP_NAME, HELLO_VERSION, OUR_FEATURES
from qvac_core.errors import (
    ConnectionClosed,
    DelegationError,
    NetworkError,
    ProviderError,
    QvacError,
    RemoteProtocolError,
)
from qvac_core.threads import make_in_thread

logger = logging.getLogger(__name__)

HELLO_SECONDS = 10.0
# Leaving early: for the reply to the cancel.
CANCEL_SECONDS = 1.5
# For a sign of life, which counts whenever it comes. The connection ends before that.
SIGN_SECONDS = 60.0

ReplyT = TypeVar("ReplyT", bound=Message)


class ProviderConnection:
    """Owned by a Consumer, which awaits `task`. `hello` is what one of our own providers said; None for others."""

    def __init__(self, stream: PeerStream, without: frozenset[str] = frozenset()) -> None:
        """without: features of ours that this guest does not have."""
        self.stream = stream
        self._features = OUR_FEATURES - without
        self.on_greeted: Callable[[], None] = lambda: None  # it is one of ours, and has said so
        self.public_key = stream.remote_public_key
        self.hello: HelloReply | None = None
        self.terms: Terms | None = None  # what it lets us use, as it said last
        self._rpc = Rpc(stream)
        self._rejected: ProviderError | None = None
        self._uploading = asyncio.Lock()
        self._greeting: asyncio.Task[None] | None = None
        self._silence = Silence(asyncio.get_running_loop().time())
        self._watching: asyncio.Task[None] | None = None
        self._sign: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._read_outs: set[asyncio.Task[None]] = set()
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._rpc.run()
        finally:
            tasks = {task for task in (self._greeting, self._watching, self._sign, *self._leaving) if task is not None}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    @property
    def closed(self) -> bool:
        return self._rpc.closed

    @property
    def path(self) -> str:
        """ "direct", "relay" or "local network", as it is now."""
        return self.stream.path

    @property
    def relay(self) -> str:
        """The key of the relay that forwards it now, in hex; "" on a direct path."""
        return self.stream.relay.hex() if self.stream.relay is not None else ""

    def offers(self, feature: str) -> bool:
        return self.hello is not None and feature in self.hello.features

    def destroy(self) -> None:
        self._rpc.destroy()

    async def close(self) -> None:
        await self._rpc.close()

    # --- Asking -----------------------------------------------------------------------------------------------

    async def ask(self, message: Message, expect: type[ReplyT], seconds: float, payload: bytes = b"") -> ReplyT:
        """One request, one reply. Raises ProviderError for the provider's own errors, which leave the connection good.

        payload: raw bytes behind a message that has some (`putBlob`).
        Raises ConnectionClosed, RemoteProtocolError or DelegationError (REQUEST_TIMEOUT) when it is of no use any more.
        """
        self._greet_soon()
        self._watch_soon()
        try:
            body = encode(message) + (b"\n" + payload if payload else b"")
            reply = decode_reply(await self._rpc.request(body, seconds))
        except TimeoutError:
            raise timed_out(seconds) from None
        except ConnectionClosed as error:
            raise self.failure(error) from error
        except RemoteProtocolError:
            self.destroy()
            raise
        self.check(reply)
        if not isinstance(reply, expect):
            self.destroy()
            raise RemoteProtocolError(f"the provider answered {type(message).__name__} with something else")
        return reply

    def open_stream(self, message: Message) -> IncomingStream:
        self._greet_soon()
        self._watch_soon()
        return self._rpc.open_stream(encode(message))

    def open_duplex(self, message: Message) -> tuple[OutgoingStream, IncomingStream, bytes]:
        """A request whose body goes on after its first chunk, which is returned: it has to be written first."""
        self._greet_soon()
        self._watch_soon()
        upload, answer = self._rpc.open_duplex()
        return upload, answer, encode(message)

    def sent(self, stream: IncomingStream) -> tuple[bool, int]:
        """Whether the request of this answer has gone out, and how many bytes have, of everything."""
        return self._rpc.written_in_all >= stream.sent_at, self._rpc.written_in_all

    async def replies(self, stream: IncomingStream) -> AsyncIterator[Reply]:
        """The lines of an answer. Raises ProviderError for an error line, else what a lost connection raises."""
        try:
            async for line in lines_of(stream):
                reply = decode_reply(line)
                if reply is not None:
                    self.check(reply)
                    yield reply
        except ConnectionClosed as error:
            raise self.failure(error) from error

    def check(self, reply: Reply | None) -> None:
        """Raise a provider's error. A refusal explains whatever fails on this connection afterwards."""
        if isinstance(reply, ErrorReply):
            error = provider_error(reply)
            if is_key_refused(error):
                self._rejected = error
            raise error

    @property
    def rejection(self) -> ProviderError | None:
        """What the provider said when it did not serve this key, or no longer."""
        return self._rejected

    def raise_if_rejected(self, error: ProviderError) -> None:
        if self._rejected is not None:
            raise self._rejected from error

    def failure(self, error: QvacError) -> QvacError:
        """Why something failed here: the provider's refusal, if it said one before it closed."""
        return self._rejected or error

    async def stop_request(self, request_id: str) -> None:
        """Tell a provider that fell silent to stop working on it; one that does not answer even that is dropped."""
        try:
            await self.ask(Cancel(operation="request", request_id=request_id), CancelReply, CANCEL_SECONDS)
        except ProviderError as error:
            logger.debug("a silent provider refused the cancel: %s", error)
        except QvacError:
            self.destroy()

    def read_out(self, stream: IncomingStream) -> None:
        """Let the rest of an answer come that nobody wants any more: it is short, and the next waits for it."""
        task = asyncio.get_running_loop().create_task(self._read_out(stream))
        self._leaving.add(task)
        self._read_outs.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(self._read_outs.discard)

    async def _read_out(self, stream: IncomingStream) -> None:
        try:
            async for _ in self.replies(stream):
                pass
        except QvacError as error:
            logger.debug("an answer that nobody reads any more ended: %s", error)
        finally:
            stream.destroy()

    async def all_read_out(self) -> None:
        """Until such answers have ended."""
        while self._read_outs:
            await asyncio.wait(set(self._read_outs))

    async def healthy(self, seconds: float) -> bool:
        """The probe in front of every call on a connection that is kept."""
        try:
            await self.ask(Heartbeat(), HeartbeatReply, seconds)
        except QvacError as error:
            logger.debug("a provider failed the health probe: %s", error)
            return False
        return True

    def leave_request(self, request_id: str) -> None:
        """Have the provider stop it, without waiting: one that is silent hears it when it is there again."""
        if not self.closed:
            task = asyncio.get_running_loop().create_task(self._tell_left(request_id))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _tell_left(self, request_id: str) -> None:
        try:
            await self.ask(Cancel(operation="request", request_id=request_id), CancelReply, SIGN_SECONDS)
        except QvacError as error:
            logger.debug("a silent provider did not hear of a cancel: %s", error)

    # --- Signs of life ----------------------------------------------------------------------------------------

    @property
    def quiet(self) -> float:
        """Seconds in which nothing came though something is awaited; about 0 while the provider is there."""
        return self._silence.seconds

    @property
    def gone(self) -> bool:
        """Nothing came for longer than a provider that is there takes, however busy it is."""
        most = GONE_SECONDS if self.offers("keepalive") else ORIGINAL_GONE_SECONDS
        return self.quiet >= most + 2 * self.stream.rtt

    def _watch_soon(self) -> None:
        if self._watching is None or self._watching.done():
            loop = asyncio.get_running_loop()
            self._silence.forget(loop.time())
            self._watching = loop.create_task(self._watch())

    async def _watch(self) -> None:
        """While something is awaited of the provider; one that became silent, until it is heard or given up."""
        loop = asyncio.get_running_loop()
        written = self._rpc.written_in_all
        while not self.closed:
            await asyncio.sleep(LOOK_SECONDS)
            now, heard_at = loop.time(), self.stream.heard_at
            if self._rpc.backlog and self._rpc.written_in_all > written:
                heard_at = now  # a long request goes out slowly: nobody could answer meanwhile
            written = self._rpc.written_in_all
            quiet = self._silence.look(heard_at, now)
            asking = self._sign is not None and not self._sign.done()
            if self._rpc.awaited <= asking and quiet < ASK_OURS_AFTER_SECONDS:
                return
            if not asking and quiet >= (ASK_OURS_AFTER_SECONDS if self.offers("keepalive") else ASK_AFTER_SECONDS):
                self._sign = loop.create_task(self._ask_for_sign())

    async def _ask_for_sign(self) -> None:
        try:
            if self.offers("keepalive"):
                await self.ask(Keepalive(), KeepaliveReply, SIGN_SECONDS)
            else:
                await self.ask(Heartbeat(), HeartbeatReply, SIGN_SECONDS)
        except QvacError as error:
            logger.debug("a provider gave no sign of life: %s", error)

    # --- Files ------------------------------------------------------------------------------------------------

    async def put_blob(self, data: bytes | Path, on_progress: Progress | None = None, *, what: str = "files") -> str:
        """Have these bytes, or those of this file, at the provider; their sha256 in hex, by which requests name them.

        Nothing travels that is there already. One at a time on a connection. Raises LocalProtocolError for a file that
        cannot be read, DelegationError MODEL_OPERATION_NOT_SUPPORTED when the provider is not one of ours (`what` says
        what it cannot take), ProviderError for its refusal, and what a lost connection raises.
        """
        await self.greeted()
        if not self.offers("blobs"):
            raise self.failure(not_taken(what))
        source: Source
        if isinstance(data, bytes):
            source = BytesSource(data)
        else:
            source = await make_in_thread(lambda: open_file(data), lambda file: file.close())
        try:
            async with self._uploading:
                await upload(self, source, on_progress)
        finally:
            source.close()
        return source.sha256

    # --- Our own providers ------------------------------------------------------------------------------------

    def _greet_soon(self) -> None:
        """Beside the first request, behind it: a provider that does not admit us answers the request itself."""
        if self._greeting is None:
            self._greeting = asyncio.get_running_loop().create_task(self._greet())

    async def _greet(self) -> None:
        hello = Hello(app=APP_NAME, version=HELLO_VERSION, features=sorted(self._features))
        try:
            self.hello = await self.ask(hello, HelloReply, HELLO_SECONDS)
            self.terms = self.hello.terms if isinstance(self.hello.terms, Terms) else self.terms
            self.on_greeted()
        except QvacError as error:
            logger.debug("not one of our own providers: %s", error)

    async def greeted(self) -> HelloReply | None:
        """What the provider said to our greeting, once it has; None when it is not one of ours."""
        self._greet_soon()
        assert self._greeting is not None
        await asyncio.wait({self._greeting})
        return self.hello


def timed_out(seconds: float) -> DelegationError:
    return DelegationError(
        f"The provider did not answer within {seconds:g} seconds.",
        name="REQUEST_TIMEOUT",
        code=Code.DELEGATE_CONNECTION_FAILED.value,
    )


# How hyperdht names a handshake that the other side refused on purpose.
_REFUSED = "SERVER_ERROR"
_UNREACHABLE = frozenset({"PEER_CONNECTION_FAILED", "CANNOT_HOLEPUNCH", "REMOTE_ABORTED"})


def connection_failed(public_key: bytes, error: NetworkError) -> DelegationError:
    """DELEGATE_CONNECTION_FAILED under the name of its cause (docs/wire/qvac.md section 7)."""
    key = public_key.hex()
    fields: dict[str, object] = {}
    if error.name == "PEER_NOT_FOUND":
        message = f"Provider {key} was not found on the DHT: it is offline, or the key is wrong."
    elif error.name == _REFUSED:
        message = f"Provider {key} refused the connection: its owner has not allowed your key."
        fields["reason"] = Reason.NOT_ADMITTED.value
    elif error.name in _UNREACHABLE or "HOLEPUNCH" in error.name:
        message = f"Provider {key} was found but a connection could not be established ({error.name})."
    else:
        message = f"Connecting to provider {key} failed: {error.message}"
    return DelegationError(message, name=error.name, code=Code.DELEGATE_CONNECTION_FAILED.value, typed_fields=fields)
