"""What end-to-end tests share: a loopback network of our own nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.program import loopback_network


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """HOST:PORT of a testnet that lives as long as the session."""
    with loopback_network() as net:
        yield str(net.until("ready")["bootstrap"][0])
