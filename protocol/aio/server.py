"""A hub class in service: its options, its connections and their common clock.

One ``HubServer`` serves all paths that a class is mapped at in one application, so that
``clients.all``, groups and users span them. It takes connections as transports, whatever brought
them.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ..messages import Close
from .clients import GroupManager, HubCallerClients, HubContext
from .connection import Ending, HubConnectionContext
from .context import HttpRequestData, Principal
from .hub import Hub, HubMethodTable, require_hub_class
from .lifetime import DefaultHubLifetimeManager, HubLifetimeManager
from .options import HubOptions
from .server_connection import ServerConnection
from .transport import ServerTransport

logger = logging.getLogger(__name__)

_HEARTBEAT: Final = 1.0


class HubServer:
    """Serves one hub class.

    ``hub_factory`` makes a new instance for each call, by default the class itself without
    arguments. A call for which it returns an instance that has served another one fails.
    Raises TypeError for a hub class that cannot be served (see HubMethodTable).
    """

    def __init__(
        self,
        hub_class: type[Hub],
        options: HubOptions | None = None,
        *,
        hub_factory: Callable[[], Hub] | None = None,
        lifetime: HubLifetimeManager | None = None,
    ) -> None:
        require_hub_class(hub_class, hub_factory)
        if not isinstance(options, HubOptions | None):
            raise TypeError(f"hub_options are HubOptions, not {type(options).__name__}.")
        self.hub_class = hub_class
        self.options = options or HubOptions()
        self.lifetime = lifetime or DefaultHubLifetimeManager()
        self.context = HubContext(self.lifetime)
        self._hub_factory = hub_factory or hub_class
        self._methods = HubMethodTable(hub_class, self.options.services)
        self._protocols = {
            protocol.name.lower(): protocol for protocol in self.options.supported_protocols
        }
        for protocol in self._protocols.values():
            self._methods.for_protocol(protocol)  # what cannot be read is found out now
        self._groups = GroupManager(self.lifetime)
        self._connections: dict[ServerConnection, asyncio.Task[None]] = {}
        self._heart: asyncio.Task[None] | None = None
        self._closing = False

    async def serve(
        self,
        transport: ServerTransport,
        connection_id: str,
        http_request: HttpRequestData,
        user: Principal | None,
    ) -> None:
        """Serves one connection to its end.

        Cancelling the caller does not cut it short: what a client sent before it vanished is
        served, and OnDisconnected is called.
        """
        context = HubConnectionContext(
            connection_id, http_request, user, transport, self.options, transport.limits
        )
        connection = ServerConnection(
            context,
            transport,
            options=self.options,
            protocols=self._protocols,
            methods=self._methods,
            lifetime=self.lifetime,
            hub_class=self.hub_class,
            activate=self._activator(context),
        )
        task = asyncio.create_task(connection.run())
        self._connections[connection] = task
        if self._closing:
            context.end(_shutdown())
        elif self._heart is None:
            self._heart = asyncio.create_task(self._beat())
        try:
            await asyncio.shield(task)
        finally:
            task.add_done_callback(lambda _: self._connections.pop(connection, None))

    def _activator(self, connection: HubConnectionContext) -> Callable[[], Hub]:
        factory, groups = self._hub_factory, self._groups
        clients = HubCallerClients(self.lifetime, connection.connection_id)

        def activate() -> Hub:
            hub = factory()
            if "context" in vars(hub):
                raise TypeError(
                    "hub_factory returned an instance that has served a call already; it has to "
                    "make a new one for each call."
                )
            hub.context = connection
            hub.clients = clients
            hub.groups = groups
            return hub

        return activate

    async def _beat(self) -> None:
        """One clock for all connections (K-1: a tick each second)."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_HEARTBEAT)
            now = loop.time()
            for connection in list(self._connections):
                try:
                    connection.tick(now)
                except Exception:
                    logger.exception("A connection's clockwork failed; it is cut off.")
                    connection.connection.cut(RuntimeError("internal failure"))

    async def close(self, timeout: float = 10.0) -> None:
        """Ends all connections, inviting them to return (L-6), and waits that long for it."""
        self._closing = True
        for connection in list(self._connections):
            connection.connection.end(_shutdown())
        tasks = set(self._connections.values())
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait({self._heart})
            self._heart = None


def _shutdown() -> Ending:
    return Ending(Close(allow_reconnect=True))
