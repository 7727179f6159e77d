"""``HubConnection``: the object through which a program uses a hub (sections C and R).

This is the public interface of the client. ``keeper`` decides states and reconnects, ``connection``
runs one physical connection, and a ``Connector`` opens its transport.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ..aio.loop_check import require_loop
from ..aio.transport import Transport
from ..errors import LocalProtocolError
from ..http_transport_type import HttpTransportType
from ..hub_protocol import HubProtocol
from ..option_checks import require_target
from .authentication import ConnectionAuthentication, Refresh
from .callbacks import CallbackRegistration
from .connection import ClientConnection
from .event_queue import EventQueue
from .handler_registration import HandlerRegistration
from .keeper import ConnectionKeeper, HubConnectionState, inactive_error
from .options import HubConnectionOptions
from .reopening_transport import Reopen, ReopeningTransport
from .retry import RetryPolicy, retry_policy
from .streams import HubStream

Result = TypeVar("Result")
Item = TypeVar("Item")
Headers = Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Connected:
    """The result of a connector: an open transport, and the connection id that the server sent.

    ``refresh`` sends a new token to the server. It is None if negotiate was skipped.
    ``token_lifetime`` is the number of seconds until the present token expires, if the server has
    sent it. ``on_accepted``, if given, is called when the hub has accepted the handshake. With
    ``reopen``, the server has granted stateful reconnect, and the handshake asks for it.
    """

    transport: Transport
    connection_id: str | None
    refresh: Refresh | None = None
    token_lifetime: float | None = None
    on_accepted: Callable[[], None] | None = None
    reopen: Reopen | None = None


Connector = Callable[[], Awaitable[Connected]]
"""Negotiates and opens a transport. Raises SignalRError."""


class HubConnection(CallbackRegistration, HandlerRegistration):
    """A client's connection to a hub. Made by ``HubConnectionBuilder``.

    Handlers stay registered when the connection reconnects. Group memberships are lost, and calls
    in flight fail. Methods raise RuntimeError in an event loop other than that of ``start``.
    """

    def __init__(
        self,
        connector: Connector,
        hub_protocol: HubProtocol,
        options: HubConnectionOptions,
        retry_policy: RetryPolicy | None,
        transports: HttpTransportType = HttpTransportType.ALL,
    ) -> None:
        CallbackRegistration.__init__(self)
        HandlerRegistration.__init__(self, hub_protocol)
        self._connector = connector
        self._transports = transports
        self._hub_protocol = hub_protocol
        self._options = options
        self._retry_policy = retry_policy
        self._keeper: ConnectionKeeper | None = None  # of the last start
        self._events: EventQueue | None = None  # of the event loop of the last start

    # ---- state

    @property
    def state(self) -> HubConnectionState:
        """The state of the connection."""
        if self._keeper is None or self._keeper.loop.is_closed():
            return HubConnectionState.DISCONNECTED
        return self._keeper.state

    @property
    def connection_id(self) -> str | None:
        """The server's id of the open connection. None if there is no id or no open connection."""
        connection = None if self._keeper is None else self._keeper.connection
        return None if connection is None else connection.connection_id

    @property
    def hub_protocol(self) -> HubProtocol:
        """The hub protocol that messages are written in."""
        return self._hub_protocol

    @property
    def transports(self) -> HttpTransportType:
        """The transports that may be used, as given to ``with_url``."""
        return self._transports

    @property
    def maximum_send_message_size(self) -> int | None:
        """The limit in bytes of a message that is sent. None means no limit."""
        return self._options.maximum_send_message_size

    @property
    def cancelled_calls(self) -> int:
        """The number of cancelled calls that the hub has not answered yet. At most 1000."""
        connection = None if self._keeper is None else self._keeper.connection
        return 0 if connection is None else connection.calls.cancelled

    async def start(self, *, retry: RetryPolicy | Sequence[float] | None = None) -> None:
        """Connects to the hub. Reconnects follow only after a successful start.

        Without ``retry`` there is one attempt. ``retry`` is a list of delays or a policy, as for
        ``with_automatic_reconnect``: after a failed attempt it gives the delay before the next one.
        The state is Connecting until an attempt has succeeded.

        Raises NegotiationError or HandshakeError when no connection can be opened. With ``retry``
        it is the error of the last attempt. Raises LocalProtocolError when the connection is
        already started. Raises NotConnectedError when ``stop`` is called before ``start`` has
        returned. Raises TypeError or ValueError for a ``retry`` that is not a policy.
        """
        policy = None if retry is None else retry_policy(retry)
        if self.state is not HubConnectionState.DISCONNECTED:
            raise LocalProtocolError(
                "The HubConnection cannot be started if it is not in the Disconnected state."
            )
        if self._events is None or self._events.loop is not asyncio.get_running_loop():
            self._events = EventQueue(self._handlers, self._options.maximum_waiting_events_size)
        self._keeper = ConnectionKeeper(self._open, self._retry_policy, self._callbacks)
        await self._keeper.start(policy)

    async def stop(self) -> None:
        """Ends the connection or the attempt to connect. Does nothing if there is none.

        Events that wait for their handlers are dropped. A running handler is cancelled, unless it
        is the caller of ``stop``.
        """
        if self._keeper is None or self._keeper.loop.is_closed():
            return
        require_loop(self._keeper.loop, "The HubConnection")
        assert self._events is not None
        self._events.drop()
        await self._keeper.stop()
        await self._events.wait_for_cancelled()

    async def __aenter__(self) -> "HubConnection":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- calls

    @overload
    async def invoke(self, target: str, *arguments: Any, headers: Headers = ...) -> Any: ...
    @overload
    async def invoke(
        self, target: str, *arguments: Any, result_type: type[Result], headers: Headers = ...
    ) -> Result: ...
    @overload
    async def invoke(
        self, target: str, *arguments: Any, result_type: Any, headers: Headers = ...
    ) -> Any: ...
    async def invoke(
        self,
        target: str,
        *arguments: Any,
        result_type: Any = Any,
        headers: Headers = None,
    ) -> Any:
        """Calls a hub method and waits for its result, converted to ``result_type``.

        An argument of type ``msgspec.Raw`` is sent unchanged. With ``result_type=msgspec.Raw`` the
        result is its undecoded bytes: empty when the hub completed the call without a result.
        ``headers`` are headers of the message, such as ``traceparent``, with which hubs of ASP.NET
        Core 9 and later continue a trace.

        Raises NotConnectedError when there is no connection; nothing was sent. Raises HubException
        with the error text of the hub when the method failed. Raises ConnectionClosed when the
        connection ended before the answer; the method may have run. Raises LocalProtocolError when
        the call cannot be written, and its subclass MessageTooLargeError when the call exceeds
        ``maximum_send_message_size``. Raises TypeError for a target that is not a str, ValueError
        for an empty target. Cancelling the wait sends a CancelInvocation, which the hub may ignore.
        """
        require_target(target, 'invoke("SendMessage", value)')
        return await self._active("invoke").calls.invoke(target, arguments, result_type, headers)

    async def send(self, target: str, *arguments: Any) -> None:
        """Calls a hub method without asking for an answer. Returns when the call is queued.

        Raises TypeError, ValueError, NotConnectedError and LocalProtocolError, as ``invoke`` does.
        """
        require_target(target, 'send("SendMessage", value)')
        await self._active("send").calls.send(target, arguments)

    @overload
    def stream(self, target: str, *arguments: Any, headers: Headers = ...) -> HubStream[Any]: ...
    @overload
    def stream(
        self, target: str, *arguments: Any, item_type: type[Item], headers: Headers = ...
    ) -> HubStream[Item]: ...
    @overload
    def stream(
        self, target: str, *arguments: Any, item_type: Any, headers: Headers = ...
    ) -> HubStream[Any]: ...
    def stream(
        self, target: str, *arguments: Any, item_type: Any = Any, headers: Headers = None
    ) -> HubStream[Any]:
        """Returns the stream of a hub method, an async iterator of items of ``item_type``.

        The hub method is called when the iteration begins. With ``item_type=msgspec.Raw`` the items
        are undecoded bytes. While the program takes no items, the client stops reading from the
        hub, unless another call or stream waits for the hub. ``HubStream`` says when the stream is
        cancelled, and what the iteration raises. ``headers`` are as in ``invoke``.

        Raises NotConnectedError when there is no connection. Raises TypeError for a target that is
        not a str, and for an item type that nothing can be read into. Raises ValueError for an
        empty target.
        """
        require_target(target, 'stream("Counter", 10, item_type=int)')
        return self._active("stream").calls.stream(target, arguments, item_type, headers)

    async def refresh_authentication(self) -> float | None:
        """Sends a new access token to the server, which replaces the user of the open connection.

        Returns the number of seconds until the new token expires, or None if the server does not
        send it. ``access_token_factory`` returns the new token. Without this call, a client
        refreshes before the expiry that the server has announced: see
        ``with_authentication_refresh``.

        Raises NotConnectedError when there is no connection. Raises AuthenticationRefreshError when
        the server refuses or the request fails. Raises LocalProtocolError when the connection was
        opened without negotiate. Raises the exceptions of the token factory. The connection is then
        unchanged.
        """  # AR-2, AR-5a
        return await self._active("refresh_authentication").authentication.refresh()

    def _active(self, name: str) -> ClientConnection:
        if self._keeper is None:
            raise inactive_error(name, "it was never started")
        return self._keeper.active_connection(name)

    async def _open(self) -> ClientConnection:
        assert self._events is not None
        connected = await self._connector()
        transport = connected.transport
        if connected.reopen is not None:
            transport = ReopeningTransport(transport, connected.reopen)
        connection = ClientConnection(
            transport,
            connected.connection_id,
            self._hub_protocol,
            self._handlers,
            self._events,
            self._options,
            ConnectionAuthentication(
                connected.refresh,
                connected.token_lifetime,
                self._options.authentication_refresh,
                self._callbacks,
                self._handlers.thinning,
            ),
        )
        await connection.start()
        if connected.on_accepted is not None:
            connected.on_accepted()
        return connection
