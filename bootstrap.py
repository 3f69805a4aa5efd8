"""Sets everything up and runs it: `bootstrap.py run` opens the app, `bootstrap.py test` passes the tests.

Standard library only. What it makes lies in `.venv` and `.cache` of this folder. The engine that it installs comes as a
wheel and needs no compiler. The other one (`bootstrap.py engine`) is compiled, and kept as a wheel in the user's cache
folder, so that no machine ever compiles it twice.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / ".qvac-setup"
DEV_STAMP = VENV / ".qvac-setup-tests"

USAGE = """usage: python3 bootstrap.py run [ARGS…]    set up, then start QVAC Desktop (without a screen: the demo)
       python3 bootstrap.py engine [--cuda|--vulkan|--metal|--hip]
                                           compile the engine for many chats at once, or for this machine's GPU
       python3 bootstrap.py command        make `qvac-desktop` a command of your shell
       python3 bootstrap.py test [ARGS…]   set up, then run the checks and tests (ARGS go to pytest)
       python3 bootstrap.py setup          set up only"""

# Library that Qt loads → (Debian/Ubuntu package, Fedora package). What Qt 6.11 needs.
QT_LIBRARIES = {
    "EGL": ("libegl1", "mesa-libEGL"),
    "GL": ("libgl1", "mesa-libGL"),
    "fontconfig": ("libfontconfig1", "fontconfig"),
    "glib-2.0": ("libglib2.0-0", "glib2"),
    "dbus-1": ("libdbus-1-3", "dbus-libs"),
    "xkbcommon": ("libxkbcommon0", "libxkbcommon"),
}
XCB_LIBRARIES = {
    "xcb-cursor": ("libxcb-cursor0", "xcb-util-cursor"),
    "xcb-icccm": ("libxcb-icccm4", "xcb-util-wm"),
    "xcb-keysyms": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "xcb-shape": ("libxcb-shape0", "libxcb"),
    "xkbcommon-x11": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
}


def say(text: str) -> None:
    print(f"\033[1m› {text}\033[0m" if sys.stderr.isatty() else f"› {text}", file=sys.stderr, flush=True)


def fail(text: str) -> None:
    print(f"\n{text}", file=sys.stderr)
    raise SystemExit(1)


def has_screen() -> bool:
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def missing_packages(libraries: dict[str, tuple[str, str]]) -> list[str]:
    debian = shutil.which("apt-get") is not None
    return [deb if debian else rpm for name, (deb, rpm) in libraries.items() if ctypes.util.find_library(name) is None]


def install_hint(packages: list[str]) -> str:
    command = "sudo apt-get install -y" if shutil.which("apt-get") else "sudo dnf install -y"
    return f"{command} {' '.join(packages)}"


def check_python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (this file must start on older ones to say so)
        fail(f"QVAC Desktop needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        fail(f"Python's venv module is incomplete here. Install it: {install_hint(['python3-venv'])}")


def check_screen_libraries(*, window: bool) -> None:
    """Qt's own message for a missing library names neither the library nor the package."""
    if sys.platform != "linux":
        return
    wanted = dict(QT_LIBRARIES)
    if window and os.environ.get("DISPLAY"):
        wanted |= XCB_LIBRARIES
    packages = missing_packages(wanted)
    if packages:
        fail(
            "The window needs system libraries that are not installed. Install them, then run this again:\n\n"
            f"  {install_hint(packages)}"
        )


def cache_folder() -> Path:
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "qvac-desktop" / "wheels"


# What `engine --NAME` builds, and what it needs beside a C++ compiler.
BACKENDS = {
    "cpu": ("", ""),
    "cuda": ("-DGGML_CUDA=on", "the CUDA toolkit (nvcc)"),
    "vulkan": ("-DGGML_VULKAN=on", "the Vulkan SDK (glslc)"),
    "metal": ("-DGGML_METAL=on", "Xcode's command line tools"),
    "hip": ("-DGGML_HIP=on", "ROCm (hipcc)"),
}


def engine_requirement() -> str:
    import tomllib  # not there before 3.11, which check_python answers with a sentence

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = project["optional-dependencies"]["scheduler"]
    return str(requirement)


def has_module(name: str) -> bool:
    command = [str(PYTHON), "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"]
    return subprocess.run(command, cwd=VENV, check=False).returncode == 0


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False)
    if result.returncode:
        fail(f"This step failed (exit {result.returncode}): {' '.join(str(part) for part in command)}")


@contextmanager
def alive(doing: str, where: str = "") -> Iterator[None]:
    """Says every 15 s that it is still at work."""
    done = threading.Event()

    def show(started: float) -> None:
        while not done.wait(15):
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            say(f"  still {doing}, {minutes}:{seconds:02d}{where}")

    threading.Thread(target=show, args=(time.monotonic(),), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """pip's own words are for those who call pip: they are kept back, and shown where it fails."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)


def pip_install(*arguments: str | Path) -> None:
    with alive("installing"):
        result = pip("install", "-q", *arguments)
    if result.returncode:
        tail = "\n".join((result.stderr or result.stdout).splitlines()[-12:])
        fail(f"The packages could not be installed (pip ended with {result.returncode}):\n\n{tail}")


def find_engine_wheel(requirement: str, backend: str, *, anew: bool = False) -> bool:
    """Install the compiled engine from a wheel that is there already: our own cache, or where pip is told to look.

    anew: put it in the place of one that is installed, which may be of another backend.
    """
    folders = [cache_folder() / backend, *([ROOT.parent / "shared" / "wheels"] if backend == "cpu" else [])]
    links = [part for folder in folders if folder.is_dir() for part in ("--find-links", str(folder))]
    options = ["--force-reinstall"] if anew else []
    return pip("install", "-q", "--no-deps", "--no-index", *options, *links, requirement).returncode == 0


def compile_engine(requirement: str, backend: str) -> None:
    flags, needs = BACKENDS[backend]
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        tool = {"darwin": "xcode-select --install", "win32": "the Build Tools for Visual Studio (C++ workload)"}
        fail("This engine (llama.cpp) needs a C++ compiler. Install: " + tool.get(sys.platform, install_hint(["g++"])))
    say("Compiling llama.cpp: 4 to 25 minutes, once on this machine. Later set-ups reuse it.")
    folder = cache_folder() / backend
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    environment = dict(os.environ)
    if flags:
        environment["CMAKE_ARGS"] = f"{flags} {environment.get('CMAKE_ARGS', '')}".strip()
    command = [PYTHON, "-m", "pip", "wheel", "-v", "--no-deps", "--no-binary", "llama-cpp-python", "-w", folder]
    with log.open("w") as output, alive("compiling", f" (log: {log})"):
        result = subprocess.run(
            [*(str(part) for part in command), requirement],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        also = f" It needs {needs}." if needs else ""
        fail(f"The engine did not compile.{also} The end of {log}:\n\n{tail}")


def build_engine(backend: str, *, anew: bool) -> None:
    requirement = engine_requirement()
    if not find_engine_wheel(requirement, backend, anew=anew):
        compile_engine(requirement, backend)
        if not find_engine_wheel(requirement, backend, anew=anew):
            fail(f"The engine was compiled but cannot be installed from {cache_folder() / backend}.")


def switch_engine(arguments: list[str]) -> int:
    names = [argument.removeprefix("--") for argument in arguments]
    if len(names) > 1 or any(name not in BACKENDS for name in names):
        print(USAGE, file=sys.stderr)
        return 2
    setup()
    build_engine(names[0] if names else "cpu", anew=True)
    say("From now on this engine answers. QVAC_ENGINE=xllamacpp takes the other one for a start.")
    return 0


def fingerprint(*names: str) -> str:
    parts = [(ROOT / name).read_bytes() for name in names]
    return hashlib.sha256(b"".join(parts)).hexdigest() + f" {sys.version_info[:2]} {ROOT}"


def setup() -> None:
    check_python()
    wanted = fingerprint("requirements.lock", "pyproject.toml")
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    say("Setting up in .venv (a few minutes the first time)")
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    pip_install("--require-hashes", "-r", ROOT / "requirements.lock")
    # One that was compiled before is preferred; without either there would be no answer at all.
    if not find_engine_wheel(engine_requirement(), "cpu") and not has_module("xllamacpp"):
        build_engine("cpu", anew=False)
    pip_install("--no-deps", "-e", ROOT)
    STAMP.write_text(wanted)


def setup_tests() -> None:
    """What only the tests need, beside what the program does."""
    setup()
    wanted = fingerprint("requirements-dev.lock", "requirements.lock", "pyproject.toml")
    if DEV_STAMP.is_file() and DEV_STAMP.read_text() == wanted:
        return
    say("Setting up what the tests need")
    pip_install("--no-deps", "--require-hashes", "-r", ROOT / "requirements-dev.lock")
    DEV_STAMP.write_text(wanted)


def start(arguments: list[str]) -> int:
    setup()
    if not arguments and not has_screen():
        say("There is no screen here: running the demo in the terminal instead of the window.")
        arguments = ["demo"]
    elif not arguments:
        check_screen_libraries(window=True)
    # What is typed to run this: the demo ends with what to type next.
    typed = "qvac-desktop" if shutil.which("qvac-desktop") else "python3 bootstrap.py run"
    environment = {"QVAC_DESKTOP_COMMAND": typed, **os.environ}
    return subprocess.run([str(BIN / "qvac-desktop"), *arguments], env=environment, check=False).returncode


def command_folder() -> Path:
    """Where a person's own commands lie: on the PATH of Windows always, of Linux and macOS usually."""
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "Microsoft" / "WindowsApps"
    return Path(os.environ.get("XDG_BIN_HOME", Path.home() / ".local" / "bin"))


def make_command() -> int:
    """Put `qvac-desktop` where the shell finds it: a link to the one in .venv, so that it follows this clone."""
    setup()
    folder = command_folder()
    target = BIN / ("qvac-desktop.exe" if os.name == "nt" else "qvac-desktop")
    link = folder / ("qvac-desktop.cmd" if os.name == "nt" else "qvac-desktop")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":
            link.write_text(f'@"{target}" %*\r\n')
        else:
            if link.exists() and not link.is_symlink():
                fail(f"There is a file {link} already. Move it away, then run this again.")
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    except OSError as error:
        fail(f"The command cannot be put into {folder}: {error.strerror}.")
    say(f"qvac-desktop is in {folder}.")
    found = shutil.which("qvac-desktop")
    if found is None:
        say("Your shell does not look there yet. Add this line to its start-up file, then open a new terminal:")
        print(f'export PATH="{folder}:$PATH"')
    elif Path(found) != link:
        say(f"Another one is found before it: {found}. Take that away, or put {folder} first in PATH.")
    return 0


def test(arguments: list[str]) -> int:
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            fail(f"The tests run against the JavaScript originals and need {tool} (Node.js 20 or newer).")
    check_screen_libraries(window=False)
    setup_tests()
    if not has_module("llama_cpp"):
        build_engine("cpu", anew=False)  # the tests run on both
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # the tests start hundreds of processes: one compiles for all
    for title, command in (("Linter", ["ruff", "check", "."]), ("Formatter", ["ruff", "format", "--check", "."])):
        say(title)
        run(BIN / command[0], *command[1:], env=environment)
    say("Tests, and beside them types and import contracts")
    with tempfile.TemporaryDirectory() as folder:
        failures = Path(folder) / "failures.json"
        sharing = shares(arguments)
        command: list[str | Path] = [PYTHON, "-m", "pytest", "-m", "not long", *sharing, *arguments]
        if sharing:
            command += ["-p", "tests.second_look", "--failures", failures]
        tests = subprocess.Popen(command, cwd=ROOT, env=environment)
        checks = [Check("Types", "mypy", environment), Check("Import contracts", "lint-imports", environment)]
        try:
            while tests.poll() is None:
                if any(check.failed for check in checks):
                    say("The tests are stopped: this comes first.")
                    tests.send_signal(signal.SIGINT)
                    break
                time.sleep(0.2)
        finally:  # Ctrl-C reaches the tests as well: they end by themselves
            code = tests.wait()
        for check in checks:
            check.join()
        if any(check.failed for check in checks):
            return code or 1
        return look_again(code, failures, ROOT, environment)


MOST_FAILURES = 3
"""More than this are no accident of a machine under load."""


def look_again(code: int, failures: Path, folder: Path, environment: dict[str, str]) -> int:
    """Run the few tests that failed a second time, alone, and name the ones that pass then: they are unsteady.

    code: with what the whole run ended. failures: what tests/second_look.py wrote of it; may be missing.
    Returns what the second run ended with, or `code` where there is nothing to run again.
    """
    failed = read_failures(failures)
    if not code or not failed or len(failed) > MOST_FAILURES:
        return code
    say(f"{len(failed)} failed. Once more, alone:")
    failures.unlink()
    again = [PYTHON, "-m", "pytest", "-p", "tests.second_look", "--failures", failures, "-rfE", *failed]
    code = subprocess.run(again, cwd=folder, env=environment, check=False).returncode
    remained = read_failures(failures)
    if remained is None or (code and not remained):
        return code or 1
    say("After the second look:")
    for test in failed:
        print(
            f"  {'FAILED both times' if test in remained else 'UNSTEADY: failed in the run, passed alone'}: {test}",
            file=sys.stderr,
            flush=True,
        )
    return code


def read_failures(path: Path) -> list[str] | None:
    """None: the run was broken off, or more went wrong in it than single tests."""
    try:
        failed: list[str] | None = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return failed


def shares(arguments: list[str]) -> list[str]:
    """How the tests run: files shared among processes (tests/two_ends.py), but a test that is named runs plainly."""
    if any("::" in argument for argument in arguments):
        return []
    # Three also on two cores: who talks to the JavaScript originals waits for them four fifths of the time.
    workers = max(3, min(4, os.cpu_count() or 2))
    return ["-n", str(workers), "--dist", "loadfile", "--durations=20", "-rfEs"]


class Check(threading.Thread):
    """A program that looks at the code while the tests run. What it says is shown in one piece, when it has ended."""

    def __init__(self, title: str, program: str, environment: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.failed = False
        self._title = title
        self._program = program
        self._environment = environment
        self.start()

    def run(self) -> None:
        result = subprocess.run(
            [BIN / self._program],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        say(f"{self._title}: {'failed' if result.returncode else 'passed'}")
        if result.returncode:
            print(f"\n{result.stdout.rstrip()}", file=sys.stderr, flush=True)
        self.failed = result.returncode != 0


def main() -> int:
    verb, *arguments = sys.argv[1:] or [""]
    if verb == "run":
        return start(arguments)
    if verb == "test":
        return test(arguments)
    if verb == "engine":
        return switch_engine(arguments)
    if verb == "command":
        return make_command()
    if verb == "setup":
        setup()
        return 0
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
