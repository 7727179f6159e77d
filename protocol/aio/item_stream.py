"""The queue of received items between a connection and the code that iterates over a stream.

Decides how many items may wait, and what the iteration raises at the end. The connection that feeds
a stream binds the items to a type, and stops reading while the stream is full (U-5).
"""

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")


class ItemStream(Generic[Item]):
    """An async iterator over the items that are fed to it, in order.

    Up to ``capacity`` items wait for the iteration. With one more item the stream is full. Only one
    task at a time may iterate: a second task gets RuntimeError.
    """

    __slots__ = ("_capacity", "_error", "_items", "_room", "_waiter", "has_ended")

    def __init__(self, capacity: int) -> None:
        self._capacity: Final = capacity
        self._items: deque[Item] = deque()
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None  # of the task that waits for an item
        self._room: asyncio.Future[None] | None = None
        self.has_ended = False
        """Whether ``finish`` or ``close`` was called. Later items are dropped."""

    # ---- the connection

    def feed(self, item: Item) -> None:
        """Adds an item. Does nothing if the stream ``has_ended``."""
        if not self.has_ended:
            self._items.append(item)
            _wake(self._waiter)

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the stream. After the items that wait, the iteration ends, or raises ``error``.

        Does nothing if the stream ``has_ended``.
        """
        if not self.has_ended:
            self.has_ended = True
            self._error = error
            _wake(self._waiter)

    @property
    def is_full(self) -> bool:
        """Whether more than ``capacity`` items wait."""
        return len(self._items) > self._capacity

    def wait_for_room(self) -> asyncio.Future[None]:
        """Returns a future that is done as soon as the stream is not full.

        A full stream gets room when an item is taken, or when the stream is closed.
        """
        room = self._room
        if room is None or room.done():
            room = self._room = asyncio.get_running_loop().create_future()
            self._report_room()
        return room

    def _report_room(self) -> None:
        if not self.is_full:
            _wake(self._room)
            self._room = None

    # ---- the code that iterates

    def __aiter__(self) -> "ItemStream[Item]":
        return self

    async def __anext__(self) -> Item:
        """Returns the next item, or waits for one.

        Raises the error of ``finish`` once, and StopAsyncIteration afterwards. A cancellation loses
        no item.
        """
        while not self._items:
            if self.has_ended:
                error, self._error = self._error, None
                raise StopAsyncIteration if error is None else error
            if self._waiter is not None:
                raise RuntimeError("Another task iterates over this stream already.")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        if self._room is not None:
            self._report_room()
        return item

    async def aclose(self) -> None:
        """See ``close``."""
        self.close()

    def close(self) -> None:
        """Ends the iteration. Drops the items that wait, later items, and the error of ``finish``.

        An iteration that waits ends too.
        """
        self.has_ended = True
        self._items.clear()
        self._error = None
        if self._room is not None:
            self._report_room()
        _wake(self._waiter)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
