"""Coverage-guided fuzzing: `python -m tests.fuzz TARGET SECONDS`.

    python -m tests.fuzz                      names of the targets, lines that the corpus of each reaches
    python -m tests.fuzz udx_stream 120       two minutes of atheris; a finding ends it, and its input is kept
    python -m tests.fuzz all 60               each target for a minute
    python -m tests.fuzz replay TARGET FILE…  run single inputs, e.g. a finding
    python -m tests.fuzz adopt TARGET         put what was found into the corpus, minimised

Needs the extra `fuzz` (atheris: CPython 3.11 to 3.13 on Linux, x86-64). What is found lies in `build/fuzz/`.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WORK = Path(__file__).resolve().parent.parent.parent / "build" / "fuzz"
NO_ATHERIS = (
    "Coverage-guided fuzzing needs atheris, which is not installed: pip install '.[fuzz]'. It has wheels for CPython "
    "3.11 to 3.13 on Linux (x86-64). Without it, pytest tests/fuzz replays the corpus and mutates it a little."
)


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case []:
            return _list()
        case ["replay", name, *paths]:
            return _replay(name, paths)
        case ["adopt", name]:
            return _adopt(name)
        case ["all", seconds] if seconds.isdigit():
            return _fuzz_all(int(seconds))
        case [name, seconds] if seconds.isdigit():
            return _fuzz(name, int(seconds))
    print(__doc__)
    return 2


def _list() -> int:
    from tests.fuzz.corpus import inputs, reached
    from tests.fuzz.targets import TARGETS

    for target in TARGETS.values():
        lines, all_lines = reached(target)
        print(f"{target.name:20} {len(inputs(target)):4} inputs reach {lines:4} of {all_lines:4} lines")
    return 0


def _replay(name: str, paths: Sequence[str]) -> int:
    from tests.fuzz.targets import TARGETS

    for path in paths:
        TARGETS[name].run(Path(path).read_bytes())
    return 0


def _adopt(name: str) -> int:
    from tests.fuzz.corpus import keep, minimise, stored
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    found = [path.read_bytes() for path in (WORK / name / "found").iterdir()]
    chosen = minimise(target, [*stored(target), *found])
    keep(target, chosen)
    print(f"{name}: {len(chosen)} inputs, {sum(map(len, chosen))} bytes")
    return 0


def _fuzz_all(seconds: int) -> int:
    from tests.fuzz.targets import TARGETS

    codes = [subprocess.call([sys.executable, "-m", "tests.fuzz", name, str(seconds)]) for name in TARGETS]
    return max(codes)


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        print(NO_ATHERIS)
        return 1
    rooms = ["qvac_core", "app.widgets.chat.markdown", "bare_rpc", "tomli_w"]
    with atheris.instrument_imports(include=rooms):
        from tests.fuzz.corpus import inputs
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name]
        for module in target.modules:
            importlib.import_module(module)  # one that is imported late would not be instrumented
    seeds, found = WORK / name / "seeds", WORK / name / "found"
    for folder in (seeds, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs(target)):
        (seeds / f"{number:04}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.max_length}",
        f"-artifact_prefix={WORK / name}/",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(seeds)], target.run)
    atheris.Fuzz()  # leaves the process
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
