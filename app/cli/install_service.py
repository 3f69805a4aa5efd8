"""`provider --install-service`: the same provider as a service of the user; `--uninstall-service` ends it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from app.cli.output import Output
from app.own_command import own_command
from app.service import LOG, WAIT, Services, services_here
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.folders import DataDir, InstanceLock

SEED_VARIABLE = "QVAC_HYPERSWARM_SEED"
FLAGS = ("--install-service", "--uninstall-service")
PATHS = ("--data-dir", "--model", "--log-file")


def change_service(
    options: argparse.Namespace, output: Output, arguments: Sequence[str], services: Services | None = None
) -> int:
    """Raises QvacError with a sentence where this system has no services, or refuses."""
    folder = DataDir.locate(getattr(options, "data_dir", None))
    services = services or services_here(folder)
    services.check()
    if options.uninstall_service:
        there = services.remove()
        output.event("service", state="removed" if there else "absent")
        output.text("The service is stopped and removed." if there else "There is no service to remove.")
        return 0
    if options.seed is not None or os.environ.get(SEED_VARIABLE):
        raise QvacError(
            "A service takes its identity from the data folder: a seed would stand in its file for others to read. "
            f"Leave out --seed and {SEED_VARIABLE}."
        )
    folder.create()
    services.stop()
    _check_free(folder)
    command = (*own_command(window=os.name == "nt"), *service_arguments(arguments, folder))
    done = services.install(command, folder.root / LOG)
    output.event("service", state="installed", file=done.where or None, command=list(command))
    output.text("The service shares from now on, and after each log-in.")
    if done.where:
        output.text(f"It is written in:  {done.where}")
    for line in done.lines:
        output.text(line)
    output.text("To end it:  qvac-desktop provider --uninstall-service" + _named(folder))
    return 0


def service_arguments(arguments: Sequence[str], folder: DataDir) -> tuple[str, ...]:
    """What was typed, without the flag of ours, and with paths that mean the same from anywhere."""
    kept: list[str] = []
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if option:
            kept.append(_absolute(option, argument, folder))
            option = ""
        elif argument in FLAGS:
            continue
        elif equals and name in PATHS:
            kept.append(f"{name}={_absolute(name, value, folder)}")
        else:
            kept.append(argument)
            option = argument if argument in PATHS else ""
    if folder.explicit and not any(argument.partition("=")[0] == "--data-dir" for argument in kept):
        kept += ["--data-dir", str(folder.root)]  # of QVAC_DESKTOP_HOME, which a service does not see
    if WAIT not in kept:
        kept.append(WAIT)  # a window may have the folder when it begins
    return tuple(kept)


def _absolute(option: str, value: str, folder: DataDir) -> str:
    if option == "--data-dir":
        return str(folder.root)
    path = Path(value).expanduser()
    # What is no file is the name of a model.
    return str(path.absolute()) if option == "--log-file" or path.exists() else value


def _check_free(folder: DataDir) -> None:
    lock = InstanceLock(folder.lock_file)
    try:
        lock.acquire()
    except StoreError as error:
        raise StoreError(
            f"QVAC Desktop is running with the data folder {folder.root}, which the service needs. Quit it first, or "
            "give the service a folder of its own with --data-dir.",
            name=error.name,
        ) from error
    lock.release()


def _named(folder: DataDir) -> str:
    return f" --data-dir {folder.root}" if folder.explicit else ""
