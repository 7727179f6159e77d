"""``HubStream``: the async iterator through which a program takes a stream's items (C-8, U-10).

Decides when the call is sent and when the stream is cancelled. ``downloads`` holds the items.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ..aio.loop_check import require_loop
from .downloads import Download

Item = TypeVar("Item", covariant=True)


class HubStream(Generic[Item]):
    """An async iterator over the items of a stream. Made by ``HubConnection.stream``.

    The hub method is called when the first item is requested. The stream ends with the last item,
    an error, ``aclose``, or a cancellation while an item is awaited. A stream that is no longer
    referenced is cancelled too. A ``break`` does not cancel a stream that a variable refers to: use
    ``contextlib.aclosing``. Only one task at a time may iterate.
    """

    def __init__(
        self,
        download: Download,
        start: Callable[[], Awaitable[None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._download = download
        self._start: Callable[[], Awaitable[None]] | None = start
        self._loop = loop

    def __aiter__(self) -> "HubStream[Item]":
        return self

    async def __anext__(self) -> Item:
        """Returns the next item, converted to the item type of the stream.

        The first call sends the call of the hub method, and raises as ``HubConnection.send`` does.
        Raises HubException for an error of the hub or an item that does not fit. Raises
        ConnectionClosed when the connection has ended. Raises StreamOverflowError when the client
        has cancelled the stream because too many items wait. StopAsyncIteration follows.
        """
        try:
            start, self._start = self._start, None
            if start is not None:
                require_loop(self._loop, "The stream")
                await start()
            item: Item = await self._download.next()
        except BaseException as error:
            self._download.close()
            if not isinstance(error, GeneratorExit):
                await self._download.wait_for_uploads()
            raise
        return item

    async def aclose(self) -> None:
        """Drops the items that wait, and asks the hub to stop the stream unless it has ended."""
        self._start = None
        self._download.close()
        await self._download.wait_for_uploads()

    def __del__(self) -> None:
        if not self._download.is_closed:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                # This may run in another thread, or while the connection handles a message.
                self._loop.call_soon_threadsafe(self._download.close)
