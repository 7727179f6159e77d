"""The callbacks that a user registers. A call of a handler or callback logs its failure."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..aio.cancellation import is_being_cancelled
from ..aio.log_thinning import LogThinning
from ..option_checks import require_function

logger = logging.getLogger(__name__)

AnyCallback = TypeVar("AnyCallback", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ConnectionCallbacks:
    """The callbacks that users have registered, plain or async, in order of registration."""

    closed: list[Callable[[Exception | None], Any]] = field(default_factory=list)
    reconnecting: list[Callable[[Exception | None], Any]] = field(default_factory=list)
    reconnected: list[Callable[[str | None], Any]] = field(default_factory=list)
    refreshed: list[Callable[[float | None], Any]] = field(default_factory=list)
    refresh_failed: list[Callable[[Exception], Any]] = field(default_factory=list)


class CallbackRegistration:
    """The methods of a HubConnection that register callbacks. Each is usable as a decorator."""

    def __init__(self) -> None:
        self._callbacks = ConnectionCallbacks()

    def on_closed(self, callback: AnyCallback) -> AnyCallback:
        """Registers ``callback(error)``, plain or async, for the final end of the connection.

        ``error`` is None when ``stop`` has ended an open connection. Usable as a decorator.
        """
        return _add(self._callbacks.closed, callback)

    def on_reconnecting(self, callback: AnyCallback) -> AnyCallback:
        """Registers ``callback(error)``, plain or async, for the start of a reconnect.

        ``error`` is the error that ended the connection. Usable as a decorator.
        """
        return _add(self._callbacks.reconnecting, callback)

    def on_reconnected(self, callback: AnyCallback) -> AnyCallback:
        """Registers ``callback(connection_id)``, plain or async, for a successful reconnect.

        ``connection_id`` is the server's id of the new connection, or None if there is none. Usable
        as a decorator.
        """
        return _add(self._callbacks.reconnected, callback)

    def on_authentication_refreshed(self, callback: AnyCallback) -> AnyCallback:
        """Registers ``callback(lifetime)``, plain or async, for a refresh that has succeeded.

        ``lifetime`` is the number of seconds until the new token expires, or None if the server
        does not send it. Usable as a decorator.
        """  # AR-7
        return _add(self._callbacks.refreshed, callback)

    def on_authentication_refresh_failed(self, callback: AnyCallback) -> AnyCallback:
        """Registers ``callback(error)``, plain or async, for a refresh that has failed.

        The connection is unchanged. There is no further automatic refresh of this connection.
        Usable as a decorator.
        """  # AR-5a, AR-7
        return _add(self._callbacks.refresh_failed, callback)


def _add(callbacks: list[Callable[..., Any]], callback: AnyCallback) -> AnyCallback:
    require_function(callback, "A callback")
    callbacks.append(callback)
    return callback


async def call_logged(
    thinning: LogThinning,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    message: str,
    *names: object,
) -> None:
    """Calls ``function``, which is plain or async, with ``arguments``.

    An exception is logged with ``message``, a format string for ``names``, and is not raised.
    ``thinning`` limits how often, because the server decides how often the function is called.
    KeyboardInterrupt, SystemExit and GeneratorExit are raised, and so is CancelledError if the
    current task is being cancelled.
    """
    try:
        result = function(*arguments)
        if inspect.isawaitable(result):
            await result
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        thinning.log_failure(logger, error, message, *names)
