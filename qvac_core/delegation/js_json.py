"""JSON as JavaScript writes it, where the text itself matters: the model id is a hash over it.

ECMA-262 Number::toString; docs/wire/qvac.md section 4 (keys sorted at every depth, no spaces, `1` and not `1.0`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

# Integers beyond this are not exact in JavaScript (Number.MAX_SAFE_INTEGER).
_SAFE_INTEGER = 2**53 - 1


def number_text(value: float) -> str:
    """A number as JavaScript prints it; not finite is `null`, as in JSON.stringify."""
    if isinstance(value, int) and abs(value) <= _SAFE_INTEGER:
        return str(value)
    value = float(value)
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    # repr gives the shortest digits that read back, as JavaScript does; only where the point goes differs.
    sign, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    point = len(text) + exponent
    minus = "-" if value < 0 or sign else ""
    if len(text) <= point <= 21:
        return minus + text + "0" * (point - len(text))
    if 0 < point <= 21:
        return f"{minus}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    power = point - 1
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces. Takes what a JSON decoder gives."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        fields = (f"{json.dumps(str(key), ensure_ascii=False)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(fields) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(canonical, value)) + "]"
    raise TypeError(f"not a JSON value: {type(value).__name__}")
