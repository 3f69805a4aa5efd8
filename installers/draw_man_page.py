"""Writes the man page and the shells' completions from the command line's parser. Run by build.py's own Python."""

import gzip
import sys
from pathlib import Path

import shtab

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from app.cli.options import build_parser, verbs_of  # noqa: E402

SHELLS = ("bash", "zsh")


def roff(text: str) -> str:
    """As it stands: no word of it is a command of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.splitlines())


def options(parser: object) -> str:
    lines = []
    for action in parser._actions:  # type: ignore[attr-defined]
        if not action.option_strings and (action.help is None or action.nargs == "A..."):
            continue
        names = ", ".join(action.option_strings) or (action.metavar or action.dest)
        if action.option_strings and action.nargs != 0 and action.metavar:
            names += f" {action.metavar}"
        helps = (action.help or "").replace("%%", "%")
        lines.append(f".TP\n.B {roff(str(names))}\n{roff(helps[:1].upper() + helps[1:])}.")
    return "\n".join(lines)


def man_page() -> str:
    from importlib.metadata import version

    parser = build_parser()
    parts = [
        f'.TH QVAC\\-DESKTOP 1 "" "QVAC Desktop {version("qvac-desktop")}" "User commands"',
        ".SH NAME\nqvac\\-desktop \\- share a GPU by public key, and chat through it",
        ".SH SYNOPSIS\n.B qvac\\-desktop\n.RI [ OPTIONS ]\n.RI [ VERB\n.IR ... ]\n.br\n.B qvac\\-desktop\n.IR qvac://KEY",
        f".SH DESCRIPTION\n{roff(parser.description or '')}",
        f".SH OPTIONS\n{options(parser)}",
        ".SH VERBS",
    ]
    for name, verb in verbs_of(parser).items():
        parts.append(f".SS {roff(name)}\n{roff((verb.description or '').strip())}\n{options(verb)}")
    parts.append(
        ".SH EXIT STATUS\n0 done, 1 failed (one line says why), 2 wrong usage, 130 on Ctrl\\-C.\n"
        ".SH ENVIRONMENT\n.TP\n.B QVAC_DESKTOP_HOME\nThe data folder, as \\-\\-data\\-dir.\n"
        ".TP\n.B QVAC_HYPERSWARM_SEED\nThe identity, 64 hex digits.\n"
        ".TP\n.B QVAC_ENGINE\nThe engine that answers: llama\\-cpp\\-python or xllamacpp.\n"
        ".SH FILES\n.I ~/.local/share/qvac\\-desktop\nIdentity, conversations, settings and models. "
        "Removing the package leaves it alone."
    )
    return "\n".join(parts) + "\n"


def main(folder: Path) -> None:
    # No name and no time in it: the same text makes the same file.
    with (folder / "qvac-desktop.1.gz").open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(man_page().encode())
    for shell in SHELLS:
        (folder / shell).write_text(shtab.complete(build_parser(), shell))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
