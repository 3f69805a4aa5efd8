"""The two scripts of the SDK's delegation page, as they stand in the README, against each other."""

from __future__ import annotations

import sys
from pathlib import Path

from qvac_core import get_consumer_public_key
from tests.e2e.program import Program

PROVIDER_SEED, CONSUMER_SEED = "51" * 32, "52" * 32


def test_provider_and_consumer_scripts(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    allowed = get_consumer_public_key(CONSUMER_SEED)
    here = Path(__file__).parent
    provider = [sys.executable, str(here / "example_provider.py"), PROVIDER_SEED, allowed, str(small_model_path)]
    with Program([*provider, bootstrap], env={"QVAC_DESKTOP_HOME": str(tmp_path / "provider")}) as sharing:
        key = sharing.until("text")["text"].rpartition(" ")[2]
        consumer = [sys.executable, str(here / "example_consumer.py"), key, CONSUMER_SEED, small_model_path.name]
        with Program([*consumer, bootstrap], env={"QVAC_DESKTOP_HOME": str(tmp_path / "consumer")}) as asking:
            assert asking.finish() == 0, asking.stderr
        lines = [event["text"] for event in asking.events]
    assert lines[0] == f"My key, for the provider's allow list: {allowed}"
    assert any("Paris" in line for line in lines)
    assert lines[-1].endswith("tokens/s")
