"""`window_life.py paint|idle|second OPTIONS…`: the window of the checkout in the working directory measures itself.

paint: prints seconds of processor time until the first paint. idle: connects to PROVIDER_KEY, waits, hides if HIDDEN
is set, then prints percent of a core over SECONDS and megabytes of its own (USS). second: opens more windows; prints
seconds of processor time of the second and of the third, and megabytes of each. It imports nothing of the tests: an
older checkout runs it too.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

WINDOWS = 5
SETTLED = 15.0  # seconds after which the caret rests, and nothing of the start is left


def _leave(*figures: float) -> None:
    sys.stdout.write(" ".join(f"{figure:.4f}" for figure in figures) + "\n")
    sys.stdout.flush()
    os._exit(0)


def _when_imported(name: str, change: Callable[[Any], None]) -> None:
    """Change a module as soon as the start has imported it: what is done before that counts, and in its order."""

    class Finder(MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
            if fullname != name:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            assert spec is not None and spec.loader is not None
            execute = spec.loader.exec_module

            def changed(module: ModuleType) -> None:
                execute(module)
                change(module)

            spec.loader.exec_module = changed  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder())


def main() -> None:
    what, *options = sys.argv[1:]
    sys.path.insert(0, str(Path.cwd()))

    def measured(application: Any) -> None:
        from PySide6.QtCore import QTimer

        class Window(application.MainWindow):  # type: ignore[misc]
            def paintEvent(self, event: Any) -> None:
                super().paintEvent(event)
                if what == "paint":
                    QTimer.singleShot(0, lambda: _leave(time.process_time()))

            async def load(self) -> None:
                await super().load()
                if what == "idle":
                    self._resting = asyncio.ensure_future(self._rest())
                elif what == "second":
                    self._resting = asyncio.ensure_future(self._open_more())

            async def _open_more(self) -> None:
                import psutil

                await asyncio.sleep(5)
                process, opened = psutil.Process(), []
                before = process.memory_full_info().uss
                for _window in range(WINDOWS):
                    begun = time.process_time()
                    window = self.windows.open()
                    window.repaint()
                    opened.append(time.process_time() - begun)
                    await asyncio.sleep(1)
                taken = (process.memory_full_info().uss - before) / WINDOWS
                _leave(opened[0], opened[1], taken / 1e6)

            async def _rest(self) -> None:
                import psutil

                await self.chat.add_provider(os.environ["PROVIDER_KEY"], "Provider")
                if os.environ.get("HIDDEN"):
                    self.hide()
                await asyncio.sleep(SETTLED)
                used, since = time.process_time(), time.monotonic()
                await asyncio.sleep(float(os.environ["SECONDS"]))
                share = (time.process_time() - used) / (time.monotonic() - since)
                _leave(share * 100, psutil.Process().memory_full_info().uss / 1e6)

        application.MainWindow = Window

    _when_imported("app.application", measured)
    command: Any = importlib.import_module("app.cli.main")
    sys.exit(command.main(options))


if __name__ == "__main__":
    main()
