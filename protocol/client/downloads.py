"""The streams that a client receives, each a queue of items.

The program takes the items in a loop such as ``async for``. This module counts the bytes of the
items that wait in the queues, and decides when reading pauses. It decides how a completion ends a
stream (C-9, C-11). It also decides which stream fails if too many items wait, or if items wait too
long while reading is paused. ``streams`` has the object that a program iterates over. ``calls``
sends the messages that start and cancel a stream.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Raw

from ..aio.item_stream import ItemStream
from ..errors import (
    ArgumentBindingError,
    HubException,
    SignalRError,
    StreamOverflowError,
    unreadable_value,
)
from ..hub_protocol import HubProtocol
from ..messages import VOID, Completion, StreamBindingFailure, StreamItem
from .options import HubConnectionOptions
from .read_pauses import ReadPauses
from .uploads import Uploads, wait_for_uploads

_ITEM_OVERHEAD: Final = 256  # bytes of memory for an item, in addition to its payload
_HIGH_WATER: Final = 1024 * 1024  # bytes of waiting items; with more, reading pauses (C-21)
_UNEXPECTED_RESULT: Final = (
    "Server provided a result in a completion response to a streamed invocation."
)


class DownloadCounts:
    """The bytes of items that wait in all streams of one connection.

    While a caller waits for the server, reading does not pause, and up to
    ``maximum_waiting_events_size`` bytes may wait. With more bytes, the stream with the most
    waiting bytes fails. The other streams continue.

    While reading is paused, a stream is slow if one of its items waits for longer than
    ``maximum_item_wait`` seconds. If more than 512 KiB wait in slow streams, all slow streams fail
    at the same time. If they failed one by one, each of them would delay other messages again.
    """

    def __init__(self, pauses: ReadPauses, options: HubConnectionOptions) -> None:
        self.pauses: Final = pauses
        self._maximum_size = options.maximum_waiting_events_size
        self._maximum_wait = options.maximum_item_wait
        self._size = 0
        self._filled: set[Download] = set()  # the streams with waiting items
        self._next_check = 0.0

    @property
    def is_full(self) -> bool:
        """Whether reading has to pause."""
        return self._size > _HIGH_WATER and self.pauses.are_allowed

    def add(self, download: "Download", size: int) -> None:
        """Counts an item of ``download``. If too many bytes wait, fails the fullest stream."""
        self._size += size
        self._filled.add(download)
        if self._size > self._maximum_size and not self.pauses.are_allowed:
            fullest = max(self._filled, key=lambda filled: filled.waiting_size)
            fullest.overflow(
                StreamOverflowError(
                    f"More than {self._maximum_size} bytes of stream items wait to be taken while "
                    "a call or another stream waits for the server "
                    "(with_maximum_waiting_events_size)."
                )
            )

    def remove(self, download: "Download", size: int) -> None:
        """Counts items of ``download`` that were taken or dropped."""
        self._size -= size
        if not download.waiting_size:
            self._filled.discard(download)
        self.pauses.note_room()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Fails slow streams while reading is paused, inside this context."""
        if self._maximum_wait is None:
            yield
            return
        loop = asyncio.get_running_loop()
        wait = self._maximum_wait
        timer: asyncio.TimerHandle | None = None

        def check() -> None:
            nonlocal timer
            now = loop.time()
            if now >= self._next_check:
                self._fail_slow(wait)
                self._next_check = now + wait
                for download in self._filled:
                    download.expect_progress()
            timer = loop.call_at(self._next_check, check)

        check()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    def _fail_slow(self, wait: float) -> None:
        slow = [download for download in self._filled if download.is_slow]
        if self.is_full and sum(download.waiting_size for download in slow) > _HIGH_WATER // 2:
            for download in slow:
                download.overflow(
                    StreamOverflowError(
                        f"Items of the stream have waited to be taken for more than {wait:g} "
                        "seconds, and delay other messages (with_maximum_item_wait)."
                    )
                )


class Download:
    """A ``PendingStream`` whose items are taken by one loop of the program.

    If the client ends the stream before the server does, ``cancel`` is called. Raises TypeError if
    ``item_type`` is a type that cannot be read.
    """

    def __init__(
        self,
        hub_protocol: HubProtocol,
        item_type: Any,
        counts: DownloadCounts,
        cancel: Callable[["Download"], None],
    ) -> None:
        self._item_type = item_type
        self._read_item = hub_protocol.value_reader(item_type)
        self._null = hub_protocol.encode_value(None)
        self._counts = counts
        self._cancel = cancel
        self._items: ItemStream[Raw] = ItemStream(sys.maxsize)  # ``counts`` has the limit
        self._overflow: StreamOverflowError | None = None
        self.waiting_size = 0
        """Bytes of the items that wait."""
        self._taken_size = 0  # bytes of all items that the loop has taken
        self._expected_size = 0  # bytes that the loop should have taken by the next check
        self.invocation_id = ""
        """The id of its call; empty until the call is sent."""
        self.uploads: Uploads | None = None
        """The streams that its call uploads. They end with this stream."""

    @property
    def is_closed(self) -> bool:
        """Whether no more items are received, and none waits."""
        return self._items.has_ended and not self.waiting_size

    def expect_progress(self) -> None:
        """Records the items that wait now. The stream is slow until all of them are taken."""
        self._expected_size = self._taken_size + self.waiting_size

    @property
    def is_slow(self) -> bool:
        """Whether an item that waited at the last ``expect_progress`` still waits."""
        return self._taken_size < self._expected_size

    # ---- the server's messages

    def add(self, message: StreamItem | StreamBindingFailure) -> None:
        """See PendingStream."""
        if type(message) is not StreamItem:
            self._finish(self._misfit(message.error))
            self._cancel(self)
            return
        # The payload is a view: without a copy it keeps the whole receive buffer in memory.
        item = message.item.copy()
        self._items.feed(item)
        size = _size(item)
        self.waiting_size += size
        self._counts.add(self, size)

    def complete(self, completion: Completion) -> None:
        """See PendingCall. The items that wait are still taken."""
        if completion.error:
            self._finish(HubException(completion.error))
        elif completion.result in (VOID, self._null):
            self._finish(None)
        else:
            self._finish(HubException(_UNEXPECTED_RESULT))

    def fail(self, error: SignalRError) -> None:
        """See PendingCall. The items that wait are still taken."""
        self._finish(error)

    def _finish(self, error: SignalRError | None) -> None:
        self._items.finish(error)
        if self.uploads is not None:
            self.uploads.cancel()

    # ---- the loop

    async def next(self) -> Any:
        """Returns the next item, or waits for one.

        Raises StopAsyncIteration at the end. Raises HubException for an error of the server and for
        an item that does not fit. Raises the errors of ``fail`` and ``overflow``.
        """
        try:
            if self.waiting_size or self._items.has_ended:
                item = await anext(self._items)
            else:
                with self._counts.pauses.forbidden:
                    item = await anext(self._items)
        except StopAsyncIteration:
            overflow, self._overflow = self._overflow, None
            if overflow is not None:
                raise overflow from None
            raise
        size = _size(item)
        self.waiting_size -= size
        self._taken_size += size
        self._counts.remove(self, size)
        try:
            return self._read_item(item)
        except ArgumentBindingError as error:
            raise self._misfit(error) from error

    def overflow(self, error: StreamOverflowError) -> None:
        """Fails the stream at once with ``error``, and drops the items that wait."""
        self.close()
        self._overflow = error

    def close(self) -> None:
        """Drops the items that wait, and cancels the stream unless it has ended."""
        has_ended = self._items.has_ended
        self._items.close()
        size, self.waiting_size = self.waiting_size, 0
        self._counts.remove(self, size)
        if not has_ended:
            self._cancel(self)
            if self.uploads is not None:
                self.uploads.cancel()

    async def wait_for_uploads(self) -> None:
        """Waits for its cancelled uploads to end, for a limited time."""
        if self.uploads is not None:
            await wait_for_uploads(self.uploads.tasks)

    def _misfit(self, reason: object) -> HubException:
        return unreadable_value("item", self._item_type, reason)


def _size(item: Raw) -> int:
    return _ITEM_OVERHEAD + memoryview(item).nbytes
