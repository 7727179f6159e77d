"""What all hubs of one application share.

Connections, one server per hub class, and the helpers that save work by being shared. Decides in
which order an application's hubs end.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from ..aio.hub import Hub
from ..aio.server import HubServer
from ..hub_protocol import TransferFormat
from .client_watch import ClientWatch
from .flusher import Flusher
from .http_connections import HttpConnectionManager
from .web_socket_frame import FrameCache

logger = logging.getLogger(__name__)


class Hosting:
    """One per application; see ``map_hub``."""

    def __init__(self) -> None:
        self.paths: list[str] = []  # in lower case
        self.servers: dict[type[Hub], HubServer] = {}
        self.connections = HttpConnectionManager()
        self.flusher = Flusher()
        self.frames = {each: FrameCache(each) for each in TransferFormat}
        self.watch = ClientWatch()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, service: Coroutine[Any, Any, None]) -> None:
        """Lets a connection live on that no request waits for."""
        task = asyncio.create_task(service)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A connection failed unexpectedly.", exc_info=error)

    async def close(self, _app: web.Application) -> None:
        """Ends all connections; those between two polls are not waited for, they cannot poll."""
        for connection in self.connections.active:
            if connection.polls is not None:
                connection.polls.terminate()
        for server in self.servers.values():
            await server.close()
        await self.watch.close()
