"""The entry point: parse, choose the verb, turn every outcome into an exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from app.cli.options import build_parser
from app.cli.output import Output
from qvac_core.errors import QvacError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run a verb. Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage, 130 on Ctrl-C."""
    multiprocessing.freeze_support()
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["--worker"]:  # a frozen app starts its model workers through its own executable
        from qvac_core.engines.worker import main as worker_main

        return worker_main()
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=os.environ.get("QVAC_LOG_LEVEL", "ERROR").upper(), stream=sys.stderr)
    output = Output(as_json=getattr(options, "json", False))
    try:
        return _dispatch(options, output)
    except QvacError as error:
        output.error(error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _dispatch(options: argparse.Namespace, output: Output) -> int:
    if options.verb == "public-key":
        from app.cli.public_key import show_public_key

        return show_public_key(options, output)
    if options.verb == "provider":
        from app.cli.provider import provide

        return run_until_done(provide(options, output))
    if options.verb == "chat":
        from app.cli.chat import chat

        return run_until_done(chat(options, output))
    if options.verb == "demo":
        from app.cli.demo import demo

        return run_until_done(demo(options, output))
    return _open_window(options, output)


def run_until_done(coroutine: Coroutine[Any, Any, int]) -> int:
    """Run a verb on the core's kind of loop; SIGINT and SIGTERM cancel it, so that it cleans up before it ends."""
    # On Windows the default loop goes deaf to UDP (PACKAGING.md, "Threads and loops").
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
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if interrupted:
                return EXIT_INTERRUPTED
            raise


def _open_window(options: argparse.Namespace, output: Output) -> int:
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM")
    ):
        output.note("There is no screen here. Use `qvac-desktop provider`, `chat` or `demo` (see --help).")
        return EXIT_FAILED
    from app.cli.config import core_config
    from qvac_core.core import Core

    try:
        from app.application import run as run_window
    except ImportError as error:
        output.note(
            f"The window cannot open: {error}. On Debian or Ubuntu: apt-get install libegl1 libgl1 libxcb-cursor0"
        )
        return EXIT_FAILED
    config = core_config(options)
    return run_window(lambda: Core(config))
