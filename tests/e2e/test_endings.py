"""Every way a run can end, asked for or not: both sides say so, the exit code is right, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from qvac_core.hyperdht import KeyPair
from qvac_core.store.known_nodes import file_of_network
from tests.e2e.program import LIMIT, Program, qvac_desktop

PROVIDER_SEED, GUEST_SEED = "71" * 32, "72" * 32
KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
LONG = ("--prompt", "Write a very long story about a lighthouse.", "--temp", "0")
WORKER_CRASHED = 50205
# What a data folder may hold afterwards; the lock stays on purpose (store/folders.py).
KEPT = {"lock", "qvac.db", "models", "settings.toml", "identity", "known-nodes.json"}


class Site:
    """A place to run both sides, with a temporary folder of its own that must be empty in the end."""

    def __init__(self, bootstrap: str, model: Path, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.model = model
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._guests = 0

    def provider(self) -> Program:
        return qvac_desktop(
            *("provider", "--json", "--seed", PROVIDER_SEED, "--allow-all", "--bootstrap", self.bootstrap),
            *("--model", str(self.model)),
            data_dir=self.folder / "provider",
            env={"TMPDIR": str(self.temporary)},
        )

    def chat(self, *options: str, seed: str = GUEST_SEED) -> Program:
        self._guests += 1
        return qvac_desktop(
            *("chat", KEY, "--json", "--seed", seed, "--bootstrap", self.bootstrap, *options),
            data_dir=self.folder / f"guest {self._guests}",
            env={"TMPDIR": str(self.temporary)},
        )

    def assert_nothing_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        for folder in self.folder.iterdir():
            if folder != self.temporary:
                names = {path.name for path in folder.iterdir()}
                host, _, port = self.bootstrap.rpartition(":")
                nodes = file_of_network(folder / "known-nodes.json", [(host, int(port))]).name
                assert names <= KEPT | {nodes, "qvac.db-wal", "qvac.db-shm"}, folder


@pytest.fixture
def site(bootstrap: str, small_model_path: Path, tmp_path: Path) -> Iterator[Site]:
    site = Site(bootstrap, small_model_path, tmp_path)
    yield site
    site.assert_nothing_left()


def worker_of(program: Program) -> psutil.Process:
    (worker,) = psutil.Process(program.process.pid).children(recursive=True)
    return worker


def assert_ended(*processes: psutil.Process) -> None:
    _, alive = psutil.wait_procs(processes, timeout=LIMIT)
    assert not alive


def no_trace(*programs: Program) -> None:
    for program in programs:
        assert "Traceback" not in program.stderr
        assert 'File "' not in program.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_provider_that_is_asked_to_end_ends_its_answers(number: signal.Signals, site: Site) -> None:
    with site.provider() as provider:
        provider.until("ready")
        with site.chat(*LONG, "--predict", "4000") as guest:
            guest.until("token")
            worker = worker_of(provider)
            provider.process.send_signal(number)
            assert guest.finish() == 1
            assert provider.finish() == 130
    assert_ended(worker)
    (error,) = guest.of("error")
    assert "stopped sharing" in error["message"]
    assert "stopped sharing" in guest.stderr.splitlines()[-1]
    done = provider.of("done")[0]
    assert (done["outcome"], done["error"]) == ("stopped", "Sharing was switched off.")
    assert provider.of("connection")[-1]["state"] == "closed"
    assert provider.of("sharing")[-1]["phase"] == "off"
    assert provider.stderr == ""
    no_trace(guest)


def test_a_killed_provider(site: Site) -> None:
    """The guest hears nothing any more; it says so in the end. The data folder and the key are free at once."""
    with site.provider() as provider:
        provider.until("ready")
        with site.chat(*LONG, "--predict", "4000") as guest:
            guest.until("token")
            worker = worker_of(provider)
            provider.kill()
            assert_ended(worker)
            with site.provider() as again, site.chat("--prompt", "Hello", "--predict", "2", seed="73" * 32) as other:
                again.until("ready")
                assert other.finish() in (0, 1)  # its first try may still find the dead one
                assert guest.finish() == 1
                again.interrupt()
                assert again.finish() == 130
    (error,) = guest.of("error")
    assert error["name"] in ("ETIMEDOUT", "ECONNRESET")
    assert "offline" in guest.stderr.splitlines()[-1]
    no_trace(guest, again)


def test_a_killed_worker_costs_no_answer_once_and_then_one(site: Site) -> None:
    """The same provider goes on at the next word; what ends its model twice in one answer is not asked a third time."""
    whole = ("--predict", "120")
    with site.provider() as provider:
        provider.until("ready")
        with site.chat(*LONG, *whole) as unbroken:
            assert unbroken.finish() == 0, unbroken.stderr
        assert provider.until("done")["outcome"] == "length"
        with site.chat(*LONG, *whole) as guest:
            guest.until("token")
            worker_of(provider).kill()
            assert guest.finish() == 0, guest.stderr
        outcomes = [provider.until("done")["outcome"] for _ in range(2)]
        assert outcomes == ["error", "length"]
        with site.chat(*LONG, "--predict", "4000") as twice:
            twice.until("token")
            worker_of(provider).kill()
            twice.until("seam")
            twice.until("token")
            worker_of(provider).kill()
            assert twice.finish() == 1
        provider.interrupt()
        assert provider.finish() == 130
    assert text_of(guest).strip() == text_of(unbroken).strip()
    assert "continues." in guest.stderr and not guest.of("error")
    (error,) = twice.of("error")
    assert (error["name"], error["code"]) == ("WORKER_CRASHED", WORKER_CRASHED)
    assert twice.stderr.count("Error: ") == 1
    no_trace(guest, twice, provider)


def text_of(guest: Program) -> str:
    return "".join(token["text"] for token in guest.of("token"))


@pytest.fixture
def hang_up_is_heard() -> Iterator[None]:
    """Programs inherit that it is ignored, where these tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up_is_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_guest_that_is_asked_to_end(number: signal.Signals, site: Site) -> None:
    with site.provider() as provider:
        provider.until("ready")
        with site.chat(*LONG, "--predict", "4000") as guest:
            guest.until("token")
            guest.process.send_signal(number)
            assert guest.finish() == 130
        assert provider.until("done")["outcome"] == "cancelled"
    assert not guest.of("error")
    no_trace(guest, provider)


def test_two_guests_advance_together(site: Site) -> None:
    with site.provider() as provider:
        provider.until("ready")
        with (
            site.chat(*LONG, "--predict", "120") as one,
            site.chat(*LONG, "--predict", "120", seed="74" * 32) as other,
        ):
            assert (one.finish(), other.finish()) == (0, 0)
    times = [[at for at, name in guest.arrivals if name == "token"] for guest in (one, other)]
    begun, ended = max(tokens[0] for tokens in times), min(tokens[-1] for tokens in times)
    for tokens in times:
        together = sum(begun <= at <= ended for at in tokens)
        assert together >= 20, "one waited for the other"


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_reads_the_answer_any_more(as_json: bool, site: Site) -> None:
    """As in `qvac-desktop chat … | head -1`: it ends with a sentence, and the GPU stops."""
    with site.provider() as provider:
        provider.until("ready")
        command = [
            *(str(Path(sys.executable).parent / "qvac-desktop"), "chat", KEY, "--seed", GUEST_SEED, *LONG),
            *("--predict", "4000", "--bootstrap", site.bootstrap, "--data-dir", str(site.folder / "guest")),
            *(["--json"] if as_json else []),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as guest:
            assert guest.stdout is not None and guest.stderr is not None
            wanted = b'"token"' if as_json else b" "  # the answer has begun
            while wanted not in (some := os.read(guest.stdout.fileno(), 4096)):
                assert some, "ended before the answer"
            guest.stdout.close()
            said = guest.stderr.read().decode()
            assert guest.wait(LIMIT) == 1
        assert "nobody reads it" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert provider.until("done")["outcome"] == "cancelled"
        no_trace(provider)


def test_a_provider_whose_output_nobody_reads_ends(site: Site) -> None:
    with site.provider() as provider:
        provider.until("ready")
        provider.interrupt()
        assert provider.finish() == 130
    with subprocess.Popen(provider.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as unread:
        assert unread.stdout is not None and unread.stderr is not None
        while b'"ready"' not in (line := unread.stdout.readline()):
            assert line, "ended before it was ready"
        unread.stdout.close()
        with site.chat("--prompt", "Hello", "--predict", "2") as guest:  # something to print about
            guest.finish()
        said = unread.stderr.read().decode()
        assert unread.wait(LIMIT) == 1
    assert len(said.splitlines()) == 1
    assert "nobody reads it" in said
