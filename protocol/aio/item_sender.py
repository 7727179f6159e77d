"""Sends the items of an async iterable, with backpressure, and closes the iterable at the end.

Client and server use it for each stream that they send. The caller encodes the items, and answers
if the iterable fails.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, TypeVar

Item = TypeVar("Item")

_ITEMS_PER_TURN: Final = 128


async def send_items(
    items: AsyncIterable[Item],
    send: Callable[[Item], bool],
    wait_for_room: Callable[[], Awaitable[None]],
) -> None:
    """Iterates over ``items`` in the current task and passes each to ``send``.

    ``send`` returns False if there is no room for the item. When ``wait_for_room`` has returned,
    ``send`` gets the same item again. The next item is requested only after that. If several
    senders wait for the same room, each sends one item at a time. The iterator is always closed, in
    this task. An iterator may ignore the cancellation of this task and yield another item: then it
    is closed, and the item is not sent.
    """
    task = asyncio.current_task()
    assert task is not None
    iterator = aiter(items)
    left = _ITEMS_PER_TURN
    try:
        async for item in iterator:
            if task.cancelling():
                raise asyncio.CancelledError
            while not send(item):
                await wait_for_room()
                await asyncio.sleep(0)  # on a dead connection wait_for_room returns at once
                left = 1  # the other senders that have waited send before the next item
            left -= 1
            if not left:  # a source that never waits would block the event loop
                left = _ITEMS_PER_TURN
                await asyncio.sleep(0)
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
