"""`qvac-desktop spot-check`: whether a provider's answers are those of the model file that it names."""

from __future__ import annotations

import argparse

from app.cli.config import core_config
from app.cli.output import Output
from qvac_core.codec.key_text import short_key
from qvac_core.core import Core
from qvac_core.core.spot_check import Finding, SpotCheck

SAID = {
    Finding.SAME: (
        "The answers are the same to the last letter. Another file, or another quantization of it, would almost surely "
        "have said something else. It holds for these questions: it does not prove how others are answered."
    ),
    Finding.MOSTLY: (
        "The answers begin alike and part later on. That is usual between different hardware, where numbers are "
        "rounded differently. It speaks for the same file, and does not prove it."
    ),
    Finding.DIFFERENT: (
        "The answers part at once. The model is hardly the file that it is said to be, or it is asked in another way "
        "there, as by another program. Try again, and compare with a second one, before you say so."
    ),
}


async def spot_check(options: argparse.Namespace, output: Output) -> int:
    """Event `spotCheck`. Exit code 1 where the answers are different. Raises QvacError."""
    async with Core(core_config(options)) as core:
        found = await core.spot_checks.check(
            options.key.hex(), options.model or "", options.with_.hex() if options.with_ else ""
        )
    _tell(found, output)
    return 1 if found.finding is Finding.DIFFERENT else 0


def _tell(found: SpotCheck, output: Output) -> None:
    output.event(
        "spotCheck",
        finding=found.finding.value,
        model=found.model,
        modelSha256=found.sha256,
        comparedWith=found.compared_with or None,
        agreement=round(found.agreement, 3),
        answers=[
            {"question": pair.question, "theirs": pair.theirs, "reference": pair.reference} for pair in found.pairs
        ],
    )
    other = short_key(found.compared_with) if found.compared_with else "the file of this machine"
    alike = sum(pair.agreement == 1.0 for pair in found.pairs)
    output.text(f"{found.model}, compared with {other}: {alike} of {len(found.pairs)} answers are the same.")
    output.text(SAID[found.finding])
