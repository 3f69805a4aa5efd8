"""What a look at the network found, in words: the window and the command line say the same. Knows no Qt."""

from __future__ import annotations

from app.i18n import later, listed, tr, trn
from app.words import size
from qvac_core.core.relay_offer_state import RelayOffer, RelayPhase
from qvac_core.core.state import Nat, NetworkReport

ROUTER = {
    Nat.OPEN: later("Others can reach this machine directly."),
    Nat.CONSISTENT: later(
        "This machine is behind a router that shows everybody the same port: most others can be reached."
    ),
    Nat.RANDOM: later(
        "This machine is behind a router that shows everybody another port. Peers behind such a router as well cannot "
        "be reached directly: forward the UDP port, use another network, or go through a relay."
    ),
    Nat.UNKNOWN: later(
        "Not sure yet what the router in front of this machine does: too few nodes answered, or not all alike. Try "
        "again in a minute."
    ),
}
OFFLINE = (
    "Nobody answers. Check the connection, and whether a firewall blocks UDP; on a closed network give --bootstrap."
)


def answers(report: NetworkReport) -> str:
    return tr("{answered} of {asked} nodes answer", answered=report.answered, asked=report.asked)


def address_seen(report: NetworkReport) -> str:
    if report.address is None:
        return tr("others disagree about it")
    host, port = report.address
    if not port:
        return tr("{host}, port different for each node", host=host)
    return tr("{host}, port {port}", host=host, port=str(port))


def headline(report: NetworkReport) -> tuple[str, str, str, str]:
    """Icon, first clause, facts, tone: a status line."""
    if not report.reachable:
        advice = tr("Check the connection, and whether a firewall blocks UDP. QVAC Desktop goes on trying by itself.")
        return "triangle-alert", tr("Nobody answers."), advice, "danger"
    #: {answers}: "17 of 20 nodes answer"; {address}: "203.0.113.7, port 4711"; {router}: a sentence
    facts = tr(
        "{answers}. Address as others see it: {address}. {router}",
        answers=answers(report),
        address=address_seen(report),
        router=tr(ROUTER[report.nat]),
    )
    if report.nat is Nat.RANDOM:
        return "cable", tr("Connected, behind a strict router."), facts, "warn"
    return "radio-tower", tr("Connected."), facts, "accent"


def offer_line(offer: RelayOffer) -> tuple[str, str, str, str]:
    """The relay that this machine is, as `headline` tells the network."""
    today = tr("{size} today.", size=size(offer.bytes_today)) if offer.bytes_today else ""
    match offer.phase:
        case RelayPhase.OFF:
            return "power", tr("Off."), today, "text3"
        case RelayPhase.STARTING:
            return "clock", tr("Starting."), tr("The network is told of it."), "text3"
        case RelayPhase.NOT_FOUND:
            advice = tr("The network does not lead to this relay yet. It is tried again by itself.")
            return "triangle-alert", tr("Nobody finds it."), advice, "warn"
        case RelayPhase.USED_UP:
            rests = listed([today, tr("It goes on at midnight.")], " ")
            return "hourglass", tr("What it forwards in a day is used up."), rests, "warn"
    if not offer.machines:
        return "cable", tr("Ready."), listed([tr("Nobody goes through it now."), today], " "), "accent"
    who = trn("%n machine is connected", "%n machines are connected", offer.machines)
    pairs = trn("%n pair is joined", "%n pairs are joined", offer.pairs)
    return "cable", tr("In use."), listed([tr("{who}, {pairs}.", who=who, pairs=pairs), today], " "), "accent"
