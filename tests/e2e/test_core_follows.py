"""Two cores with a real model: an answer goes on while the guest's sockets are bound anew under it."""

from __future__ import annotations

from pathlib import Path

from qvac_core.core.state import AnswerSeam, AnswerTokens, ProvidersChanged
from qvac_core.hyperdht.node.network import DatagramSocket, Receive, SystemNetwork
from tests.e2e.test_core import LONG, Watched, admitted, run


class OtherPorts(SystemNetwork):
    """Where a port was once, there is none again: as with a NAT, whose outside port is another after the change."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[int] = set()

    def open(self, host: str, port: int, receive: Receive) -> DatagramSocket:
        if port in self.used:
            raise OSError("this port is gone")
        sock = super().open(host, port, receive)
        self.used.add(sock.address[1])
        return sock


def test_an_answer_streams_on_while_the_guest_changes_its_address(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        message = await guest.core.ask(conversation, LONG)
        await guest.until(AnswerTokens)
        dht = guest.core._network.dht
        dht._network = dht.endpoint.network = OtherPorts()
        dht._network.used.update(sock.address[1] for sock in dht.endpoint._sockets.values())
        (served,) = owner.core._network.dht.node.connections
        (used,) = dht.node.connections
        for _ in range(3):
            before = served.remote_address
            guest.events.clear()
            dht.network_changed(rebind=True)
            while served.remote_address == before:
                seen = guest.answered()
                await guest.until(AnswerTokens, lambda _, seen=seen: guest.answered() > seen)  # type: ignore[misc]
        await guest.core.stop_answer(message)
        answer = await guest.answer_of(message)
        assert answer.status == "stopped", answer
        # Still the same connection, and nobody saw anything of it.
        assert not used.closed
        assert not served.closed
        assert (list(dht.node.connections), used.error) == ([used], None)
        assert not any(isinstance(event, AnswerSeam) for event in guest.events)
        states = [event.providers[0].state for event in guest.events if isinstance(event, ProvidersChanged)]
        assert set(states) <= {"online"}

    run(test, tmp_path)
