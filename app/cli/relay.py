"""`qvac-desktop relay`: forward, unread, between peers that find no direct path to each other, until interrupted."""

from __future__ import annotations

import argparse
import asyncio

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core import load_key_pair
from qvac_core.core.network import binding
from qvac_core.hyperdht import DHT, RelayEvent, RelayPaired, RelayPairing, RelayPolicy, RelayUnpaired
from qvac_core.hyperdht.dht import DEFAULT_PORT

_MEGA = 1_000_000


async def relay(options: argparse.Namespace, output: Output) -> int:
    """Runs until cancelled. Events: ready, pairing, paired, unpaired."""
    config = core_config(options)
    key_pair = load_key_pair(config)
    dht = DHT(config.bootstrap, key_pair, host=config.host, port=config.port or DEFAULT_PORT)
    try:
        with binding():
            await dht.ready()
        server = dht.create_relay_server(_policy(options), lambda event: _report(event, output))
        try:
            await server.listen(key_pair)
            output.event("ready", publicKey=key_pair.public_key.hex(), port=dht.address[1])
            output.text(f"Relaying under the key\n\n  {key_pair.public_key.hex()}\n")
            output.text(_who(options))
            await asyncio.Event().wait()
        finally:
            await server.close()
    finally:
        await dht.close()
    return 0


def _policy(options: argparse.Namespace) -> RelayPolicy:
    return RelayPolicy(
        admitted=frozenset(options.allow) if options.allow else None,
        bytes_per_second=options.rate * _MEGA if options.rate else None,
        bytes_in_all=int(options.quota * _MEGA) if options.quota else None,
    )


def _who(options: argparse.Namespace) -> str:
    who = f"{len(options.allow)} keys may use it" if options.allow else "Everybody who knows the key may use it"
    return f"{who}. What passes is encrypted and cannot be read here. Ctrl-C ends it."


def _report(event: RelayEvent, output: Output) -> None:
    match event:
        case RelayPairing():
            output.event("pairing", remotePublicKey=event.remote_public_key.hex())
        case RelayPaired():
            output.event("paired", id=event.id, initiator=event.initiator.hex(), responder=event.responder.hex())
            output.text(f"{event.id}: {short_key(event.initiator.hex())} and {short_key(event.responder.hex())}")
        case RelayUnpaired():
            output.event("unpaired", id=event.id, bytes=event.bytes, ms=round(event.seconds * 1000, 1))
            output.text(f"{event.id}: over, {event.bytes / _MEGA:.1f} MB in {event.seconds:.0f} s")
