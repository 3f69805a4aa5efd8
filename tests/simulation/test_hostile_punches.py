"""Admitted peers that punch in bad faith: garbage in every field, floods of handshakes, rounds without end."""

from __future__ import annotations

import asyncio

from qvac_core.codec import Address, blake2b
from qvac_core.hyperdht.punching import MAX_PUNCHERS
from qvac_core.hyperdht.server.limits import PUNCHES
from qvac_core.rendezvous.constants import Command, Mode
from qvac_core.rendezvous.holepuncher import RANDOM_TRIES
from qvac_core.rendezvous.messages import HolepunchMessage, HolepunchPayload
from qvac_core.rendezvous.secure_payload import SecurePayload

from .hostile import Siege, Stranger, address_of, besiege
from .world import echo

VICTIM: Address = ("20.0.200.1", 53)


def some_payload(siege: Siege) -> HolepunchPayload:
    chance = siege.chance
    addresses = [VICTIM, ("255.255.255.255", 1), ("20.0.201.1", 0), ("0.0.0.0", 0)]
    return HolepunchPayload(
        error=chance.choice((0, 0, 0, 1, 3, 99)),
        firewall=chance.choice((0, 1, 2, 3, 77)),
        round=chance.choice((0, 1, 2, 1 << 40)),
        punching=chance.random() < 0.5,
        addresses=chance.choice((None, (), tuple(chance.choices(addresses, k=200)))),
        remote_address=chance.choice((None, VICTIM)),
        token=chance.choice((None, bytes(32))),
        remote_token=chance.choice((None, bytes(32))),
    )


def test_rounds_with_anything_in_them_end_and_hit_nobody_hard() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node(quick_firewall=False)
        assert server.firewalled
        listening = server.create_server(echo)
        await listening.listen()
        key = server.key_pair.public_key
        probes = 0

        def count(source: Address, to: Address, datagram: bytes) -> bool:
            nonlocal probes
            probes += len(datagram) <= 1
            return False

        siege.internet.drops.append(count)
        stranger = Stranger(siege)
        relay = listening.relay_addresses[0]
        for number in range(1, 40):
            payload, session = await stranger.shake_hands(relay, key, number)
            assert payload.holepunch is not None
            secure = SecurePayload(session.holepunch_secret, local_secret=bytes(32))
            at = payload.holepunch.relays[0].peer_address
            for n in range(8):
                sealed = secure.seal(some_payload(siege), siege.chance.randbytes(24))
                message = HolepunchMessage(Mode.FROM_CLIENT, payload.holepunch.id, sealed, peer_address=at)
                target = blake2b(key)
                stranger.ask(relay, Command.PEER_HOLEPUNCH, tid=1000 + n, target=target, value=message.encode())
        assert len(server.node.punchings) <= MAX_PUNCHERS
        await asyncio.sleep(120)
        assert not server.node.punchings
        assert not listening._clients
        assert not server.endpoint._streams
        assert len(server.endpoint._sockets) == 2
        # Nobody proved a host, so there was nothing to guess ports at, and others were probed now and then only.
        assert probes < min(RANDOM_TRIES, 40 * 8 * 4)
        (await (await siege.node()).connect(key)).destroy()

    besiege(test)


def test_a_flood_of_handshakes_does_not_take_all_sockets() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node(quick_firewall=False)
        listening = server.create_server(echo)
        await listening.listen()
        key = server.key_pair.public_key
        stranger = Stranger(siege)
        relay = listening.relay_addresses[0]
        for number in range(3 * MAX_PUNCHERS):
            _, value = stranger.handshake(key, number)
            stranger.ask(relay, Command.PEER_HANDSHAKE, tid=number, target=blake2b(key), value=value)
        await asyncio.sleep(1)
        assert len(server.endpoint._sockets) == 2 + PUNCHES.per_host
        await asyncio.sleep(30)
        assert len(server.endpoint._sockets) == 2
        assert address_of(server)
        (await (await siege.node()).connect(key)).destroy()

    besiege(test)
