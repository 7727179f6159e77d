"""``HubConnection``: what a program that talks to a hub holds in its hands (sections C and R).

Decides the states and when to connect again. What happens on one physical connection is left to
``client_connection``, how one comes about to the connector.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, overload

from msgspec import Raw

from ..errors import ConnectionClosed, LocalProtocolError, NotConnectedError
from ..hub_protocol import HubProtocol
from .cancellation import is_being_cancelled
from .client_connection import ClientConnection
from .client_options import HubConnectionOptions
from .handlers import Handler, HandlerTable
from .retry import RetryContext, RetryPolicy
from .transport import Transport

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
AnyCallback = TypeVar("AnyCallback", bound=Callable[..., Any])


class HubConnectionState(Enum):
    """Where a HubConnection stands (C-20)."""

    DISCONNECTED = "Disconnected"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"


@dataclass(frozen=True, slots=True)
class Connected:
    """What a connector brings: an open transport, and the id the server gave it, if it did."""

    transport: Transport
    connection_id: str | None


Connector = Callable[[], Awaitable[Connected]]
"""Negotiates and opens a transport. Raises SignalRError."""


class HubConnection:
    """A client's connection to a hub. Made by ``HubConnectionBuilder``.

    Handlers stay registered over reconnects; group memberships and calls in flight do not (R-3,
    R-4). All methods belong to one event loop.
    """

    def __init__(
        self,
        connector: Connector,
        hub_protocol: HubProtocol,
        options: HubConnectionOptions,
        retry_policy: RetryPolicy | None,
    ) -> None:
        self._connector = connector
        self._hub_protocol = hub_protocol
        self._options = options
        self._retry_policy = retry_policy
        self._handlers = HandlerTable(hub_protocol)
        self._closed: list[Callable[[Exception | None], Any]] = []
        self._reconnecting: list[Callable[[Exception | None], Any]] = []
        self._reconnected: list[Callable[[str | None], Any]] = []
        self._state = HubConnectionState.DISCONNECTED
        self._connection_id: str | None = None
        self._connection: ClientConnection | None = None
        self._keeper: asyncio.Task[None] | None = None  # reconnects, and tells how it ended
        self._stopping = False
        self._first_delay: float | None = None  # before the first attempt to reconnect

    # ---- state

    @property
    def state(self) -> HubConnectionState:
        """Where the connection stands."""
        return self._state

    @property
    def connection_id(self) -> str | None:
        """The server's public name for this connection; None while there is none."""
        return self._connection_id

    async def start(self) -> None:
        """Connects. Not retried: reconnecting begins with the first established connection (R-2).

        Raises NegotiationError or HandshakeError when there is no connection to be had,
        LocalProtocolError when it is started already.
        """
        if self._state is not HubConnectionState.DISCONNECTED:
            raise LocalProtocolError(
                "The HubConnection cannot be started if it is not in the Disconnected state."
            )
        self._state = HubConnectionState.CONNECTING
        self._stopping = False
        try:
            connection = await self._connect()
        except BaseException:
            self._state = HubConnectionState.DISCONNECTED
            raise
        self._keeper = asyncio.create_task(self._keep(connection))
        if self._stopping:  # meanwhile
            await self.stop()
            raise NotConnectedError("The connection was stopped while it was being started.")

    async def stop(self) -> None:
        """Ends the connection, or the attempts to get one back. Harmless when there is none."""
        self._stopping = True
        if self._connection is not None:
            await self._connection.stop()
        keeper = self._keeper
        if keeper is None or keeper is asyncio.current_task():
            return
        if self._state is HubConnectionState.RECONNECTING:
            keeper.cancel()
        await asyncio.wait({keeper})

    async def __aenter__(self) -> "HubConnection":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- calls

    @overload
    async def invoke(self, target: str, *arguments: Any) -> Any: ...
    @overload
    async def invoke(self, target: str, *arguments: Any, result_type: type[Result]) -> Result: ...
    @overload
    async def invoke(self, target: str, *arguments: Any, result_type: Any) -> Any: ...
    async def invoke(self, target: str, *arguments: Any, result_type: Any = Any) -> Any:
        """Calls a hub method and waits for its result, converted to ``result_type``.

        A ``msgspec.Raw`` among the arguments is sent as it is. As ``result_type`` it gives the
        result's bytes untouched: empty when the hub completed without a result, ``null`` for null.

        Raises HubException with the hub's text, NotConnectedError when nothing was sent,
        ConnectionClosed when the connection ended first (the method may have run), and
        LocalProtocolError when the call cannot be written (MessageTooLargeError when it is over
        ``maximum_send_message_size``). Cancelling the wait tells the hub, which may ignore it.
        """
        return await self._active("invoke").invoke(target, arguments, result_type)

    async def send(self, target: str, *arguments: Any) -> None:
        """Calls a hub method without asking for an answer; returns when the call is queued.

        Raises NotConnectedError or LocalProtocolError, as ``invoke`` does.
        """
        await self._active("send").send(target, arguments)

    def _active(self, name: str) -> ClientConnection:
        if self._connection is None:
            raise NotConnectedError(
                f"The '{name}' method cannot be called if the connection is not active."
            )
        return self._connection

    # ---- handlers

    @overload
    def on(self, target: str, handler: AnyCallback) -> AnyCallback: ...
    @overload
    def on(self, target: str) -> Callable[[AnyCallback], AnyCallback]: ...
    def on(self, target: str, handler: Handler | None = None) -> Any:
        """Registers a handler, plain or async; without one, gives a decorator.

        Arguments are converted to the handler's annotations; a call that does not fit in number or
        type is logged and dropped (C-14). Handlers run one after another in order of arrival.
        Raises TypeError for an annotation that no message can be read into.
        """
        if handler is None:
            return lambda function: self.on(target, function)
        self._handlers.add(target, handler)
        return handler

    def off(self, target: str, handler: Handler | None = None) -> None:
        """Forgets one handler of ``target``, or all of them."""
        self._handlers.remove(target, handler)

    def on_any(self, handler: Callable[[str, Raw], Any] | None) -> None:
        """Sets the one handler, plain or async, for calls that have no handler of their own.

        It gets the target and the undecoded arguments, an array (``.copy()`` what is kept: it is a
        view of all that arrived with it).
        """
        self._handlers.set_any(handler)

    def on_closed(self, callback: AnyCallback) -> AnyCallback:
        """``callback(error)`` when the connection has ended for good; None: as asked for."""
        self._closed.append(callback)
        return callback

    def on_reconnecting(self, callback: AnyCallback) -> AnyCallback:
        """``callback(error)`` when the connection was lost and will be tried again (R-3)."""
        self._reconnecting.append(callback)
        return callback

    def on_reconnected(self, callback: AnyCallback) -> AnyCallback:
        """``callback(connection_id)`` when there is a connection again, a new one (R-4)."""
        self._reconnected.append(callback)
        return callback

    # ---- connecting and reconnecting

    async def _connect(self) -> ClientConnection:
        connected = await self._connector()
        connection = ClientConnection(
            connected.transport, self._hub_protocol, self._handlers, self._options, self._lost
        )
        await connection.start()
        self._connection = connection
        self._connection_id = connected.connection_id
        self._state = HubConnectionState.CONNECTED
        return connection

    def _lost(self, end: ConnectionClosed) -> None:
        """Called in the very moment a connection ends, so that nobody sees it alive after that."""
        self._connection = None
        self._connection_id = None
        self._first_delay = None
        if end.allow_reconnect and not self._stopping:
            self._first_delay = self._next_delay(0, 0.0, end)
        self._state = (
            HubConnectionState.DISCONNECTED
            if self._first_delay is None
            else HubConnectionState.RECONNECTING
        )

    async def _keep(self, connection: ClientConnection | None) -> None:
        """Watches the connection until it has ended for good, and tells why."""
        error: Exception | None = None
        try:
            while connection is not None:
                end = await connection.wait_until_ended()
                if self._stopping:
                    break
                connection, error = await self._reconnect(end)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            error = _stopped()
        if self._keeper is asyncio.current_task():  # nobody has started it again meanwhile
            self._state = HubConnectionState.DISCONNECTED
            self._keeper = None
        await _notify(self._closed, error)

    async def _reconnect(
        self, end: ConnectionClosed
    ) -> "tuple[ClientConnection | None, Exception | None]":
        """Tries until there is a connection or the policy refuses (then why)."""
        loop = asyncio.get_running_loop()
        lost_at = loop.time()
        count = 0
        delay = self._first_delay
        if delay is None:
            return None, end
        await _notify(self._reconnecting, end)
        while delay is not None:
            if self._stopping:  # by a callback
                return None, _stopped()
            await asyncio.sleep(delay)
            try:
                connection = await self._connect()
            except Exception as error:  # a token factory may raise anything: a failed attempt
                count += 1
                delay = self._next_delay(count, loop.time() - lost_at, error)
                continue
            await _notify(self._reconnected, self._connection_id)
            return connection, None
        return None, ConnectionClosed(
            f"Reconnect retries have been exhausted after {count} failed attempts and "
            f"{loop.time() - lost_at:.1f} s elapsed. Disconnecting.",
            allow_reconnect=False,
        )

    def _next_delay(self, count: int, elapsed: float, reason: Exception) -> float | None:
        if self._retry_policy is None:
            return None
        try:
            return self._retry_policy(RetryContext(count, elapsed, reason))
        except Exception:
            logger.exception("The retry policy failed; there will be no further attempt.")
            return None


async def _notify(callbacks: list[Callable[[Any], Any]], argument: Any) -> None:
    for callback in list(callbacks):
        try:
            result = callback(argument)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError):
            if is_being_cancelled():
                raise
            logger.exception("A connection callback failed.")


def _stopped() -> ConnectionClosed:
    return ConnectionClosed(
        "Connection stopped during reconnect. Done reconnecting.", allow_reconnect=False
    )
