"""The HTTP server in front of the application: uvicorn's protocol on the core's own loop.

Not uvicorn's `Server`: it takes the process's signals, and wakes up ten times a second while nobody calls. Added here:
a bound for connections, and for the time that the head of a request may take.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from typing import Any

from qvac_core.endpoint.application import Application
from qvac_core.errors import StoreError

CONNECTIONS = 256
HEAD_SECONDS = 15.0
HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 75  # Node's clients keep connections for a minute and are surprised by an earlier end
END_SECONDS = 2.0
BACKLOG = 128


class PortTaken(StoreError):
    """free: another port that can be had now."""

    name = "PORT_TAKEN"

    def __init__(self, port: int, free: int) -> None:
        super().__init__(
            f"Another program uses port {port} on this machine. Port {free} is free: use that one, or end the other "
            "program."
        )
        self.port, self.free = port, free


class Listener:
    """Listens from `open` to `close`. host: an address; port 0 = any."""

    def __init__(self, application: Application, host: str, port: int) -> None:
        self._application, self._host, self._wanted = application, host, port
        self._server: asyncio.Server | None = None
        self._state: Any = None
        self.port = 0

    async def open(self) -> None:
        """Raises PortTaken, StoreError."""
        import uvicorn
        from uvicorn.server import ServerState

        config = uvicorn.Config(
            self._application,
            http="h11",
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        config.load()
        state = self._state = ServerState()
        protocol = _protocol()
        bound = _bound(self._host, self._wanted)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), sock=bound, backlog=BACKLOG
        )
        self.port = bound.getsockname()[1]

    async def close(self) -> None:
        """No new calls; those that run are told, and all connections end."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for call in self._application.book.running:
            call.stop("The endpoint was switched off.")
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=END_SECONDS)
        for task in tuple(self._state.tasks):
            task.cancel()
        for connection in tuple(self._state.connections):
            connection.transport.close()
        await asyncio.sleep(0)
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=END_SECONDS)


def _protocol() -> Any:
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Bounded(H11Protocol):
        """uvicorn 0.54 has a bound for the size of a head, and none for its time or for the number of connections."""

        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > CONNECTIONS:
                transport.abort()
                return
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            if self._head is None and (self.cycle is None or self.cycle.response_complete):
                self._wait_for_head()
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:
                self._head_came()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def _wait_for_head(self) -> None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.close)

        def _head_came(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Bounded


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Else another program could bind the same port later, and get what is meant for us, with the token.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES) and port:
            raise PortTaken(port, free_port(host, port)) from error
        raise StoreError(f"This machine cannot listen at {host}: {error.strerror}.", name="CANNOT_LISTEN") from error
    return bound


def free_port(host: str, beside: int) -> int:
    """One of the next ten behind `beside`, else any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*range(beside + 1, min(beside + 11, 65536)), 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return 0
