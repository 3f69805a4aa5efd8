"""The address of an OpenAI-compatible server, as its owner types it: checked once, and taken from nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvac_core.errors import LocalProtocolError
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")

ADDRESS_LIMIT = 512  # characters
PORT_LIMIT = 65_535
DEFAULT_PATH = "/v1"  # where nearly every server answers; no client adds it by itself


def base_address(text: str) -> str:
    """`http://127.0.0.1:11434` → `http://127.0.0.1:11434/v1`; an address with a path stays what it is.

    Raises LocalProtocolError with what to write. A login, a query and a fragment are refused: a key has a field of its
    own, where it does not end up in lists and logs.
    """
    written = text.strip()
    if not written:
        raise _wrong("Write the address of the server, for example http://127.0.0.1:11434")
    if "://" not in written:
        written = f"http://{written}"
    try:
        url = httpx.URL(written)
        host = url.host  # decoded only now: xn--… may be no name either
    except (httpx.InvalidURL, ValueError):
        raise _no_address(text) from None
    if len(written) > ADDRESS_LIMIT or not written.isprintable() or "%" in host or (url.port or 1) > PORT_LIMIT:
        raise _no_address(text)
    if url.scheme not in ("http", "https") or not host:
        raise _wrong("A server is reached by http or https: write an address such as http://127.0.0.1:11434")
    if url.userinfo:
        raise _wrong("Leave the login out of the address, and give the key by itself.")
    if url.query or url.fragment:
        raise _wrong("Leave everything from ? or # on out of the address; a key is given by itself.")
    path = url.path.rstrip("/") or DEFAULT_PATH
    for known in ("/chat/completions", "/models", "/completions", "/embeddings"):
        path = path.removesuffix(known) or DEFAULT_PATH
    return str(url.copy_with(path=path)).rstrip("/")


def place_of(base: str) -> str:
    """HOST:PORT, for a name that nobody has to type."""
    url = httpx.URL(base)
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}" if url.port is not None else host


def root_of(base: str) -> str:
    """Where a server answers that has more to tell than OpenAI's API asks for."""
    return str(httpx.URL(base).copy_with(path="/")).rstrip("/")


def _no_address(text: str) -> LocalProtocolError:
    return _wrong(f"'{text[:80]}' is no address. Write one such as http://127.0.0.1:11434")


def _wrong(sentence: str) -> LocalProtocolError:
    return LocalProtocolError(sentence, name="INVALID_ADDRESS")
