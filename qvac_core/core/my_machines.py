"""The machines of one's own, managed from here: what their `Steward` is asked, and what it told, made safe to show."""

from __future__ import annotations

import time

from msgspec import UNSET

from qvac_core.codec.key_text import parse_public_key
from qvac_core.core.download_state import DownloadState
from qvac_core.core.my_machines_state import DownloadThere, MachineThere, ModelThere, RemoteAct, RequestThere
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.delegation.messages import LogLine, Manage, ManagedDownload, ManagedModel, ManageReply

NAME = 1024  # letters of a name that can be sent back
LONGEST = 400  # letters of a text from there
MOST = 1000  # of its models, downloads or requests
LAST_MOMENT = 253_402_300_000.0  # Unix seconds: the end of the year 9999
MOST_BYTES = 1 << 60


class MyMachines:
    """Implements MyMachinesInterface."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def act(self, public_key: str, act: RemoteAct, model: str = "", minutes: float | None = None) -> MachineThere:
        message = Manage(
            act.value, model=model if model else UNSET, minutes=UNSET if minutes is None else float(minutes)
        )
        return machine_there(await self._consumer.manage(Delegate(parse_public_key(public_key)), message))


def machine_there(reply: ManageReply, now: float | None = None) -> MachineThere:
    """Another program wrote it: no number is taken for a moment or a size that is none."""
    until = _moment(reply.paused_until)
    soonest = time.time() if now is None else now
    downloads = (
        tuple(_download(one) for one in reply.progress[:MOST])
        if reply.progress
        else tuple(DownloadThere(_text(title), _text(title)) for title in reply.downloads[:MOST])
    )
    return MachineThere(
        reply.paused,
        until if until > soonest else None,
        tuple(_model(one) for one in reply.models[:MOST]),
        downloads,
        tuple(_request(one) for one in reply.log[:MOST]),
    )


def _model(one: ManagedModel) -> ModelThere:
    return ModelThere(one.name[:NAME], _text(one.state), one.shared, _bytes(one.size_bytes), _text(one.error))


def _download(one: ManagedDownload) -> DownloadThere:
    state = next((state for state in DownloadState if state.value == one.state), None)
    left = one.left_ms / 1000
    return DownloadThere(
        one.model[:NAME],
        _text(one.title),
        state,
        _bytes(one.downloaded),
        _bytes(one.total),
        float(_bytes(one.rate)),
        left if 0 <= left < LAST_MOMENT else None,
        _text(one.error),
    )


def _request(one: LogLine) -> RequestThere:
    return RequestThere(
        _text(one.public_key), _text(one.method), _text(one.model), _moment(one.started_at), _text(one.outcome)
    )


def _moment(at: float) -> float:
    return float(at) if 0 < at < LAST_MOMENT else 0.0


def _bytes(count: float) -> int:
    return int(count) if 0 <= count < MOST_BYTES else 0


def _text(text: str) -> str:
    """In one line, at a length that a line of the window has room for."""
    return " ".join(text.split())[:LONGEST]
