"""The options of every verb, and how their text becomes values. Wrong usage ends with exit code 2 and a sentence."""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from app.given_keys import is_link, picture_path
from qvac_core.codec.host_port import parse_host_port
from qvac_core.codec.key_text import parse_public_key, parse_seed
from qvac_core.engines.answer_length import ANSWER_TOKENS
from qvac_core.errors import IdentityError, NetworkError
from qvac_core.store.settings import (
    LARGEST_CONTEXT,
    MOST_IDLE_MINUTES,
    MOST_MEMORY_MB,
    MOST_SLOTS,
    MOST_TOKENS_PER_DAY,
    SMALLEST_CONTEXT,
)

T = TypeVar("T")


class _Version(argparse.Action):
    """As argparse's own; what is installed is read only when somebody asks."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        sys.stdout.write(f"qvac-desktop {version('qvac-desktop')}\n")
        parser.exit()


EXIT_USAGE = 2
# What `models` does with the models of this machine.
MODEL_ACTS = ("download", "remove", "search", "found", "use", "folder")
NO_LIMIT = "none"
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
# Beyond any context there is.
MAX_PREDICT = 1_000_000
# The network's and the SDK's bounds on sampling temperature (docs/wire/qvac.md section 4).
MAX_TEMP = 2.0

_EXAMPLES = """examples:
  qvac-desktop provider --model path/to/model.gguf --allow KEY_OF_YOUR_FRIEND
  qvac-desktop chat PROVIDER_KEY --prompt "Why is the sky blue?"
  qvac-desktop public-key
  qvac-desktop qvac://PROVIDER_KEY     (or a picture of its QR code: opens the window)

Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage, 130 on Ctrl-C."""


class _Parser(argparse.ArgumentParser):
    """One line for wrong usage, as for every other failure; the whole usage is a `--help` away."""

    def __init__(self, **kwargs: Any) -> None:
        # No abbreviations: what a typing mistake means must not be guessed where it decides who gets in.
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").rstrip(".")
        self.exit(EXIT_USAGE, f"Error: {message}. See: {self.prog} --help\n")


def _checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    def convert(text: str) -> T:
        try:
            return parse(text)
        except (IdentityError, NetworkError) as error:
            raise argparse.ArgumentTypeError(error.message) from None

    return convert


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:  # false for "nan" as well
        raise argparse.ArgumentTypeError(f"'{text}' is not {what} between {low:g} and {high:g}")
    return value


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86400, "a number of seconds")


def _temperature(text: str) -> float:
    return _number(text, 0.0, MAX_TEMP, "a temperature")


def _whole(text: str, high: int, what: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= high:
        raise argparse.ArgumentTypeError(f"'{text}' is not {what} between 1 and {high}")
    return int(text)


def _port(text: str) -> int:
    return _whole(text, 65535, "a port")


def _tokens(text: str) -> int:
    return _whole(text, MAX_PREDICT, "a number of tokens")


def _context(text: str) -> int:
    return int(_number(text, SMALLEST_CONTEXT, LARGEST_CONTEXT, "a number of tokens"))


def _slots(text: str) -> int:
    return _whole(text, MOST_SLOTS, "a number of slots")


def _cap(text: str) -> int:
    return _whole(text, MOST_MEMORY_MB, "a number of megabytes")


def _idle(text: str) -> int:
    return _whole(text, MOST_IDLE_MINUTES, "a number of minutes")


def _text(text: str) -> str:
    """Something to send or to look up: not empty (an unset variable of a script), and whole UTF-8."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _ipv4(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError("it is no IPv4 address") from None
    if address.is_unspecified or address.is_multicast:
        raise argparse.ArgumentTypeError("nobody can reach a machine there")
    return str(address)


def _name_or_path(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text  # a path may hold bytes that are no UTF-8


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    path = Path(text)
    try:
        path.exists()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"there can be no such file: {error.strerror}") from error
    return path


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e12:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of megabytes")
    return value


def _common(parser: argparse.ArgumentParser) -> None:
    # No default: an option that was given before the verb must not be overwritten by the verb's.
    parser.add_argument(
        "--data-dir",
        type=_folder,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="identity, database and caches live here (or QVAC_DESKTOP_HOME)",
    )


def _identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=_checked(parse_seed), metavar="HEX64", help="identity (or QVAC_HYPERSWARM_SEED), 64 hex digits"
    )


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        type=_checked(parse_host_port),
        action="append",
        default=argparse.SUPPRESS,
        metavar="HOST:PORT",
        help="enter the network here instead of at the public nodes; may be repeated",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=argparse.SUPPRESS,
        metavar="PORT",
        help="UDP port to use (if it is taken, the next free one)",
    )


def _local_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-local-network",
        action="store_true",
        default=argparse.SUPPRESS,
        help="neither look for peers on the own network, nor be found there without the internet",
    )


def _relays(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--relay-through",
        type=_checked(parse_public_key),
        action="append",
        metavar="KEY",
        help="go through this relay (`qvac-desktop relay`) where no direct path is found; may be repeated",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object per line on stdout")


class _AsksForMore(Exception):
    """A command line is not that of a window alone."""


class _WindowParser(_Parser):
    """Knows what opens a window, and neither a verb nor a word of help: its start does not wait for them."""

    def error(self, message: str) -> NoReturn:
        raise _AsksForMore(message)


def _window_options(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options of a start that opens a window; None where all the options have to be read for it."""
    parser = _WindowParser(add_help=False)
    _window(parser)
    try:
        options, left_over = parser.parse_known_args(arguments)
    except _AsksForMore:
        return None
    if left_over:
        return None
    options.verb, options.opens = None, ""
    return options


def _window(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    _network(parser)
    _local_network(parser)
    parser.add_argument(
        "--in-tray",
        action="store_true",
        default=argparse.SUPPRESS,
        help="begin with the window away, where the desktop has a tray for it (else minimised)",
    )
    parser.add_argument(
        "--quit",
        action="store_true",
        default=argparse.SUPPRESS,
        help="end the window that runs with this data folder, as logging off does, and wait for it",
    )


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="qvac-desktop",
        description="Share a GPU by public key, and chat through it. Without a verb: the window.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="show program's version number and exit",
    )
    _window(parser)
    parser.add_argument(
        "--self-test",
        type=_folder,
        nargs="*",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="try every part of this installation, without the internet; FILE: models to answer and listen with",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    _provider(_verb(verbs, "provider", "share models under this machine's key"))
    _chat(_verb(verbs, "chat", "ask a provider's model"))
    _spot_check(_verb(verbs, "spot-check", "compare a provider's answers with those of the model file that it names"))
    _receipts(_verb(verbs, "receipts", "list what was served and signed, export it, or check somebody's file of it"))
    _conversations(_verb(verbs, "conversations", "list the conversations of this machine, export or import them"))
    _guests(_verb(verbs, "guests", "who may use this machine, how much, and which are your own machines"))
    _servers(_verb(verbs, "servers", "offer the models of other programs: Ollama, LM Studio, llama.cpp, vLLM, …"))
    _remote(_verb(verbs, "remote", "pause, load, unload, fetch and remove models on a machine of your own"))
    _invite(_verb(verbs, "invite", "let people in by a link: make one, see who came, take it back; or open one"))
    _models(_verb(verbs, "models", "list the models of this machine and those to be had, or what a provider offers"))
    _transcribe(_verb(verbs, "transcribe", "write down what is said in a recording"))
    _translate(_verb(verbs, "translate", "put a text into another language"))
    _embed(_verb(verbs, "embed", "turn texts into vectors"))
    _serve(
        _verb(verbs, "serve", "an OpenAI-compatible endpoint for programs, over everything that is reached from here")
    )
    _node(_verb(verbs, "node", "a node of a network of your own, apart from the public one"))
    _relay(_verb(verbs, "relay", "forward between peers that find no direct path to each other"))
    _public_key(_verb(verbs, "public-key", "print the key that this identity shows to others"))
    _own_identity(_verb(verbs, "identity", "back up this machine's identity, restore it, or make a new one"))
    _diagnose(_verb(verbs, "diagnose", "say in words why this machine, or a provider, is not connected"))
    _demo(_verb(verbs, "demo", "a provider, a guest and a small real model on a network of their own"))
    return parser


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Ends the program for wrong usage; an option that its verb has no use of is one."""
    if (window := _window_options(arguments)) is not None:
        return window
    parser = build_parser()
    arguments, opens = _without_given(parser, arguments)
    options, left_over = parser.parse_known_args(arguments)
    options.opens = opens
    if left_over and not _takes_key(options, left_over):
        parser.error(f"unrecognized arguments: {' '.join(left_over)}")
    if options.verb == "models":
        _check_models(options, verbs_of(parser)["models"])
    if options.verb is not None:
        verb = verbs_of(parser)[options.verb]
        known = {action.dest for action in verb._actions} | {"verb", "opens"}
        for name in vars(options):
            if name not in known:  # it was given before the verb
                verb.error(f"`{options.verb}` has no use of --{name.replace('_', '-')}")
    return options


def _without_given(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[list[str], str]:
    """The arguments without the link or picture that the window is to open, and that; "" where a verb stands first."""
    left = list(arguments)
    takes_value = {option for action in parser._actions if action.nargs != 0 for option in action.option_strings}
    at = 0
    while at < len(left) and left[at].startswith("-"):
        at += 2 if left[at] in takes_value else 1
    if at >= len(left) or left[at] in verbs_of(parser):
        return left, ""
    text = left.pop(at)
    if is_link(text):
        return left, text
    if (path := picture_path(text)) is not None:
        if not path.is_file():
            parser.error(f"there is no file {path}")
        return left, str(path)
    return list(arguments), ""


def _takes_key(options: argparse.Namespace, left_over: Sequence[str]) -> bool:
    """Gives the verb a KEY that stands behind its options: argparse fills what may be left out before them, empty."""
    text, key = left_over[0], key_of(left_over[0])
    if options.verb == "models" and not any(word.startswith("-") for word in left_over):
        if options.key is None and text in MODEL_ACTS:
            options.key, *options.names = left_over
            return True
        if isinstance(options.key, str):
            options.names += left_over
            return True
    if len(left_over) > 1 or key is None or text.startswith("-"):
        return False
    if options.verb == "embed" and (len(options.text) == 1 or key_of(options.text[-1]) is None):
        options.text.append(text)  # the last of the texts
        return True
    if getattr(options, "key", b"") is None:
        options.key = key
        return True
    return False


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(verbs.choices)


def _verb(verbs: argparse._SubParsersAction[_Parser], name: str, summary: str) -> _Parser:
    parser = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    _common(parser)
    return parser


def _public_key(parser: argparse.ArgumentParser) -> None:
    _identity(parser)


def _own_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("backup", "restore", "new"), metavar="backup|restore|new", help="what to do")
    parser.add_argument("file", type=_folder, nargs="?", metavar="FILE", help="the backup to write, or to restore")
    parser.add_argument("--yes", action="store_true", help="do it without asking, and replace a file that is there")
    _json(parser)


def _diagnose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "key",
        type=_checked(parse_public_key),
        nargs="?",
        metavar="KEY",
        help="try to reach this provider as well (one who is not allowed yet knocks at its door)",
    )
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _json(parser)


def _spot_check(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask a provider a few questions drawn by chance, at temperature 0, and somebody else who has the same model "
        "file: this machine, or another provider. Fails where the answers are different."
    )
    parser.add_argument("key", type=_checked(parse_public_key), metavar="KEY", help="the provider to check")
    parser.add_argument("--model", type=_text, metavar="NAME", help="which of its models (default: the first)")
    parser.add_argument(
        "--with",
        dest="with_",
        type=_checked(parse_public_key),
        metavar="KEY",
        help="compare with this provider, and not with the file of this machine",
    )
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _receipts(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "`list` shows the newest receipts of this machine, `export FILE` writes all of them, one JSON object a line. "
        "`verify FILE` checks anybody's: it needs nothing but the file, and fails unless both sides signed every line."
    )
    parser.add_argument(
        "action", choices=("list", "export", "verify"), nargs="?", default="list", metavar="list|export|verify"
    )
    parser.add_argument("file", type=_folder, nargs="?", metavar="FILE", help="the file to write, or to check")
    parser.add_argument("--side", choices=("given", "taken"), help="only those of this machine as a provider, or guest")
    parser.add_argument(
        "--key", type=_checked(parse_public_key), metavar="KEY", help="only those with this provider or guest"
    )
    parser.add_argument("--yes", action="store_true", help="replace a file that is there")
    _json(parser)


def _conversations(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Export writes all conversations, or those named by ID, to FILE: Markdown when it ends in .md, else JSON with "
        "all branches. Import reads such JSON, ChatGPT's export (conversations.json or the .zip) and LM Studio's "
        "conversation files, or a folder of them."
    )
    parser.add_argument("action", choices=("list", "export", "import"))
    parser.add_argument(
        "files", type=_text, nargs="*", metavar="FILE", help="for export: FILE, then IDs; for import: one or more"
    )
    parser.add_argument("--search", type=_text, metavar="TEXT", help="list: only those with this in title or messages")
    parser.add_argument("--yes", action="store_true", help="export: replace the file that is there")
    _json(parser)


def _limit(text: str) -> int | str:
    """A number of tokens or requests, 0 allowed, or "none" for no limit."""
    if text == NO_LIMIT:
        return NO_LIMIT
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_TOKENS_PER_DAY:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor `{NO_LIMIT}`")
    return int(text)


def _hours(text: str) -> str:
    if text != NO_LIMIT and not _HOURS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' are no hours. Write 08:00-20:00, or `{NO_LIMIT}`")
    return text


def _moment(text: str) -> float:
    """Unix seconds of a time that somebody writes, by this machine's clock."""
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        moment = 0.0
    if moment <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time. Write 2026-12-01 or 2026-12-01T18:00")
    return moment


def _places(text: str) -> int:
    from qvac_core.store.invites import MOST_PLACES  # a window has no use for it

    return _whole(text, MOST_PLACES, "a number of people")


def _days(text: str) -> float:
    return _number(text, 0.01, 36_500, "a number of days")


def _limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokens-per-day", type=_limit, metavar="N|none", help="tokens of prompts and answers a day; 0 for none at all"
    )
    parser.add_argument("--parallel", type=_limit, metavar="N|none", help="requests at once; more wait")
    parser.add_argument("--context-tokens", type=_limit, metavar="N|none", help="longest chat, in tokens")
    parser.add_argument("--answer-tokens", type=_limit, metavar="N|none", help="longest answer, in tokens")
    parser.add_argument(
        "--only-model",
        type=_text,
        action="append",
        default=[],
        metavar="NAME|none",
        help="only this shared model; may be repeated; none: all that are shared",
    )
    parser.add_argument("--hours", type=_hours, metavar="FROM-TO|none", help="only at these hours, as in 08:00-20:00")


def _guests(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the keys that you decided about, or who knocks; allow, limit, block or forget one. It holds within "
        "seconds, also for a provider or a window that runs here. A key that is --mine has no limits, goes first, sees "
        "every model, and may manage this machine from afar."
    )
    parser.add_argument(
        "action",
        choices=("list", "knocks", "allow", "limit", "block", "remove"),
        metavar="list|knocks|allow|limit|block|remove",
    )
    parser.add_argument("key", type=_checked(parse_public_key), nargs="?", metavar="KEY", help="whose")
    parser.add_argument("--name", type=_text, metavar="NAME", help="what you call them")
    _limits(parser)
    parser.add_argument("--until", type=_moment, metavar="TIME", help="their access ends then, as in 2026-12-01T18:00")
    parser.add_argument("--for-good", action="store_true", help="their access has no end")
    parser.add_argument("--extra-tokens", type=_tokens, metavar="N", help="so many tokens more, today alone")
    mine = parser.add_mutually_exclusive_group()
    mine.add_argument("--mine", action="store_true", default=None, help="this is one of your own machines")
    mine.add_argument("--not-mine", action="store_false", dest="mine", help="it is not (any more)")
    _json(parser)


def _servers(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Servers that speak OpenAI's API and whose models this machine offers like its own. `add ADDRESS` keeps one, "
        "`list` says what each has, `test ADDRESS` or `test NAME` asks one now, `remove NAME` forgets one. It holds "
        "within seconds, also for a provider or a window that runs here."
    )
    acts = ("list", "add", "remove", "test")
    parser.add_argument("action", choices=acts, metavar="|".join(acts), help="what to do")
    parser.add_argument("what", type=_text, nargs="?", metavar="ADDRESS|NAME", help="as in http://127.0.0.1:11434")
    parser.add_argument("--name", type=_text, metavar="NAME", help="what you call it (default: by its address)")
    _server_key(parser, "add and test: its key is in this file; - reads standard input")
    parser.add_argument("--requests", type=_slots, metavar="N", help="add: so many at once (default: as it is known)")
    _json(parser)


def _server_key(parser: argparse.ArgumentParser, words: str) -> None:
    """A key on the command line could be read by every program of the machine."""
    parser.add_argument("--server-key-file", type=_folder, metavar="FILE", help=words)


def _remote(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Manage a machine of your own that shares: it has to know this one's key as its owner's (there: `guests allow "
        "KEY --mine`, or the switch on the page of a person)."
    )
    acts = ("status", "pause", "resume", "load", "unload", "download", "cancel", "remove", "log", "wake")
    parser.add_argument("key", type=_checked(parse_public_key), metavar="KEY", help="the machine's")
    parser.add_argument("action", choices=acts, metavar="|".join(acts), help="what to do")
    parser.add_argument(
        "model", type=_text, nargs="?", metavar="MODEL", help="of load, unload, download, cancel and remove"
    )
    parser.add_argument("--minutes", type=_idle, metavar="MINUTES", help="pause: for so long")
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _invite(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "`make` prints a link that lets people in, with the limits of each: no key needs to come back. `list` says "
        "what became of all, `take-back ID` keeps more from coming, `remove ID` forgets one. With another's link: "
        "`show LINK` says what it is for, `accept LINK` takes a place and connects."
    )
    parser.add_argument(
        "action",
        choices=("make", "list", "take-back", "remove", "show", "accept"),
        metavar="make|list|take-back|remove|show|accept",
    )
    parser.add_argument("what", type=_text, nargs="?", metavar="ID|LINK", help="which invite")
    parser.add_argument("--name", type=_text, metavar="NAME", help="whom it is for; accept: what you call the machine")
    parser.add_argument("--places", type=_places, default=1, metavar="N", help="for so many keys (default 1)")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="it can be used until then")
    parser.add_argument("--access-days", type=_days, metavar="DAYS", help="who comes may stay so long")
    parser.add_argument("--picture", type=_folder, metavar="FILE", help="write its QR code there: .png or .svg")
    _limits(parser)
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _models(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Without a key: the models that this machine has and those that it could fetch. With a provider's key: what "
        "that provider lets yours use, and what it can do. Or: `download NAME...` (of the catalog, an address of a "
        "model file, or OWNER/NAME of Hugging Face), `remove NAME...`, `search TEXT...` on Hugging Face, `found` "
        "(models of other programs on this machine), `use PATH...` (them, where they lie), `folder [PATH]` (where "
        "models are kept; move them)."
    )
    parser.add_argument(
        "key",
        type=_key_or_act,
        nargs="?",
        metavar="KEY|ACT",
        help=f"ask this provider what it offers; or do one of {', '.join(MODEL_ACTS)}",
    )
    parser.add_argument("names", type=_name_or_path, nargs="*", metavar="NAME", help="what to do it with")
    parser.add_argument(
        "--copy",
        type=_text,
        metavar="NAME",
        help="copy this model of the provider, whose owner lets you, onto this machine; goes on where it broke off",
    )
    parser.add_argument(
        "--search", type=_text, metavar="TEXT", help="only those with all of these words in name, kind or quantization"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="give up after this long without a sign of the provider"
    )
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _key_or_act(text: str) -> bytes | str:
    return text if text in MODEL_ACTS else _checked(parse_public_key)(text)


def _check_models(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends the program where an act has not what it is done with."""
    act = options.key if isinstance(options.key, str) else ""
    if options.names and not act:
        parser.error(f"unrecognized arguments: {' '.join(options.names)}")
    if act in ("download", "remove", "use", "search") and not options.names:
        parser.error(f"`models {act}` needs {'words to look for' if act == 'search' else 'a NAME'}")
    if len(options.names) > {"found": 0, "folder": 1}.get(act, len(options.names)):
        parser.error(f"`models {act}` takes {'no NAME' if act == 'found' else 'one PATH'}")


def key_of(text: str) -> bytes | None:
    """The key that an argument is; None for any other text."""
    try:
        return parse_public_key(text)
    except IdentityError:
        return None


def _asks_a_provider(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="give up after this long without a sign of the provider"
    )
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _transcribe(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write down what is said in a sound or video file of any kind, by a Whisper model of this machine; with a "
        "provider's key by that provider's, to which the file is sent."
    )
    parser.add_argument("file", type=_folder, metavar="FILE", help="the recording")
    parser.add_argument(
        "key", type=_checked(parse_public_key), nargs="?", metavar="KEY", help="have this provider transcribe it"
    )
    parser.add_argument(
        "--model",
        type=_name_or_path,
        metavar="NAME_OR_PATH",
        help="speech model to use: a name of the SDK (WHISPER_TINY), which is fetched, or a ggml file "
        "(default: the first that is there)",
    )
    parser.add_argument(
        "--language", type=_text, metavar="CODE", help="what is spoken: en, de, … (default: found in the recording)"
    )
    parser.add_argument("--prompt", type=_text, metavar="TEXT", help="names and words that may occur")
    parser.add_argument("--translate", action="store_true", help="into English")
    parser.add_argument(
        "--format", choices=("text", "srt", "vtt", "json"), default="text", help="of the output (default: text)"
    )
    parser.add_argument(
        "--fallback",
        action="store_true",
        help="when the provider goes away, this machine goes on behind what was heard, with a model that it has",
    )
    _asks_a_provider(parser)


def _translate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Translate a text by a model of this machine; with a provider's key by that provider's, to which the text is "
        "sent. With --from it is a translation model, where one for both languages is there; else a chat model. Long "
        "texts are translated piece by piece."
    )
    parser.add_argument("text", nargs="?", type=_text, metavar="TEXT", help="the text, or - for standard input")
    parser.add_argument(
        "key", type=_checked(parse_public_key), nargs="?", metavar="KEY", help="have this provider translate it"
    )
    parser.add_argument("--to", type=_text, required=True, metavar="LANG", help="a code such as de or pt-BR, or a name")
    parser.add_argument("--from", type=_text, metavar="LANG", help="what it is written in (default: the model sees it)")
    parser.add_argument("--file", type=_folder, metavar="FILE", help="the text is in this file; no TEXT then")
    parser.add_argument("--context", type=_text, metavar="TEXT", help="what the text is about, for the model to know")
    parser.add_argument(
        "--model",
        type=_name_or_path,
        metavar="NAME_OR_PATH",
        help="chat or translation model to use (default: the first that is there)",
    )
    _asks_a_provider(parser)


def _embed(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Turn texts into vectors by an embedding model of this machine; with a provider's key behind the texts by "
        "that provider's. One line of numbers for each text; with --json the text as well."
    )
    parser.add_argument(
        "text",
        nargs="+",
        type=_text,
        metavar="TEXT",
        help="the texts, or - for the lines of standard input; a last one of 64 hex digits is the KEY of a provider",
    )
    parser.add_argument(
        "--model",
        type=_name_or_path,
        metavar="NAME_OR_PATH",
        help="embedding model to use (default: the first that is there)",
    )
    _asks_a_provider(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prompt",
        type=_text,
        default="What is the capital of France? Answer in one sentence.",
        metavar="TEXT",
        help="what the guest asks",
    )
    _json(parser)


def _provider(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Share models under this machine's key, until Ctrl-C. Nobody may use them until you say who: with --allow, "
        "or with --allow-all or --deny for everybody but those. Your friend finds their key with "
        "`qvac-desktop public-key`."
    )
    key = _checked(parse_public_key)
    _identity(parser)
    parser.add_argument("--allow", type=key, action="append", default=[], metavar="KEY", help="let this key in")
    parser.add_argument(
        "--deny", type=key, action="append", default=[], metavar="KEY", help="never let this key in, but others"
    )
    parser.add_argument("--allow-all", action="store_true", help="let everybody in who knows the key")
    parser.add_argument("--knock", action="store_true", help="let strangers ask to be let in: a terminal asks you")
    parser.add_argument(
        "--model",
        type=_name_or_path,
        action="append",
        default=[],
        metavar="NAME_OR_PATH",
        help="share this model: a GGUF or Whisper file, an SDK name or an https address; may be repeated",
    )
    parser.add_argument(
        "--server",
        type=_text,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="share the models of this OpenAI-compatible server (Ollama, llama.cpp, vLLM, …) too; may be repeated",
    )
    _server_key(parser, "the key of the --server is in this file; - reads standard input")
    parser.add_argument(
        "--allow-copy",
        type=_name_or_path,
        action="append",
        default=[],
        metavar="NAME_OR_PATH",
        help="guests may copy the file of this shared model onto their machines; may be repeated",
    )
    parser.add_argument(
        "--answer-tokens", type=_tokens, metavar="TOKENS", help="longest answer that a guest may ask for, in tokens"
    )
    parser.add_argument("--context-tokens", type=_context, metavar="TOKENS", help="context of each chat, in tokens")
    parser.add_argument("--slots", type=_slots, metavar="N", help="answers that a model makes at once")
    parser.add_argument("--memory-mb", type=_cap, metavar="MB", help="memory that a model may take, in megabytes")
    parser.add_argument("--idle-minutes", type=_idle, metavar="MINUTES", help="then a model nobody uses is unloaded")
    parser.add_argument(
        "--can-be-woken", action="store_true", help="tell machines of your own how this one is woken while it sleeps"
    )
    parser.add_argument(
        "--wakes-others", action="store_true", help="send the wake-up call for machines of your own on this network"
    )
    service = parser.add_mutually_exclusive_group()
    service.add_argument(
        "--install-service",
        action="store_true",
        help="share with these options from now on and after each log-in, as a service of this user",
    )
    service.add_argument("--uninstall-service", action="store_true", help="stop and remove that service")
    parser.add_argument("--log-file", type=_folder, metavar="FILE", help="write there what else is printed")
    parser.add_argument(
        "--wait", action="store_true", help="begin when no other QVAC Desktop uses the data folder, as services do"
    )
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _node(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The beginning of a network of your own, apart from the public one: run it with no --bootstrap, and "
        "give what it prints to every other command and machine (--bootstrap, or Settings, Network and "
        "relays). With another one on a second machine, which is given the first, the network lives on when "
        "one ends. It sees who looks for whom, as every node of a network does, and nothing of what they say. "
        "It takes three UDP ports, one after the other."
    )
    parser.add_argument(
        "--host", type=_ipv4, metavar="ADDRESS", help="this machine's IPv4 address at which others reach it"
    )
    _network(parser)
    _json(parser)


def _relay(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Relay for others: peers that find no direct path meet here. What passes is encrypted and cannot be read."
    )
    key = _checked(parse_public_key)
    _identity(parser)
    parser.add_argument(
        "--allow", type=key, action="append", default=[], metavar="KEY", help="only these keys; may be repeated"
    )
    parser.add_argument(
        "--rate",
        type=_megabytes,
        default=4.0,
        metavar="MB",
        help="megabytes per second and key (default 4, 0 for no limit)",
    )
    parser.add_argument(
        "--quota", type=_megabytes, metavar="MB", help="megabytes per key in all (default, or 0: no limit)"
    )
    _network(parser)
    _json(parser)


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "An OpenAI-compatible endpoint for programs, over this machine's models and those of every provider, by "
        "MACHINE/MODEL. Its token is always needed."
    )
    parser.add_argument(
        "--model",
        type=_name_or_path,
        action="append",
        default=[],
        metavar="NAME_OR_PATH",
        help="a model of this machine beside those of the library; may be given again",
    )
    parser.add_argument(
        "--provider",
        type=_named_key,
        action="append",
        default=[],
        metavar="[NAME=]KEY",
        help="a provider beside those that are known here, which is remembered; may be given again",
    )
    parser.add_argument("--token", action="store_true", help="print the token, and end")
    parser.add_argument("--new-token", action="store_true", help="make another token first; the old one ends")
    parser.add_argument(
        "--http-port", type=_port, metavar="PORT", help="TCP port for programs (default: of the settings, 8123)"
    )
    parser.add_argument(
        "--host",
        type=_address,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="listen at this address of the machine (default 127.0.0.1: programs of this machine alone)",
    )
    parser.add_argument(
        "--allow-origin",
        type=_text,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let this web page call, as in https://chat.example.com; may be given again",
    )
    _identity(parser)
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)


def _named_key(text: str) -> tuple[str, bytes]:
    name, equals, key = text.rpartition("=")
    if equals and not name.strip():
        raise argparse.ArgumentTypeError("there is no name before the =")
    return name.strip(), _checked(parse_public_key)(key)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no address, as in 127.0.0.1 or 0.0.0.0") from None


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask a model on somebody else's machine: once with --prompt, else question by question in the terminal."
    )
    parser.add_argument(
        "provider_key", type=_checked(parse_public_key), metavar="PROVIDER_KEY", help="the key its owner gave you"
    )
    _identity(parser)
    parser.add_argument(
        "--model", type=_text, metavar="NAME", help="model to use (default: the first that the provider shares)"
    )
    parser.add_argument(
        "--local-model",
        type=_name_or_path,
        metavar="NAME_OR_PATH",
        help="model of this machine for --fallback, or for your own key",
    )
    parser.add_argument("--prompt", type=_text, metavar="TEXT", help="ask this and end (default: interactive)")
    parser.add_argument(
        "--picture",
        type=_text,
        action="append",
        default=[],
        metavar="FILE",
        help="show this to a model that sees, with the first question; may be given again",
    )
    parser.add_argument(
        "--tools",
        type=_text,
        action="append",
        default=[],
        metavar="NAME_OR_FILE",
        help="let the model use a server of tools (MCP) that is set up, or those of an mcp.json; they run here, and "
        "you are asked before each call; may be given again",
    )
    parser.add_argument(
        "--allow-tool",
        type=_text,
        action="append",
        default=[],
        metavar="NAME",
        help="run this tool without a question; may be given again",
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="give up after this long without a sign of the provider"
    )
    parser.add_argument(
        "--predict",
        type=_tokens,
        default=ANSWER_TOKENS,
        metavar="TOKENS",
        help=f"longest answer, in tokens (default: {ANSWER_TOKENS})",
    )
    parser.add_argument("--temp", type=_temperature, metavar="T", help="0 (always the same answer) to 2 (wild)")
    parser.add_argument("--fallback", action="store_true", help="answer on this machine when the provider is away")
    parser.add_argument(
        "--force-new-connection",
        action="store_true",
        help="look for the provider anew: use no open connection and nothing that is remembered of it",
    )
    _network(parser)
    _local_network(parser)
    _relays(parser)
    _json(parser)
