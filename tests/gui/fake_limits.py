"""Limits of keys without a core: what FakeCore's `limits` does. Every intent is noted as FakeCore's are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qvac_core.core.limits import KeyUsage
from qvac_core.core.state import AccessKey, AccessRules, KeyLimits
from qvac_core.store.log_records import LogTotals

if TYPE_CHECKING:
    from tests.gui.fake_core import FakeCore


class FakeLimits:
    """Implements LimitsInterface. used: what `usage` says of each key."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self.used: dict[str, KeyUsage] = {}

    async def set_limits(self, public_key: str, limits: KeyLimits) -> None:
        await self._core._enter("set_limits", public_key, limits)
        self._change(
            public_key,
            tokens_per_day=limits.tokens_per_day,
            parallel=limits.parallel,
            context_tokens=limits.context_tokens,
            answer_tokens=limits.answer_tokens,
            models=limits.models,
            hours=limits.hours,
        )

    async def set_expiry(self, public_key: str, expires_at: float | None) -> None:
        await self._core._enter("set_expiry", public_key, expires_at)
        self._change(public_key, expires_at=expires_at)

    async def set_mine(self, public_key: str, mine: bool) -> None:
        await self._core._enter("set_mine", public_key, mine)
        self._change(public_key, mine=mine)

    async def give_extra(self, public_key: str, tokens: int) -> None:
        await self._core._enter("give_extra", public_key, tokens)
        before = next(key.extra_tokens for key in self._core.rules.keys if key.public_key == public_key)
        self._change(public_key, extra_tokens=before + tokens)

    async def usage(self, public_key: str) -> KeyUsage:
        nothing = KeyUsage(LogTotals(), (), (), self._core.clock() + 10 * 3600)
        return self.used.get(public_key, nothing)

    def _change(self, public_key: str, **values: object) -> None:
        def changed(key: AccessKey) -> AccessKey:
            return replace(key, **values) if key.public_key == public_key else key  # type: ignore[arg-type]

        rules: AccessRules = self._core.rules
        self._core._set_rules(replace(rules, keys=tuple(map(changed, rules.keys))))
