"""One server and one client behind boxes of given kinds, with a blind relay or without: what comes of it, and when.

`python -m tests.simulation.nat_meeting` prints the whole table.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT, Connection, ConnectStage, Server

from .datagram_network import Host, Link
from .nat_boxes import RANDOM, Kind, home
from .world import World, echo, pump, simulate

QUIET = Link(delay=(0.005, 0.03))
ROUGH = Link(delay=(0.005, 0.06), loss=0.05, duplicate=0.02, reorder=0.05)
BYTES = 60_000
NO_UDP = (Kind.BLOCKED, Kind.WEB_ONLY)
REACHABLE = [kind for kind in Kind if kind not in NO_UDP]
UPGRADE_LIMIT = 120.0
"""Seconds in which a relayed connection finds its direct path; a random punch may wait for its turn, twice."""


class Path(Enum):
    DIRECT = "direct"
    RELAY = "relay"
    NONE = "impossible"


def physics(server: Kind, client: Kind, *, relay: bool) -> Path:
    """Two NATs that choose a new port for every destination cannot guess each other's; without UDP there is nothing."""
    if server in NO_UDP or client in NO_UDP:
        return Path.NONE
    if server in RANDOM and client in RANDOM:
        return Path.RELAY if relay else Path.NONE
    return Path.DIRECT


@dataclass(frozen=True)
class Outcome:
    """`path` is where the connection ended, `seconds` until `connect` returned or failed, `moved` until it was direct.

    `error` is the client's, or the server's when it could not even listen.
    """

    path: Path
    seconds: float
    moved: float | None = None
    error: NetworkError | None = None
    stages: tuple[ConnectStage, ...] = ()


class Meeting:
    def __init__(self, world: World, *, relay: bool) -> None:
        self.world = world
        self._with_relay = relay
        self.relay_host = world.internet.host()
        self.relay_key: list[bytes] = []
        self.server: DHT
        self.client: DHT
        self.stages: list[ConnectStage] = []

    async def start_relay(self) -> None:
        node = await self.world.node(host=self.relay_host, ephemeral=False, firewalled=False)
        relay = node.create_relay_server()
        await relay.listen()
        assert relay.public_key is not None
        self.relay_key = [relay.public_key]

    async def _node(self, kind: Kind, host: Host) -> DHT:
        if kind not in NO_UDP:
            return await self.world.node(host=host)
        dht = self.world.make(host)  # it will never be ready
        self.world.stack.push_async_callback(dht.close)
        return dht

    async def listen(self, kind: Kind, host: Host) -> Server:
        self.server = await self._node(kind, host)
        return await self.world.serve(self.server, echo)

    async def connect(self, kind: Kind, host: Host) -> Connection:
        self.client = await self._node(kind, host)
        through = self.relay_key or None
        key = self.server.key_pair.public_key
        return await self.client.connect(key, relay_through=through, on_stage=self.stages.append)

    async def run(self, kinds: tuple[Kind, Kind], hosts: tuple[Host, Host], best: Path) -> Outcome:
        """The server listens, the client connects and gets its bytes back, also after a move to the `best` path."""
        world, started, moved = self.world, self.world.now(), None
        try:
            if self._with_relay:
                await self.start_relay()
            started = world.now()
            await self.listen(kinds[0], hosts[0])
            started = world.now()
            connection = await self.connect(kinds[1], hosts[1])
        except NetworkError as error:
            return Outcome(Path.NONE, world.now() - started, None, error, tuple(self.stages))
        seconds = world.now() - started
        await pump(connection, BYTES)
        if connection.path == "relay" and best is Path.DIRECT:
            moved = await self._wait_for_move(connection) - started
            await pump(connection, BYTES, seed=2)
        path = Path(connection.path)
        await connection.close()
        assert connection.error is None
        await asyncio.sleep(15)
        check_nothing_left(self.server, self.client)
        return Outcome(path, seconds, moved, None, tuple(self.stages))

    async def _wait_for_move(self, connection: Connection) -> float:
        """Bytes flow meanwhile: not one may be lost on the way from one path to the other."""
        async with asyncio.timeout(UPGRADE_LIMIT):
            while connection.path == "relay":
                await pump(connection, 20_000, seed=3)
                await asyncio.sleep(0.2)
        return self.world.now()


def check_nothing_left(*nodes: DHT) -> None:
    for dht in nodes:
        assert not dht.node.punchings
        assert not dht.node.connections
        assert not dht.endpoint._streams
        assert not dht.node.pairings
        assert len(dht.endpoint.pool) == 0
        assert len(dht.endpoint._sockets) == 2


async def meet(world: World, server_host: Host, client_host: Host, limit: float) -> tuple[DHT, DHT]:
    """The server listens, the client connects within `limit` seconds and gets its bytes back; nothing stays behind."""
    meeting = Meeting(world, relay=False)
    outcome = await meeting.run((Kind.OPEN, Kind.OPEN), (server_host, client_host), Path.DIRECT)
    assert outcome.error is None
    assert outcome.seconds < limit
    return meeting.server, meeting.client


def meet_by_kinds(server: Kind, client: Kind, *, relay: bool, seed: int, link: Link) -> Outcome:
    outcomes: list[Outcome] = []

    async def test(world: World) -> None:
        hosts = home(world.internet, server), home(world.internet, client)
        best = physics(server, client, relay=relay)
        outcomes.append(await Meeting(world, relay=relay).run((server, client), hosts, best))

    simulate(test, seed=seed, link=link)
    return outcomes[0]


def _cell(outcomes: list[Outcome]) -> str:
    seconds = sorted(outcome.seconds for outcome in outcomes)
    moves = sorted(outcome.moved for outcome in outcomes if outcome.moved is not None)
    paths = "/".join(sorted({outcome.path.value for outcome in outcomes}))
    middle = f"{seconds[len(seconds) // 2]:.2f} s (at most {seconds[-1]:.2f})"
    moved = f", direct after {moves[len(moves) // 2]:.2f} (at most {moves[-1]:.2f})" if moves else ""
    names = "/".join(sorted({outcome.error.name for outcome in outcomes if outcome.error is not None}))
    return f"{paths} {names} {middle}{moved}".replace("  ", " ")


def main(seeds: range = range(5)) -> None:
    for relay in (False, True):
        for server in Kind:
            for client in Kind:
                met = [meet_by_kinds(server, client, relay=relay, seed=seed, link=ROUGH) for seed in seeds]
                print("relay" if relay else "no relay", server.value, client.value, _cell(met), sep=" | ")


if __name__ == "__main__":
    main()
