"""Stateful reconnect on a client: one connection that continues on new sockets (section SR).

Connects the parts: ``message_buffer`` counts messages, ``aio.counted_output`` limits how long they
wait, ``aio.ack_timer`` acknowledges received ones, and ``reopening_transport`` replaces sockets.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from ..aio.ack_timer import AckTimer
from ..aio.counted_output import CountedOutput
from ..aio.log_thinning import LogThinning
from ..aio.pump import MessagePump
from ..errors import ConnectionClosed
from ..message_buffer import MessageBuffer
from ..messages import HubMessage
from ..peer import HubPeer
from .calls import UPLOAD_HIGH_WATER
from .endings import no_ack_within, not_written
from .reopening_transport import ReopeningTransport

logger = logging.getLogger(__name__)

_ACK_TIMEOUT: Final = 10.0  # seconds that a full buffer may wait for an Ack (SR-8)
_FULL: Final = 1 << 62  # bytes; above every limit
_MAXIMUM_HELD: Final = 1024 * 1024
"""Bytes of answers and cancellations that are held back. With more bytes, the connection ends."""


class ClientResumption:
    """Sends counted messages, and moves the connection to new sockets. A ``ClientSocketUser``.

    ``buffer`` is the message buffer of ``peer``. ``fail`` ends the connection.
    """

    __slots__ = (
        "_acks",
        "_buffer",
        "_fail",
        "_loop",
        "_output",
        "_peer",
        "_pump",
        "_thinning",
        "_transport",
        "_written",
    )

    def __init__(
        self,
        transport: ReopeningTransport,
        peer: HubPeer,
        buffer: MessageBuffer,
        pump: MessagePump[Any],
        thinning: LogThinning,
        fail: Callable[[ConnectionClosed], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._peer = peer
        self._buffer = buffer
        self._pump = pump
        self._thinning = thinning
        self._fail = fail
        self._written = _FULL  # bytes that waited in the transport after the last ``send``
        self._output = CountedOutput(
            transport,
            buffer,
            timeout=_ACK_TIMEOUT,
            time_out=self._give_up,
            allowance=_MAXIMUM_HELD,
        )
        self._acks = AckTimer(
            peer,
            transport,
            lambda: not pump.is_empty,
            self._fail_with,
            size=buffer.limit // 2,
        )
        transport.set_user(self)

    def begin(self) -> None:
        """Allows the connection to continue on new sockets, when the handshake is done."""
        self._transport.can_resume = True

    def end(self) -> None:
        """Stops, because the connection has ended."""
        self._transport.can_resume = False
        self._acks.stop()
        self._output.end(is_orderly=False)

    # ---- messages

    def send(self, message: HubMessage) -> None:
        """Counts and sends a message, or holds it back while the buffer is full."""
        frame = self._peer.send(message, self._loop.time())
        if frame:
            self._written = self._transport.write(frame)
        else:
            self._output.frame_held_back()
            if self._buffer.held_size > _MAXIMUM_HELD:
                self._give_up()

    def received(self, size: int) -> None:
        """Notes that ``size`` received bytes are about to be handled."""
        self._acks.received(size)

    def suspend(self) -> None:
        """Stops the wait for an Ack, which may be among received messages that are not handled."""
        self._output.suspend()

    def resume(self) -> None:
        """Ends a ``suspend``."""
        self._output.resume()

    def acknowledged(self) -> None:
        """Sends the messages for which a received Ack has made room."""
        self._written = _FULL  # not known: ``release`` may write many bytes
        self._output.release()

    def _fail_with(self, error: Exception) -> None:
        self._fail(not_written(error, self._thinning))

    def _give_up(self) -> None:
        self._fail(no_ack_within(_ACK_TIMEOUT))

    # ---- SendRoom

    @property
    def buffered(self) -> int:
        """See SendRoom. Below UPLOAD_HIGH_WATER, it may be the number after the last ``send``."""
        if self._buffer.is_full:
            return _FULL
        # The transport is asked only if the number may be large. Asking it for each item of an
        # upload would add 0.2 µs to each item. Since the last ``send``, only Acks and pings are
        # written, which are small.
        if self._written <= UPLOAD_HIGH_WATER:
            return self._written
        return self._transport.buffered

    async def drain(self) -> None:
        """See SendRoom."""
        await self._output.wait_for_room()
        await self._transport.drain()

    # ---- ClientSocketUser

    @property
    def progress(self) -> int:
        """See ClientSocketUser."""
        return self._buffer.progress

    def socket_resumed(self) -> bytes:
        """See ClientSocketUser. Messages that were received and not handled are dropped.

        The server sends them again, because they are not acknowledged.
        """
        self._pump.restart()
        self._written = _FULL
        try:
            first = self._peer.resume(self._loop.time())
        except Exception as error:  # a user's hub protocol can raise anything
            self._fail_with(error)
            return b""
        self._acks.start()
        level = self._thinning.level("resumed", level=logging.INFO)
        logger.log(level, "A connection was lost, and continues on a new socket.")
        return first
