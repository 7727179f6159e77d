"""What all hubs of one application share.

Connections, one server per hub class, and the helpers that save work by being shared. Decides in
which order an application's hubs end.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from ...hosting.http_connections import HttpConnectionManager
from ...hub_protocol import TransferFormat
from ...server.hub import Hub
from ...server.hub_server import HubServer
from ..flusher import Flusher
from ..web_socket_frame import FrameCache
from .client_watch import ClientWatch
from .hosted_connection import HostedConnection


class Hosting:
    """One per application; see ``map_hub``."""

    def __init__(self) -> None:
        self.paths: list[str] = []  # in lower case
        self.servers: dict[type[Hub], HubServer] = {}
        self.connections = HttpConnectionManager(HostedConnection)
        self.flusher = Flusher()
        self.frames = {each: FrameCache(each) for each in TransferFormat}
        self.watch = ClientWatch()

    @asynccontextmanager
    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Starts the servers, and closes them at the end, also when one of them fails to start.

        All are closed, whatever one of them raises.
        """
        async with AsyncExitStack() as started:
            for server in self.servers.values():
                started.push_async_callback(server.close)
                await server.start()
            yield

    async def end_connections(self, _app: web.Application) -> None:
        """Ends all connections; those between two polls are not waited for, they cannot poll."""
        for connection in self.connections.active:
            if connection.polls is not None:
                connection.polls.terminate()
        for server in self.servers.values():
            await server.end_connections()
        await self.watch.close()
