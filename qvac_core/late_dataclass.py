"""`@dataclass(frozen=True, slots=True)` of the standard library, whose functions are compiled with the first instance.

The original compiles six functions for each class when the module is imported: 0.75 ms of a class (Python 3.11), for a
hundred and fifty classes before a window is seen, of which a few have an instance by then. All else of such a class is
made by the original at once: fields, slots, what a pattern matches. Other options, and classes with a base, are left to
it as a whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # what a type checker knows
else:

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def make(given: type) -> type:
            if options != _OPTIONS or given.__bases__ != (object,):
                return dataclasses.dataclass(**options)(given)
            return _late(given)

        return make if cls is None else make(cls)


_OPTIONS = {"frozen": True, "slots": True}
_COMPILED = ("__init__", "__repr__", "__eq__", "__hash__")


def _late(given: type) -> type:
    made: type[Any]

    def standing_in(name: str) -> Callable[..., Any]:
        def compile_first(self: object, *arguments: object, **named: object) -> Any:
            for each, function in zip(late, _compiled(made, late), strict=True):
                setattr(made, each, function)
            return getattr(made, name)(self, *arguments, **named)

        return compile_first

    late = [name for name in _COMPILED if name not in given.__dict__]
    for name in late:
        setattr(given, name, standing_in(name))
    for function in (__setattr__, __delattr__, __getstate__, __setstate__):
        setattr(given, function.__name__, function)
    if given.__doc__ is None:
        given.__doc__ = given.__name__  # the original writes a signature there, and is slow to find it
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(given)
    made.__dataclass_params__ = _PARAMS
    return made


def _compiled(made: type[Any], names: list[str]) -> list[Any]:
    """Of a class with the same fields. In any thread; twice does no harm."""
    content = {**made.__dataclass_fields__, "__annotations__": made.__annotations__, "__module__": made.__module__}
    if hasattr(made, "__post_init__"):
        content["__post_init__"] = made.__post_init__
    plain: type = dataclasses.dataclass(frozen=True)(type(made.__name__, (), content))
    return [plain.__dict__[name] for name in names]


# --- Of every such class ---------------------------------------------------------------------------------------------


def __setattr__(self: object, name: str, value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def __getstate__(self: Any) -> list[object]:
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def __setstate__(self: Any, state: list[object]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


@dataclasses.dataclass(**_OPTIONS)
class _Original:
    pass


_PARAMS = _Original.__dataclass_params__  # type: ignore[attr-defined]
