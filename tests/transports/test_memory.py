"""Memory stays flat, whatever a peer piles up: the tables and buffers that strangers can fill."""

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from protocol import RemoteProtocolError
from protocol.framing import RecordFramer
from protocol.transports.http_connections import HttpConnectionManager

MIB = 1024 * 1024


def _negotiate(times: int) -> None:
    manager = HttpConnectionManager()
    for number in range(times):
        manager.create(1, now=number / 1000, lifetime=1.0, maximum=500)


def _unfinished_records(times: int) -> None:
    for _ in range(times // 100):
        with pytest.raises(RemoteProtocolError):
            _overfill(RecordFramer(32 * 1024))


def _overfill(framer: RecordFramer) -> None:
    while True:
        for _ in framer.feed(b"x" * 1024):
            pass


def _peak(act: Callable[[int], None], times: int) -> int:
    """Bytes at the highest point, above what there was before."""
    gc.collect()
    tracemalloc.start()
    try:
        act(times)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("act", [_negotiate, _unfinished_records])
def test_memory_is_flat(act: Callable[[int], None]) -> None:
    """N-27, F-4: ten times as much of it takes no more memory."""
    act(1000)  # what is made once
    assert _peak(act, 20_000) < _peak(act, 2_000) + MIB // 4
