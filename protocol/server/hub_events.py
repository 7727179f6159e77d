"""Calls ``on_connected`` and ``on_disconnected`` of the lifetime manager and of the hub.

``on_connected`` of the lifetime manager runs in the caller's task. Each other event runs in a task
of its own: user code that cancels its task then ends only this event, and a shutdown can cancel the
event. ``connection`` decides what a failure means for the connection.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from ..errors import HubException, LocalProtocolError
from .clients import CallScope, HubCallerClients
from .connection_context import HubConnectionContext
from .filters import filter_event
from .hub import Hub
from .lifetime import HubLifetimeManager

logger = logging.getLogger(__name__)


class _ConnectingScope(CallScope):
    """The scope of ``on_connected``. No answer of the client is read before the event has ended."""

    __slots__ = ()

    def enter_wait(self, clients: HubCallerClients) -> None:
        raise LocalProtocolError(
            "Client results inside OnConnectedAsync Hub methods are not allowed."  # CR-6
        )


class HubEvents:
    """Calls the events of one connection.

    ``activate`` takes the scope of an event and returns a new instance of ``hub_class`` for it.
    """

    __slots__ = (
        "_activate",
        "_connection",
        "_has_connected",
        "_hub_class",
        "_is_registered",
        "_lifetime",
        "_running",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        lifetime: HubLifetimeManager,
        hub_class: type[Hub],
        activate: Callable[[CallScope], Hub],
    ) -> None:
        self._connection = connection
        self._lifetime = lifetime
        self._hub_class = hub_class
        self._activate = activate
        self._is_registered = False
        self._has_connected = False  # on_connected of the hub has succeeded
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> BaseException | None:
        """Calls ``on_connected`` of the lifetime manager, then of the hub.

        Returns the error of the first that fails, or None.
        """
        self._is_registered = True
        failure = await self._register()
        if failure is None:
            failure = await self._connect()
        self._has_connected = failure is None
        return failure

    async def finish(self, error: Exception | None) -> bool:
        """Calls ``on_disconnected`` of the hub, then of the lifetime manager.

        ``on_disconnected`` of the hub is called only if ``on_connected`` of the hub has succeeded.
        ``on_disconnected`` of the lifetime manager is called only if its ``on_connected`` was
        called. Returns whether ``on_disconnected`` of the hub has failed.
        """
        failed = self._has_connected and await self._disconnect(error) is not None
        if self._is_registered:
            await self._unregister()
        return failed

    async def _register(self) -> BaseException | None:
        # In the caller's task: a new task would delay the first answer by two turns of the loop.
        try:
            await self._lifetime.on_connected(self._connection)
        except (Exception, asyncio.CancelledError) as error:
            self._log_failure(self._lifetime, "on_connected", error)
            return error
        return None

    async def _connect(self) -> BaseException | None:
        scope = _ConnectingScope(self._lifetime, self._connection.connection_id)
        return await self._run_hub("on_connected", scope)

    async def _disconnect(self, error: Exception | None) -> BaseException | None:
        scope = CallScope(self._lifetime, self._connection.connection_id)
        return await self._run_hub("on_disconnected", scope, error)

    async def _unregister(self) -> None:
        lifetime, connection = self._lifetime, self._connection
        await self._run(lifetime, "on_disconnected", lambda: lifetime.on_disconnected(connection))

    def cancel(self) -> bool:
        """Cancels the event that runs in a task of its own. Returns False if there is none."""
        return self._running is not None and self._running.cancel()

    async def _run_hub(
        self, name: str, scope: CallScope, *arguments: object
    ) -> BaseException | None:
        """Calls an event of the hub, unless neither the class nor a filter defines it."""
        filtered = filter_event(name, self._connection.options.filters)
        if filtered is None and getattr(self._hub_class, name) is getattr(Hub, name):
            return None

        def call() -> Any:
            hub = self._activate(scope)
            if filtered is None:
                return getattr(hub, name)(*arguments)
            return filtered(hub, *arguments)

        return await self._run(self._hub_class, name, call)

    async def _run(self, owner: object, name: str, call: Callable[[], Any]) -> BaseException | None:
        async def run() -> None:
            result = call()
            if inspect.isawaitable(result):  # not the result of a plain function
                await result

        event = self._running = asyncio.create_task(run())
        await asyncio.wait({event})
        self._running = None
        error = asyncio.CancelledError() if event.cancelled() else event.exception()
        if error is not None:
            self._log_failure(owner, name, error)
        return error

    def _log_failure(self, owner: object, name: str, error: BaseException) -> None:
        kind = owner if isinstance(owner, type) else type(owner)
        if isinstance(error, HubException):  # raised on purpose, with a text for the client
            self._connection.log.refused_connection(f"{kind.__name__}.{name}", error)
        else:
            self._connection.log.failure(logger, error, "%s.%s failed.", kind.__name__, name)
