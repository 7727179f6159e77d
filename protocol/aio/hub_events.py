"""What a connection's begin and end cause: the lifetime manager's two events, and the hub's.

The hub's events, and the last one of the lifetime manager, run in tasks of their own, so that code
of the application ends nothing but the event that it runs in, and a shutdown can cancel it. What a
failure means for the connection is decided by ``server_connection``.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .connection import HubConnectionContext
from .hub import Hub
from .lifetime import HubLifetimeManager

logger = logging.getLogger(__name__)


class HubEvents:
    """Calls the events of ``hub_class`` on new instances, which ``activate`` returns."""

    def __init__(
        self, lifetime: HubLifetimeManager, hub_class: type[Hub], activate: Callable[[], Hub]
    ) -> None:
        self._lifetime = lifetime
        self._hub_class = hub_class
        self._activate = activate
        self._running: asyncio.Task[None] | None = None

    async def registered(self, connection: HubConnectionContext) -> BaseException | None:
        """Makes ``connection`` known to the lifetime manager; how it failed, if it did.

        It runs in the caller's task: another one would delay the first answer by two turns of the
        event loop.
        """
        try:
            await self._lifetime.on_connected(connection)
        except (Exception, asyncio.CancelledError) as error:
            _log_failure(self._lifetime, "on_connected", error)
            return error
        return None

    async def connected(self) -> BaseException | None:
        """Calls ``on_connected``. Returns its error, or None."""
        if self._hub_class.on_connected is Hub.on_connected:
            return None
        return await self._run_hub("on_connected", lambda hub: hub.on_connected())

    async def disconnected(self, error: Exception | None) -> BaseException | None:
        """Calls ``on_disconnected``. Returns its error, or None."""
        if self._hub_class.on_disconnected is Hub.on_disconnected:
            return None
        return await self._run_hub("on_disconnected", lambda hub: hub.on_disconnected(error))

    async def forgotten(self, connection: HubConnectionContext) -> None:
        """Lets the lifetime manager forget ``connection``."""
        lifetime = self._lifetime
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
