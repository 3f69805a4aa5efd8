"""`qvac-desktop diagnose`: why a machine is not connected, in words; with a key, why that provider is not."""

from __future__ import annotations

import argparse
import asyncio

from app.cli.config import core_config
from app.cli.output import Output
from app.network_words import OFFLINE, ROUTER, address_seen, answers
from qvac_core.codec.key_text import short_key
from qvac_core.core import load_key_pair
from qvac_core.core.diagnosis import Diagnosis, Outcome, PeerReport
from qvac_core.core.state import Nat, NetworkReport
from qvac_core.hyperdht import ConnectStage
from qvac_core.hyperdht.stream.connection import LOCAL_PATH

_REACH = {Nat.OPEN: "open", Nat.CONSISTENT: "firewalled", Nat.RANDOM: "firewalled", Nat.UNKNOWN: "not sure if open"}
_SUSPICION = {
    ConnectStage.SILENT: "The network knows the key, but the machine has not answered yet…",
    ConnectStage.ALONE: "Nobody in the network has answered yet…",
}


async def diagnose(options: argparse.Namespace, output: Output) -> int:
    """Events: network, then with a key suspicion (while it is tried) and peer. 0: all is well."""
    config = core_config(options)
    key_pair = await asyncio.to_thread(load_key_pair, config)
    async with Diagnosis(config, key_pair) as diagnosis:
        network = await diagnosis.network()
        _tell_network(network, output)
        if options.key is None:
            return 0 if network.reachable else 1

        def on_stage(stage: ConnectStage) -> None:
            if stage in _SUSPICION:
                output.event("suspicion", what=stage.value)
                output.text(_SUSPICION[stage])

        peer = await diagnosis.peer(options.key, on_stage)
        _tell_peer(options.key.hex(), peer, output)
    return 0 if peer.outcome is Outcome.CONNECTED else 1


def _tell_network(report: NetworkReport, output: Output) -> None:
    host, port = report.address or (None, 0)
    output.event(
        "network",
        reachable=report.reachable,
        asked=report.asked,
        answered=report.answered,
        host=host,
        port=port or None,
        firewalled=report.firewalled,
        nat=report.nat,
    )
    if not report.reachable:
        output.text(f"Network: not reachable. {OFFLINE}")
        return
    output.text(f"Network: reachable; {answers(report)}.")
    output.text(f"Address as others see it: {address_seen(report)}; {_REACH[report.nat]}.")
    output.text(ROUTER[report.nat])


def _tell_peer(public_key: str, report: PeerReport, output: Output) -> None:
    host, port = report.address or (None, None)
    output.event(
        "peer",
        publicKey=public_key,
        outcome=report.outcome,
        nodes=report.relays,
        seconds=round(report.seconds, 3),
        path=report.path or None,
        relay=None if report.relay is None else report.relay.hex(),
        host=host,
        port=port,
        rttMs=None if report.rtt is None else round(report.rtt * 1000, 2),
        message=f"{report.title} {report.helps}".strip(),
    )
    known = f"{report.relays} {'node knows' if report.relays == 1 else 'nodes know'} the key"
    head = f"Provider {short_key(public_key)}: {report.outcome}; {known}; {report.seconds:.1f} s."
    if report.rtt is not None:
        where = "on the local network" if report.path == LOCAL_PATH else report.path
        if report.relay is not None:
            where = f"relay {short_key(report.relay.hex())}"
        head += f" Path: {where}, {host}:{port}; round trip {report.rtt * 1000:.1f} ms."
    output.text(f"{head} {report.title} {report.helps}".strip())
