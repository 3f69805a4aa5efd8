"""Every benchmark of the network runs and measures something. Nobody looks at the figures here."""

from __future__ import annotations

import pytest

from tests.bench import bench_cache, network
from tests.bench.delayed_network import why_not
from tests.bench.link import ceiling
from tests.bench.table import Row
from tests.interop.install import install_js_peers


def assert_measured(rows: list[Row]) -> None:
    for row in rows:
        assert row.ours and row.theirs, row
        # A handful of connections may fit into memory that the process had already.
        if row.unit != "kB":
            assert min(row.ours) > 0, row
            assert min(row.theirs) > 0, row


def test_on_loopback() -> None:
    assert_measured(network.near(network.QUICK, install_js_peers()))


def test_between_machines_that_are_far_apart() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: network namespaces with TUN devices are not permitted here ({reason})")
    rows = network.far(network.QUICK, install_js_peers())
    assert_measured(rows)
    for row in rows:
        # What needs the network cannot be faster than light: else the delay is not there.
        assert min(*row.ours, *row.theirs) > network.FAR_RTT * 0.95, row


def test_through_the_link_emulator() -> None:
    assert_measured(network.links(network.QUICK, install_js_peers()))
    assert ceiling(0.1) > 0


def test_the_cache_of_a_model_that_slides() -> None:
    assert_measured([bench_cache.sliding(1)])
