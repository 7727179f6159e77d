"""Stateful reconnect on a server: one connection that can change its socket (section SR).

Connects the parts: ``message_buffer`` counts messages, ``aio.counted_output`` sends them,
``aio.ack_timer`` acknowledges received ones, and ``resumable_transport`` exchanges the sockets.
"""

import asyncio
from collections.abc import Callable

from ..aio.ack_timer import AckTimer
from ..aio.counted_output import CountedOutput
from ..aio.keep_alive_timer import KeepAliveTimer
from ..aio.pump import MessagePump
from ..aio.transport import ServerTransport
from ..peer import HubPeer
from ..peer_state import PeerState
from .connection_context import Ending, HubConnectionContext, UnacknowledgedError
from .dispatcher import HubDispatcher
from .http_request import HttpRequestData
from .invoker import Call
from .resumable_transport import ResumableTransport


class ServerResumption:
    """Counts the messages of one connection, and moves the connection to new sockets.

    Does nothing for a client whose handshake does not allow stateful reconnect. It is the
    ``ServerSocketUser`` of a ``ResumableTransport``. On any other transport, messages are only
    counted and acknowledged (SR-20). ``fail`` ends the connection because of an error.
    """

    __slots__ = (
        "_acks",
        "_connection",
        "_dispatcher",
        "_fail",
        "_keep_alive_timer",
        "_loop",
        "_output",
        "_peer",
        "_pump",
        "_transport",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        transport: ServerTransport,
        peer: HubPeer,
        pump: MessagePump[Call],
        dispatcher: HubDispatcher,
        keep_alive_timer: KeepAliveTimer,
        fail: Callable[[Exception], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._transport = transport
        self._peer = peer
        self._pump = pump
        self._dispatcher = dispatcher
        self._keep_alive_timer = keep_alive_timer
        self._fail = fail
        self._output: CountedOutput | None = None
        self._acks: AckTimer | None = None
        if isinstance(transport, ResumableTransport):
            transport.set_user(self)

    def begin(self) -> None:
        """Begins to count when the handshake is done."""
        buffer = self._peer.message_buffer
        if buffer is None:
            if isinstance(self._transport, ResumableTransport):
                self._transport.can_resume = False  # the handshake has a version below 2 (SR-1)
            return
        self._output = CountedOutput(
            self._transport,
            buffer,
            timeout=self._connection.limits.transport_send_timeout,
            time_out=self._give_up,
            allowance=self._connection.options.maximum_outbound_buffer_size // 2,
        )
        self._connection.count_messages(self._output)
        self._acks = AckTimer(
            self._peer,
            self._transport,
            lambda: not self._pump.is_empty,
            self._fail,
            size=self._connection.options.stateful_reconnect_buffer_size // 2,
        )

    def received(self, size: int) -> None:
        """Notes that ``size`` received bytes are about to be handled."""
        if self._acks is not None:
            self._acks.received(size)

    def end(self) -> None:
        """Stops. Before a Close, sends the messages that are held back until an Ack arrives."""
        if self._acks is not None:
            self._acks.stop()
        if self._output is not None:
            ending = self._connection.ending
            self._output.end(is_orderly=ending is not None and ending.close is not None)

    def _give_up(self) -> None:
        self._connection.slow_log.acknowledges_nothing()
        self._connection.end(Ending(None, UnacknowledgedError()))

    # ---- ServerSocketUser

    def socket_lost(self) -> None:
        """See ServerSocketUser."""
        self._keep_alive_timer.stop()

    def socket_exchanged(self, request: HttpRequestData) -> bytes:
        """See ServerSocketUser. Messages that were received and not handled are dropped."""
        self._connection.http_request = request  # TG-11
        self._keep_alive_timer.stop()
        self._dispatcher.restart()
        try:
            first = self._peer.resume(self._loop.time())
        except Exception as error:  # a user's hub protocol can raise anything
            self._fail(error)
            return b""
        if self._peer.state is not PeerState.HANDSHAKE:
            self._keep_alive_timer.start()
        if self._acks is not None:
            self._acks.start()
        return first
