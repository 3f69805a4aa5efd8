"""A spot check through real cores: the same file at both ends says the same words."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.core.receipts_room import ReceiptQuery, ReceiptSide
from qvac_core.core.spot_check import QUESTIONS, Finding
from qvac_core.errors import ModelError
from tests.e2e.test_core import Watched, admitted, run


def test_a_provider_with_the_file_that_it_names_says_the_same_words(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        await admitted(owner, guest, small_model_path)
        with pytest.raises(ModelError, match="Nobody else is there"):
            await guest.core.spot_checks.check(owner.core.public_key)
        await guest.core.add_model_file(small_model_path)
        found = await guest.core.spot_checks.check(owner.core.public_key)
        assert found.finding is Finding.SAME, found
        assert found.compared_with == "" and all(pair.theirs for pair in found.pairs)
        async with asyncio.timeout(30):  # what was asked of the provider is no secret use: it has its receipts
            while len(await guest.core.receipts.find(ReceiptQuery(ReceiptSide.TAKEN))) < QUESTIONS:
                await asyncio.sleep(0.05)

    run(test, tmp_path)
