"""One running server: started, greeted, asked for its tools, called, and ended, each within its time.

The package keeps its transport in scopes that one task must enter and leave, so each connection has a task of its own.
It has no limits of time: a program that does not speak the protocol would be waited for for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from qvac_core.errors import QvacError
from qvac_core.store.records import ToolServer
from qvac_core.tools.health import ServerTool
from qvac_core.tools.listing import Listing
from qvac_core.tools.results import ToolResult, result_of

if TYPE_CHECKING:
    from mcp import Client

logger = logging.getLogger(__name__)

START_SECONDS = 30.0  # `npx -y` loads its package the first time
FIRST_START_SECONDS = 120.0  # of programs that load themselves from the network
PING_SECONDS = 5.0
CALL_SECONDS = 120.0  # without a word from it; a sign of progress begins them anew
END_SECONDS = 10.0
PAGES_MOST = 50  # of a list of tools
TOOLS_MOST = 512
STDERR_KEPT = 8 * 1024  # bytes: the end of what a program wrote there
STDERR_SECONDS = 2.0  # that a program which ended is waited for there: what it started may hold it open for ever
UNAUTHORIZED = 401
# What the package says of every answer over HTTP with an error's status, and of a connection that ended. Whole: a
# server's own words may be "Order 14013 is not there" or "database connection closed".
_NO_MORE_SAID, _CLOSED = "Server returned an error response", "Connection closed"
_LOADERS = ("npx", "npx.cmd", "uvx", "uvx.exe", "bunx", "pnpx", "docker", "pipx", "deno")


class ToolServerError(QvacError):
    """A server that cannot be started, or ended. details: what it wrote to its standard error."""

    name = "TOOL_SERVER_FAILED"

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class Connection:
    """`open` once; then `call` until it is not `alive` any more; `close` in any case."""

    def __init__(self, server: ToolServer, on_tools_changed: Callable[[], None]) -> None:
        self._server = server
        self._on_tools_changed = on_tools_changed
        self._client: Client | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._stderr = _Tail()
        self._listing = Listing()
        self._status = 0  # of the last answer over HTTP to what was asked
        self._task: asyncio.Task[None] | None = None
        self.title = ""

    @property
    def alive(self) -> bool:
        return self._client is not None and self._task is not None and not self._task.done()

    @property
    def stderr(self) -> str:
        return self._stderr.text

    async def open(self) -> tuple[ServerTool, ...]:
        """Its tools. Raises ToolServerError, having ended what was started."""
        for name in ("httpx2", "mcp"):  # addresses, which may hold keys, and whatever a program prints: not for our log
            logging.getLogger(name).setLevel(logging.CRITICAL)
        await asyncio.to_thread(importlib.import_module, "mcp")  # a second, in which others' answers would stand still
        self._task = asyncio.get_running_loop().create_task(self._live(), name=f"tools of {self._server.name}")
        loads = Path(self._server.command).name.lower() in _LOADERS
        limit = FIRST_START_SECONDS if loads else START_SECONDS
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(self._ready)
                return await self.tools()
        except TimeoutError:
            await self.close()
            await self._stderr.ended()
            raise self._failed(f"{self._server.name} did not answer within {limit:.0f} seconds.") from None
        except BaseException:
            await self.close()
            raise

    async def tools(self) -> tuple[ServerTool, ...]:
        """As they are now. Raises ToolServerError."""
        found: list[ServerTool] = []
        cursor: str | None = None
        async with self._told():
            for _ in range(PAGES_MOST):
                listed = await self._running.list_tools(cursor=cursor)
                found += [_tool(tool, self._listing.schemas) for tool in listed.tools]
                cursor = listed.next_cursor
                if not cursor or len(found) >= TOOLS_MOST:
                    break
        return tuple(found[:TOOLS_MOST])

    async def is_well(self) -> bool:
        """Whether it answers now: a program may have ended, and a server that was restarted knows nobody any more."""
        if not self.alive:
            return False
        from mcp import MCPError
        from mcp.types import PingRequest

        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._running.session.send_request(PingRequest(), _empty_result())
        except (TimeoutError, MCPError, QvacError, OSError):
            return False
        return True

    async def call(
        self, tool: str, arguments: dict[str, Any], seconds: float, on_progress: Callable[[str], None] | None = None
    ) -> ToolResult:
        """seconds: that it may be silent. Cancelling the call tells the server. Raises ToolServerError."""
        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds) as limit:

                async def heard(progress: float, total: float | None, message: str | None) -> None:
                    limit.reschedule(loop.time() + seconds)
                    if on_progress is not None:
                        share = f"{100 * progress / total:.0f} %" if total else ""
                        on_progress(" ".join(part for part in (share, message or "") if part))

                async with self._told():
                    # Not by `call_tool`: of a result that misses the tool's own output schema it makes an error, and
                    # the tool has run by then.
                    request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
                    result = await self._running.session.send_request(request, CallToolResult, progress_callback=heard)
        except TimeoutError:
            raise ToolServerError(f"{tool} said nothing for {seconds:.0f} seconds and was stopped.") from None
        return result_of(result)

    async def close(self) -> None:
        self._leave.set()
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=END_SECONDS if self._ready.done() else 0)
        if pending:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=END_SECONDS)

    @property
    def _running(self) -> Client:
        if self._client is None:
            raise self._failed(f"{self._server.name} has ended.")
        return self._client

    # --- Its task

    async def _live(self) -> None:
        from mcp import Client

        try:
            async with self._transport() as transport:
                client = Client(
                    self._listing.through(transport),
                    mode="legacy",
                    cache=None,
                    message_handler=self._heard,
                    client_info=_client_info(),
                )
                async with client:
                    self._client = client
                    info = client.server_info
                    self.title = (info.title or info.name) if info is not None else ""
                    self._ready.set_result(None)
                    await self._leave.wait()
        except BaseException as error:
            await self._end(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._client = None
            self._stderr.close()
            if not self._ready.done():
                self._ready.set_exception(self._failed(f"{self._server.name} has ended."))
            self._ready.exception() if self._ready.done() and not self._ready.cancelled() else None

    async def _end(self, error: BaseException) -> None:
        if not self._ready.done():
            if isinstance(error, Exception):
                await self._stderr.ended()
            self._ready.set_exception(self._failed(self._reason(error)))
        elif isinstance(error, Exception) and not self._leave.is_set():
            logger.info("the tool server %s ended: %s", self._server.name, type(_innermost(error)).__name__)

    @contextlib.asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        server = self._server
        if server.url:
            from mcp.client.streamable_http import streamable_http_client
            from mcp.shared._httpx_utils import create_mcp_http_client

            async with create_mcp_http_client(headers=dict(server.headers)) as http:
                http.event_hooks = {"response": [self._answered]}
                yield streamable_http_client(server.url, http_client=http)
            return
        from mcp.client.stdio import StdioServerParameters, stdio_client

        parameters = StdioServerParameters(
            command=_expanded(server.command),
            args=list(server.args),
            env=dict(server.env),
            cwd=_expanded(server.cwd) or None,
            encoding_error_handler="replace",
        )
        yield stdio_client(parameters, errlog=self._stderr.open())

    async def _answered(self, response: Any) -> None:
        if response.request.method == "POST":  # others are for what nobody has asked for
            self._status = response.status_code

    async def _heard(self, message: object) -> None:
        from mcp.types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._on_tools_changed()

    @contextlib.asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """The package's errors in words."""
        from mcp import MCPError

        try:
            yield
        except (MCPError, OSError, RuntimeError, ValueError) as error:
            if _is_end(error):
                await self._stderr.ended()
            raise self._failed(self._reason(error)) from None

    def _reason(self, error: BaseException) -> str:
        name, inner = self._server.name, _innermost(error)
        if isinstance(inner, FileNotFoundError):
            if self._server.cwd and not Path(self._server.cwd).expanduser().is_dir():
                return f"The folder {self._server.cwd} that {name} is started in is not there."
            return f"The program {self._server.command} was not found."
        if isinstance(inner, PermissionError):
            return f"The program {self._server.command} may not be started."
        said = " ".join(str(inner).split())[:300]
        if said == _NO_MORE_SAID and self._status:
            if self._status == UNAUTHORIZED:
                return f"{name} wants a sign-in. Put its key among the headers (Authorization: Bearer …)."
            said = f"HTTP {self._status}"
        if _is_end(inner):
            return f"{name} has ended." if self._client is not None else f"{name} ended at once."
        if type(inner).__name__ in ("ConnectError", "ConnectTimeout"):
            return f"Nothing answers at {self._server.url}."
        return f"{name} says: {said}" if said else f"{name} has ended ({type(inner).__name__})."

    def _failed(self, sentence: str) -> ToolServerError:
        return ToolServerError(sentence, details=self._stderr.text)


def _expanded(path: str) -> str:
    """The home folder of "~/…"."""
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _client_info() -> Any:
    from mcp.types import Implementation

    return Implementation(name="qvac-desktop", title="QVAC Desktop", version="0.1.0")


def _empty_result() -> Any:
    from mcp.types import EmptyResult

    return EmptyResult


def _is_end(error: BaseException) -> bool:
    """Whether it says that the server is there no more."""
    said = " ".join(str(_innermost(error)).split())
    return said == _CLOSED or "ended without" in said


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _tool(tool: Any, kept_aside: Mapping[str, object]) -> ServerTool:
    """kept_aside: schemas that the package does not take, as the server told them."""
    hints = tool.annotations
    title = tool.title or (hints.title if hints is not None else "") or ""
    reads = hints is not None and hints.read_only_hint is True
    schema = kept_aside.get(tool.name, tool.input_schema)
    return ServerTool(tool.name, title, tool.description or "", schema, reads)


class _Tail:
    """The end of what a program writes to its standard error, read in a thread: not every loop can read a pipe."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._write: TextIO | None = None
        self._reader: threading.Thread | None = None

    @property
    def text(self) -> str:
        with self._lock:
            return b"".join(self._kept)[-STDERR_KEPT:].decode("utf-8", "replace").strip()

    def open(self) -> TextIO:
        read, write = os.pipe()
        self._write = os.fdopen(write, "w", encoding="utf-8")
        self._reader = threading.Thread(target=self._follow, args=(read,), name="tool server's errors", daemon=True)
        self._reader.start()
        return self._write

    async def ended(self) -> None:
        """Wait until `text` holds the last words of a program that is there no more.

        That it ended is known by its other pipe: the thread may be some lines behind.
        """
        self.close()
        if self._reader is not None:
            await asyncio.to_thread(self._reader.join, STDERR_SECONDS)

    def close(self) -> None:
        if self._write is not None:
            self._write.close()
            self._write = None

    def _follow(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb", buffering=0) as pipe:
            while chunk := pipe.read(4096):
                with self._lock:
                    self._kept.append(chunk)
                    self._size += len(chunk)
                    while self._size - len(self._kept[0]) >= STDERR_KEPT:
                        self._size -= len(self._kept.popleft())
