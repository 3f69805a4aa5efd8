"""Who may call: the token, the Host header, and the origins of web pages. Pure.

Any web page can send requests to loopback, and a name under its own control that resolves to 127.0.0.1 makes it the
same origin (DNS rebinding). So the Host has to be an address, `localhost`, or a name that nobody outside can own, and
whatever carries an Origin has to be one that the user named. The token is needed in any case.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence

from qvac_core.endpoint.faults import Fault
from qvac_core.errors import LocalProtocolError

# `.internal` is reserved for private use (ICANN, 2024): these lead from a container to its machine.
_NAMES = frozenset({"localhost", "host.docker.internal", "host.containers.internal"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@\\]+", re.IGNORECASE | re.ASCII)
_ASKED = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,2000}", re.ASCII)
LONGEST_ORIGIN = 300
MOST_ORIGINS = 64


def origin_of(text: str) -> str | None:
    """An origin as browsers send it, from what a person typed; None for what is none. Wildcards are none."""
    text = text.strip().rstrip("/").lower()
    if len(text) > LONGEST_ORIGIN or not _ORIGIN.fullmatch(text) or "*" in text:
        return None
    scheme, _, host = text.partition("://")
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    return f"{scheme}://{host.removesuffix(default) if default else host}"


def checked_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """As browsers send them. Raises LocalProtocolError."""
    if len(origins) > MOST_ORIGINS:
        raise LocalProtocolError(f"{MOST_ORIGINS} pages at most may be allowed.")
    kept = []
    for text in origins:
        origin = origin_of(text)
        if origin is None:
            raise LocalProtocolError(
                f"'{text[:60]}' is no address of a page. Write it as in https://chat.example.com, without a path."
            )
        kept.append(origin)
    return tuple(dict.fromkeys(kept))


class Guard:
    """origins: as `origin_of` gives them. hosts: more names that this endpoint is called by."""

    def __init__(self, token: str, origins: Collection[str] = (), hosts: Collection[str] = ()) -> None:
        self._token = token.encode()
        self.origins = frozenset(origins)
        self._hosts = _NAMES | {host.lower() for host in hosts}

    def check_host(self, host: str | None) -> None:
        """Raises Fault."""
        if host is None or not self._known(host):
            raise Fault(
                403,
                "This endpoint is called by an address or as localhost, not by this Host name. "
                "Use http://127.0.0.1 with its port.",
                code="host_not_allowed",
                retry=False,
            )

    def _known(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().removesuffix(".")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def check_origin(self, origin: str | None) -> None:
        """Raises Fault. None: no page asks; a program that is none says nothing."""
        if origin is not None and not self.allows(origin):
            raise Fault(
                403,
                "Web pages may not call this endpoint. Its user can allow this page's origin in QVAC Desktop, "
                "under For programs.",
                code="origin_not_allowed",
                retry=False,
            )

    def allows(self, origin: str) -> bool:
        return origin_of(origin) in self.origins

    def check_token(self, authorization: str | None) -> None:
        """Raises Fault. Compared in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise Fault(
                401,
                "This endpoint needs its token (Authorization: Bearer TOKEN). Copy it in QVAC Desktop: For programs.",
                code="missing_api_key",
            )
        if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token):
            raise Fault(
                401,
                "This is not the token of this endpoint. Copy it anew in QVAC Desktop, under For programs.",
                code="invalid_api_key",
            )

    def cors(self, origin: str | None) -> dict[str, str]:
        """Headers for an answer to a page that may read it."""
        if origin is None or not self.allows(origin):
            return {}
        return {"access-control-allow-origin": origin, "vary": "Origin"}

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """Of an OPTIONS request of a page's browser; None where it is none, or the page may not call."""
        origin, method = headers.get("origin"), headers.get("access-control-request-method")
        if origin is None or method is None or not self.allows(origin):
            return None
        asked = headers.get("access-control-request-headers", "")
        answer = {
            **self.cors(origin),
            "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
            # Not *: the fetch standard says that it does not cover Authorization.
            "access-control-allow-headers": asked
            if _ASKED.fullmatch(asked) and asked
            else "authorization, content-type",
            "access-control-max-age": "600",
        }
        if headers.get("access-control-request-private-network") == "true":
            answer["access-control-allow-private-network"] = "true"
        return answer
