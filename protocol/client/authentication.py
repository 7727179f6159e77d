"""Refreshes the authentication of a connection before its token expires, and runs the callbacks.

The transport sends the request. A refresh that fails changes nothing: the server decides whether a
connection outlives its token.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..aio.cancellation import is_being_cancelled
from ..aio.log_thinning import LogThinning, failure_subject
from ..authentication_refresh import refresh_delay
from ..errors import AuthenticationRefreshError, LocalProtocolError, SignalRError
from .callbacks import ConnectionCallbacks, call_logged

logger = logging.getLogger(__name__)

Refresh = Callable[[], Awaitable[float | None]]
"""Sends a new token to the server. Returns the token's lifetime in seconds if the server sends it.

Raises AuthenticationRefreshError, and the exceptions of the user's token factory.
"""


class ConnectionAuthentication:
    """Refreshes the authentication of one connection, before its token expires and on request.

    ``refresh`` is None if the connection cannot be refreshed. ``lifetime`` is the lifetime in
    seconds of the token with which the connection was opened. ``before_expiration`` is the number
    of seconds between a refresh and the expiry, or None for no automatic refresh.
    """  # AR-7

    def __init__(
        self,
        refresh: Refresh | None,
        lifetime: float | None,
        before_expiration: float | None,
        callbacks: ConnectionCallbacks,
        thinning: LogThinning,
    ) -> None:
        self._refresh = refresh
        self._lifetime = lifetime
        self._before_expiration = before_expiration
        self._callbacks = callbacks
        self._thinning = thinning
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[float | None]] = set()

    def start(self) -> None:
        """Sets the timer for the first refresh."""
        self._schedule(self._lifetime)

    def stop(self) -> None:
        """Cancels every refresh, except the refresh whose callback calls ``stop``."""
        self._cancel_timer()
        for task in self._running - {asyncio.current_task()}:
            task.cancel()

    async def refresh(self) -> float | None:
        """See HubConnection.refresh_authentication."""
        if self._refresh is None:
            raise LocalProtocolError(
                "The authentication of this connection cannot be refreshed, because it was opened "
                "without negotiate."
            )
        task = self._start_task(self._refresh_once(self._refresh))
        try:
            return await task
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            raise AuthenticationRefreshError(
                "The connection ended before its authentication was refreshed."
            ) from None

    def _start_task(self, work: Coroutine[Any, Any, float | None]) -> "asyncio.Task[float | None]":
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _schedule(self, lifetime: float | None) -> None:
        """Sets the timer for the refresh of a token with this lifetime, and cancels the last timer.

        Without a lifetime there is no further automatic refresh.
        """
        self._cancel_timer()
        if lifetime is not None and self._before_expiration is not None and self._refresh:
            delay = refresh_delay(lifetime, self._before_expiration)
            self._timer = self._loop.call_later(delay, self._fire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        assert self._refresh is not None
        self._timer = None
        _ = self._start_task(self._refresh_automatically(self._refresh))

    async def _refresh_automatically(self, refresh: Refresh) -> float | None:
        """Refreshes, and logs a failure. A failed refresh is not repeated (AR-7)."""
        try:
            return await self._refresh_once(refresh)
        except Exception as error:
            reason = error.summary if isinstance(error, SignalRError) else type(error).__name__
            logger.log(
                self._thinning.level(failure_subject(error)),
                "The authentication of a connection was not refreshed: %s",
                reason,
            )
            return None

    async def _refresh_once(self, refresh: Refresh) -> float | None:
        """Refreshes, and runs the callbacks for the outcome before it returns or raises."""
        failure: Exception
        try:
            lifetime = await refresh()
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            failure = AuthenticationRefreshError("The token factory was cancelled.")
        except Exception as error:  # a token factory may raise any exception
            failure = error
        else:
            self._schedule(lifetime)
            await self._notify(self._callbacks.refreshed, lifetime)
            return lifetime
        await self._notify(self._callbacks.refresh_failed, failure)
        raise failure

    async def _notify(self, callbacks: list[Callable[[Any], Any]], argument: Any) -> None:
        for callback in list(callbacks):
            await call_logged(
                self._thinning, callback, (argument,), "A connection callback failed."
            )
