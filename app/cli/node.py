"""`qvac-desktop node`: a node of a network of one's own, apart from the public one, until interrupted.

The first one is begun with no --bootstrap; all others of that network, and every other verb, name it. It runs several
nodes, on ports one after the other: one alone has nobody who tells it its own address, and so keeps nothing for others.
"""

from __future__ import annotations

import argparse
import asyncio

import psutil

from app.cli.output import Output
from qvac_core.core.network import binding
from qvac_core.hyperdht import DHT
from qvac_core.hyperdht.dht import DEFAULT_PORT

NODES = 3
_IPV4 = 2


async def node(options: argparse.Namespace, output: Output) -> int:
    """Runs until cancelled. Event: ready {bootstrap}: the address at which others enter."""
    host, given = options.host or _own_address(), list(getattr(options, "bootstrap", None) or [])
    asked = getattr(options, "port", None)
    port = asked or DEFAULT_PORT
    nodes: list[DHT] = []
    try:
        for place in range(NODES):
            known = given or [(host, nodes[0].address[1])] if given or nodes else []
            any_port = not asked or place > 0  # a port that was asked for is what others will name
            nodes.append(DHT(known, ephemeral=False, firewalled=False, host=host, port=port + place, any_port=any_port))
            with binding():
                await nodes[-1].ready()
        address = f"{host}:{nodes[0].address[1]}"
        output.event("ready", bootstrap=address)
        output.text(f"{'A part' if given else 'The beginning'} of a network of its own. Others enter it with\n")
        output.text(f"  --bootstrap {address}")
        output.text("\nKeep it running, and reachable from every machine of that network. Ctrl-C ends it.")
        await asyncio.Event().wait()
    finally:
        for each in reversed(nodes):
            await each.close()
    return 0


def _own_address() -> str:
    """The first IPv4 address at which other machines may reach this one; its own where it has no network."""
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == _IPV4 and not address.address.startswith(("127.", "169.254."))
    ]
    return found[0] if found else "127.0.0.1"
