"""Notices that a client disconnects during a long response.

aiohttp has no public event for a client that disconnects. It cancels the request handler, but only
if the application was started with ``handler_cancellation``. So one task checks all watched
requests regularly.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

_INTERVAL: Final = 0.1  # seconds


def is_gone(request: web.BaseRequest) -> bool:
    """Whether the client of ``request`` is known to have disconnected."""
    socket = request.transport
    return socket is None or socket.is_closing()


class ClientWatch:
    """Calls a function, once, for each watched request whose client has disconnected."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[web.BaseRequest, Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, request: web.BaseRequest, on_gone: Callable[[], None]) -> Iterator[None]:
        """Watches ``request`` inside the context. ``on_gone`` must not raise an exception."""
        self._watched[id(request)] = (request, on_gone)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._check_regularly())
        try:
            yield
        finally:
            self._watched.pop(id(request), None)

    async def close(self) -> None:
        """Ends the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _check_regularly(self) -> None:
        while self._watched:
            await asyncio.sleep(_INTERVAL)
            for key, (request, on_gone) in list(self._watched.items()):
                if is_gone(request):
                    del self._watched[key]
                    on_gone()
