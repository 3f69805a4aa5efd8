"""Our UDX against udx-native 1.21.3, over real sockets on loopback, both directions."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qvac_core.udx import EndReceived, MessageReceived
from tests.interop.udx_driver import SocketDriver, pattern

PEER = Path(__file__).with_name("udx_peer.mjs")
OURS, THEIRS = 0x0A0A0A0A, 0x0B0B0B0B
TIMEOUT = 60.0
SIZE = 30_000_000


class Peer:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def event(self, name: str) -> dict[str, Any]:
        """The next event of that name; other ones are skipped."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message: dict[str, Any] = json.loads(line)
            if message["event"] == name:
                return message
        raise AssertionError(f"the peer ended before it said {name!r}")


@contextmanager
def connected(js_home: Path, mode: str, size: int = 0) -> Iterator[tuple[SocketDriver, Peer]]:
    options = {"localId": THEIRS, "remoteId": OURS, "mode": mode, "bytes": size}
    process = subprocess.Popen(
        ["node", str(PEER), json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "JS_HOME": str(js_home)},
    )
    driver = SocketDriver(OURS)
    try:
        peer = Peer(process)
        driver.connect(THEIRS, peer.event("listening")["port"])
        assert process.stdin is not None
        process.stdin.write(json.dumps({"port": driver.port}) + "\n")
        process.stdin.flush()
        yield driver, peer
    finally:
        driver.close()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def digest(size: int) -> str:
    return hashlib.sha256(b"".join(pattern(size))).hexdigest()


def test_a_javascript_peer_receives_30_mb_intact_and_both_end(js_home: Path) -> None:
    with connected(js_home, "sink") as (driver, peer):
        driver.send(pattern(SIZE))
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is None
        end = peer.event("end")
        assert end["received"] == SIZE
        assert end["sha256"] == digest(SIZE)
        assert peer.event("close")["received"] == SIZE
        assert driver.stream.stats.mtu == 1500


def test_a_javascript_peer_sends_30_mb_intact_and_both_end(js_home: Path) -> None:
    sha = hashlib.sha256()
    with connected(js_home, "send", SIZE) as (driver, peer):
        driver.on_data = sha.update
        driver.run(TIMEOUT, lambda: driver.saw(EndReceived))
        driver.stream.end(0.0)
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is None
        assert sha.hexdigest() == digest(SIZE)
        assert peer.event("close")["mtu"] == 1500


def test_an_echo_carries_both_directions_at_once(js_home: Path) -> None:
    size = 10_000_000
    sha = hashlib.sha256()
    with connected(js_home, "echo") as (driver, peer):
        driver.on_data = sha.update
        driver.send(pattern(size))
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is None
        assert sha.hexdigest() == digest(size)
        assert peer.event("end")["received"] == size


@pytest.mark.parametrize("loss", [0.01, 0.05])
def test_both_repair_what_the_other_direction_loses(js_home: Path, loss: float) -> None:
    size = 4_000_000
    sha = hashlib.sha256()
    with connected(js_home, "echo") as (driver, peer):
        driver.on_data = sha.update
        driver.loss = loss
        driver.send(pattern(size))
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is None
        assert sha.hexdigest() == digest(size)
        assert driver.stream.stats.retransmits > size / 1452 * loss / 2
        assert peer.event("end")["received"] == size


def test_unordered_messages_cross_both_ways(js_home: Path) -> None:
    with connected(js_home, "echo") as (driver, _peer):
        received = bytearray()
        driver.on_data = received.extend
        driver.stream.write(b"hello", 0.0)  # a message to a stream that is not connected yet is lost
        driver.run(TIMEOUT, lambda: bytes(received) == b"hello")
        driver.stream.send_message(b"unordered", 0.0)
        driver.run(TIMEOUT, lambda: driver.saw(MessageReceived))
        assert MessageReceived(b"unordered") in driver.events


def test_a_javascript_peer_that_destroys_is_a_reset(js_home: Path) -> None:
    with connected(js_home, "destroy") as (driver, _peer):
        driver.stream.write(b"hello", 0.0)
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is not None
        assert driver.closed.error.name == "ECONNRESET"


def test_a_javascript_peer_sees_our_destroy(js_home: Path) -> None:
    with connected(js_home, "echo") as (driver, peer):
        driver.stream.write(b"hello", 0.0)
        received = bytearray()
        driver.on_data = received.extend
        driver.run(TIMEOUT, lambda: bytes(received) == b"hello")
        driver.stream.destroy(0.0)
        driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert peer.event("error")["code"] == "ECONNRESET"


@pytest.mark.parametrize("pause", [2.0])
def test_a_reader_that_stops_stops_the_javascript_sender(js_home: Path, pause: float) -> None:
    size = 12_000_000
    sha = hashlib.sha256()
    backlog: list[int] = []
    with connected(js_home, "send", size) as (driver, _peer):
        driver.on_data = sha.update
        driver.stream.pause_reading()
        with pytest.raises(TimeoutError):
            driver.run(pause, lambda: driver.saw(EndReceived))
        backlog.append(driver.stream.stats.bytes_received)
        driver.stream.resume_reading()
        driver.run(TIMEOUT, lambda: driver.saw(EndReceived))
        assert sha.hexdigest() == digest(size)
    assert backlog[0] < 6_000_000


@pytest.mark.long
def test_a_killed_javascript_peer_is_noticed_13_seconds_after_the_next_write(js_home: Path) -> None:
    with connected(js_home, "echo") as (driver, peer):
        received = bytearray()
        driver.on_data = received.extend
        driver.stream.write(b"hello", 0.0)
        driver.run(TIMEOUT, lambda: bytes(received) == b"hello")
        peer.process.kill()
        peer.process.wait()
        driver.stream.write(b"anybody there?", 0.0)
        took = driver.run(TIMEOUT, lambda: driver.closed is not None)
        assert driver.closed is not None and driver.closed.error is not None
        assert driver.closed.error.name == "ETIMEDOUT"
        assert 12.5 < took < 16.0
