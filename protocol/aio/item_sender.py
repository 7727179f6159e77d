"""Sends the items of an async iterable, with backpressure, and closes the iterable at the end.

Used for each stream that this side sends. The caller encodes the items, and answers a failure of
the iterable in the words of its side.
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

    ``send`` returns False if there is no room for the item. It gets the item again when
    ``wait_for_room`` has returned, and the next one is not asked for before. Several senders that
    wait for the same room send their items in turn. The iterator is closed on every path, in this
    task. An iterator that does not end when this task is cancelled is closed at its next item,
    which is not sent.
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
                await asyncio.sleep(0)  # on a dead connection nothing waits, and nothing has room
                left = 1  # the other senders that have waited send before the next item
            left -= 1
            if not left:  # a source that never waits would keep the event loop
                left = _ITEMS_PER_TURN
                await asyncio.sleep(0)
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
