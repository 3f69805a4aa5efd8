"""The real JavaScript peers: installed once, into a cache inside the clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.install import install_js_peers
from tests.interop.namespaces import why_not
from tests.interop.sdk_peer import sdk_peer_home

__all__ = ["js_home", "sdk_peer_home"]


@pytest.fixture(scope="session")
def js_home() -> Path:
    """A folder whose node_modules hold the packages of tests/interop/package.json."""
    return install_js_peers()


@pytest.fixture(scope="session")
def permitted() -> None:
    """Skips, and says why, where network namespaces cannot be had."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: network namespaces are not permitted here ({reason})")
