"""The servers of one node, as the local network knows them; that may be another one, or none, at any moment."""

from __future__ import annotations

from qvac_core.hyperdht.lan.local_network import LocalNetwork


class Nearby:
    def __init__(self, network: LocalNetwork | None) -> None:
        self.network = network
        self._served: dict[object, tuple[bytes, int]] = {}

    def serve(self, owner: object, public_key: bytes, port: int) -> None:
        self._served[owner] = (public_key, port)
        if self.network is not None:
            self.network.serve(public_key, port)

    def stop_serving(self, owner: object) -> None:
        served = self._served.pop(owner, None)
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
