"""What a person may type wrongly, and files and folders that are not what they should be: one line, an exit code.

docs/architecture.md "Contracts that others rely on": 1 failed, 2 wrong usage, one line that says why.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qvac_core.hyperdht import KeyPair
from tests.e2e.program import one_line, qvac_desktop, run

SEED = "51" * 32
KEY = KeyPair.from_seed(bytes.fromhex(SEED)).public_key.hex()


# --- Options ---------------------------------------------------------------------------------------------------------


Arguments = tuple[str, ...]
Results = Mapping[Arguments, subprocess.CompletedProcess[str]]


def run_all(commands: Sequence[Arguments]) -> Results:
    """Every command to its end, as many at once as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(commands, pool.map(lambda arguments: run(*arguments), commands), strict=True))


WRONG_USAGE: list[tuple[Arguments, str]] = [
    (("chat",), "PROVIDER_KEY"),
    (("chat", "abc"), "this has 3"),
    (("chat", KEY[:-1]), "this has 63"),
    (("chat", KEY + "0"), "this has 65"),
    (("chat", "g" + KEY[1:]), "'g' is not a hex digit"),
    (("chat", "ä" * 64), "not a hex digit"),
    (("chat", ""), "this has 0"),
    (("chat", KEY, "--prompt", ""), "empty"),
    (("chat", KEY, "--predict", "0"), "'0' is not a number of tokens"),
    (("chat", KEY, "--predict", "1e3"), "number of tokens"),
    (("chat", KEY, "--temp", "nan"), "temperature"),
    (("chat", KEY, "--timeout", "-1"), "number of seconds"),
    (("chat", KEY, "--seed", SEED[:-2]), "has 62 characters"),
    (("chat", KEY, "--seed", SEED[:-1] + "z"), "64 hex digits"),
    (("provider", "--seed", ""), "has 0 characters"),
    (("provider", "--allow", "nobody"), "this has 6"),
    (("provider", "--deny", KEY + KEY), "this has 128"),
    (("provider", "--model", ""), "empty"),
    (("provider", "--data-dir", ""), "empty"),
    (("provider", "--port", "65536"), "'65536' is not a port"),
    (("provider", "--port", "-5"), "port"),
    (("provider", "--port", "http"), "port"),
    (("provider", "--bootstrap", "somewhere"), "HOST:PORT"),
    (("provider", "--bootstrap", ":49737"), "HOST:PORT"),
    (("provider", "--bootstrap", "127.0.0.1:0"), "HOST:PORT"),
    (("provider", "--bootstrap", "127.0.0.1:99999"), "HOST:PORT"),
    (("provider", "--allow-al"), "--allow-al"),  # no guessing where it decides who gets in
    (("public-key", "--seed", "12"), "has 2 characters"),
    (("--port", "5000", "public-key"), "no use of --port"),
    (("--no-local-network", "relay"), "no use of --no-local-network"),
    (("--bootstrap", "127.0.0.1:5000", "demo"), "no use of --bootstrap"),
    (("serve-me",), "serve-me"),
]


@pytest.fixture(scope="module")
def usage() -> Results:
    return run_all([arguments for arguments, _ in WRONG_USAGE])


@pytest.mark.parametrize(("arguments", "says"), WRONG_USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: Arguments, says: str, usage: Results) -> None:
    result = usage[arguments]
    assert result.returncode == 2, result.stderr
    line = one_line(result)
    assert says in line
    assert "--help" in line
    assert result.stdout == ""


@pytest.mark.parametrize("seed", ["abcd", SEED + "00", "x" * 64])
def test_a_wrong_seed_in_the_environment(seed: str, bootstrap: str, tmp_path: Path) -> None:
    for arguments in (("public-key",), ("provider", "--bootstrap", bootstrap)):
        result = run(*arguments, "--data-dir", str(tmp_path / "data"), env={"QVAC_HYPERSWARM_SEED": seed})
        assert result.returncode == 1
        line = one_line(result)
        assert "QVAC_HYPERSWARM_SEED" in line
        assert seed not in line, "a seed is a secret, a mistyped one nearly"


def test_a_wrong_seed_is_never_repeated() -> None:
    result = run("public-key", "--seed", SEED[:-1])
    assert SEED[:8] not in result.stderr


def test_options_before_the_verb_count(tmp_path: Path) -> None:
    before = run("--data-dir", str(tmp_path / "one"), "public-key")
    after = run("public-key", "--data-dir", str(tmp_path / "one"))
    other = run("public-key", "--data-dir", str(tmp_path / "two"))
    assert before.returncode == after.returncode == other.returncode == 0
    assert before.stdout == after.stdout != other.stdout


def test_the_window_without_a_screen_says_what_to_do_instead() -> None:
    without_screen = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
    if sys.platform != "linux":
        pytest.skip("elsewhere there is always a screen")
    result = run(env=without_screen)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "provider" in result.stderr


# --- Models ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad_models(small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a model file should not be."""
    folder = tmp_path_factory.mktemp("bad models")
    with small_model_path.open("rb") as file:
        head = file.read(1 << 20)
    (folder / "empty.gguf").touch()
    (folder / "cut in its header.gguf").write_bytes(head[:1000])
    (folder / "cut in its tensors.gguf").write_bytes(head)
    (folder / "text.gguf").write_text("This is no model.\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    # A count of strings that would need more memory than there is, as a hostile file has it.
    (folder / "huge counts.gguf").write_bytes(head[:8] + b"\xff" * 16 + head[24:])
    (folder / "random.gguf").write_bytes(head[:24] + os.urandom(100_000))
    (folder / "folder.gguf").mkdir()
    os.mkfifo(folder / "pipe.gguf")
    return folder


NO_MODELS = [
    ("empty.gguf", "empty"),
    ("cut in its header.gguf", "not complete"),
    ("cut in its tensors.gguf", "not complete"),
    ("text.gguf", "not a GGUF"),
    ("picture.png", "not a GGUF"),
    ("huge counts.gguf", "model file"),
    ("random.gguf", "model file"),
    ("folder.gguf", "folder"),
    ("pipe.gguf", "no file"),
    ("missing.gguf", "no file"),
    (".", "folder"),
    # Names and addresses.
    ("NO_SUCH_MODEL", "NO_SUCH_MODEL"),
    ("registry://s3/bucket/model.gguf", "registry://s3"),
    ("pear://abcdef/model.gguf", "pear://"),
    ("http://127.0.0.1:9/model.gguf", "https"),
    ("file:///etc/passwd", "address"),
    ("https://127.0.0.1:9/model.gguf", "could not be reached"),
]


def in_folder(folder: Path, name: str) -> str:
    return str(folder / name) if name.endswith((".gguf", ".png", ".")) and "//" not in name else name


@pytest.fixture(scope="module")
def attempts(bad_models: Path, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A provider for each of them, to its end; the keys are the names."""
    commands = {
        (name,): (
            *("provider", "--json", "--bootstrap", bootstrap, "--model", in_folder(bad_models, name)),
            *("--data-dir", str(tmp_path_factory.mktemp("data"))),
        )
        for name, _ in NO_MODELS
    }
    results = run_all(list(commands.values()))
    return {name: results[arguments] for name, arguments in commands.items()}


@pytest.mark.parametrize(("name", "says"), NO_MODELS)
def test_what_is_no_model(name: str, says: str, attempts: Results) -> None:
    result = attempts[name,]
    assert result.returncode == 1
    assert says in one_line(result)
    assert '"event": "error"' in result.stdout
    assert '"event": "ready"' not in result.stdout
    data = Path(result.args[-1])
    assert not list(data.rglob("*.part")), "what failed at once leaves nothing behind"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: not run")
def test_a_file_that_may_not_be_read(small_model_path: Path, bootstrap: str, tmp_path: Path) -> None:
    model = tmp_path / "secret.gguf"
    shutil.copy(small_model_path, model)
    model.chmod(0)
    result = run("provider", "--bootstrap", bootstrap, "--model", str(model), "--data-dir", str(tmp_path / "data"))
    assert result.returncode == 1
    assert "Permission denied" in one_line(result)


# --- Folders and disks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["provider", "public-key"])
def test_a_data_folder_that_is_a_file(verb: str, bootstrap: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network = ("--bootstrap", bootstrap) if verb == "provider" else ()
    result = run(verb, *network, "--data-dir", str(tmp_path / "file"))
    assert result.returncode == 1
    assert "is a file" in one_line(result)


def test_a_data_folder_where_nothing_can_be_made(bootstrap: str) -> None:
    result = run("provider", "--bootstrap", bootstrap, "--data-dir", "/proc/qvac-desktop")
    assert result.returncode == 1
    assert "/proc/qvac-desktop" in one_line(result)


def test_a_data_folder_in_use(bootstrap: str, tmp_path: Path) -> None:
    with qvac_desktop("provider", "--json", "--bootstrap", bootstrap, data_dir=tmp_path) as first:
        first.until("ready")
        for arguments in (("provider",), ("chat", KEY, "--prompt", "Hello")):
            second = run(*arguments, "--bootstrap", bootstrap, "--data-dir", str(tmp_path))
            assert second.returncode == 1
            assert "already running" in one_line(second)
            assert str(first.process.pid) in second.stderr
        assert run("public-key", "--data-dir", str(tmp_path)).stdout.strip() == first.of("ready")[0]["publicKey"]
        first.interrupt()
        assert first.finish() == 130
    with qvac_desktop("provider", "--json", "--bootstrap", bootstrap, data_dir=tmp_path) as again:
        assert again.until("ready")["publicKey"] == first.of("ready")[0]["publicKey"]


def test_broken_settings_database_and_model_list_are_set_aside(bootstrap: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("x = [")
    (tmp_path / "qvac.db").write_bytes(os.urandom(5000))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "library.json").write_text("{{{")
    with qvac_desktop("provider", "--json", "--bootstrap", bootstrap, data_dir=tmp_path) as program:
        program.until("ready")
        program.interrupt()
        assert program.finish() == 130
    assert "settings.toml.corrupt-" in program.stderr
    assert "qvac.db.corrupt-" in program.stderr
    assert "Traceback" not in program.stderr
    assert list(tmp_path.glob("qvac.db.corrupt-*"))


def test_a_damaged_identity_never_becomes_a_new_one(bootstrap: str, tmp_path: Path) -> None:
    (tmp_path / "identity").write_text("half of a se")
    for arguments in (("public-key",), ("provider", "--bootstrap", bootstrap)):
        result = run(*arguments, "--data-dir", str(tmp_path))
        assert result.returncode == 1
        assert "identity" in one_line(result)
    assert (tmp_path / "identity").read_text() == "half of a se"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be made here to fill: not run")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("filled", [False, True])
def test_a_full_disk(filled: bool, small_disk: Path, bootstrap: str, small_model_path: Path) -> None:
    if filled:
        with (small_disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)) == 4096 and filler.tell() < 60 * 1024:
                pass
    for arguments in (("provider", "--bootstrap", bootstrap, "--model", str(small_model_path)),):
        result = run(*arguments, "--data-dir", str(small_disk / "data"))
        assert result.returncode == 1
        assert "disk is full" in one_line(result)
    if filled:
        result = run("public-key", "--data-dir", str(small_disk / "other"))
        assert (result.returncode, result.stdout) == (1, "")
        assert "disk is full" in one_line(result)
        assert not (small_disk / "other" / "identity").exists()


# --- Network ---------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_told_and_the_next_one_taken(bootstrap: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with qvac_desktop(
            "provider", "--json", "--bootstrap", bootstrap, "--port", str(port), data_dir=tmp_path
        ) as program:
            program.until("ready")
            program.interrupt()
            assert program.finish() == 130
    assert f"UDP port {port} is in use" in program.stderr


@pytest.mark.parametrize("where", ["127.0.0.1:1", "no-such-host.invalid:49737"])
def test_nobody_answers_at_the_bootstrap_address(where: str, tmp_path: Path) -> None:
    network = ("--bootstrap", where, "--no-local-network")
    with qvac_desktop("provider", "--json", *network, data_dir=tmp_path / "provider") as provider:
        guest = run("chat", KEY, *network, "--data-dir", str(tmp_path / "guest"), "--prompt", "Hello")
        assert guest.returncode == 1
        assert "No machine of the network answers" in one_line(guest), "the provider's key is not to blame"
        assert provider.until("sharing", phase="unreachable")["detail"]
        provider.interrupt()
        assert provider.finish() == 130
    assert not provider.of("ready"), "a key that nobody can find is not ready"
    assert "Traceback" not in provider.stderr
