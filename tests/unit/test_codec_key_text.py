"""Keys and seeds as people write them, and HOST:PORT."""

from __future__ import annotations

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.codec.host_port import parse_host_port
from qvac_core.codec.key_links import link_of, plain_name, qr_text
from qvac_core.codec.key_text import KeyCheck, parse_public_key, parse_seed, read_key, short_key
from qvac_core.errors import IdentityError, NetworkError
from qvac_core.rendezvous.addresses import decode_key, encode_key_address

KEY = bytes(range(32))
HEX = KEY.hex()
# The same key in z-base-32, by the package hypercore-id-encoding 1.3.0.
Z_BASE_32 = "yyyoryarywdyqnyjbefoadeqbhebnrounoktcfaadrpbs8y7daxo"
GROUPS = [HEX[i : i + 4] for i in range(0, 64, 4)]


def z_base_32(key: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in key) + "0000"
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[int(bits[i : i + 5], 2)] for i in range(0, 260, 5))


@pytest.mark.parametrize("spelling", [HEX, HEX.upper(), Z_BASE_32, Z_BASE_32.upper()])
@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "  {}\r\n",
        "\ufeff{}",
        '"{}"',
        "'{}'",
        "“{}”",
        "‘{}’",
        "„{}“",
        "«\u202f{}\u202f»",
        "`{}`",
        "´{}´",
        "**{}**",
        "<{}>",
        "({}).",
        "\u2066{}\u2069",
        "\u200e{}\u200b\u200d\u2060",
        "qvac://{}",
        "qvac://{}/",
        "QVAC://{}?model=x&name=Studio",
        "<qvac://{}/Studio%20desktop#now>",
        '"\u200bqvac:{}"',
        "pear://{}",
        "pear://{}/models/a.gguf",
        "pear://0.1204.{}",
    ],
)
def test_every_way_to_wrap_a_key(spelling: str, wrapped: str) -> None:
    assert parse_public_key(wrapped.format(spelling)) == KEY


@pytest.mark.parametrize(
    "between", [" ", "  ", "-", "–", "\u2011", "_", ":", "·", "\n", "\t", "\u00a0", "\u00ad", "\u200b"]
)
def test_every_way_to_group_a_key(between: str) -> None:
    assert parse_public_key(between.join(GROUPS)) == KEY
    assert parse_public_key(f"qvac://{between.join(GROUPS)}") == KEY
    assert parse_public_key(":".join(HEX[i : i + 2] for i in range(0, 64, 2))) == KEY


def test_full_width_digits_are_digits() -> None:
    assert parse_public_key("".join(chr(ord(digit) + 0xFEE0) for digit in HEX)) == KEY


NOISE = st.text(
    alphabet=" \t\r\n\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff", max_size=3
)


@given(st.binary(min_size=32, max_size=32), st.data())
def test_a_key_survives_what_programs_scatter_over_it(key: bytes, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([key.hex(), key.hex().upper(), z_base_32(key)]))
    text = data.draw(st.sampled_from(["", "qvac://", "pear://", "QVAC:"])) + text
    text = data.draw(st.sampled_from(["", "/", "?a=b", "/name?x#y"])).join((text, ""))
    for at in sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)), reverse=True):
        text = text[:at] + data.draw(NOISE) + text[at:]
    for around in data.draw(st.lists(st.sampled_from(['""', "''", "“”", "‘’", "«»", "<>", "()"]), max_size=2)):
        text = f"{data.draw(NOISE)}{around[0]}{text}{around[1]}{data.draw(NOISE)}"
    found = read_key(text)
    assert (found.check, found.key, found.sentence) == (KeyCheck.KEY, key, "")
    assert decode_key(text) == (key, ())


@given(st.binary(min_size=32, max_size=32))
def test_the_beginning_of_a_key_is_never_taken_for_another_key(key: bytes) -> None:
    for size in range(1, 64):
        assert read_key(key.hex()[:size]).check is KeyCheck.PARTIAL
    for size in range(1, 52):
        assert read_key(z_base_32(key)[:size]).check is not KeyCheck.KEY


@pytest.mark.parametrize("text", ["7" * 52, "ab" * 26])
def test_52_hex_digits_are_a_hex_key_cut_short(text: str) -> None:
    assert read_key(text).check is KeyCheck.PARTIAL
    with pytest.raises(IdentityError, match="this has 52; 12 are missing"):
        parse_public_key(text)


def test_a_key_with_addresses_is_read_with_the_same_care() -> None:
    long = encode_key_address(KEY, [("1.2.3.4", 5)])
    assert decode_key(f"“pear://{long.hex().upper()}”\n") == (KEY, (("1.2.3.4", 5),))


@pytest.mark.parametrize("spelling", [HEX, HEX.upper(), Z_BASE_32, " ".join(GROUPS), "-".join(GROUPS), f"qvac:{HEX}"])
@pytest.mark.parametrize(
    "around",
    [
        "Hi, my key is {} and I am up until ten.",
        "key: {}",
        "Use this key:\n\n{}\n\nSee https://example.org/how?to=1 for the rest.",
        "My GPU\u2028\u200b{}\u200b\nBye",
        "مفتاحي هو {} شكرا",
        "See https://example.org/" + "ab" * 32 + ", my key: {}",
    ],
)
def test_a_key_is_found_in_what_somebody_wrote_around_it(spelling: str, around: str) -> None:
    assert parse_public_key(around.format(spelling)) == KEY


def test_the_same_key_twice_in_a_text_is_one_key_and_two_keys_are_none() -> None:
    other = bytes(range(1, 33)).hex()
    assert parse_public_key(f"Key: {HEX}. Or as a link: qvac://{HEX}?name=Studio%20desktop.") == KEY
    with pytest.raises(IdentityError, match="more than one key"):
        parse_public_key(f"Old: {HEX}, new: {other}.")


def test_a_key_in_a_text_that_is_cut_short_says_how_long_it_is() -> None:
    with pytest.raises(IdentityError, match="a key has 64 characters, this has 61"):
        parse_public_key(f"Hi, my key is {HEX[:-3]}.")
    with pytest.raises(IdentityError, match="a key has 64 characters, this has 68"):
        parse_public_key(f"Key: {' '.join([*GROUPS, '0a0a'])} thanks")


def test_a_long_text_is_looked_through_for_some_of_its_length() -> None:
    assert parse_public_key("word " * 2000 + HEX) == KEY
    with pytest.raises(IdentityError):
        parse_public_key("word " * 2_000_000 + HEX)


# --- Links


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"qvac://{HEX}", ""),
        (f"qvac://{HEX}?name=Studio%20desktop", "Studio desktop"),
        (f"QVAC://{HEX.upper()}?NAME=STUDIO", "STUDIO"),
        (f"qvac://{HEX}?model=x&name=B%C3%BCro+2#x", "Büro 2"),
        (f"Here: qvac://{HEX}?name=Studio%20desktop.", "Studio desktop"),
        (f"<qvac://{HEX}?name=a%0Ab%E2%80%AEc%00>", "a bc"),
        (f"qvac://{HEX}?name=%FF%FE", ""),
        (f"qvac://{HEX}?name={'x' * 500}", "x" * 60),
    ],
)
def test_a_link_may_name_the_machine(text: str, name: str) -> None:
    found = read_key(text)
    assert (found.key, found.name) == (KEY, name)


@given(st.binary(min_size=32, max_size=32), st.text())
def test_a_link_gives_back_the_key_and_the_name(key: bytes, name: str) -> None:
    found = read_key(link_of(key, name))
    assert (found.key, found.name) == (key, plain_name(name))
    assert link_of(key, found.name) == link_of(key, name)


def test_a_qr_code_of_a_key_holds_letters_of_its_small_alphabet_alone() -> None:
    assert qr_text(KEY) == f"QVAC://{HEX.upper()}"
    assert parse_public_key(qr_text(KEY)) == KEY
    code = segno.make(qr_text(KEY), error="l", micro=False)
    assert (code.mode, code.version) == ("alphanumeric", segno.make(HEX.upper(), error="l", micro=False).version)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this has 0"),
        ("\u200b“”", "this has 0"),
        (HEX[:-1], "this has 63; 1 is missing"),
        (HEX[:-3], "this has 61; 3 are missing"),
        (HEX + "0", "this has 65"),
        (HEX[:-1] + "g", "'g' is not a hex digit"),
        (HEX[:-1] + "\u0430", "cyrillic small letter a"),
        (HEX + HEX, "this has 128, as a secret key has"),
        ("l" * 52, "of 52 characters has no 'l'"),
        (Z_BASE_32[:-2], "52 letters, this has 50; 2 are missing"),
        (Z_BASE_32[:-1] + "l", "has no 'l'"),
        (Z_BASE_32 + "y", "has 52 characters, this has 53"),
        ("nobody", "this has 6"),
        (f"https://example.org/{HEX}", "begins with https://"),
    ],
)
def test_what_is_no_key_says_why(text: str, says: str) -> None:
    with pytest.raises(IdentityError, match=says):
        parse_public_key(text)


@given(st.text())
def test_any_text_is_a_key_or_an_identity_error(text: str) -> None:
    found = read_key(text)
    assert (found.sentence == "") == (found.check in (KeyCheck.KEY, KeyCheck.EMPTY))
    try:
        assert len(parse_public_key(text)) == 32
    except IdentityError as error:
        assert error.message.startswith("This is not a key")


@pytest.mark.parametrize("text", ["", "12", HEX + "00", "z" * 64])
def test_a_wrong_seed_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(IdentityError) as refused:
        parse_seed(text)
    assert "64 hex digits" in refused.value.message
    assert len(text) < 3 or text not in refused.value.message


@pytest.mark.parametrize("wrapped", ["{}", '"{}"', "\ufeff{}\r\n", "“{}”", "\u200b{}"])
def test_a_seed_is_read_with_what_came_along(wrapped: str) -> None:
    assert parse_seed(wrapped.format(HEX.upper())) == KEY


def test_a_short_key_shows_both_ends() -> None:
    assert short_key(HEX) == "0001 0203 … 1e1f"


# --- HOST:PORT


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:49737", ("127.0.0.1", 49737)),
        (" “127.0.0.1:49737”\u200b\n", ("127.0.0.1", 49737)),
        ("Node1.Example.org:1", ("node1.example.org", 1)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:5", ("::1", 5)),
        ("[2001:DB8:0::7]:49737", ("2001:db8::7", 49737)),
        ("88.99.3.86@node1.hyperdht.org:49737", ("88.99.3.86", 49737)),
    ],
)
def test_every_way_to_write_an_address(text: str, address: tuple[str, int]) -> None:
    assert parse_host_port(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "HOST:PORT"),
        ("somewhere", "the port is missing"),
        (":49737", "HOST:PORT"),
        ("127.0.0.1:", "1 to 65535"),
        ("127.0.0.1:0", "1 to 65535"),
        ("127.0.0.1:65536", "1 to 65535"),
        ("127.0.0.1:٣", "1 to 65535"),
        ("1.2.3.256:80", "no IPv4 address"),
        ("::1:49737", "in brackets"),
        ("[::g]:49737", "no IPv6 address"),
        ("http://node:80", "leave out http://"),
        ("a/b:80", "HOST:PORT"),
    ],
)
def test_what_is_no_address_says_why(text: str, says: str) -> None:
    with pytest.raises(NetworkError, match=says) as refused:
        parse_host_port(text)
    assert refused.value.name == "BAD_ADDRESS"


@given(st.text())
def test_any_text_is_an_address_or_a_network_error(text: str) -> None:
    try:
        host, port = parse_host_port(text)
    except NetworkError as error:
        assert "HOST:PORT" in error.message
    else:
        assert host and 0 < port < 65536


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65535))
def test_every_address_comes_back(ip: object, port: int) -> None:
    written = f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}"
    assert parse_host_port(written) == (str(ip), port)
