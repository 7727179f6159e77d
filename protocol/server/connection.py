"""The life of one connection on a server: handshake, service and end (section L).

The end has a fixed order (TW-14): queued messages are sent, then the Close message is sent, then
OnDisconnected runs, then the transport closes. ``aio.pump``, ``dispatcher`` and ``invoker`` handle
messages. ``hub_events`` calls the events of the hub.
"""

import asyncio
import contextvars
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..aio.keep_alive_timer import KeepAliveTimer
from ..aio.pump import MessagePump
from ..aio.transport import ServerTransport
from ..errors import HandshakeError, RemoteProtocolError, TransportViolationError
from ..handshake import HANDSHAKE_CANCELED, ServerHandshake
from ..hub_protocol import HubProtocol
from ..keepalive import KeepAlive
from ..message_buffer import MessageBuffer
from ..messages import Close, Ping, ReceivedMessage, Role
from ..peer import HubPeer
from ..peer_state import PeerState
from .clients import CallScope
from .connection_context import ClientTimeoutError, Ending, HubConnectionContext
from .dispatcher import HubDispatcher
from .failures import ConnectionFailures
from .hub import Hub, HubMethodTable
from .hub_events import HubEvents
from .invoker import Call
from .lifetime import HubLifetimeManager
from .options import HubOptions
from .receive_limits import ReceiveLimits
from .resumption import ServerResumption

logger = logging.getLogger(__name__)


class ServerConnection:
    """Drives one connection from its first byte to its last, as the ``Receiver`` of its transport.

    ``activate`` takes the scope of a call and returns a new instance of ``hub_class`` for it.
    ``protocols`` are the hub protocols that the client may choose from, by lower-case name. With a
    ``message_buffer`` the client may use stateful reconnect.
    """

    def __init__(
        self,
        connection: HubConnectionContext,
        transport: ServerTransport,
        *,
        protocols: Mapping[str, HubProtocol],
        methods: HubMethodTable,
        lifetime: HubLifetimeManager,
        hub_class: type[Hub],
        activate: Callable[[CallScope], Hub],
        message_buffer: MessageBuffer | None = None,
    ) -> None:
        self.connection = connection
        self._transport = transport
        self._options = options = connection.options
        self._methods = methods
        self._failures = ConnectionFailures(connection)
        self._events = HubEvents(connection, lifetime, hub_class, activate)
        self._activate = activate
        self._loop = loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # of all tasks that run the hub's code
        self._peer = _new_peer(options, protocols, transport, message_buffer)
        self._pump: MessagePump[Call] = MessagePump(
            transport,
            self._decode if message_buffer is None else self._decode_counted,
            limit=connection.limits.application_max_buffer_size,
            on_end=self._end_soon,
            fail=self._failures.fail,
        )
        self._dispatcher = HubDispatcher(
            connection,
            self._pump,
            ReceiveLimits(connection, self._peer.keep_alive),
            lifetime,
            context=self._context,
            fail=self._failures.fail,
        )
        self.call_event: Final = self._dispatcher.call_event
        self._handshake_timer = loop.call_later(options.handshake_timeout, self._give_up_handshake)
        self._keep_alive_timer = KeepAliveTimer(self._peer.keep_alive, self._ping, self._time_out)
        self._resumption: ServerResumption | None = None
        if message_buffer is not None:
            self._resumption = ServerResumption(
                connection,
                transport,
                self._peer,
                self._pump,
                self._dispatcher,
                self._keep_alive_timer,
                self._failures.fail,
            )
        self._refusal = ""  # the error text of a refused handshake
        self._accepting: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done when the last event of the connection has run and its transport is closed."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done after ``closed``, when the last hub method has ended as well."""
        connection.on_end = self._on_end

    def open(self) -> None:
        """Starts to receive from the transport, unless the connection has ended already."""
        if self.connection.ending is None:
            self._transport.set_receiver(self)

    def end(self, ending: Ending) -> None:
        """Ends the connection. Only the first ``ending`` counts."""
        self.connection.end(ending)

    def cancel(self) -> None:
        """Cancels the running hub code."""
        for task in self._dispatcher.tasks:
            task.cancel()
        if not self._events.cancel() and self._accepting is not None:
            self._accepting.cancel()

    def abandon(self) -> None:
        """Ends the connection at once and cancels hub code. OnDisconnected is not called."""
        self.connection.on_end = lambda: None
        self.end(Ending(None))
        self._stop_timers()
        self._dispatcher.stop()
        self.cancel()
        if self._finishing is not None:
            self._finishing.cancel()
        self._transport.abort()

    # ---- Receiver

    def data_received(self, data: bytes) -> None:
        """See Receiver."""
        if self.connection.ending is not None:
            return
        if self._peer.state is PeerState.HANDSHAKE:
            try:
                self._receive_handshake(data)
            except Exception as error:
                self._failures.fail(error)
        else:
            self._pump.feed(data)
            self._dispatcher.advance()

    def connection_lost(self, error: Exception | None) -> None:
        """See Receiver. At an orderly end, the messages received before it are handled first."""
        if self.connection.ending is not None:
            return
        if isinstance(error, TransportViolationError):
            self.end(Ending(None, error))
        elif error is not None:
            self._failures.fail(error)
        elif self._peer.state is PeerState.HANDSHAKE:  # there is no request to answer (H-11)
            self.end(Ending(None))
        else:
            # ``connection_aborted`` is set before the queued calls run: a running method may wait
            # for this event, and the queued calls wait for the method.
            self._keep_alive_timer.stop()
            self.connection.connection_aborted.set()
            self._dispatcher.client_has_left()
            self._pump.feed_end()
            self._dispatcher.advance()
            self.connection.fail_results()  # after the received answers were handled

    def _receive_handshake(self, data: bytes) -> None:
        """Answers the handshake, and starts the task that calls OnConnected (H-14, L-1, L-2)."""
        now = self._loop.time()
        try:
            rest = self._peer.receive_handshake(data, now)
        except HandshakeError as error:
            self._refusal = str(error)
            self.end(Ending(None, error))
            return
        if rest is None:
            return
        self._handshake_timer.cancel()
        hub_protocol = self._peer.hub_protocol
        self.connection.hub_protocol = hub_protocol
        self._transport.use_transfer_format(hub_protocol.transfer_format)
        self._transport.write(self._peer.accept_handshake(now))
        self._keep_alive_timer.start()
        if self._resumption is not None:
            self._resumption.begin()
        self._pump.feed(rest)
        self._accepting = self._loop.create_task(self._accept(), context=self._context.copy())
        self._accepting.add_done_callback(self._on_accepted)

    async def _accept(self) -> None:
        if (failure := await self._events.begin()) is not None:
            self._failures.end_for_good(failure)
            return
        hub_protocol = self._peer.hub_protocol
        methods = self._methods.for_protocol(hub_protocol)
        self._dispatcher.start(hub_protocol, methods, self._activate)

    def _on_accepted(self, accepting: asyncio.Task[None]) -> None:
        self._accepting = None
        error = asyncio.CancelledError() if accepting.cancelled() else accepting.exception()
        if error is not None:  # an internal error, or hub code has cancelled all tasks
            self._failures.fail(error)

    def _decode(self, data: bytes) -> Iterator[ReceivedMessage | None]:
        return self._peer.receive_data(data, self._loop.time())

    def _decode_counted(self, data: bytes) -> Iterator[ReceivedMessage | None]:
        assert self._resumption is not None
        self._resumption.received(len(data))
        return self._decode(data)

    # ---- time

    def _give_up_handshake(self) -> None:
        self._refusal = HANDSHAKE_CANCELED  # H-9
        self.connection.log.no_handshake(self._options.handshake_timeout)
        self.end(Ending(None))

    def _ping(self) -> None:
        try:
            # Buffered bytes take the place of a ping (K-1).
            if not self._transport.buffered and not self.connection.is_full:
                self._transport.write(self._peer.send(Ping(), self._loop.time()))
        except Exception as error:  # a user's hub protocol can raise anything
            self._failures.fail(error)

    def _time_out(self) -> None:
        self._failures.refuse(ClientTimeoutError())

    def _stop_timers(self) -> None:
        self._handshake_timer.cancel()
        self._keep_alive_timer.stop()
        if self._resumption is not None:
            self._resumption.end()

    # ---- the end

    def _end_soon(self) -> None:
        """Ends the connection in the next turn, after the answers of calls that end in this one."""
        self._loop.call_soon(self._end_orderly)

    def _end_orderly(self) -> None:
        """Ends the connection after the client has ended the stream and all bytes are handled."""
        if self.connection.ending is not None:
            return
        try:
            self._peer.receive_end()
        except RemoteProtocolError as error:
            self._failures.fail(error)
        else:
            self.end(Ending(Close(allow_reconnect=True)))

    def _on_end(self) -> None:
        """Sends the last message, stops everything and starts the task that finishes the end."""
        ending = self.connection.ending
        assert ending is not None
        self._stop_timers()
        try:
            if self._refusal:
                self._transport.write(self._peer.refuse_handshake(self._refusal))
            elif ending.close is not None and self._peer.can_send:
                self._transport.write(self._peer.send(ending.close, self._loop.time()))
        except Exception as error:  # a user's hub protocol can raise anything
            self.connection.log.failure(
                logger, error, "The last message to a client could not be written."
            )
        self._transport.flush()
        self._transport.stop_receiving()
        self.connection.connection_aborted.set()
        self._dispatcher.stop()
        self._finishing = self._loop.create_task(
            self._finish(ending.error), context=self._context.copy()
        )

    async def _finish(self, error: Exception | None) -> None:
        try:
            await _disconnect(self._events, self._accepting, self._transport, error)
        finally:
            self.closed.set_result(None)
            try:
                while tasks := self._dispatcher.tasks:
                    await asyncio.wait(tasks)
            finally:
                self.ended.set_result(None)


async def _disconnect(
    events: HubEvents,
    accepting: asyncio.Task[None] | None,
    transport: ServerTransport,
    error: Exception | None,
) -> None:
    """Calls the disconnect events, then closes the transport, even if an event fails."""
    failed = False
    try:
        if accepting is not None:
            await asyncio.wait({accepting})
        failed = await events.finish(error)
    finally:
        await transport.close(failed=failed)


def _new_peer(
    options: HubOptions,
    protocols: Mapping[str, HubProtocol],
    transport: ServerTransport,
    message_buffer: MessageBuffer | None,
) -> HubPeer:
    handshake = ServerHandshake(
        protocols,
        transfer_formats=transport.transfer_formats,
        maximum_size=options.maximum_receive_message_size,
        detailed_errors=options.enable_detailed_errors,
    )
    # No pings over a transport that notices a lost peer by itself (TL-11).
    interval = math.inf if transport.has_inherent_keep_alive else options.keep_alive_interval
    keep_alive = KeepAlive(Role.SERVER, interval=interval, timeout=options.client_timeout_interval)
    return HubPeer(
        Role.SERVER,
        handshake,
        keep_alive,
        options.maximum_receive_message_size,
        message_buffer=message_buffer,
    )
