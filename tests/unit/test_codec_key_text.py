"""Keys and seeds as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.codec.key_text import parse_public_key, parse_seed, short_key
from qvac_core.errors import IdentityError
from qvac_core.rendezvous.addresses import decode_key

KEY = bytes(range(32))
HEX = KEY.hex()


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        HEX.upper(),
        f"  {HEX}\n",
        " ".join(HEX[i : i + 4] for i in range(0, 64, 4)),
        ":".join(HEX[i : i + 2] for i in range(0, 64, 2)),
        f"qvac://{HEX}",
        f"qvac://{HEX}/",
    ],
)
def test_every_way_to_write_a_key(text: str) -> None:
    assert parse_public_key(text) == KEY


def test_z_base_32_is_what_the_network_reads() -> None:
    text = "yryo" + "y" * 48
    assert parse_public_key(text) == decode_key(text)[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has 0"),
        (HEX[:-1], "has 63"),
        (HEX + "0", "has 65"),
        (HEX[:-1] + "g", "'g' is not a hex digit"),
        ("l" * 52, "has 52"),
    ],
)
def test_what_is_no_key_says_why(text: str, says: str) -> None:
    with pytest.raises(IdentityError, match=says):
        parse_public_key(text)


@given(st.text())
def test_any_text_is_a_key_or_an_identity_error(text: str) -> None:
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


def test_a_short_key_shows_both_ends() -> None:
    assert short_key(HEX) == "0001 0203 … 1e1f"
