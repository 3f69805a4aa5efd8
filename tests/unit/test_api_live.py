"""A live transcript that is open when `close()` is called: whoever waits for more of it hears so, and nothing hangs."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from qvac_core import close
from qvac_core.api.functions import _session
from qvac_core.engines.live_speech import LiveTranscription
from qvac_core.engines.speech import SpeechModel
from qvac_core.errors import InferenceCancelled, ModelError


async def test_close_ends_what_is_heard_live() -> None:
    live = LiveTranscription(cast(SpeechModel, object()))
    _session.lives.add(live)
    waiting = asyncio.ensure_future(anext(aiter(live)))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await close()
        with pytest.raises(InferenceCancelled):
            await waiting
    with pytest.raises(ModelError, match="has ended"):
        await live.write(bytes(4))
    assert not _session.lives
