"""The HTTP client of downloads, and what the environment tells it: proxies, their exceptions, certificates.

Variables as curl reads them (lower case before upper case): http_proxy, https_proxy, all_proxy, no_proxy; beside them
the system's own settings on Windows and macOS; SSL_CERT_FILE and SSL_CERT_DIR. Ours: httpx itself raises ValueError for
`socks://` and InvalidURL for a bracketed address in NO_PROXY, and names no variable; loopback is never proxied.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx

from qvac_core.errors import ModelError

CONNECT_TIMEOUT = 8.0  # seconds: without internet this is how long it takes to know
READ_TIMEOUT = 30.0  # seconds without a byte
REDIRECTS = 5

# `socks://` is what desktops write for SOCKS 5. Names are always resolved by the proxy, so socks5 and socks5h are one.
_SCHEMES = {"http": "http", "https": "https", "socks": "socks5", "socks5": "socks5", "socks5h": "socks5"}


class ProxyFailed(httpx.ProxyError):
    """The proxy could not be reached or refused; the message is a sentence that names where it was set."""


@dataclass(frozen=True, slots=True)
class ProxySetting:
    """A proxy as somebody set it. `origin`: the variable, or "the system's settings"."""

    origin: str
    text: str

    @property
    def place(self) -> str:
        """HOST:PORT without the login that may stand before it."""
        return self.text.rpartition("@")[2].rpartition("://")[2].rstrip("/")[:100]

    def proxy(self) -> httpx.Proxy:
        """Raises ModelError HTTP_ERROR (53003) for what is no address of a proxy that can be used."""
        scheme, found, rest = self.text.partition("://")
        known = _SCHEMES.get(scheme.lower() if found else "http")
        try:
            if known is None:
                raise ValueError(scheme)
            proxy = httpx.Proxy(f"{known}://{rest if found else self.text}")
            if not proxy.url.host:
                raise ValueError("no host")
            return proxy
        except (ValueError, httpx.InvalidURL) as error:
            raise ModelError(
                f"{self.origin} names a proxy that cannot be used ({self.place or 'nothing'}). "
                "Write it http://HOST:PORT or socks5://HOST:PORT, or take it away.",
                name="HTTP_ERROR",
                code=53003,
            ) from error


class Proxies:
    """Which proxy serves which address."""

    def __init__(self, environment: Mapping[str, str], system: Mapping[str, str]) -> None:
        """`system`: scheme to proxy as `urllib.request.getproxies` gives it; counts where no variable is set."""
        self._by_scheme: dict[str, ProxySetting] = {}
        for scheme in ("http", "https", "all"):
            for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
                if text := environment.get(name, "").strip():
                    self._by_scheme[scheme] = ProxySetting(name, text)
                    break
        self._of_system = not self._by_scheme
        if self._of_system:
            for scheme in ("http", "https", "all"):
                if text := system.get(scheme, "").strip():
                    self._by_scheme[scheme] = ProxySetting("The system's settings", text)
        exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        self._exceptions = [entry for entry in exceptions.replace(",", " ").split() if entry]

    def serving(self, scheme: str, host: str, port: int) -> ProxySetting | None:
        """The proxy for an address, or None where it is reached directly."""
        setting = self._by_scheme.get(scheme) or self._by_scheme.get("all")
        if setting is None or _is_loopback(host) or any(_matches(entry, host, port) for entry in self._exceptions):
            return None
        if self._of_system and urllib.request.proxy_bypass(host):
            return None
        return setting


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _matches(entry: str, host: str, port: int) -> bool:
    """An entry of NO_PROXY: `*`, a name with all below it, an address, a network, each perhaps with a port.

    What is none of these excepts nothing; a list that people paste from elsewhere should not end a download.
    """
    if entry == "*":
        return True
    name, wanted = _split_port(entry.lower().rpartition("://")[2])
    if wanted is not None and wanted != port:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        name = name.lstrip("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, int(rest[1:]) if rest[1:].isdecimal() else None
    host, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal() and ":" not in host:
        return host, int(digits)
    return entry, None


class _ByEnvironment(httpx.AsyncBaseTransport):
    """Sends each request, each hop of a redirect too, directly or through the proxy that serves its address."""

    def __init__(self, proxies: Proxies, certificates: ssl.SSLContext) -> None:
        self._proxies = proxies
        self._certificates = certificates
        self._transports: dict[ProxySetting | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        setting = self._proxies.serving(url.scheme, url.host, port)
        transport = self._transports.get(setting)
        if transport is None:
            proxy = None if setting is None else setting.proxy()
            transport = httpx.AsyncHTTPTransport(verify=self._certificates, proxy=proxy)
            self._transports[setting] = transport
        try:
            response = await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if setting is None or distrusts(error):
                raise
            raise ProxyFailed(_proxy_sentence(setting, str(error)), request=request) from error
        if response.status_code == 407 and setting is not None:
            await response.aclose()
            raise ProxyFailed(_proxy_sentence(setting, "407"), request=request)
        return response

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


def _proxy_sentence(setting: ProxySetting, reason: str) -> str:
    if reason.startswith("407"):
        return f"The proxy {setting.place} wants a login. Write it into {setting.origin} as http://USER:PASSWORD@HOST:PORT."
    return (
        f"The proxy {setting.place} could not be reached or refused ({setting.origin} names it). "
        "Check it and try again, or take it away."
    )


def distrusts(error: BaseException | None) -> bool:
    """Whether an error comes from a certificate that is not trusted here."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _certificates(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Those that SSL_CERT_FILE or SSL_CERT_DIR name; else the system's and certifi's together.

    The system's because companies and virus scanners put their own there; certifi's because a small system has none.
    """
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = environment.get(name)
        if not path:
            continue
        try:
            if name == "SSL_CERT_FILE":
                return ssl.create_default_context(cafile=path)
            next(Path(path).iterdir(), None)  # a folder that is not there is taken by OpenSSL without a word
            return ssl.create_default_context(capath=path)
        except OSError as error:  # ssl.SSLError is one too: a file without certificates
            raise ModelError(
                f"{name} names certificates that cannot be read ({path[:200]}: {error.strerror or 'no certificates'}). "
                "Correct it or take it away.",
                name="HTTP_ERROR",
                code=53003,
            ) from error
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def open_client(
    environment: Mapping[str, str] | None = None,
    *,
    redirects: int = REDIRECTS,
    read_timeout: float | None = READ_TIMEOUT,
    secure: bool = True,
) -> httpx.AsyncClient:
    """A client as the environment wants it. Raises ModelError HTTP_ERROR (53003) that names a variable it cannot use.

    redirects: how many are followed. read_timeout: seconds without a byte, None = the caller's business. secure: False
    for one that asks no https address, and needs no certificates.
    Reads certificates from disk: call it in a thread.
    """
    variables = os.environ if environment is None else environment
    certificates = _certificates(variables) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = _ByEnvironment(Proxies(variables, urllib.request.getproxies()), certificates)
    return httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
        follow_redirects=redirects > 0,
        max_redirects=redirects,
        trust_env=False,  # all of it is read above
    )
