"""A small file server on loopback that behaves as Hugging Face does: redirects, ranges, checksums, and bad days."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FileServer:
    """`files`: path to bytes. `cut_after`: bytes after which the coming answers break off. `status`: instead of 200."""

    files: dict[str, bytes] = field(default_factory=dict)
    api: dict[str, object] = field(default_factory=dict)  # path without its question to what is answered as JSON
    cut_after: list[int] = field(default_factory=list)
    status: int = 200
    ranges: bool = True
    linked_etag: bool = True
    linked_sha256: str = ""  # instead of the right one
    etag: str = ""
    last_modified: str = ""
    if_range: bool = True
    shift: int = 0  # bytes by which a range is answered elsewhere than asked
    headers: list[dict[str, str]] = field(default_factory=list)  # of each request, names in lower case
    requests: list[tuple[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    address: str = ""


@contextmanager
def file_server(certificate: Path | None = None) -> Iterator[FileServer]:
    """With a `certificate` (and its key in the same file) it speaks https, as localhost."""
    state = FileServer()
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range", "")))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            if state.status != 200:
                self.answer(state.status, b"")
            elif self.path.startswith("/api/"):
                told = state.api.get(self.path.partition("?")[0])
                self.answer(404 if told is None else 200, b"" if told is None else json.dumps(told).encode())
            elif not self.path.startswith("/store"):
                data = state.files.get(self.path)
                if data is None:
                    self.answer(404, b"")
                    return
                sha256 = state.linked_sha256 or hashlib.sha256(data).hexdigest()
                etag = {"X-Linked-Etag": f'"{sha256}"'} if state.linked_etag else {}
                self.answer(302, b"", {"Location": "/store" + self.path, **etag})
            else:
                self.send_file(state.files[self.path.removeprefix("/store")])

        def do_HEAD(self) -> None:
            data = state.files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()

        def send_file(self, data: bytes) -> None:
            asked = self.headers.get("Range", "")
            if state.if_range and self.headers.get("If-Range", state.etag) not in (state.etag, state.last_modified):
                asked = ""
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) + state.shift if asked and state.ranges else 0
            if start >= len(data) and asked:
                self.answer(416, b"")
                return
            if last and state.ranges:  # the first bytes of a file alone: a header is looked at
                end = min(int(last) + 1, len(data))
                self.answer(206, data[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})
                return
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
            headers |= {"ETag": state.etag} if state.etag else {}
            headers |= {"Last-Modified": state.last_modified} if state.last_modified else {}
            self.answer(206 if start else 200, data[start:], headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:  # as it was asked to: a proxy asks so, and its client must know
                self.send_header("Connection", "close")
            self.end_headers()
            cut = state.cut_after.pop(0) if body and state.cut_after else None
            try:
                if body and cut is None and not state.gate.is_set():
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    state.gate.wait(20)
                    body = body[len(body) // 2 :]
                self.wfile.write(body if cut is None else body[:cut])
            except OSError:
                self.close_connection = True  # the client left: that is what is tested
            if cut is not None:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        state.address = f"https://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
