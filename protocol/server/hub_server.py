"""Serves one hub class: opens its connections, and ends them at a shutdown.

One ``HubServer`` serves all paths that a class is mapped at in one application, so that
``clients.all``, groups and users span these paths. The host opens the transports. ``connection``
runs one connection.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from ..aio.loop_check import require_loop
from ..aio.transport import ServerTransport
from ..message_buffer import MessageBuffer
from ..messages import Close
from ..option_checks import described
from .authentication import Principal, default_user_id
from .clients import CallScope, GroupManager, HubContext
from .connection import ServerConnection
from .connection_context import ClientTimeoutError, Ending, HubConnectionContext
from .http_request import HttpRequestData
from .hub import Hub, HubMethodTable, refresh_event, require_hub_class
from .lifetime import DefaultHubLifetimeManager, HubLifetimeManager
from .options import HubOptions
from .refusal_log import RefusalLog

logger = logging.getLogger(__name__)


class HubServer:
    """Serves one hub class.

    ``hub_factory`` returns a new instance for each call. By default the class is called without
    arguments. A call fails if ``hub_factory`` returns an instance that has served another call.
    ``lifetime`` manages the connections of this server and of no other. By default it keeps them in
    memory. Await ``start`` before the first ``open``, and ``close`` at the end.

    Raises TypeError for a hub class that cannot be served (see HubMethodTable), and for other
    arguments of a wrong type.
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
            raise TypeError(f"hub_options are HubOptions, not {described(options)}.")
        if not isinstance(lifetime, HubLifetimeManager | None):
            raise TypeError(f"lifetime is a HubLifetimeManager, not {described(lifetime)}.")
        self.hub_class = hub_class
        self.options = options or HubOptions()
        self.lifetime = DefaultHubLifetimeManager() if lifetime is None else lifetime
        self.context = HubContext(self.lifetime, self._require_loop)
        self._hub_factory = hub_class if hub_factory is None else _checked(hub_factory)
        self._methods = HubMethodTable(hub_class, self.options.services, self.options.filters)
        self._protocols = {
            protocol.name.lower(): protocol for protocol in self.options.supported_protocols
        }
        for protocol in self._protocols.values():
            self._methods.for_protocol(protocol)  # raises for annotations that cannot be read
        self._refresh_event = refresh_event(hub_class)
        self._groups = GroupManager(self.lifetime)
        self.log: Final = RefusalLog(hub_class.__name__)
        self._connections: set[ServerConnection] = set()
        self._guard: asyncio.Task[None] | None = None  # cancelled when asyncio.run cancels tasks
        self._loop: asyncio.AbstractEventLoop | None = None  # from ``start`` on
        self._is_started = False
        self._is_closing = False

    async def start(self) -> None:
        """Starts the lifetime manager. Raises the manager's exceptions.

        Does nothing if the server is started or closed already.
        """
        if not self._is_started and not self._is_closing:
            self._loop = asyncio.get_running_loop()
            await self.lifetime.start()
            self._is_started = True

    def _require_loop(self) -> None:
        if self._loop is not None:
            require_loop(self._loop, f"The HubContext of {self.hub_class.__name__}")

    def open(
        self,
        transport: ServerTransport,
        connection_id: str,
        http_request: HttpRequestData,
        user: Principal | None,
        user_id: Callable[[Principal], str | None] | None = None,
        *,
        is_stateful: bool = False,
    ) -> ServerConnection:
        """Starts to serve a connection, which runs in tasks of its own until it ends.

        ``user_id`` returns the id of ``user``. By default it is ``HubOptions.user_id``. A host that
        knows the id already passes a function that returns it. If ``is_stateful``, the client was
        granted stateful reconnect.

        Raises RuntimeError if the server is not started.
        """
        if not self._is_started and not self._is_closing:
            raise RuntimeError("The server is not started: await start() first.")
        context = HubConnectionContext(
            connection_id,
            http_request,
            user,
            transport,
            self.options,
            transport.limits,
            self.log,
            user_id,
        )
        connection = ServerConnection(
            context,
            transport,
            protocols=self._protocols,
            methods=self._methods,
            lifetime=self.lifetime,
            hub_class=self.hub_class,
            activate=partial(self._activate, context),
            message_buffer=MessageBuffer(self.options.stateful_reconnect_buffer_size)
            if is_stateful
            else None,
        )
        self._connections.add(connection)
        if self._guard is None and not self._is_closing:
            self._guard = asyncio.create_task(_wait_for_cancellation())
            self._guard.add_done_callback(self._abandon)
        connection.closed.add_done_callback(partial(self._log_end, context))
        connection.ended.add_done_callback(partial(self._forget, connection))
        if self._is_closing:
            connection.end(_shutdown())
        connection.open()
        return connection

    async def replace_user(self, connection: ServerConnection, user: Principal) -> bool:
        """Makes ``user``, the user of a new access token, the user of an open connection.

        Returns False if the user id would change and the options forbid this, or if the lifetime
        manager does not support a change. The connection then ends.
        """  # AR-2, AR-6
        context = connection.connection
        old, new = context.user_identifier, (self.options.user_id or default_user_id)(user)
        if old != new:
            if not self.options.allow_user_identifier_change_on_authentication_refresh:
                self.log.changed_user()
                context.abort()
                return False
            context.user_identifier = new
            try:
                await self.lifetime.on_user_changed(context, old)
            except Exception as error:
                self.log.failure(logger, error, "A user id could not be changed.")
                context.abort()
                return False
        context.user = user
        if self._refresh_event is not None:
            connection.call_event(self._refresh_event)
        return True

    def _activate(self, context: HubConnectionContext, scope: CallScope) -> Hub:
        """A new hub instance for one call. ``scope`` decides what it may do with clients."""
        hub = self._hub_factory()
        hub.context = context
        hub.groups = self._groups
        hub.__call_scope__ = scope
        return hub

    def _log_end(self, context: HubConnectionContext, _closed: asyncio.Future[None]) -> None:
        error = None if context.ending is None else context.ending.error
        is_usual = isinstance(error, ClientTimeoutError)  # the client lost its network
        self.log.ended_connection(error, logging.INFO if is_usual else logging.WARNING)

    def _forget(self, connection: ServerConnection, _ended: asyncio.Future[None]) -> None:
        self._connections.discard(connection)

    def _abandon(self, guard: asyncio.Task[None]) -> None:
        """Abandons all connections, because asyncio.run has cancelled all tasks.

        A task that is started now would not run to its end.
        """
        for connection in self._connections:
            connection.abandon()
        self._connections.clear()

    async def close(self, grace: float = 10.0) -> None:
        """Ends all connections as ``end_connections`` does, then closes the lifetime manager.

        The manager is closed once, and only if it was started. Raises the manager's exceptions.
        """
        await self.end_connections(grace)
        if self._is_started:
            self._is_started = False
            await self.lifetime.close()

    async def end_connections(self, grace: float = 10.0) -> None:
        """Ends all connections. Clients may reconnect (L-6).

        A connection that is opened later ends at once. Hub code that still runs after ``grace``
        seconds is cancelled. If it still runs after another ``grace`` seconds, an error is logged
        and the code is left running.
        """
        self._is_closing = True
        for connection in list(self._connections):
            connection.end(_shutdown())
        if not await self._wait_for_end(grace):
            for connection in self._connections:
                connection.cancel()
            if not await self._wait_for_end(grace):
                logger.error(
                    "%d connections have not ended: their hub code still runs.",
                    len(self._connections),
                )
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.wait({self._guard})
            self._guard = None

    async def _wait_for_end(self, seconds: float) -> bool:
        """Waits until all connections have ended. Returns False if one has not ended in time."""
        if self._connections:
            await asyncio.wait({each.ended for each in self._connections}, timeout=seconds)
        return all(each.ended.done() for each in self._connections)


def _checked(hub_factory: Callable[[], Hub]) -> Callable[[], Hub]:
    """Wraps ``hub_factory``: raises TypeError for an instance that has served a call already."""

    def make() -> Hub:
        hub = hub_factory()
        if "context" in hub.__dict__:
            raise TypeError(
                "hub_factory returned an instance that has served a call already; it has to "
                "make a new one for each call."
            )
        return hub

    return make


async def _wait_for_cancellation() -> None:
    await asyncio.get_running_loop().create_future()


def _shutdown() -> Ending:
    return Ending(Close(allow_reconnect=True))
