"""What a look at the network found, in words: the window and the command line say the same. Knows no Qt."""

from __future__ import annotations

from qvac_core.core.state import Nat, NetworkReport

ROUTER = {
    Nat.OPEN: "Others can reach this machine directly.",
    Nat.CONSISTENT: "This machine is behind a router that shows everybody the same port: most others can be reached.",
    Nat.RANDOM: (
        "This machine is behind a router that shows everybody another port. Peers behind such a router as well cannot "
        "be reached directly: forward the UDP port, use another network, or go through a relay."
    ),
    Nat.UNKNOWN: (
        "Not sure yet what the router in front of this machine does: too few nodes answered, or not all alike. Try "
        "again in a minute."
    ),
}
OFFLINE = (
    "Nobody answers. Check the connection, and whether a firewall blocks UDP; on a closed network give --bootstrap."
)
OFFLINE_IN_WINDOW = "Check the connection, and whether a firewall blocks UDP. QVAC Desktop goes on trying by itself."


def answers(report: NetworkReport) -> str:
    return f"{report.answered} of {report.asked} nodes answer"


def address_seen(report: NetworkReport) -> str:
    if report.address is None:
        return "others disagree about it"
    host, port = report.address
    return f"{host}, port {port or 'different for each node'}"


def headline(report: NetworkReport) -> tuple[str, str, str, str]:
    """Icon, first clause, facts, tone: a status line."""
    if not report.reachable:
        return "triangle-alert", "Nobody answers.", OFFLINE_IN_WINDOW, "danger"
    facts = f"{answers(report)}. Address as others see it: {address_seen(report)}. {ROUTER[report.nat]}"
    if report.nat is Nat.RANDOM:
        return "cable", "Connected, behind a strict router.", facts, "warn"
    return "radio-tower", "Connected.", facts, "accent"
