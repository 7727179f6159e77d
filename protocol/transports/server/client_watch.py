"""Notices that clients leave in the middle of an answer that lasts.

aiohttp tells a handler that its client is gone only by cancelling it, if the application was
started so; there is no public event. So one task looks after all requests that want to know.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

_INTERVAL: Final = 0.1


def is_gone(request: web.BaseRequest) -> bool:
    """Whether the client of ``request`` has ended its connection, as far as is known."""
    socket = request.transport
    return socket is None or socket.is_closing()


class ClientWatch:
    """Calls back, once, for each watched request whose client has gone."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[web.BaseRequest, Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, request: web.BaseRequest, gone: Callable[[], None]) -> Iterator[None]:
        """Watches ``request`` for the time of the block; ``gone`` must not raise."""
        self._watched[id(request)] = (request, gone)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._watched.pop(id(request), None)

    async def close(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _look(self) -> None:
        while self._watched:
            await asyncio.sleep(_INTERVAL)
            for key, (request, gone) in list(self._watched.items()):
                if is_gone(request):
                    del self._watched[key]
                    gone()
