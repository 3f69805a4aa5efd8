"""The entry point: parse, choose the verb, turn every outcome into an exit code."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.errors import QvacError
from qvac_core.frozen import WINDOW, executable, is_frozen, restore_environment

logger = logging.getLogger(__name__)

LONGEST_LOG = 10_000_000  # bytes of --log-file at a start; then it is put aside, and an earlier one goes

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run a verb. Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage, 130 on Ctrl-C."""
    if is_frozen():
        import multiprocessing  # a window that starts from its sources has no use for it

        multiprocessing.freeze_support()
    restore_environment()
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["--worker"]:  # a frozen app starts its model workers through its own executable
        from qvac_core.engines.worker import main as worker_main

        return worker_main()
    if arguments[:1] == ["--translation-worker"]:
        from qvac_core.engines.translation_worker import main as translation_worker_main

        return translation_worker_main()
    if arguments[:1] == ["--speech-worker"]:
        from qvac_core.engines.speech_worker import main as speech_worker_main

        return speech_worker_main()
    if arguments[:1] == ["--code-reader"]:
        from app.code_reader import main as code_reader_main

        return code_reader_main()
    if arguments[:1] == ["--sound-reader"]:
        from app.sound_reader import main as sound_reader_main

        return sound_reader_main(arguments[1:])
    options = parse_options(arguments)
    if (log_file := getattr(options, "log_file", None)) is not None and not _print_into(log_file):
        return EXIT_FAILED
    output = Output(as_json=getattr(options, "json", False))
    _log_to_stderr()
    try:
        code = _dispatch(options, output, arguments)
    except QvacError as error:
        from app.cli.in_use import said_for

        output.error(said_for(options.verb, error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        logger.debug("the details", exc_info=error)
        output.error(_mistake(error))
        return EXIT_FAILED
    if output.failure is not None:
        output.error(output.failure)
        return EXIT_FAILED
    return code


def _print_into(file: Path) -> bool:
    """From now on; a program that Windows starts without a console has nowhere else to print. False: it cannot be."""
    try:
        if file.exists() and file.stat().st_size > LONGEST_LOG:
            file.replace(file.with_name(f"{file.name}.1"))
        stream = file.open("a", encoding="utf-8", errors="replace", buffering=1)
    except OSError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"Error: {file} cannot be written: {error.strerror}.\n")
        return False
    sys.stdout = sys.stderr = stream
    return True


def _mistake(error: Exception) -> QvacError:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return QvacError(
        f"QVAC Desktop made a mistake ({what}). Please report it; QVAC_LOG_LEVEL=DEBUG shows the details.",
        name="INTERNAL_ERROR",
    )


class _OneLine(logging.Formatter):
    """A person gets one line per problem; QVAC_LOG_LEVEL=DEBUG shows where it comes from."""

    def formatException(self, ei: Any) -> str:
        return ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).rstrip()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        return " ".join(text.split())


def _log_to_stderr() -> None:
    level = logging.getLevelNamesMapping().get(os.environ.get("QVAC_LOG_LEVEL", "").upper(), logging.ERROR)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(levelname)s: %(message)s") if level > logging.DEBUG else None)
    logging.basicConfig(level=level, handlers=[handler])


def _dispatch(options: argparse.Namespace, output: Output, arguments: Sequence[str]) -> int:
    if options.verb == "public-key":
        from app.cli.public_key import show_public_key

        return show_public_key(options, output)
    if options.verb == "identity":
        from app.cli.identity import identity

        return identity(options, output)
    if options.verb == "provider" and (options.install_service or options.uninstall_service):
        from app.cli.install_service import change_service

        return change_service(options, output, arguments)
    if options.verb == "provider":
        from app.cli.provider import provide

        return run_until_done(provide(options, output), output)
    if options.verb == "chat":
        from app.cli.chat import chat

        return run_until_done(chat(options, output), output)
    if options.verb == "transcribe":
        from app.cli.transcribe import transcribe

        return run_until_done(transcribe(options, output), output)
    if options.verb == "conversations":
        from app.cli.conversations import conversations

        return run_until_done(conversations(options, output), output)
    if options.verb == "guests":
        from app.cli.guests import guests

        return run_until_done(guests(options, output), output)
    if options.verb == "servers":
        from app.cli.servers import servers

        return run_until_done(servers(options, output), output)
    if options.verb == "remote":
        from app.cli.remote import remote

        return run_until_done(remote(options, output), output)
    if options.verb == "invite":
        from app.cli.invite import invite

        return run_until_done(invite(options, output), output)
    if options.verb == "receipts":
        from app.cli.receipts import receipts

        return run_until_done(receipts(options, output), output)
    if options.verb == "spot-check":
        from app.cli.spot_check import spot_check

        return run_until_done(spot_check(options, output), output)
    if options.verb == "models":
        from app.cli.models import models

        return run_until_done(models(options, output), output)
    if options.verb == "translate":
        from app.cli.translate import translate

        return run_until_done(translate(options, output), output)
    if options.verb == "embed":
        from app.cli.embed import embed

        return run_until_done(embed(options, output), output)
    if options.verb == "node":
        from app.cli.node import node

        return run_until_done(node(options, output), output)
    if options.verb == "relay":
        from app.cli.relay import relay

        return run_until_done(relay(options, output), output)
    if options.verb == "serve":
        from app.cli.serve import serve

        return run_until_done(serve(options, output), output)
    if options.verb == "diagnose":
        from app.cli.diagnose import diagnose

        return run_until_done(diagnose(options, output), output)
    if options.verb == "demo":
        from app.cli.demo import demo

        return run_until_done(demo(options, output), output)
    if (files := getattr(options, "self_test", None)) is not None:
        from app.self_test import self_test

        return run_until_done(self_test(output, files), output)
    return _open_window(options, output, arguments)


def run_until_done(coroutine: Coroutine[Any, Any, int], output: Output) -> int:
    """Run a verb on the core's kind of loop; signals and a reader that goes away cancel it, so that it cleans up."""
    # On Windows the default loop goes deaf to UDP.
    factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    interrupted = False
    with asyncio.Runner(loop_factory=factory) as runner:
        loop = runner.get_loop()
        task = loop.create_task(coroutine)

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        if sys.platform != "win32":
            loop.add_signal_handler(signal.SIGTERM, interrupt)
            loop.add_signal_handler(signal.SIGINT, interrupt)
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
                loop.add_signal_handler(signal.SIGHUP, interrupt)
        output.on_failure = task.cancel
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if interrupted:
                return EXIT_INTERRUPTED
            if output.failure is not None:
                return EXIT_FAILED
            raise


def _become(program: str, arguments: Sequence[str], output: Output) -> int:
    """Go on as the packaged executable that has Qt. Returns only where this process stays, or could not."""
    try:
        if os.name == "nt":  # no exec there that keeps the process: the window goes on by itself
            subprocess.Popen([program, *arguments], close_fds=True)
            return EXIT_OK
        os.execv(program, [program, *arguments])
    except OSError as error:
        output.note(f"The window cannot open: {program} cannot be started ({error.strerror}).")
        return EXIT_FAILED


def _open_window(options: argparse.Namespace, output: Output, arguments: Sequence[str]) -> int:
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM")
    ):
        instead = "`qvac-desktop chat KEY`" if options.opens else "`qvac-desktop provider`, `chat` or `demo`"
        output.note(f"There is no screen here. Use {instead} (see --help).")
        return EXIT_FAILED
    if is_frozen() and Path(other := executable(WINDOW)) != Path(sys.executable):
        return _become(other, arguments, output)
    from app.cli.config import core_config
    from app.update_source import update_source
    from qvac_core.core.interface import CoreInterface
    from qvac_core.store.folders import DataDir

    # Nothing of a start is garbage; once the window is seen its thread collects (app/garbage.py).
    gc.disable()
    try:
        from app.qt_features import leave_sources_alone

        leave_sources_alone()
        from app.application import run as run_window
    except ImportError as error:
        output.note(
            f"The window cannot open: {error}. On Debian or Ubuntu: apt-get install libegl1 libgl1 libxcb-cursor0"
        )
        return EXIT_FAILED
    # The window holds the folder's lock itself, from before its first pixel until after its last thread.
    config = replace(core_config(options), exclusive=False, updates=update_source())
    given = (options.opens,) if options.opens else arguments

    def make() -> CoreInterface:
        gc.freeze()  # what the start made stays: no collection looks at it again
        from qvac_core.core import Core  # slow to import: the window is on the screen by then

        return Core(config)

    return run_window(make, DataDir.locate(config.data_dir), given)
