"""`qvac-desktop public-key`: the key that this identity shows to others."""

from __future__ import annotations

import argparse

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.core import load_key_pair


def show_public_key(options: argparse.Namespace, output: Output) -> int:
    output.text(load_key_pair(core_config(options)).public_key.hex())
    return 0
