"""What the owner set for single models, in memory: the fake of `core.model_options`."""

from __future__ import annotations

from dataclasses import dataclass, field

from qvac_core.core.model_options import ModelOptions, OptionsOfModel, check_options
from qvac_core.errors import QvacError


@dataclass
class FakeModelOptions:
    """loaded: by name, context and slots of the copy in memory. fail: raised by the next `set_options`."""

    own: dict[str, ModelOptions] = field(default_factory=dict)
    others: ModelOptions = field(default_factory=lambda: ModelOptions(4096, 4, 0, 10, 0))
    loaded: dict[str, tuple[int, int]] = field(default_factory=dict)
    in_use: set[str] = field(default_factory=set)
    fail: QvacError | None = None

    async def options(self, name: str) -> OptionsOfModel:
        own = self.own.get(name, ModelOptions())
        return OptionsOfModel(own, self.others, self.loaded.get(name), name in self.in_use)

    async def set_options(self, name: str, options: ModelOptions) -> OptionsOfModel:
        check_options(options)
        if (error := self.fail) is not None:
            self.fail = None
            raise error
        self.own[name] = options
        if name not in self.in_use:
            self.loaded.pop(name, None)
        return await self.options(name)
