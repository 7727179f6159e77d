"""Buffers that receive bytes in tiny slices use no more memory than for large slices.

A peer decides the size of the slices. Stored as separate objects, tiny slices would take twenty
times their size. The limits of buffers are in bytes (F-4, TG-8, C-21).
"""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from protocol.aio.pump import MessagePump
from protocol.framing import RecordFramer
from protocol.messagepack.framing import LengthPrefixFramer
from protocol.transports.server.inbound_pipe import InboundPipe
from tests.support.idle_connection import IdleTransport

MIB = 1024 * 1024


def begun_record(slices: Iterable[bytes]) -> RecordFramer:
    framer = RecordFramer()
    for piece in slices:
        list(framer.feed(piece))
    return framer


def begun_message(slices: Iterable[bytes]) -> LengthPrefixFramer:
    framer = LengthPrefixFramer()
    list(framer.feed(b"\xff\xff\xff\x7f"))
    for piece in slices:
        list(framer.feed(piece))
    return framer


async def posts_that_nobody_reads(slices: Iterable[bytes]) -> InboundPipe:
    pipe = InboundPipe(MIB)
    for piece in slices:
        await pipe.write(piece)
    return pipe


def messages_that_are_not_handled_yet(slices: Iterable[bytes]) -> MessagePump[None]:
    pump = MessagePump[None](
        IdleTransport(), lambda _: iter(()), limit=MIB, on_end=lambda: None, fail=print
    )
    for piece in slices:
        pump.feed(piece)
    return pump


HOLDERS = [
    begun_record,
    begun_message,
    posts_that_nobody_reads,
    messages_that_are_not_handled_yet,
]


@pytest.mark.parametrize("hold", HOLDERS, ids=lambda hold: hold.__name__)
async def test_tiny_slices_take_no_more_than_their_bytes(hold: Callable[..., Any]) -> None:
    count = 20_000
    gc.collect()
    tracemalloc.start()
    try:
        held = hold(b"%03d" % (number % 1000) for number in range(count))
        held = await held if isinstance(held, Awaitable) else held
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held is not None
    assert taken < 3 * 3 * count
