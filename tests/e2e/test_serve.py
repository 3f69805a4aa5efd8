"""`qvac-desktop serve` over real sockets: its verb, a port that is taken, and whoever means it harm."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import LIMIT, Program, one_line, qvac_desktop, run

NOBODY = "127.0.0.1:9"  # no network is entered
PAGE = "https://chat.example.com"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Endpoint:
    program: Program
    port: int
    token: str
    folder: Path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            told = {"Authorization": f"Bearer {self.token}", **headers}
            connection.request(method, path, None if body is None else json.dumps(body), told)
            reply = connection.getresponse()
            data = reply.read()
            return reply.status, json.loads(data) if data else None

    def raw(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        connection.sendall(data)
        return connection

    @property
    def head(self) -> bytes:
        host = f"Host: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"
        return f"POST /v1/chat/completions HTTP/1.1\r\n{host}".encode()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, small_model_path: Path) -> Iterator[Endpoint]:
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    old = run("serve", "--token", "--data-dir", str(folder)).stdout.strip()
    options = ["--model", str(small_model_path), "--http-port", str(port), "--bootstrap", NOBODY, "--json"]
    with qvac_desktop("serve", *options, "--new-token", "--allow-origin", PAGE, data_dir=folder) as program:
        program.until("ready")
        token = run("serve", "--token", "--data-dir", str(folder)).stdout.strip()  # beside one that runs
        assert token != old
        yield Endpoint(program, port, token, folder)


def test_the_verb_serves_what_its_options_say(endpoint: Endpoint) -> None:
    (ready,) = endpoint.program.of("ready")
    assert ready["address"] == f"http://127.0.0.1:{endpoint.port}/v1"
    (model,) = ready["models"]
    assert endpoint.ask("GET", "/v1/models")[1]["data"][0]["id"] == model
    assert (endpoint.folder / "program-token").stat().st_mode & 0o077 == 0
    status, answer = endpoint.ask(
        "POST",
        "/v1/chat/completions",
        {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4},
        **{"User-Agent": "curl/8.5.0", "Origin": PAGE},
    )
    assert (status, answer["usage"]["completion_tokens"]) == (200, 4)
    call = endpoint.program.until("call")
    assert (call["program"], call["kind"], call["outcome"]) == ("curl 8.5.0", "chat", "done")
    assert (call["generatedTokens"], call["machine"]) == (4, "This machine")
    assert "Hi" not in json.dumps(endpoint.program.events)
    with pytest.raises(OSError):  # this machine's other addresses are none of its business
        socket.create_connection(("127.0.0.2", endpoint.port), timeout=1).close()


def test_a_port_that_is_taken_is_told_with_another_one(endpoint: Endpoint, tmp_path: Path) -> None:
    options = ["--http-port", str(endpoint.port), "--bootstrap", NOBODY, "--data-dir", str(tmp_path)]
    result = run("serve", *options)
    assert result.returncode == 1
    assert "--http-port" in one_line(result)


def test_a_web_page_gets_nothing(endpoint: Endpoint) -> None:
    """As browsers send it: a simple request of another origin, a form, a rebound name, a preflight, a plain link."""
    evil = {"Origin": "https://evil.example", "Content-Type": "text/plain", "User-Agent": "Mozilla/5.0"}
    assert endpoint.ask("POST", "/v1/chat/completions", {}, **evil)[0] == 403
    assert endpoint.ask("POST", "/v1/chat/completions", {}, **{**evil, "Origin": "null"})[0] == 403
    assert endpoint.ask("GET", "/v1/models", Host="evil.example")[0] == 403
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert endpoint.ask("OPTIONS", "/v1/chat/completions", **{**evil, **asks})[0] == 403
    assert endpoint.ask("GET", "/v1/models", Authorization="")[0] == 401


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"GET http://127.0.0.1/v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"A" * 200_000,
        b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_its_connection_and_nothing_else(endpoint: Endpoint, request_: bytes) -> None:
    with endpoint.raw(request_) as connection:
        with contextlib.suppress(OSError):  # it may have ended by then
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
            assert not reply or reply.split()[1][:1] == b"4", reply[:200]
    assert endpoint.ask("GET", "/health")[0] == 200


def _open_ones(connections: list[socket.socket]) -> int:
    """How many of them the other side has not closed."""
    count = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            count += connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def test_a_thousand_connections_and_one_program(endpoint: Endpoint) -> None:
    """They hold nothing but themselves, and are cut off where there are too many; a program still gets its answer."""
    held = []
    try:
        for _ in range(1000):
            with contextlib.suppress(OSError):
                held.append(endpoint.raw(b"GET /v1/models HTTP/1.1\r\n"))
        until = time.monotonic() + LIMIT
        while (left := _open_ones(held)) > 256 and time.monotonic() < until:
            time.sleep(0.05)  # those that wait to be accepted are cut off then
        assert 200 <= left <= 256
    finally:
        for connection in held:
            connection.close()
    assert endpoint.ask("GET", "/v1/models")[0] == 200


def test_who_reads_slowly_holds_up_nobody_and_who_leaves_frees_the_engine(endpoint: Endpoint) -> None:
    (model,) = endpoint.program.of("ready")[0]["models"]
    body = json.dumps(
        {
            "model": model,
            "stream": True,
            "max_tokens": 3000,
            "messages": [{"role": "user", "content": "Count to 1000."}],
        }
    ).encode()
    request = endpoint.head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    slow = endpoint.raw(request)
    assert slow.recv(1)
    question = {"model": model, "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]}
    assert endpoint.ask("POST", "/v1/chat/completions", question)[0] == 200
    slow.close()
    assert endpoint.program.until("call", outcome="left")["kind"] == "chat"


def test_it_ends_at_once_while_somebody_waits(endpoint: Endpoint) -> None:
    """The last test: the endpoint goes away in the middle of an answer, and says so."""
    (model,) = endpoint.program.of("ready")[0]["models"]
    body = json.dumps(
        {
            "model": model,
            "stream": True,
            "max_tokens": 3000,
            "messages": [{"role": "user", "content": "Count to 1000."}],
        }
    ).encode()
    with endpoint.raw(endpoint.head + b"Content-Length: %d\r\n\r\n" % len(body) + body) as connection:
        said = connection.recv(4096)
        ending = threading.Thread(target=endpoint.program.interrupt)
        ending.start()
        with contextlib.suppress(ConnectionError):
            said += b"".join(iter(lambda: connection.recv(65536), b""))
        ending.join()
    assert b'"error"' in said
    assert b"[DONE]" not in said
    assert endpoint.program.finish() == 130
