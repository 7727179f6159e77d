"""A client's connection from one start to its final end: its states, and when it reconnects.

The keeper owns physical connections, one after another: it opens one, awaits its end and opens the
next. Each start has a keeper of its own, so that a new start does not share state with the old
connection. ``connection`` runs one physical connection. ``hub_connection`` is the interface for
users.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from ..aio.cancellation import is_being_cancelled
from ..aio.log_thinning import LogThinning
from ..aio.loop_check import require_loop
from ..errors import ConnectionClosed, NotConnectedError, SignalRError
from .callbacks import ConnectionCallbacks, call_logged
from .connection import ClientConnection
from .endings import retries_exhausted
from .retry import RetryPolicy, RetryRun

logger = logging.getLogger(__name__)

_STOP_TIMEOUT: Final = 5.0  # seconds to wait for callbacks


class HubConnectionState(Enum):
    """The states of a HubConnection."""  # C-20

    DISCONNECTED = "Disconnected"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"


Open = Callable[[], Awaitable[ClientConnection]]
"""Opens a physical connection. Raises SignalRError."""


class ConnectionKeeper:
    """Opens a connection, awaits its end, and opens the next while the policy returns a delay."""

    def __init__(
        self,
        open_connection: Open,
        retry_policy: RetryPolicy | None,
        callbacks: ConnectionCallbacks,
    ) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self._state = HubConnectionState.CONNECTING
        self._connection: ClientConnection | None = None  # the last connection, open or ended
        self._open_connection = open_connection
        self._retry_policy = retry_policy
        self._callbacks = callbacks
        self._is_stopping = False
        self._retries = RetryRun(None, 0.0)  # since the last loss
        self._first_delay: float | None = None  # before the first attempt to reconnect
        self._starting: asyncio.Task[None] | None = None  # the attempts of ``start``
        self._task: asyncio.Task[None] | None = None
        self._callback: asyncio.Task[None] | None = None  # the user's callback that is running
        self._reconnected_task: asyncio.Task[None] | None = None  # ``on_reconnected`` callbacks
        self._stopped_by: asyncio.Task[Any] | None = None  # the task that has called ``stop``
        self._has_ended = False  # no more connections; ``on_closed`` callbacks may still run
        self._thinning = LogThinning()
        self._failure: Exception | None = None  # the error of the last connection or attempt

    @property
    def state(self) -> HubConnectionState:
        """See HubConnection.state."""
        self._note_end()
        return self._state

    @property
    def connection(self) -> ClientConnection | None:
        """The open physical connection; None while there is none."""
        connection = self._connection
        return None if connection is None or connection.end is not None else connection

    def active_connection(self, method: str) -> ClientConnection:
        """The open connection, for ``method`` of HubConnection.

        Raises NotConnectedError if there is no open connection, and RuntimeError in another event
        loop. The cause of a NotConnectedError is the error of the last connection or attempt;
        after ``stop`` it has no cause.
        """
        if not self.loop.is_closed():
            require_loop(self.loop, "The HubConnection")
        connection = self.connection
        if connection is not None:
            return connection
        state = self.state
        if self._is_stopping:
            raise inactive_error(method, "it was stopped")
        if state is HubConnectionState.CONNECTING:
            reason = "it is being started"
        elif state is HubConnectionState.RECONNECTING:
            reason = "it is reconnecting"
        else:
            reason = "the start has failed" if self._connection is None else "it has ended"
        raise inactive_error(method, reason) from self._failure

    def _note_end(self) -> None:
        """If the connection has ended, changes the state and asks the policy for the first delay.

        Both ``state`` and the keeper's task call it, so ``state`` is never outdated. Only the first
        call after the end has an effect.
        """
        if self._state is not HubConnectionState.CONNECTED:
            return
        assert self._connection is not None
        end = self._connection.end
        if end is None:
            return
        self._failure = end
        self._first_delay = None
        if end.allow_reconnect and not self._is_stopping:
            now = self.loop.time()
            self._retries = RetryRun(self._retry_policy, now)
            self._state = HubConnectionState.RECONNECTING  # the policy may ask for the state
            self._first_delay = self._retries.next_delay(end, now)
        if self._first_delay is None:
            self._state = HubConnectionState.DISCONNECTED

    async def start(self, retry: RetryPolicy | None) -> None:
        """See HubConnection.start."""
        connect = self._open() if retry is None else self._open_with_retries(retry)
        self._starting = asyncio.create_task(connect)
        try:
            await self._starting
        except BaseException as error:
            if self.connection is not None:  # cancelled after the connection was opened
                self._is_stopping = True
                self.connection.abort()
            self._state = HubConnectionState.DISCONNECTED
            self._failure = error if isinstance(error, Exception) else None
            if isinstance(error, asyncio.CancelledError) and not is_being_cancelled():
                raise _stopped_while_starting() from None
            raise
        self._task = asyncio.create_task(self._keep())
        if self._is_stopping:
            raise _stopped_while_starting()

    async def stop(self) -> None:
        """See HubConnection.stop."""
        self._is_stopping = True
        self._stopped_by = asyncio.current_task()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self.connection is not None:
            await self.connection.stop()
        if self._task is None or asyncio.current_task() in (self._task, self._callback):
            return
        if self._has_ended:  # an ``on_closed`` callback may wait for this call
            return
        if self.state is HubConnectionState.RECONNECTING:
            self._task.cancel()
        _, running = await asyncio.wait({self._task}, timeout=_STOP_TIMEOUT)
        if running:  # a callback has not returned in time
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_STOP_TIMEOUT)

    async def _open(self) -> None:
        self._connection = await self._open_connection()
        self._state = HubConnectionState.CONNECTED

    async def _open_with_retries(self, policy: RetryPolicy) -> None:
        """Makes attempts until one succeeds. Raises the error of the last attempt."""
        retries = RetryRun(policy, self.loop.time())
        while (reason := await self._attempt()) is not None:
            self._failure = reason
            delay = retries.next_delay(reason, self.loop.time())
            if delay is None:
                raise reason
            logger.log(
                self._thinning.level("start"),
                "The connection cannot be opened, next attempt in %.1f s: %s",
                delay,
                _reasons(reason),
            )
            await asyncio.sleep(delay)

    async def _keep(self) -> None:
        """Awaits the end of each connection and reconnects, until the final end."""
        error: Exception | None = None
        try:
            while (connection := self._connection) is not None:
                end = await connection.ended
                self._note_end()
                await connection.wait_until_closed()
                await self._end_reconnected_callbacks()
                if self._is_stopping:
                    break
                error = await self._reconnect(end)
                if error is not None:
                    self._failure = error
                    break
        except asyncio.CancelledError:
            error = _stopped_while_reconnecting()
            if not self._is_stopping:  # for example because asyncio.run ends
                self._is_stopping = True
                if self.connection is not None:
                    self.connection.abort()
                error = ConnectionClosed("The connection was cancelled.", allow_reconnect=False)
        finally:
            self._has_ended = True
            self._state = HubConnectionState.DISCONNECTED
        if error is not None and not self._is_stopping and not self._callbacks.closed:
            logger.warning("A connection without on_closed has ended: %s", _reasons(error))
        await self._notify(self._callbacks.closed, error)

    async def _end_reconnected_callbacks(self) -> None:
        """Ends the ``on_reconnected`` callbacks of the last reconnect.

        Cancels them. If the running callback has called ``stop``, it is awaited instead.
        """
        task, self._reconnected_task = self._reconnected_task, None
        if task is not None and not task.done():
            if self._callback is not self._stopped_by:
                task.cancel()
            await asyncio.wait({task})

    async def _reconnect(self, end: ConnectionClosed) -> Exception | None:
        """Opens a new connection and returns None.

        If there is no further attempt, returns the error for ``on_closed``.
        """
        delay = self._first_delay
        if delay is None:
            return end
        await self._notify(self._callbacks.reconnecting, end)
        while delay is not None:
            if self._is_stopping:  # a callback has called ``stop``
                return _stopped_while_reconnecting()
            await asyncio.sleep(delay)
            reason = await self._attempt()
            if reason is not None:
                self._failure = reason
                # Not in an ``except`` clause. If the policy raised an exception there, its
                # traceback in the log would include the error of the attempt, which may quote a
                # token.
                delay = self._retries.next_delay(reason, self.loop.time())
                continue
            assert self._connection is not None
            # In a task of its own, so that callbacks do not delay the end or the next reconnect.
            self._reconnected_task = self.loop.create_task(
                self._notify(self._callbacks.reconnected, self._connection.connection_id)
            )
            return None
        elapsed = self._retries.elapsed(self.loop.time())
        return retries_exhausted(self._retries.retries, elapsed, self._failure)

    async def _attempt(self) -> Exception | None:
        """Opens a new connection. Returns None, or why this was not possible."""
        try:
            await self._open()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a token factory may raise anything
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            return error if isinstance(error, Exception) else _broken_attempt(error)
        return None

    async def _notify(self, callbacks: list[Callable[[Any], Any]], argument: Any) -> None:
        """Runs each callback in a task of its own, whose cancellation ends only this callback."""
        for callback in list(callbacks):
            self._callback = self.loop.create_task(
                call_logged(self._thinning, callback, (argument,), "A connection callback failed.")
            )
            try:
                await asyncio.wait({self._callback})
            except asyncio.CancelledError:
                self._callback.cancel()
                raise
            finally:
                self._callback = None


def inactive_error(method: str, reason: str) -> NotConnectedError:
    """The error for a call of ``method`` without an open connection."""
    text = f"The '{method}' method cannot be called if the connection is not active"
    return NotConnectedError(f"{text}: {reason}.", public_summary=f"{text}.")


def _reasons(error: BaseException) -> str:
    """The summaries of an error and of its cause, without text of the server."""
    reason = error.summary if isinstance(error, SignalRError) else type(error).__name__
    if error.__cause__ is None or not isinstance(error, SignalRError):
        return reason
    cause = _reasons(error.__cause__)
    return reason if cause == reason else f"{reason} {cause}"


def _broken_attempt(error: BaseException) -> ConnectionClosed:
    return ConnectionClosed(f"The attempt to connect raised {type(error).__name__}.")


def _stopped_while_starting() -> NotConnectedError:
    return NotConnectedError("The connection was stopped while it was being started.")


def _stopped_while_reconnecting() -> ConnectionClosed:
    return ConnectionClosed(
        "Connection stopped during reconnect. Done reconnecting.", allow_reconnect=False
    )
