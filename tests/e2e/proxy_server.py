"""Two small proxies on loopback: HTTP (CONNECT and whole addresses, RFC 9110) and SOCKS 5 (RFC 1928)."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """`asked`: HOST:PORT of each connection. `target`: where all of them really go. `login`: what it wants to see."""

    target: tuple[str, int]
    address: str = ""
    login: str = ""
    asked: list[str] = field(default_factory=list)


def _pump(left: socket.socket, right: socket.socket) -> None:
    def copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one of the two is gone: the other copy ends as well

    back = threading.Thread(target=copy, args=(right, left))
    back.start()
    copy(left, right)
    back.join()


@contextmanager
def _serve(handler: type[socketserver.StreamRequestHandler], state: Proxy) -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def http_proxy(target: tuple[str, int], login: str = "") -> Iterator[Proxy]:
    state = Proxy(target, login=login)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            method, address, version = self.rfile.readline().decode().split()
            lines = []
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                lines.append(line)
            if state.login and not any(state.login in line.decode() for line in lines):
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            parts = urlsplit(address if "://" in address else f"//{address}")
            state.asked.append(parts.netloc)
            with socket.create_connection(state.target) as upstream:
                if method == "CONNECT":
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    lines = [line for line in lines if not line.lower().startswith((b"proxy-", b"connection:"))]
                    head = f"{method} {parts.path} {version}\r\nConnection: close\r\n".encode()
                    upstream.sendall(head + b"".join(lines) + b"\r\n")
                _pump(self.connection, upstream)

    with _serve(Handler, state) as running:
        yield running


@contextmanager
def socks_proxy(target: tuple[str, int]) -> Iterator[Proxy]:
    state = Proxy(target)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            version, methods = self.rfile.read(2)
            assert version == 5
            self.rfile.read(methods)
            self.wfile.write(b"\x05\x00")
            _, command, _, kind = self.rfile.read(4)
            assert command == 1
            if kind == 1:
                host = socket.inet_ntoa(self.rfile.read(4))
            else:
                host = self.rfile.read(self.rfile.read(1)[0]).decode()
            (port,) = struct.unpack("!H", self.rfile.read(2))
            state.asked.append(f"{host}:{port}")
            self.wfile.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            with socket.create_connection(state.target) as upstream:
                _pump(self.connection, upstream)

    with _serve(Handler, state) as running:
        yield running
