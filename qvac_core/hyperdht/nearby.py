"""The servers of one node, as the local network knows them; that may be another one, or none, at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvac_core.hyperdht.local_network import LocalNetwork

if TYPE_CHECKING:
    from qvac_core.hyperdht.server import Server


class Nearby:
    def __init__(self, network: LocalNetwork | None) -> None:
        self.network = network
        self._served: dict[Server, tuple[bytes, int]] = {}

    def serve(self, server: Server, public_key: bytes, port: int) -> None:
        if server.shares_local_address:
            self._served[server] = (public_key, port)
            if self.network is not None:
                self.network.serve(public_key, port)

    def stop_serving(self, server: Server) -> None:
        served = self._served.pop(server, None)
        if served is not None and self.network is not None:
            self.network.stop_serving(served[0])

    def use(self, network: LocalNetwork | None) -> None:
        """Find and be found through this one from now on; the one before is closed."""
        before, self.network = self.network, network
        for public_key, port in self._served.values():
            if before is not None:
                before.stop_serving(public_key)
            if network is not None:
                network.serve(public_key, port)
        if before is not None:
            before.close()

    def close(self) -> None:
        if self.network is not None:
            self.network.close()
