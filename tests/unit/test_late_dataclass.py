"""A class whose functions are compiled late is to everybody what the original makes of it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from dataclasses import field, replace
from typing import Any, ClassVar

import msgspec
import pytest

from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Late:
    """Text."""

    name: str
    size: int = 3
    kinds: tuple[str, ...] = ()
    more: dict[str, int] = field(default_factory=dict, compare=False)
    quiet: str = field(default="", repr=False)
    LIMIT: ClassVar[int] = 7
    loud: bool = field(kw_only=True, default=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Original:
    """Text."""

    name: str
    size: int = 3
    kinds: tuple[str, ...] = ()
    more: dict[str, int] = field(default_factory=dict, compare=False)
    quiet: str = field(default="", repr=False)
    LIMIT: ClassVar[int] = 7
    loud: bool = field(kw_only=True, default=False)


@dataclass(frozen=True, slots=True)
class Checked:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("upside down")

    def __repr__(self) -> str:
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Unused:
    name: str
    size: int = 0


@dataclass(slots=True)
class Changed:
    """Of other options: the original's."""

    name: str


BOTH = pytest.mark.parametrize("kind", [Late, Original])


@BOTH
def test_what_it_is_before_there_is_one(kind: Any) -> None:
    assert [each.name for each in dataclasses.fields(kind)] == ["name", "size", "kinds", "more", "quiet", "loud"]
    assert kind.__match_args__ == ("name", "size", "kinds", "more", "quiet")
    assert (kind.__slots__, kind.LIMIT) == (("name", "size", "kinds", "more", "quiet", "loud"), 7)
    assert kind.__doc__ == "Text." and kind.__module__ == __name__ and dataclasses.is_dataclass(kind)
    assert vars(kind)["__dataclass_params__"].frozen


@BOTH
def test_what_its_instances_are(kind: Any) -> None:
    one = kind("a", 4, loud=True)
    assert repr(one) == f"{kind.__name__}(name='a', size=4, kinds=(), more={{}}, loud=True)"
    assert one == kind("a", 4, (), {"x": 1}, loud=True) and one != kind("a", 4) and one != ("a", 4)
    assert hash(one) == hash(kind("a", 4, (), {"x": 1}, loud=True))
    assert replace(one, size=5) == kind("a", 5, loud=True)
    assert dataclasses.asdict(one)["size"] == 4
    assert kind("a").more is not kind("a").more
    match one:
        case kind(name, size):
            assert (name, size) == ("a", 4)
        case _:
            pytest.fail("no match")
    for name in ("size", "other"):
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(one, name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.size
    with pytest.raises(TypeError, match="required positional argument: 'name'"):
        kind()
    assert not hasattr(one, "__dict__")
    for copied in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert copied == one and copied is not one
    assert inspect.signature(kind) == inspect.signature(Original)


def test_one_that_was_never_made_here() -> None:
    """As msgspec makes it, or pickle in another process: without its __init__."""
    one, other = (msgspec.convert({"name": "a"}, Unused) for _ in range(2))
    assert one == other and hash(one) == hash(other) and repr(one) == "Unused(name='a', size=0)"


def test_what_it_has_of_its_own_stays() -> None:
    assert repr(Checked(1, 2)) == "1 to 2" and Checked(1, 2) == Checked(1, 2)
    with pytest.raises(ValueError, match="upside down"):
        Checked(2, 1)
    one = Changed("a")
    one.name = "b"
    assert one == Changed("b")


def test_nothing_is_compiled_before_it_is_wanted() -> None:
    """The point of it: importing the window's state compiles the functions of hardly any class."""
    show = (
        "import builtins, sys\n"
        "from qvac_core import late_dataclass\n"
        "compiled, plain = [], late_dataclass._compiled\n"
        "late_dataclass._compiled = lambda made, names: compiled.append(made) or plain(made, names)\n"
        "import qvac_core.core.state, dataclasses\n"
        "made = [v for v in vars(sys.modules['qvac_core.core.state']).values() if dataclasses.is_dataclass(v)]\n"
        "print(len(compiled), len(made))"
    )
    told = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True).stdout
    compiled, made = map(int, told.split())
    assert made > 30 and compiled < made / 5
