"""Who may call the endpoint: the token, the Host header, pages by their origin. As a table."""

from __future__ import annotations

import pytest

from qvac_core.endpoint.faults import Fault
from qvac_core.endpoint.guard import Guard, origin_of

TOKEN = "qvac-" + "ab" * 24
PAGE = "https://chat.example.com"


def guard(*origins: str) -> Guard:
    return Guard(TOKEN, origins)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1:8123",
            "127.0.0.1",
            "localhost:8123",
            "LOCALHOST",
            "localhost.:8123",
            "[::1]:8123",
            "192.168.1.7:80",
        ),
        "host.docker.internal:8123",
    ],
)
def test_addresses_and_names_that_nobody_outside_can_own(host: str) -> None:
    guard().check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        *("", "evil.example", "evil.example:8123", "localhost.evil.example", "127.0.0.1.nip.io", "127.0.0.1@evil"),
        *("127.0.0.1:8123:80", "127.0.0.1/evil", "[::1", "::1", "0x7f000001", "2130706433", "127.1", "localhost\t"),
        "xn--lcalhost-54a",
    ],
)
def test_any_other_host_is_a_name_that_may_have_been_bound_to_us(host: str | None) -> None:
    with pytest.raises(Fault, match="by an address or as localhost") as refused:
        guard().check_host(host)
    assert refused.value.status == 403


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", "Bearer nothing"])
def test_without_the_token_nothing(header: str | None) -> None:
    with pytest.raises(Fault) as refused:
        guard().check_token(header)
    assert refused.value.status == 401
    assert refused.value.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("wrong", [TOKEN[:-1], TOKEN + "a", TOKEN.upper(), "é" * 8, "\udcff", TOKEN.replace("a", "b")])
def test_a_wrong_token_of_any_kind(wrong: str) -> None:
    with pytest.raises(Fault, match="not the token"):
        guard().check_token(f"Bearer {wrong}")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token(scheme: str) -> None:
    guard().check_token(f"{scheme} {TOKEN}")


def test_pages_that_were_named_may_call() -> None:
    named = guard(PAGE)
    named.check_origin(PAGE)
    named.check_origin(None)  # a program
    for other in (
        "https://evil.example",
        "http://chat.example.com",
        f"{PAGE}:8443",
        f"{PAGE}.evil.example",
        "null",
        "",
    ):
        with pytest.raises(Fault) as refused:
            named.check_origin(other)
        assert refused.value.status == 403
        assert named.cors(other) == {}


def test_a_preflight_gets_what_it_asked_for_and_no_page_else_gets_one() -> None:
    asked = "authorization,content-type,x-stainless-os"
    headers = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
        "access-control-request-private-network": "true",
    }
    answer = guard(PAGE).preflight(headers)
    assert answer is not None
    assert answer["access-control-allow-origin"] == PAGE
    assert answer["access-control-allow-headers"] == asked
    assert answer["access-control-allow-private-network"] == "true"
    assert guard().preflight(headers) is None
    odd = guard(PAGE).preflight({**headers, "access-control-request-headers": "a\r\nset-cookie: b"})
    assert odd is not None
    assert odd["access-control-allow-headers"] == "authorization, content-type"


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://Chat.Example.com/", PAGE),
        ("https://chat.example.com:443", PAGE),
        ("http://localhost:3000", "http://localhost:3000"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        *(
            (wrong, None)
            for wrong in ("*", "https://*.example.com", "https://a/b", "example.com", "null", "", "https://")
        ),
        *((wrong, None) for wrong in ("https://user@example.com", "https://" + "a" * 400, "https://a b")),
    ],
)
def test_what_a_person_types_becomes_what_browsers_send(typed: str, origin: str | None) -> None:
    assert origin_of(typed) == origin
