"""What holds for a model: bounds, what waits for a load, and how much memory it may have.

qvac_core/core/model_options.py; qvac_core/engines/memory_cap.py.
"""

from __future__ import annotations

import pytest

from qvac_core.core.model_options import ModelOptions, OptionsOfModel, check_options
from qvac_core.engines.memory_cap import check_cap
from qvac_core.errors import ModelError

GB = 1_000_000_000


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
