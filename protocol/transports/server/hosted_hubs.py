"""The state that all hubs of one application share, and its start and end.

It holds the negotiated connections, one server per hub class, the authenticators, and the helpers
of the transports.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from ...hosting.http_connections import HttpConnectionManager
from ...hub_protocol import TransferFormat
from ...server.authentication import Authenticator
from ...server.hub import Hub
from ...server.hub_server import HubServer
from ..flusher import Flusher
from ..web_socket_frame import FrameCache
from .client_watch import ClientWatch
from .hosted_connection import HostedConnection


class Hosting:
    """The shared state of one application, made by the first ``map_hub``."""

    def __init__(self) -> None:
        self.paths: list[str] = []  # in lower case
        self.servers: dict[type[Hub], HubServer] = {}
        self.authenticators: list[Authenticator] = []
        self.connections = HttpConnectionManager(HostedConnection)
        self.flusher = Flusher()
        self.frames = {each: FrameCache(each) for each in TransferFormat}
        self.watch = ClientWatch()

    @asynccontextmanager
    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Starts authenticators and servers, and closes them at the end or when one fails to start.

        If closing a server raises an exception, the others are closed all the same.
        """
        async with AsyncExitStack() as started:
            for authenticator in self.authenticators:
                started.push_async_callback(authenticator.close)
                await authenticator.start()
            for server in self.servers.values():
                started.push_async_callback(server.close)
                await server.start()
            yield

    async def end_connections(self, _app: web.Application) -> None:
        """Ends all connections.

        Does not wait for the next poll of a long polling client: no new poll is answered now.
        """
        for connection in self.connections.active:
            if connection.long_polling is not None:
                connection.long_polling.terminate()
        for server in self.servers.values():
            await server.end_connections()
        await self.watch.close()
