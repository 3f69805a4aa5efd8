"""The steps of the self-test, one after the other; each says in a line what was tried, and whether it went well."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.cli.output import Output
from qvac_core.codec import Address
from qvac_core.errors import QvacError
from qvac_core.frozen import WINDOW, executable, is_frozen

ANSWER_TOKENS: Final = 8
SOUNDS: Final = ("tone.mp3", "tone.ogg", "tone.flac")  # the speech step decodes AAC
TONE: Final = 440.0  # Hz, of the files in resources/self_test, one second each
LIMIT: Final = 300.0  # seconds for one step; a slow disk reads the libraries for the first time
WINDOW_PATIENCE: Final = 150.0
END_PATIENCE: Final = 60.0

Step = Callable[[], Awaitable[str]]


class _Wrong(Exception):
    """What a step found, as a sentence."""


class _Skipped(Exception):
    """Why a step has nothing to try here."""


async def self_test(output: Output, files: Sequence[Path] = ()) -> int:
    """0 when every part works, 1 when one does not. files: models to answer and to listen with, GGUF and Whisper."""
    chat, speech = _of_kind(files, ".gguf"), _of_kind(files, ".bin")
    for file in files:
        if not file.is_file():
            raise QvacError(f"There is no file {file}.")
    kind = "packaged" if is_frozen() else "from its sources"
    output.text(f"QVAC Desktop {_version()}, {kind}, {platform.platform()}, Python {platform.python_version()}")
    made_up = " and ".join(name for name, file in (("answers", chat), ("transcripts", speech)) if file is None)
    if made_up:
        output.text(f"No model was given: {made_up} come from one made up for this test, and mean nothing.")
    failed = 0
    before = os.environ.get("QVAC_ENGINE")
    with tempfile.TemporaryDirectory(prefix="qvac-self-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        net = _Net()
        steps: list[tuple[str, Step]] = [
            ("data", lambda: _data(folder)),
            ("secrets", _secrets),
            ("network", net.open),
            *((f"chat, {engine}", _chat_step(folder, net, engine, chat)) for engine in _engines()),
            ("speech", lambda: _speech(folder, net, speech)),
            *((f"sound, {sound}", _sound_step(sound)) for sound in SOUNDS),
            ("QR code", _code),
            ("window", lambda: _window(folder, net)),
        ]
        log, engines = _Log(), logging.getLogger("qvac.engines")
        engines.addHandler(log)
        engines.setLevel(logging.WARNING)
        engines.propagate = False  # it stands with the step that failed
        try:
            for title, step in steps:
                failed += not await _try(output, title, step, log)
        finally:
            engines.removeHandler(log)
            engines.propagate = True
            await net.close()
            _set_engine(before)
    output.text("Everything works." if not failed else f"{failed} of {len(steps)} parts do not work.")
    return 1 if failed else 0


class _Log(logging.Handler):
    """Keeps the last warning: what a guest is not told stands there, such as why a worker process ended."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        lines = [line for line in record.getMessage().splitlines() if line.strip()]
        self.last = next((line for line in reversed(lines) if not line.startswith("[PYI-")), "").strip()[:300]


async def _try(output: Output, title: str, step: Step, log: _Log) -> bool:
    began = time.monotonic()
    log.last = ""
    try:
        async with asyncio.timeout(LIMIT):
            said, word = await step(), "ok"
    except _Skipped as reason:
        said, word = str(reason), "skipped"
    except TimeoutError:
        said, word = f"no end after {LIMIT:.0f} s", "FAILED"
    except (_Wrong, QvacError, OSError, ImportError, RuntimeError, ValueError, LookupError, AttributeError) as error:
        # What a library that is not whole raises is not known: whatever it is, the other parts are tried too.
        lines = str(error).strip().splitlines() or [""]  # the cause stands last
        what = lines[-1] if isinstance(error, _Wrong | QvacError) else f"{type(error).__name__}: {lines[-1]}"
        said, word = what, "FAILED"
    output.text(f"{word:<8} {title}: {said} ({time.monotonic() - began:.1f} s)")
    if word == "FAILED" and log.last:
        output.text(f"         {log.last}")
    return word != "FAILED"


def _version() -> str:
    from importlib.metadata import version

    return version("qvac-desktop")


def _of_kind(files: Sequence[Path], ending: str) -> Path | None:
    return next((file for file in files if file.suffix.lower() == ending), None)


# --- Data, secrets, network -------------------------------------------------------------------------------------------


async def _data(folder: Path) -> str:
    from qvac_core.store.folders import DataDir
    from qvac_core.store.store import Store

    place = DataDir.locate(folder / "data").create()
    store = await asyncio.to_thread(Store.open, place, now=time.time())
    try:
        store.settings.set_text("machine_name", "Prüfstand ١٢")
    finally:
        store.close()
    store = await asyncio.to_thread(Store.open, place, now=time.time())
    try:
        if store.settings.settings.machine_name != "Prüfstand ١٢":
            raise _Wrong("what was kept did not come back")
    finally:
        store.close()
    return "the database and the settings open, keep and come back"


async def _secrets() -> str:
    import keyring

    backend = await asyncio.to_thread(keyring.get_keyring)
    name = f"{type(backend).__module__}.{type(backend).__qualname__}".removeprefix("keyring.backends.")
    if name.startswith("fail."):
        return "this system has no place for secrets: the identity is kept in a file that only you can read"
    return f"the identity is kept by {name}"


class _Net:
    """A network of our own on loopback, for all steps after the one that opens it."""

    def __init__(self) -> None:
        self.bootstrap: tuple[Address, ...] = ()
        self._net: object = None

    async def open(self) -> str:
        from qvac_core.hyperdht import create_testnet

        net = await create_testnet(3)
        self._net, self.bootstrap = net, tuple(net.bootstrap)
        return "three nodes found each other on loopback"

    def entrance(self) -> tuple[Address, ...]:
        if not self.bootstrap:
            raise _Wrong("without the network it cannot be tried")
        return self.bootstrap

    async def close(self) -> None:
        from qvac_core.hyperdht.testnet import Testnet

        if isinstance(self._net, Testnet):
            await self._net.close()


# --- Models -----------------------------------------------------------------------------------------------------------


def _engines() -> tuple[str, ...]:
    from qvac_core.engines.available import installed

    return tuple(installed()) or ("none",)


def _set_engine(name: str | None) -> None:
    if name is None:
        os.environ.pop("QVAC_ENGINE", None)
    else:
        os.environ["QVAC_ENGINE"] = name


def _chat_step(folder: Path, net: _Net, engine: str, given: Path | None) -> Step:
    return lambda: _chat(folder / engine, net, engine, given)


async def _chat(folder: Path, net: _Net, engine: str, given: Path | None) -> str:
    """A provider and a guest, each with its identity: the answer goes through a worker process and the network."""
    from app.self_test.made_models import make_chat_model
    from qvac_core.core import Core, CoreConfig, RuleOverride, load_key_pair
    from qvac_core.delegation.consumer import Delegate
    from qvac_core.delegation.messages import ContentDelta, GenerationParams, HistoryMessage

    await asyncio.to_thread(folder.mkdir)
    _set_engine(engine)
    model = given
    if model is None:
        model = folder / "made-up.gguf"
        await asyncio.to_thread(make_chat_model, model)
    bootstrap = net.entrance()
    guest_seed = secrets.token_bytes(32)
    guest_key = load_key_pair(CoreConfig(seed=guest_seed)).public_key.hex()
    owner = CoreConfig(
        data_dir=folder / "owner",
        seed=secrets.token_bytes(32),
        bootstrap=bootstrap,
        rules=RuleOverride(allow=(guest_key,)),
        models=(str(model),),
        local_network=False,
    )
    friend = CoreConfig(data_dir=folder / "guest", seed=guest_seed, bootstrap=bootstrap, local_network=False)
    async with Core(owner) as provider, Core(friend) as guest:
        await provider.start_sharing()
        delegate = Delegate(bytes.fromhex(provider.public_key), timeout=60)
        offers = await guest.consumer.list_models(delegate) or ()
        if not offers:
            raise _Wrong("the provider offers no model")
        loaded = await guest.consumer.load_model(offers[0].name, delegate=delegate, model_config={"ctx_size": 512})
        params = GenerationParams(predict=ANSWER_TOKENS, temp=0.0)
        question = [HistoryMessage("user", "Hello!")]
        text = ""
        async with await guest.consumer.completion(loaded.model_id, question, generation_params=params) as answer:
            async for event in answer.events:
                if isinstance(event, ContentDelta):
                    text += event.text
            final = await answer.final
        device = next((held.info.backend_device for held in provider.machine.pool.loaded() if held.info), "cpu")
    stats = final.stats
    count = int(stats.generated_tokens) if stats is not None and isinstance(stats.generated_tokens, int | float) else 0
    if not text.strip() or not count:
        raise _Wrong("the model was loaded and said nothing")
    said = f", it said: {' '.join(text.split())[:60]}" if given is not None else ""
    return f"a guest got {count} tokens over the network from a worker process, on the {str(device).upper()}{said}"


async def _speech(folder: Path, net: _Net, given: Path | None) -> str:
    from app.self_test.made_models import make_speech_model
    from qvac_core.core import Core, CoreConfig
    from qvac_core.core.state import Target
    from qvac_core.engines.speech import AudioFile, Finished, Segment
    from qvac_core.engines.speech_engine import speech_missing

    if reason := speech_missing():
        raise _Skipped(reason)
    model = given
    if model is None:
        model = folder / "made-up.bin"
        await asyncio.to_thread(make_speech_model, model)
    sound = folder / "tone.m4a"
    sound.write_bytes(_sound_file("tone.m4a"))
    config = CoreConfig(
        data_dir=folder / "listener", seed=secrets.token_bytes(32), bootstrap=net.entrance(), local_network=False
    )
    heard, ended = 0, False
    async with Core(config) as core:
        shared = await core.add_model_file(model)
        async for event in core.speech.transcribe(AudioFile(sound), Target(model=shared.name)):
            heard += isinstance(event, Segment)
            ended = ended or isinstance(event, Finished)
    if not ended:
        raise _Wrong("the transcript did not end")
    return f"a worker process listened to a second of sound to its end, {heard} pieces of text"


# --- Sound, pictures, window ------------------------------------------------------------------------------------------


def _sound_file(name: str) -> bytes:
    from importlib.resources import files

    return (files("resources") / "self_test" / name).read_bytes()


def _sound_step(name: str) -> Step:
    return lambda: asyncio.to_thread(_sound, name)


def _sound(name: str) -> str:
    """Through the process that the window decodes recordings with."""
    import numpy as np

    from app.audio.recording import SOUND, Reading, Recording
    from qvac_core.engines.speech import SAMPLE_RATE

    with tempfile.TemporaryDirectory(prefix="qvac-self-test-") as folder:
        file = Path(folder) / name
        file.write_bytes(_sound_file(name))
        reading = Reading(Recording(file, file.stat().st_size), SOUND)
        try:
            data = b"".join(iter(lambda: reading.read(1 << 16), b""))
        finally:
            reading.close()
    samples = np.frombuffer(data, np.int16)
    if samples.size < SAMPLE_RATE // 2:
        raise _Wrong(f"{samples.size / SAMPLE_RATE:.1f} of 1.0 s came out")
    strengths = np.abs(np.fft.rfft(samples.astype(np.float32)))
    pitch = float(strengths.argmax()) * SAMPLE_RATE / samples.size
    if abs(pitch - TONE) > 5:
        raise _Wrong(f"a tone of {TONE:.0f} Hz came out as {pitch:.0f} Hz")
    return f"decoded by a process of its own, {samples.size / SAMPLE_RATE:.1f} s"


async def _code() -> str:
    import segno

    from app.picture_reading import codes_in

    text = "qvac://" + "5a" * 32
    picture = io.BytesIO()
    segno.make(text, error="m").save(picture, kind="png", scale=4, border=4)
    found = await codes_in(picture.getvalue())
    if found != [text]:
        raise _Wrong("the code of a key was not read")
    return "the code of a key was drawn and read, by a process of its own"


async def _window(folder: Path, net: _Net) -> str:
    from qvac_core.store.folders import DataDir

    if not _has_window():
        raise _Skipped("this executable has no window")
    entrance = [part for host, port in net.entrance() for part in ("--bootstrap", f"{host}:{port}")]
    program = [executable(WINDOW)] if is_frozen() else [sys.executable, "-P", "-m", "app"]
    options = ["--data-dir", str(folder / "window"), "--no-local-network", *entrance]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QVAC_HYPERSWARM_SEED": secrets.token_hex(32)}
    there = DataDir.locate(folder / "window").instance_file
    return await asyncio.to_thread(_window_answers, [*program, *options], environment, there, folder / "window.log")


def _has_window() -> bool:
    if is_frozen():
        return Path(executable(WINDOW)).stem == WINDOW
    from importlib.util import find_spec

    return find_spec("PySide6") is not None


def _window_answers(command: list[str], environment: dict[str, str], there: Path, log: Path) -> str:
    """there: the file that says where a second start is heard.

    A window without a screen is up when a second start finds it and hands over; it must end by a signal, too."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            end = time.monotonic() + WINDOW_PATIENCE
            while True:
                if process.poll() is not None:
                    raise _Wrong(f"it ended at once ({process.returncode}): {_last_line(log)}")
                if there.exists() and _hands_over(command, environment) and process.poll() is None:
                    break
                if time.monotonic() > end:
                    raise _Wrong(f"no window after {WINDOW_PATIENCE:.0f} s: {_last_line(log)}")
                time.sleep(0.1)
            process.terminate()
            try:
                process.wait(END_PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise _Wrong(f"it did not end within {END_PATIENCE:.0f} s when it was asked to") from error
        finally:
            with suppress(OSError):
                process.kill()
            process.wait()
    if os.name != "nt" and process.returncode < 0:
        raise _Wrong(f"it did not end by itself when it was asked to (signal {-process.returncode})")
    return "the window opened without a screen, took a second start's call, and ended when asked to"


def _hands_over(command: list[str], environment: dict[str, str]) -> bool:
    """Whether a second start finds the first one; one that hears nothing in time may be tried again."""
    try:
        second = subprocess.run(command, env=environment, capture_output=True, timeout=END_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return second.returncode == 0


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return json.dumps(lines[-1][:200]) if lines else "it said nothing"
