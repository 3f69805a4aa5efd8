"""What must hold of a UDX stream at any moment, whatever its peer or the network did."""

from __future__ import annotations

from qvac_core.udx import Closed, DataReceived, EndReceived, Event, Stream
from qvac_core.udx.receive_buffer import EARLY_FREE, OVERRUN, RECEIVE_WINDOW


def check(stream: Stream) -> None:
    sender, receive = stream._sender, stream._receive
    recovery = sender.recovery
    if not stream.closed:
        flight = [*recovery.in_flight.values(), *recovery.lost.values()]
        # not by the stream's own properties: they settle an acknowledgement that waits, and it may wait at any moment
        assert recovery.bytes_in_flight == sum(p.size for p in recovery.in_flight.values())
        assert not recovery.in_flight.keys() & recovery.lost.keys()
        assert all(recovery.una <= p.seq < recovery.next_seq for p in flight)
        assert recovery._sacked == recovery.next_seq - recovery.una - len(flight)
        assert sender.unacked == sender._queue.size + sum(p.size - 20 for p in flight)
        assert not recovery.outstanding or recovery.rto_at is not None
    assert receive.early_bytes == sum(len(payload) for _, payload in receive.early.values())
    assert 0 <= receive.backlog + receive.early_bytes <= RECEIVE_WINDOW + EARLY_FREE + OVERRUN
    assert all(seq > receive.next_seq for seq in receive.early)
    assert sender.bbr.cwnd >= 1


def well_ordered(events: list[Event]) -> bool:
    """Closed is the last event and comes once; no data follows the end."""
    kinds = [type(e) for e in events]
    if kinds.count(Closed) > 1 or kinds.count(EndReceived) > 1 or (Closed in kinds and kinds[-1] is not Closed):
        return False
    return EndReceived not in kinds or DataReceived not in kinds[kinds.index(EndReceived) :]
