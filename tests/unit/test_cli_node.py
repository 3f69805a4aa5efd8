"""`qvac-desktop node`: a port that was asked for is had, or said to be taken."""

from __future__ import annotations

import argparse
import asyncio
import socket

import pytest

from app.cli.node import node
from app.cli.output import Output
from qvac_core.errors import NetworkError


def test_a_port_that_is_taken_is_told_and_no_other_one_is_opened() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        options = argparse.Namespace(host="127.0.0.1", port=taken.getsockname()[1], bootstrap=[])
        with pytest.raises(NetworkError, match="cannot be opened") as failed:
            asyncio.run(asyncio.wait_for(node(options, Output(as_json=True)), 60))
        assert failed.value.name == "BIND_FAILED"
