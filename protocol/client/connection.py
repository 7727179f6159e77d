"""One physical connection of a client: handshake, calls and answers, pings, and why it ended.

``keeper`` awaits the future ``ended`` of the connection, and reconnects by opening another one.
"""

import asyncio
import math
from collections.abc import Iterator
from functools import partial
from typing import Final

from ..aio.keep_alive_timer import KeepAliveTimer
from ..aio.pump import MessagePump
from ..aio.transport import Transport
from ..errors import (
    ConnectionClosed,
    HandshakeError,
    ServerTimeoutError,
)
from ..handshake import STATEFUL_VERSION, ClientHandshake
from ..hub_protocol import HubProtocol
from ..keepalive import KeepAlive
from ..message_buffer import MessageBuffer
from ..messages import (
    Close,
    HubMessage,
    Ping,
    ReceivedMessage,
    Role,
)
from ..peer import HubPeer
from .authentication import ConnectionAuthentication
from .calls import ClientCalls
from .downloads import DownloadCounts
from .endings import (
    ended_by,
    lost_during_handshake,
    no_answer_within,
    no_message_within,
)
from .event_queue import EventQueue
from .handlers import HandlerRegistry
from .message_handler import MessageHandler, Wait
from .options import HubConnectionOptions
from .reopening_transport import ReopeningTransport
from .resumption import ClientResumption

_RECEIVE_LIMIT: Final = 64 * 1024  # bytes received and not handled; with more, reading pauses
# A small piece that arrives alone is handled inside ``data_received``. Another turn of the event
# loop would cost more than the piece. One read may push many such pieces. After
# _PIECES_WITHOUT_TURN of them, the next piece waits for another turn.
_SMALL_PIECE: Final = 1024  # bytes
_PIECES_WITHOUT_TURN: Final = 16


class ClientConnection:
    """Drives one transport, as its ``Receiver``, until the connection ends. Used once.

    With a ``ReopeningTransport`` it asks for stateful reconnect in the handshake.
    """

    def __init__(
        self,
        transport: Transport,
        connection_id: str | None,
        hub_protocol: HubProtocol,
        handlers: HandlerRegistry,
        events: EventQueue,
        options: HubConnectionOptions,
        authentication: ConnectionAuthentication,
    ) -> None:
        self.authentication: Final = authentication
        self.connection_id: Final = connection_id
        self._transport = transport
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._sends_pings = not transport.has_inherent_keep_alive
        buffer = None
        if isinstance(transport, ReopeningTransport):
            buffer = MessageBuffer(options.stateful_reconnect_buffer_size)
        self._peer = _new_peer(hub_protocol, options, self._sends_pings, buffer)
        self._pump: MessagePump[Wait] = MessagePump(
            transport,
            self._decode if buffer is None else self._decode_counted,
            limit=_RECEIVE_LIMIT,
            on_end=self._end_of_stream,
            fail=lambda error: self._finish(ended_by(error, handlers.thinning)),
        )
        self._resumption: ClientResumption | None = None
        if isinstance(transport, ReopeningTransport) and buffer is not None:
            self._resumption = ClientResumption(
                transport, self._peer, buffer, self._pump, handlers.thinning, self._finish
            )
        downloads = DownloadCounts(events.pauses, options)
        self.calls: Final = ClientCalls(
            self._peer,
            transport if self._resumption is None else self._resumption,
            hub_protocol,
            downloads,
            self._send if self._resumption is None else self._resumption.send,
            handlers.thinning,
        )
        self._messages = MessageHandler(
            self._peer,
            transport,
            hub_protocol,
            handlers,
            events,
            downloads,
            self.calls,
            self._finish,
            self._take_ack,
        )
        ping = partial(self._send, Ping())
        self._timer = KeepAliveTimer(self._peer.keep_alive, ping, self._time_out)
        self._handshake: asyncio.Future[None] = self._loop.create_future()
        self._loss: Exception | None = None  # the error that the transport ended with
        self._pieces_left = _PIECES_WITHOUT_TURN
        self._is_turn_due = True  # ``start`` schedules the first turn
        self._waiting: asyncio.Task[None] | None = None  # ends when messages may be handled again
        self._closing: asyncio.Task[None] | None = None
        self.end: ConnectionClosed | None = None
        """Why the connection has ended; None while it is open."""
        self.ended: Final[asyncio.Future[ConnectionClosed]] = self._loop.create_future()
        """A future whose result is ``end``. It is done before the calls in flight fail."""

    # ---- start and end

    async def start(self) -> None:
        """Performs the handshake (C-1).

        Raises HandshakeError when the server refuses the handshake, or sends no valid answer in
        time. Before it raises, it closes the transport.
        """
        request = self._peer.request_handshake()  # before set_receiver, which may push the answer
        self._transport.set_receiver(self)
        self._transport.write(request)
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                await self._handshake
        except (TimeoutError, HandshakeError) as error:
            self._close_transport()
            if isinstance(error, TimeoutError):
                raise no_answer_within(self._options.handshake_timeout) from None
            raise
        except BaseException:
            self._pump.stop()
            self._transport.abort()
            raise
        if self._sends_pings:
            self._send(Ping())  # arms the server's client timeout (H-13)
        if self._resumption is not None:
            self._resumption.begin()
        self._timer.start()
        self.authentication.start()
        self._pump.start(self._messages.handle)
        self._loop.call_soon(self._turn)

    async def wait_until_closed(self) -> None:
        """Returns when the transport of an ended connection is closed.

        After a server timeout it returns at once, because the server may never answer.
        """
        if self._closing is not None and not isinstance(self.end, ServerTimeoutError):
            await asyncio.wait({self._closing})

    async def stop(self) -> None:
        """Sends a Close and ends the connection (C-17)."""
        if self.end is None:
            self._send(Close())
            self._finish(ConnectionClosed("The connection was stopped.", allow_reconnect=False))
        await self.wait_until_closed()
        await self.calls.wait_for_uploads()

    def abort(self) -> None:
        """Ends the connection at once, without a Close."""
        self._pump.stop()
        self._transport.abort()
        end = ConnectionClosed("The connection was given up.", allow_reconnect=False)
        self._finish(end, closes_transport=False)

    def _finish(self, end: ConnectionClosed, *, closes_transport: bool = True) -> None:
        """Ends the connection and its calls in flight; only the first reason counts (R-3)."""
        if self.end is not None:
            return
        self.end = end
        self._timer.stop()
        self.authentication.stop()
        if self._resumption is not None:
            self._resumption.end()
        if self._waiting is not None:
            self._waiting.cancel()
        if not self.ended.done():  # done already if the task that awaits ``ended`` was cancelled
            self.ended.set_result(end)
        self.calls.end(end)
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
            is_small = len(data) <= _SMALL_PIECE
            if is_first and is_small and self._waiting is None and self._pieces_left > 0:
                self._pieces_left -= 1
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
            self._handshake.set_exception(lost_during_handshake(error))
            return
        self._loss = error
        self._pump.feed_end()
        if self._pump.is_ready:
            self._schedule_turn()
        elif not self._is_turn_due and self._waiting is None:
            self._turn()  # at once, so that callers that wait for room do not send after the end

    def _schedule_turn(self) -> None:
        if not self._is_turn_due and self._waiting is None:
            self._is_turn_due = True
            self._pieces_left = _PIECES_WITHOUT_TURN
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Handles received messages, as many as one turn of the event loop allows."""
        self._is_turn_due = False
        wait = self._pump.pull()
        if self.end is not None:
            return
        if wait is not None:
            self._waiting = self._loop.create_task(self._wait_before_next_turn(wait))
        elif self._pump.is_ready:
            self._schedule_turn()

    async def _wait_before_next_turn(self, wait: Wait) -> None:
        if self._resumption is not None:
            self._resumption.suspend()
        await wait()
        if self._resumption is not None:
            self._resumption.resume()
        self._waiting = None
        self._schedule_turn()

    def _decode(self, data: bytes) -> Iterator[ReceivedMessage | None]:
        return self._peer.receive_data(data, self._loop.time())

    def _decode_counted(self, data: bytes) -> Iterator[ReceivedMessage | None]:
        assert self._resumption is not None
        self._resumption.received(len(data))
        return self._decode(data)

    def _take_ack(self) -> None:
        if self._resumption is not None:
            self._resumption.acknowledged()

    def _end_of_stream(self) -> None:
        if self._loss is not None:
            raise self._loss
        self._peer.receive_end()
        self._finish(ConnectionClosed("The server ended the connection."))

    def _time_out(self) -> None:
        self._finish(no_message_within(self._options.server_timeout, self._timer.blocked_for))

    # ---- sending

    def _send(self, message: HubMessage) -> None:
        self._transport.write(self._peer.send(message, self._loop.time()))


def _new_peer(
    hub_protocol: HubProtocol,
    options: HubConnectionOptions,
    sends_pings: bool,
    buffer: MessageBuffer | None,
) -> HubPeer:
    handshake = ClientHandshake(hub_protocol, 1 if buffer is None else STATEFUL_VERSION)
    return HubPeer(
        Role.CLIENT,
        handshake,
        KeepAlive(
            Role.CLIENT,
            interval=options.keep_alive_interval if sends_pings else math.inf,
            timeout=options.server_timeout if sends_pings else math.inf,
        ),
        options.maximum_receive_message_size,
        options.maximum_send_message_size,
        message_buffer=buffer,
    )
