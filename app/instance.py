"""One window for one data folder: a second start brings the first to the front and hands over what it was asked for.

The data folder's lock decides who is first. The local socket only carries the word: its name is new in each run and
kept in the data folder, so nobody else's socket is met, and one that a killed process left is known for what it is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app.instance_address import instance_address
from qvac_core.errors import QvacError, StoreError
from qvac_core.late_dataclass import dataclass
from qvac_core.store.disk import write_atomically
from qvac_core.store.folders import DataDir, InstanceLock

if TYPE_CHECKING:
    from qvac_core.core.serving import Wanted

logger = logging.getLogger(__name__)

# Seconds until a second start gives up: the first may be starting or ending, or it is no window at all.
HAND_OVER_LIMIT = 3.0
PAUSE = 0.05  # seconds between two tries
END_LIMIT = 60.0  # seconds for one that was asked to end: what runs in it is ended properly
LONGEST_MESSAGE = 65536  # bytes
LONGEST_WAITING = 1 << 20  # bytes that a terminal has not read
TOKEN_VARIABLE = "XDG_ACTIVATION_TOKEN"  # Wayland: the right to come to the front, which the launcher gave


@dataclass(frozen=True, slots=True)
class Call:
    """What a second start was asked for: its arguments, and the launcher's token to come to the front ("" = none)."""

    arguments: tuple[str, ...] = ()
    token: str = ""


class ServeCall(QObject):
    """A `serve` of another process, for as long as it is connected: lines of JSON go back. `left`: it has gone."""

    left = Signal()

    def __init__(self, socket: QLocalSocket, wanted: Wanted) -> None:
        super().__init__(socket)
        self.wanted = wanted
        self._socket = socket
        socket.disconnected.disconnect(socket.deleteLater)  # not before `end`: who says something meanwhile may
        socket.disconnected.connect(self.left)

    @property
    def here(self) -> bool:
        return self._socket.state() is QLocalSocket.LocalSocketState.ConnectedState

    def say(self, event: str, **fields: object) -> None:
        """Nobody is waited for: who does not read is dropped."""
        self._socket.write(json.dumps({"event": event, **fields}).encode() + b"\n")
        if self._socket.bytesToWrite() > LONGEST_WAITING:
            self._socket.abort()

    def end(self) -> None:
        """Once all is written. Nothing more is said then."""
        self._socket.disconnected.connect(self._socket.deleteLater)
        if self.here:
            self._socket.disconnectFromServer()
        else:
            self._socket.deleteLater()


class Instance(QObject):
    """`called`: somebody started us again. `serves`: a terminal wants programs served, beside us.

    Needs a QApplication, not yet its loop.
    """

    called = Signal(object)  # Call
    serves = Signal(object)  # ServeCall

    def __init__(self, folder: DataDir, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._lock = InstanceLock(folder.lock_file)
        self._server: QLocalServer | None = None

    def claim(self, call: Call) -> bool:
        """True: we are the one. False: the running one has taken `call`. Raises StoreError when neither can be."""
        self._folder.create()
        end = time.monotonic() + HAND_OVER_LIMIT
        while True:
            try:
                self._lock.acquire()
            except StoreError as error:
                if error.name != "ALREADY_RUNNING":
                    raise
                if self._hand_over(call, end):
                    return False
                if time.monotonic() >= end:
                    raise
                time.sleep(PAUSE)
            else:
                self._listen()
                return True

    @property
    def folder(self) -> DataDir:
        return self._folder

    def leave(self) -> None:
        """Take no more calls: who starts now waits for the lock."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            with contextlib.suppress(OSError):  # the file is only a hint
                self._folder.instance_file.unlink(missing_ok=True)

    def wait_for_end(self, limit: float = END_LIMIT) -> bool:
        """Whether the running one has ended within `limit` seconds. Raises StoreError where that cannot be seen."""
        end = time.monotonic() + limit
        while True:
            try:
                self._lock.acquire()
            except StoreError as error:
                if error.name != "ALREADY_RUNNING":
                    raise
                if time.monotonic() >= end:
                    return False
                time.sleep(PAUSE)
            else:
                self._lock.release()
                return True

    def close(self) -> None:
        self.leave()
        self._lock.release()

    # --- The first

    def _listen(self) -> None:
        """Without the socket the window opens all the same; only a second start cannot reach it."""
        if stale := instance_address(self._folder):
            _remove_stale(stale)
        server = QLocalServer(self)
        # No access options: with one of them a second `listen` takes a living name without an error (Qt 6.11.3). The
        # socket of a file system is its owner's alone as it is.
        if not server.listen(_new_address()):
            logger.warning("a second start will not find this one: %s", server.errorString())
            return
        server.newConnection.connect(self._take_calls)
        self._server = server
        content = json.dumps({"server": server.fullServerName(), "folder": os.path.realpath(self._folder.root)})
        try:
            write_atomically(self._folder.instance_file, content.encode(), action="write the data folder")
        except StoreError as error:
            logger.warning("a second start will not find this one: %s", error)

    def _take_calls(self) -> None:
        while self._server is not None and (socket := self._server.nextPendingConnection()) is not None:
            socket.setReadBufferSize(LONGEST_MESSAGE)
            socket.readyRead.connect(self._read)
            socket.disconnected.connect(socket.deleteLater)

    def _read(self) -> None:
        socket = self.sender()
        if not isinstance(socket, QLocalSocket):
            return
        if not socket.canReadLine():
            if socket.bytesAvailable() >= LONGEST_MESSAGE:
                socket.abort()
            return
        line = bytes(socket.readLine().data())
        if (wanted := _wanted(line)) is not None:
            socket.readyRead.disconnect(self._read)  # one line is all that it says
            self.serves.emit(ServeCall(socket, wanted))
            return
        call = _parsed(line)
        if call is None:
            socket.abort()
            return
        socket.write(b"taken\n")
        socket.disconnectFromServer()  # once that is written
        self.called.emit(call)

    # --- The second

    def _hand_over(self, call: Call, end: float) -> bool:
        """Whether the running one answered. A connection alone says nothing: a process that hangs accepts it too."""
        address = instance_address(self._folder)
        if not address:
            return False
        socket = QLocalSocket()
        socket.connectToServer(address)
        message = json.dumps({"arguments": list(call.arguments), "token": call.token}).encode() + b"\n"
        try:
            if not socket.waitForConnected(_left(end)) or socket.write(message) < 0:
                return False
            while not socket.canReadLine():
                if time.monotonic() >= end or not socket.waitForReadyRead(_left(end)):
                    return False
            return bytes(socket.readLine().data()) == b"taken\n"
        finally:
            socket.abort()


def _wanted(line: bytes) -> Wanted | None:
    """None: it is something else."""
    if not line.startswith(b'{"serve"'):
        return None
    from qvac_core.core.serving import as_wanted  # not before the window is seen

    try:
        message = json.loads(line)
        return as_wanted(message["serve"])
    except (ValueError, TypeError, KeyError, RecursionError, QvacError):
        return None


def _parsed(line: bytes) -> Call | None:
    try:
        message = json.loads(line)
        arguments, token = message["arguments"], message["token"]
    except (ValueError, TypeError, KeyError):
        return None
    if (
        not isinstance(token, str)
        or not isinstance(arguments, list)
        or not all(isinstance(argument, str) for argument in arguments)
    ):
        return None
    return Call(tuple(arguments), token)


def _left(end: float) -> int:
    """Milliseconds until `end`, at least one."""
    return max(1, round((end - time.monotonic()) * 1000))


def _new_address() -> str:
    name = f"qvac-desktop-{secrets.token_hex(8)}"
    if os.name == "nt":
        return name
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # Not the data folder: the path of a socket may have about 100 bytes.
    folder = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    return str(folder / name)


def _remove_stale(address: str) -> None:
    """The socket of one that was killed; whoever holds the lock may."""
    with contextlib.suppress(OSError):  # gone already
        if os.name != "nt" and stat.S_ISSOCK(Path(address).lstat().st_mode):
            QLocalServer.removeServer(address)


def as_call(arguments: Sequence[str]) -> Call:
    return Call(tuple(arguments), os.environ.get(TOKEN_VARIABLE, ""))
