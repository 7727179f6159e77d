"""ItemStream: order, the end, what a full stream is, and cancellation of its reader."""

import asyncio

import pytest

from protocol.aio.item_stream import ItemStream
from protocol.testing import LoopClock


async def read_all(stream: ItemStream[int]) -> list[int]:
    return [item async for item in stream]


async def test_items_come_in_order_and_then_the_end() -> None:
    stream = ItemStream[int](10)
    for item in range(3):
        stream.feed(item)
    stream.finish()
    assert await read_all(stream) == [0, 1, 2]
    assert await read_all(stream) == []


async def test_a_reader_that_waits_gets_what_is_fed_later(clock: LoopClock) -> None:
    stream = ItemStream[int](10)
    reader = asyncio.create_task(read_all(stream))
    for item in range(3):
        await clock.settle()
        stream.feed(item)
    await clock.settle()
    assert not reader.done()
    stream.finish()
    assert await reader == [0, 1, 2]


async def test_an_error_follows_the_items_that_wait_and_is_raised_once() -> None:
    """U-4, U-8: what arrived before the error is delivered."""
    stream = ItemStream[int](10)
    stream.feed(1)
    stream.finish(ValueError("bad"))
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="bad"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_only_the_first_end_counts() -> None:
    stream = ItemStream[int](10)
    stream.finish()
    stream.finish(ValueError("late"))
    stream.feed(1)
    assert await read_all(stream) == []


async def test_the_capacity_and_one_more_item_make_a_stream_full() -> None:
    """U-5: 10 items pass, the next one stops the reading."""
    stream = ItemStream[int](10)
    for item in range(10):
        stream.feed(item)
    assert not stream.is_full
    assert stream.wait_for_room().done()
    stream.feed(10)
    assert stream.is_full


async def test_there_is_room_when_an_item_is_taken() -> None:
    """U-5"""
    stream = ItemStream[int](1)
    stream.feed(0)
    stream.feed(1)
    room = stream.wait_for_room()
    assert stream.wait_for_room() is room
    assert not room.done()
    await anext(stream)
    assert room.done()
    stream.feed(2)
    assert not stream.wait_for_room().done()


async def test_there_is_no_room_until_all_items_above_the_capacity_are_taken() -> None:
    stream = ItemStream[int](1)
    for item in range(4):
        stream.feed(item)
    room = stream.wait_for_room()
    await anext(stream)
    await anext(stream)
    assert not room.done()
    await anext(stream)
    assert room.done()


async def test_a_cancelled_wait_for_room_does_not_cancel_the_next_one() -> None:
    stream = ItemStream[int](0)
    stream.feed(0)
    stream.wait_for_room().cancel()
    room = stream.wait_for_room()
    await anext(stream)
    assert room.done()
    assert not room.cancelled()


async def test_a_closed_stream_has_room_and_takes_nothing() -> None:
    """U-6"""
    stream = ItemStream[int](0)
    stream.feed(0)
    room = stream.wait_for_room()
    await stream.aclose()
    assert room.done()
    stream.feed(1)
    stream.finish(ValueError("late"))
    assert not stream.is_full
    assert await read_all(stream) == []


async def test_closing_ends_a_reader_that_waits(clock: LoopClock) -> None:
    stream = ItemStream[int](10)
    reader = asyncio.create_task(read_all(stream))
    await clock.settle()
    await stream.aclose()
    assert await reader == []


async def test_a_reader_that_is_cancelled_loses_no_item(clock: LoopClock) -> None:
    stream = ItemStream[int](10)
    reader = asyncio.create_task(anext(stream))
    await clock.settle()
    stream.feed(1)  # wakes the reader, which is cancelled before it runs
    reader.cancel()
    await clock.settle()
    assert reader.cancelled()
    assert await anext(stream) == 1


async def test_two_tasks_cannot_iterate_at_the_same_time(clock: LoopClock) -> None:
    stream = ItemStream[int](10)
    reader = asyncio.create_task(read_all(stream))
    await clock.settle()
    with pytest.raises(RuntimeError, match="Another task"):
        await anext(stream)
    stream.feed(1)
    stream.finish()
    assert await reader == [1]
