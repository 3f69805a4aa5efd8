"""Build for this GPU: when it is offered, what it tells, and that a cancel ends all that it started."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from app.engine_build import EngineBuild, Progress
from qvac_core.errors import QvacError

# What takes the place of bootstrap.py: it notes its arguments, writes the compiler's log, and ends as it is told.
SCRIPT = """
import os, subprocess, sys, time
from pathlib import Path
HERE = Path(__file__).parent
def cache_folder():
    return HERE / "wheels"
if __name__ == "__main__":
    print("Compiling", *sys.argv[1:], flush=True)
    log = cache_folder() / sys.argv[2].removeprefix("--") / "build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("[1/4] a\\n[2/4] b\\n")
    if (HERE / "waits").exists():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (HERE / "child").write_text(str(child.pid))
        time.sleep(600)
    while not (HERE / "go").exists():
        time.sleep(0.01)
    sys.exit(int((HERE / "go").read_text() or 0))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "bootstrap.py").write_text(SCRIPT)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    return tmp_path


def build(clone: Path, *programs: str, platform: str = "linux") -> EngineBuild:
    python = clone / ".venv" / "bin" / "python"
    return EngineBuild(
        clone, which=lambda name: f"/bin/{name}" if name in programs else None, python=python, platform=platform
    )


def test_only_a_clone_with_a_compiler_offers_it(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert build(clone, "g++").obstacle() == ""
    assert "C++ compiler" in build(clone).obstacle()
    assert "installed as a package" in build(tmp_path_factory.mktemp("elsewhere"), "g++").obstacle()
    other = EngineBuild(clone, which=lambda name: name, python=Path("/usr/bin/python3"))
    assert "another environment" in other.obstacle()


def test_what_is_offered_is_what_the_toolkits_allow(clone: Path) -> None:
    assert [kind.name for kind in build(clone, "g++").kinds()] == ["cpu"]
    assert "toolkit" in build(clone, "g++").lacking()
    with_two = build(clone, "g++", "nvcc", "glslc")
    assert [kind.name for kind in with_two.kinds()] == ["cuda", "vulkan", "cpu"]
    assert with_two.lacking() == ""
    assert [kind.name for kind in build(clone, "clang++", platform="darwin").kinds()] == ["metal", "cpu"]


def test_it_tells_how_far_it_is_and_keeps_what_was_said(clone: Path) -> None:
    one = build(clone, "g++")
    told: list[Progress] = []

    def take(progress: Progress) -> None:
        told.append(progress)
        if progress.share >= 0:
            (clone / "go").touch()

    one.run("cuda", take)
    assert told[-1].share == 0.5
    assert "Compiling engine --cuda" in one.log("cuda") and "[2/4] b" in one.log("cuda")
    assert not one.running


def test_a_failure_is_a_sentence(clone: Path) -> None:
    (clone / "go").write_text("1")
    with pytest.raises(QvacError, match="was not built") as failed:
        build(clone, "g++").run("cpu", lambda _progress: None)
    assert failed.value.name == "BUILD_FAILED"


@pytest.mark.skipif(os.name == "nt", reason="looks at processes as POSIX has them")
def test_a_cancel_ends_all_that_it_started(clone: Path) -> None:
    (clone / "waits").touch()
    one = build(clone, "g++")
    begun = threading.Event()

    def take(_progress: Progress) -> None:
        if (clone / "child").exists() and (clone / "child").read_text():
            begun.set()

    failures: list[QvacError] = []

    def run() -> None:
        try:
            one.run("cpu", take)
        except QvacError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(30)
    one.cancel()
    thread.join(30)
    assert [error.name for error in failures] == ["BUILD_CANCELLED"]
    child = int((clone / "child").read_text())
    end = time.monotonic() + 30
    while _lives(child):
        assert time.monotonic() < end, "a compiler would go on"
        time.sleep(0.01)


def _lives(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text() if Path("/proc").exists() else ""
        os.kill(process, 0)
    except (OSError, ProcessLookupError):
        return False
    return ") Z " not in status
