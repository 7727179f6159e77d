"""One physical connection of a client: handshake, calls and answers, pings, and why it ended.

It does not call its owner: its end is a future that the owner awaits. A reconnect opens another
connection, and is left to ``keeper``.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

from ..aio.keep_alive_timer import KeepAliveTimer
from ..aio.pump import MessagePump
from ..aio.transport import Transport
from ..errors import (
    ConnectionClosed,
    HandshakeError,
    NotConnectedError,
    ProtocolError,
    ServerTimeoutError,
)
from ..handshake import ClientHandshake
from ..hub_protocol import HubProtocol
from ..keepalive import KeepAlive
from ..messages import (
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ReceivedMessage,
    Role,
    StreamItem,
)
from ..peer import HubPeer
from .call import ClientCall
from .event_queue import EventQueue
from .handlers import HandlerRegistry
from .options import HubConnectionOptions

logger = logging.getLogger(__name__)

_CONGESTED: Final = 1024 * 1024  # bytes waiting to be sent from which on callers wait (C-21)
_UNREAD: Final = 64 * 1024  # bytes received and not handled, from which on reading pauses
# A lone small piece is handled at once, for a turn costs a pass of the event loop. A read may bring
# many such pieces in one pass, so their number is limited.
_SMALL: Final = 1024
_DIRECT: Final = 16

Wait = Callable[[], Coroutine[Any, Any, None]]


class ClientConnection:
    """The ``Receiver`` of one transport. Used until it ends, and never again.

    ``handlers`` answers a server that asks for a result; events go to ``events``.
    """

    def __init__(
        self,
        transport: Transport,
        connection_id: str | None,
        hub_protocol: HubProtocol,
        handlers: HandlerRegistry,
        events: EventQueue,
        options: HubConnectionOptions,
    ) -> None:
        self.connection_id: Final = connection_id
        self._transport = transport
        self._hub_protocol = hub_protocol
        self._handlers = handlers
        self._events = events
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._sends_pings = not transport.has_inherent_keep_alive
        self._peer = _new_peer(hub_protocol, options, self._sends_pings)
        self._timer = KeepAliveTimer(self._peer.keep_alive, self._send_ping, self._time_out)
        self._pump: MessagePump[Wait] = MessagePump(
            transport,
            self._decode,
            limit=_UNREAD,
            on_end=self._end_of_stream,
            fail=lambda error: self._finish(_ended_by(error)),
        )
        self._handshake: asyncio.Future[None] = self._loop.create_future()
        self._loss: Exception | None = None  # why nothing more will arrive
        self._direct = _DIRECT  # pieces that may still be handled without a turn of their own
        self._is_turn_due = True  # ``start`` schedules the first one
        self._waiting: asyncio.Task[None] | None = None  # until messages may be handled again
        self._closing: asyncio.Task[None] | None = None
        self.end: ConnectionClosed | None = None
        """Why it has ended; None while it has not."""
        self.ended: Final[asyncio.Future[ConnectionClosed]] = self._loop.create_future()
        """Done with ``end`` before the calls in flight fail with it."""

    # ---- begin and end

    async def start(self) -> None:
        """Performs the handshake (C-1).

        Raises HandshakeError when the server refuses, or sends no valid answer in time; the
        transport is closed then.
        """
        request = self._peer.request_handshake()  # first: the answer may be there already
        self._transport.set_receiver(self)
        self._transport.write(request)
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                await self._handshake
        except TimeoutError:
            self._close_transport()
            raise _no_answer_within(self._options.handshake_timeout) from None
        except HandshakeError:
            self._close_transport()
            raise
        except BaseException:
            self._pump.stop()
            self._transport.abort()
            raise
        if self._sends_pings:
            self._send_ping()  # arms the server's client timeout (H-13)
        self._timer.start()
        self._pump.start(self._handle)
        self._loop.call_soon(self._turn)

    async def wait_until_closed(self) -> None:
        """Returns when the transport of an ended connection is closed.

        A server that has timed out is not waited for, because it may be silent still.
        """
        if self._closing is not None and not isinstance(self.end, ServerTimeoutError):
            await asyncio.wait({self._closing})

    async def stop(self) -> None:
        """Sends a Close and ends the connection (C-17)."""
        if self.end is None:
            self._send(Close())
            self._finish(ConnectionClosed("The connection was stopped.", allow_reconnect=False))
        await self.wait_until_closed()

    def abort(self) -> None:
        """Ends the connection at once, without a Close."""
        self._pump.stop()
        self._transport.abort()
        end = ConnectionClosed("The connection was given up.", allow_reconnect=False)
        self._finish(end, closes_transport=False)

    def _finish(self, end: ConnectionClosed, *, closes_transport: bool = True) -> None:
        """The first reason counts; calls in flight end now (R-3)."""
        if self.end is not None:
            return
        self.end = end
        self._timer.stop()
        if self._waiting is not None:
            self._waiting.cancel()
        if not self.ended.done():  # as it is when the wait for it was cancelled
            self.ended.set_result(end)
        self._peer.close(end)
        if closes_transport:
            self._close_transport()

    def _close_transport(self) -> None:
        self._pump.stop()
        self._closing = self._loop.create_task(self._transport.close())

    # ---- receiving

    def data_received(self, data: bytes) -> None:
        """See Receiver."""
        if self._handshake.done():
            is_first = not self._is_turn_due and not self._pump.is_ready
            self._pump.feed(data)
            if is_first and self._waiting is None and len(data) <= _SMALL and self._direct > 0:
                self._direct -= 1
                self._turn()
            else:
                self._schedule_turn()
            return
        try:
            rest = self._peer.receive_handshake(data, self._loop.time())
        except Exception as error:
            self._handshake.set_exception(error)
        else:
            if rest is not None:
                self._handshake.set_result(None)
                self._pump.feed(rest)

    def connection_lost(self, error: Exception | None) -> None:
        """See Receiver."""
        if not self._handshake.done():
            self._handshake.set_exception(_lost_during_handshake(error))
            return
        self._loss = error
        self._pump.feed_end()
        if self._pump.is_ready:
            self._schedule_turn()
        elif not self._is_turn_due and self._waiting is None:
            self._turn()  # at once, so that callers that wait for room send nothing any more

    def _schedule_turn(self) -> None:
        if not self._is_turn_due and self._waiting is None:
            self._is_turn_due = True
            self._direct = _DIRECT
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Handles what has arrived, as far as one turn of the event loop allows."""
        self._is_turn_due = False
        wait = self._pump.pull()
        if self.end is not None:
            return
        if wait is not None:
            self._waiting = self._loop.create_task(self._wait_before_next_turn(wait))
        elif self._pump.is_ready:
            self._schedule_turn()

    async def _wait_before_next_turn(self, wait: Wait) -> None:
        await wait()
        self._waiting = None
        self._schedule_turn()

    async def _wait_for_handlers(self) -> None:
        self._peer.keep_alive.suspend()
        await self._events.wait_for_room()
        self._peer.keep_alive.resume(self._loop.time())

    def _decode(self, data: bytes) -> Iterator[ReceivedMessage | None]:
        return self._peer.receive_data(data, self._loop.time())

    def _handle(self, message: ReceivedMessage) -> Wait | None:
        """Returns what to wait for before the next message is handled."""
        match message:
            case Completion() | StreamItem():
                self._peer.calls.settle(message)
            case Invocation():
                return self._handle_invocation(message)
            case Close():
                self._finish(_closed_by(message))
            case _:
                pass  # no streams are open, and acks were not agreed on
        return None

    def _handle_invocation(self, invocation: Invocation) -> Wait | None:
        self._hub_protocol.require_arguments(invocation.arguments)
        self._events.put(invocation)
        if invocation.invocation_id:
            error = self._handlers.refusal(invocation)
            self._send(Completion(invocation_id=invocation.invocation_id, error=error))
            # Only answers that the server does not read pause reading. Our own calls do not: a
            # server that cannot write may read nothing before we read.
            if self._transport.buffered > _CONGESTED:
                return self._transport.drain
        return self._wait_for_handlers if self._events.is_full else None

    def _end_of_stream(self) -> None:
        if self._loss is not None:
            raise self._loss
        self._peer.receive_end()
        self._finish(ConnectionClosed("The server ended the connection."))

    def _time_out(self) -> None:
        self._finish(_silent_for(self._options.server_timeout))

    # ---- sending

    async def invoke(self, target: str, arguments: Sequence[Any], result_type: Any) -> Any:
        """See HubConnection.invoke."""
        call = ClientCall(self._hub_protocol, result_type)
        calls = self._peer.calls
        self._events.add_caller()
        try:
            await self._wait_for_room()
            invocation_id = calls.next_id()
            self._send_invocation(target, arguments, invocation_id)
            calls.open(invocation_id, call)
            try:
                return await call.answer
            except asyncio.CancelledError:
                if calls.forget(invocation_id) and self.end is None:
                    # The hub may stop the method: its caller does not wait any more (C-8, S-27).
                    self._send(CancelInvocation(invocation_id=invocation_id))
                raise
        finally:
            self._events.remove_caller()

    async def send(self, target: str, arguments: Sequence[Any]) -> None:
        """See HubConnection.send."""
        self._events.add_caller()
        try:
            await self._wait_for_room()
        finally:
            self._events.remove_caller()
        self._send_invocation(target, arguments, "")

    async def _wait_for_room(self) -> None:
        if self._transport.buffered > _CONGESTED:
            await self._transport.drain()
        if self.end is not None:
            raise NotConnectedError("The connection is not active.") from self.end

    def _send_invocation(self, target: str, arguments: Sequence[Any], invocation_id: str) -> None:
        encoded = self._hub_protocol.encode_arguments(arguments)
        self._send(Invocation(invocation_id=invocation_id, target=target, arguments=encoded))

    def _send_ping(self) -> None:
        self._send(Ping())

    def _send(self, message: HubMessage) -> None:
        self._transport.write(self._peer.send(message, self._loop.time()))


def _new_peer(
    hub_protocol: HubProtocol, options: HubConnectionOptions, sends_pings: bool
) -> HubPeer:
    return HubPeer(
        Role.CLIENT,
        ClientHandshake(hub_protocol),
        KeepAlive(
            Role.CLIENT,
            interval=options.keep_alive_interval if sends_pings else math.inf,
            timeout=options.server_timeout if sends_pings else math.inf,
        ),
        options.maximum_receive_message_size,
        options.maximum_send_message_size,
    )


def _ended_by(error: Exception) -> ConnectionClosed:
    """Logs an error that the server did not cause."""
    if isinstance(error, ConnectionClosed):
        return error
    if isinstance(error, ProtocolError):
        end = ConnectionClosed(str(error), summary=error.summary)
    else:
        logger.error("Reading from the server failed unexpectedly.", exc_info=error)
        end = ConnectionClosed(f"Reading failed: {type(error).__name__}")
    end.__cause__ = error
    return end


def _no_answer_within(seconds: float) -> HandshakeError:
    return HandshakeError(f"The server did not answer the handshake within {seconds:g} seconds.")


def _lost_during_handshake(error: Exception | None) -> Exception:
    if error is None:
        return HandshakeError("The server disconnected before sending a handshake response")
    if not isinstance(error, ProtocolError):
        return error
    failure = HandshakeError(str(error), summary=error.summary)
    failure.__cause__ = error
    return failure


def _closed_by(close: Close) -> ConnectionClosed:
    text = summary = "The server closed the connection."
    if close.error:
        summary = "The server closed the connection with an error."
        text = f"The server closed the connection with the following error: {close.error}"
    return ConnectionClosed(text, close.allow_reconnect, summary=summary)


def _silent_for(seconds: float) -> ServerTimeoutError:
    return ServerTimeoutError(
        f"Server timeout ({seconds * 1000:.2f}ms) elapsed without receiving a message from the "
        "server."
    )
