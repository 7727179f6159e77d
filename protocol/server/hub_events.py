"""What a connection's begin and end cause: the lifetime manager's two events, and the hub's.

The hub's events, and the last one of the lifetime manager, run in tasks of their own, so that code
of the application ends nothing but the event that it runs in, and a shutdown can cancel it. What a
failure means for the connection is decided by ``connection``.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .connection_context import HubConnectionContext
from .hub import Hub
from .lifetime import HubLifetimeManager

logger = logging.getLogger(__name__)


class HubEvents:
    """Calls the events of one connection, those of ``hub_class`` on new instances.

    ``activate`` returns these. Calls at the end what the begin has made due.
    """

    __slots__ = (
        "_activate",
        "_connection",
        "_has_joined",
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
        activate: Callable[[], Hub],
    ) -> None:
        self._connection = connection
        self._lifetime = lifetime
        self._hub_class = hub_class
        self._activate = activate
        self._is_registered = False
        self._has_joined = False  # on_connected has succeeded, so on_disconnected will be called
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> BaseException | None:
        """Registers the connection, then calls ``on_connected``. Returns their error, or None."""
        self._is_registered = True
        failure = await self._register()
        if failure is None:
            failure = await self._connect()
        self._has_joined = failure is None
        return failure

    async def finish(self, error: Exception | None) -> bool:
        """Calls ``on_disconnected``, then forgets the connection: what ``begin`` has made due.

        Returns whether ``on_disconnected`` has failed.
        """
        failed = self._has_joined and await self._disconnect(error) is not None
        if self._is_registered:
            await self._forget()
        return failed

    async def _register(self) -> BaseException | None:
        """It runs in the caller's task: another one would delay the first answer by two turns of
        the event loop."""
        try:
            await self._lifetime.on_connected(self._connection)
        except (Exception, asyncio.CancelledError) as error:
            _log_failure(self._lifetime, "on_connected", error)
            return error
        return None

    async def _connect(self) -> BaseException | None:
        if self._hub_class.on_connected is Hub.on_connected:
            return None
        return await self._run_hub("on_connected", lambda hub: hub.on_connected())

    async def _disconnect(self, error: Exception | None) -> BaseException | None:
        if self._hub_class.on_disconnected is Hub.on_disconnected:
            return None
        return await self._run_hub("on_disconnected", lambda hub: hub.on_disconnected(error))

    async def _forget(self) -> None:
        lifetime, connection = self._lifetime, self._connection
        await self._run(lifetime, "on_disconnected", lambda: lifetime.on_disconnected(connection))

    def cancel(self) -> bool:
        """Cancels the event that runs in a task of its own; whether there is one."""
        return self._running is not None and self._running.cancel()

    async def _run_hub(
        self, name: str, call: Callable[[Hub], Coroutine[Any, Any, None]]
    ) -> BaseException | None:
        return await self._run(self._hub_class, name, lambda: call(self._activate()))

    async def _run(
        self, owner: object, name: str, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> BaseException | None:
        async def run() -> None:
            await call()

        event = self._running = asyncio.create_task(run())
        await asyncio.wait({event})
        self._running = None
        error = asyncio.CancelledError() if event.cancelled() else event.exception()
        if error is not None:
            _log_failure(owner, name, error)
        return error


def _log_failure(owner: object, name: str, error: BaseException) -> None:
    kind = owner if isinstance(owner, type) else type(owner)
    logger.error("%s.%s failed.", kind.__name__, name, exc_info=error)
