"""The options of every verb, and how their text becomes values. Wrong usage ends with exit code 2 and a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from qvac_core.codec.key_text import parse_public_key, parse_seed
from qvac_core.errors import IdentityError

T = TypeVar("T")


def _checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    def convert(text: str) -> T:
        try:
            return parse(text)
        except IdentityError as error:
            raise argparse.ArgumentTypeError(error.message) from None

    return convert


def _address(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT, such as 127.0.0.1:49737")
    return host, int(port)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds between 0.1 and 86400")
    return value


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="identity, database and caches live here (or QVAC_DESKTOP_HOME)"
    )


def _identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed", type=_checked(parse_seed), metavar="HEX64", help="identity (or QVAC_HYPERSWARM_SEED), 64 hex digits"
    )


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bootstrap",
        type=_address,
        action="append",
        metavar="HOST:PORT",
        help="enter the network here instead of at the public nodes; may be repeated",
    )
    parser.add_argument("--port", type=int, metavar="PORT", help="UDP port wanted (the next free one is taken)")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object per line on stdout")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qvac-desktop",
        description="Share a GPU by public key, and chat through it. Without a verb: the window.",
    )
    _common(parser)
    _network(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    _provider(verbs.add_parser("provider", help="share models under this machine's key"))
    _chat(verbs.add_parser("chat", help="ask a provider's model"))
    public_key = verbs.add_parser("public-key", help="print the key that this identity shows to others")
    _common(public_key)
    _identity(public_key)
    demo = verbs.add_parser("demo", help="a provider, a consumer and a small real model on a network of their own")
    demo.add_argument("--prompt", default="What is the capital of France? Answer in one sentence.", metavar="TEXT")
    _json(demo)
    return parser


def _provider(parser: argparse.ArgumentParser) -> None:
    key = _checked(parse_public_key)
    _common(parser)
    _identity(parser)
    parser.add_argument("--allow", type=key, action="append", default=[], metavar="KEY", help="admit this key")
    parser.add_argument("--deny", type=key, action="append", default=[], metavar="KEY", help="block this key")
    parser.add_argument("--allow-all", action="store_true", help="admit everybody who knows the key")
    parser.add_argument("--knock", action="store_true", help="let refused keys ask, and print who asked")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME_OR_PATH", help="share this model; may be repeated"
    )
    _network(parser)
    _json(parser)


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider_key", type=_checked(parse_public_key), metavar="PROVIDER_KEY")
    _common(parser)
    _identity(parser)
    parser.add_argument("--model", metavar="NAME", help="model to use (default: what the provider shares)")
    parser.add_argument("--local-model", metavar="NAME_OR_PATH", help="what --fallback answers with")
    parser.add_argument("--prompt", metavar="TEXT", help="ask once (default: interactive)")
    parser.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="longest silence that is waited for")
    parser.add_argument("--predict", type=int, metavar="TOKENS", help="longest answer")
    parser.add_argument("--temp", type=float, metavar="T", help="sampling temperature")
    parser.add_argument("--fallback", action="store_true", help="answer locally when the provider cannot be reached")
    parser.add_argument("--force-new-connection", action="store_true")
    _network(parser)
    _json(parser)
