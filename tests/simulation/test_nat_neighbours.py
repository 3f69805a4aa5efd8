"""Two peers behind one public address: in one house, on one guest Wi-Fi, at one carrier, with hairpin and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .datagram_network import Host, Internet, Link
from .nat_boxes import Kind, NatBox
from .nat_meeting import QUIET, ROUGH, Meeting, Outcome, Path
from .world import World, simulate

CONSISTENT, RANDOM = Kind.PORT_RESTRICTED, Kind.SYMMETRIC


def one_house(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    box = NatBox(internet, kind, hairpin=hairpin)
    return box.host(), box.host()


def guest_wifi(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    """The access point lets its guests not see each other."""
    box = NatBox(internet, kind, hairpin=hairpin, isolated=True)
    return box.host(), box.host()


def two_houses_of_a_carrier(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    carrier = NatBox(internet, kind, hairpin=hairpin, carrier=True)
    first, second = (NatBox(internet, CONSISTENT, outer=carrier) for _ in range(2))
    return first.host(), second.host()


def two_phones_of_a_carrier(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    carrier = NatBox(internet, kind, hairpin=hairpin, carrier=True)
    return carrier.host(), carrier.host()


def isolated_phones(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    carrier = NatBox(internet, kind, hairpin=hairpin, carrier=True, isolated=True)
    return carrier.host(), carrier.host()


def client_behind_a_second_router(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    """The server is plugged into the provider's box, the client into a router behind that."""
    outer = NatBox(internet, kind, hairpin=hairpin, carrier=True)
    return outer.host(), NatBox(internet, CONSISTENT, outer=outer).host()


def server_behind_a_second_router(internet: Internet, kind: Kind, hairpin: bool) -> tuple[Host, Host]:
    """The other way round: the client has no address to try."""
    client, server = client_behind_a_second_router(internet, kind, hairpin)
    return server, client


Place = Callable[[Internet, Kind, bool], tuple[Host, Host]]
INSIDE: list[Place] = [one_house, two_phones_of_a_carrier, client_behind_a_second_router]
"""The client reaches the server's private address."""
OUTSIDE: list[Place] = [guest_wifi, isolated_phones, two_houses_of_a_carrier, server_behind_a_second_router]
"""Only by the public one, when the box lets packets turn round and keeps its ports."""


def physics(place: Place, kind: Kind, *, hairpin: bool, relay: bool) -> Path:
    if place in INSIDE or (hairpin and kind is CONSISTENT):
        return Path.DIRECT
    return Path.RELAY if relay else Path.NONE


def check(place: Place, kind: Kind, *, hairpin: bool, relay: bool, seed: int, link: Link) -> Outcome:
    outcomes: list[Outcome] = []
    path = physics(place, kind, hairpin=hairpin, relay=relay)

    async def test(world: World) -> None:
        hosts = place(world.internet, kind, hairpin)
        outcomes.append(await Meeting(world, relay=relay).run((kind, kind), hosts, path))

    simulate(test, seed=seed, link=link)
    outcome = outcomes[0]
    assert outcome.path is path
    if path is Path.NONE:
        assert outcome.error is not None
        wanted = "HOLEPUNCH_ABORTED" if kind is CONSISTENT else "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"
        assert outcome.error.name == wanted
    assert outcome.seconds < (30 if path is Path.NONE or link is ROUGH else 3)
    return outcome


@pytest.mark.parametrize("relay", [False, True], ids=["no relay", "relay"])
@pytest.mark.parametrize("hairpin", [False, True], ids=["no hairpin", "hairpin"])
@pytest.mark.parametrize("kind", [CONSISTENT, RANDOM], ids=lambda kind: kind.value)
@pytest.mark.parametrize("place", INSIDE + OUTSIDE, ids=lambda place: place.__name__)
def test_neighbours_meet_where_they_can(place: Place, kind: Kind, hairpin: bool, relay: bool) -> None:
    outcome = check(place, kind, hairpin=hairpin, relay=relay, seed=1, link=QUIET)
    if place in INSIDE:
        assert outcome.seconds < 0.5


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20, 30))
@pytest.mark.parametrize("relay", [False, True], ids=["no relay", "relay"])
@pytest.mark.parametrize("hairpin", [False, True], ids=["no hairpin", "hairpin"])
@pytest.mark.parametrize("kind", [CONSISTENT, RANDOM], ids=lambda kind: kind.value)
@pytest.mark.parametrize("place", INSIDE + OUTSIDE, ids=lambda place: place.__name__)
def test_neighbours_meet_through_a_rough_network(
    place: Place, kind: Kind, hairpin: bool, relay: bool, seed: int
) -> None:
    check(place, kind, hairpin=hairpin, relay=relay, seed=seed, link=ROUGH)
