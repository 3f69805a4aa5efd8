"""Settings given as text: what cannot be is told in a sentence, and changes nothing.

qvac_core/core/setting_checks.py, model_options.py; qvac_core/engines/memory_cap.py.
"""

from __future__ import annotations

import pytest

from qvac_core.core.model_options import ModelOptions, OptionsOfModel, check_options
from qvac_core.core.setting_checks import check_setting
from qvac_core.engines.memory_cap import check_cap
from qvac_core.errors import ModelError, StoreError

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manners.hours_from", "8:00"),
        ("manners.hours_to", "24:00"),
        ("manners.hours_from", "08:60"),
        ("manners.hours_from", "٠٨:٠٠"),
        ("manners.hours_days", "8"),
        ("manners.hours_days", "mon"),
        ("machine_name", "x" * 61),
        ("sharing.context_tokens", "10"),
        ("sharing.slots", "0"),
        ("sharing.slots", "1000"),
    ],
)
def test_what_cannot_be_is_told(name: str, text: str) -> None:
    with pytest.raises(StoreError):
        check_setting(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manners.hours_from", "00:00"),
        ("manners.hours_to", "23:59"),
        ("manners.hours_days", "67"),
        ("machine_name", ""),
        ("sharing.slots", "4"),
        ("anything.else", "anything"),
    ],
)
def test_what_can_be_is_let_through(name: str, text: str) -> None:
    check_setting(name, text)


@pytest.mark.parametrize(
    "options",
    [ModelOptions(context_tokens=1), ModelOptions(slots=65), ModelOptions(memory_mb=-1), ModelOptions(0, 0, 0, 99999)],
)
def test_options_that_no_model_can_have(options: ModelOptions) -> None:
    with pytest.raises(ModelError, match="between"):
        check_options(options)


def test_options_say_whether_they_wait_for_a_load() -> None:
    others = ModelOptions(4096, 4, 0, 10, 0)
    assert not OptionsOfModel(ModelOptions(), others).waits
    assert not OptionsOfModel(ModelOptions(), others, loaded=(4096, 4)).waits
    assert OptionsOfModel(ModelOptions(slots=1), others, loaded=(4096, 4)).waits


def test_a_cap_is_of_one_model_and_of_all() -> None:
    check_cap("Qwen", 2 * GB, 0, cap_mb=0, cap_of_all_mb=0)
    check_cap("Qwen", 2 * GB, 3 * GB, cap_mb=2000, cap_of_all_mb=5000)
    with pytest.raises(ModelError, match="let it have 1") as alone:
        check_cap("Qwen", 2 * GB, 0, cap_mb=1000, cap_of_all_mb=0)
    assert alone.value.typed_fields["reason"] == "memory"
    with pytest.raises(ModelError, match="others hold 3"):
        check_cap("Qwen", 2 * GB, int(3.5 * GB), cap_mb=2000, cap_of_all_mb=5000)
