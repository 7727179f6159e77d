"""The identity of one connection on the server, and the queue of messages sent to it.

Bounds the send buffer of a client that does not read: when the buffer is full, messages are dropped
or the connection is cut. ``connection`` and ``dispatcher`` receive messages and run calls.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..aio.counted_output import CountedOutput
from ..aio.transport import Transport, TransportLimits
from ..errors import RemoteProtocolError, SignalRError
from ..hub_protocol import HubProtocol, SerializedHubMessage
from ..messages import Close, Completion, HubMessage
from .authentication import Principal, default_user_id
from .context import HubCallerContext
from .http_request import HttpRequestData
from .options import HubOptions, SlowClientPolicy
from .refusal_log import RefusalLog
from .slow_client_log import SlowClientLog
from .waiting_messages import CLOSING, MessageQueue, WaitingMessages

_PAUSE: Final = 0.1
"""Seconds before a transport that has no room after ``drain`` is checked again: it may be dead."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ends: the Close for the client, the error for OnDisconnected (L-4, L-5)."""

    close: Close | None
    error: Exception | None = None


class HubConnectionContext(HubCallerContext):
    """A connected client, as the lifetime manager and the dispatcher see it."""

    def __init__(
        self,
        connection_id: str,
        http_request: HttpRequestData,
        user: Principal | None,
        transport: Transport,
        options: HubOptions,
        limits: TransportLimits | None = None,
        log: RefusalLog | None = None,
        user_id: Callable[[Principal], str | None] | None = None,
    ) -> None:
        id_of = user_id or options.user_id or default_user_id
        super().__init__(connection_id, http_request, user, id_of)
        self.ending: Ending | None = None
        self.on_end: Callable[[], None] = lambda: None
        """Called once, when ``ending`` has been set."""
        self.options = options
        self.log = RefusalLog("Hub") if log is None else log
        self.slow_log = SlowClientLog(connection_id, self.log.thinning)
        self.results: dict[str, asyncio.Future[Completion | None]] = {}
        """The pending client results by invocation id. A result is None if the connection ends."""
        self._transport: Transport | CountedOutput = transport
        self._write: Callable[[bytes], int] = transport.write
        self.counted: CountedOutput | None = None
        """Counts all messages and holds some back, for stateful reconnect."""  # SR-8
        self.is_congested = False
        """Whether the buffer was above its high-water mark after the last write.

        A sender that sends to this client alone then awaits ``drain``.
        """  # TG-8
        self._hub_protocol: HubProtocol | None = None
        self.limits = limits or TransportLimits()
        self._high_water = self.limits.transport_max_buffer_size
        self._maximum_buffered = options.maximum_outbound_buffer_size
        self._flush_mark = min(self._high_water, self._maximum_buffered)
        self._may_drop = options.slow_client_policy is SlowClientPolicy.DROP
        self._dropped = 0  # messages dropped since the buffer last had room
        self._waiting: WaitingMessages | None = None  # None: no message waits
        self._moving: asyncio.Task[None] | None = None  # moves the waiting messages

    @property
    def hub_protocol(self) -> HubProtocol:
        """See HubCallerContext."""
        assert self._hub_protocol is not None, "the handshake is not done"
        return self._hub_protocol

    @hub_protocol.setter
    def hub_protocol(self, hub_protocol: HubProtocol) -> None:
        self._hub_protocol = hub_protocol
        self._write = self._transport.write  # the socket may be another one by now (SR-21)

    def count_messages(self, output: CountedOutput) -> None:
        """Sends all messages through ``output`` from now on."""
        self._transport = self.counted = output
        self._write = output.write

    @property
    def is_full(self) -> bool:
        """Whether a sender has to wait for room in the transport or in the message buffer."""
        if self.counted is not None and self.counted.holds_back:
            return True
        return self._transport.buffered > self._high_water

    def send(self, message: HubMessage) -> None:
        """Queues a message to this connection alone."""
        self.write(self.hub_protocol.encode(message))

    def send_serialized(
        self, message: SerializedHubMessage, queue: MessageQueue | None = None
    ) -> bool:
        """Queues a message that goes to many connections, or drops it for this connection.

        If ``queue`` has a policy other than CLOSE, the message waits outside of the transport while
        the buffer is above its high-water mark. Later messages wait behind it. Any other message is
        dropped if the hub's SlowClientPolicy is DROP and the send buffer has no room. Returns
        whether this call took more time than queueing: the message waits or was dropped, or
        ``write`` has returned True.
        """
        assert self._hub_protocol is not None  # not the property, which is slow in a broadcast
        frame = message.frame(self._hub_protocol)
        if queue is not None or self._waiting is not None:
            return self._send_in_order(frame, queue or CLOSING)
        if self._may_drop and self._may_lack_room(len(frame)) and self._must_drop(len(frame)):
            return True
        return self.write(frame)

    def _send_in_order(self, frame: bytes, queue: MessageQueue) -> bool:
        """Writes a frame, or lets it wait if the transport has no room or other frames wait."""
        if self.ending is not None:
            return False
        if self._waiting is None:
            if self.counted is None and self._transport.buffered <= self._high_water:
                return self.write(frame)  # the usual case
            if self.is_full:
                self._transport.flush()
            if not self.is_full:
                return self.write(frame)
            self._waiting = WaitingMessages(self._maximum_buffered)
            self._moving = asyncio.get_running_loop().create_task(self._move(self._waiting))
        waiting, buffered = self._waiting, self._transport.buffered
        had_missed = waiting.missed > 0
        if not waiting.put(frame, queue, buffered):
            self._cut_off(buffered)
        elif waiting.missed and not had_missed:
            self.slow_log.misses_messages(buffered)
        return True

    async def _move(self, waiting: WaitingMessages) -> None:
        """Moves the waiting frames to the transport as the client reads."""
        while waiting:
            await self._transport.drain()
            if self.is_full:
                await asyncio.sleep(_PAUSE)
            while waiting and not self.is_full:
                self.write(waiting.take())
        self._waiting = None
        if waiting.missed:
            self.slow_log.reads_again(waiting.missed)

    def _may_lack_room(self, size: int) -> bool:
        """Whether the buffer seems to have no room. ``_must_drop`` decides after a flush."""
        return self._dropped > 0 or self._transport.buffered + size > self._maximum_buffered

    def _must_drop(self, size: int) -> bool:
        """Whether the send buffer has no room for ``size`` bytes. Counts and logs the drops."""
        self._transport.flush()
        buffered = self._transport.buffered
        if not buffered or buffered + size <= self._maximum_buffered:
            if self._dropped:
                self.slow_log.reads_again(self._dropped)
                self._dropped = 0
            return False
        if not self._dropped:
            self.slow_log.misses_messages(buffered)
        self._dropped += 1
        return True

    def write(self, frame: bytes) -> bool:
        """Queues an encoded message. Does nothing if the connection has ended.

        Returns whether this call flushed a full buffer to the socket, which takes more time than
        queueing.
        """  # G-7
        if self.ending is None:
            if self._write(frame) > self._flush_mark:
                self._flush_full_buffer(len(frame))
                return True
            if self.is_congested:
                self.is_congested = False
        return False

    def _flush_full_buffer(self, last_frame: int) -> None:
        """Flushes, and cuts the connection if more bytes than the maximum are left.

        Only bytes that the socket does not take count, so a burst in one turn of the event loop
        does not cut a client that reads. An empty buffer takes a message larger than the maximum,
        because this message could never be sent otherwise.
        """
        self._transport.flush()
        buffered = self._transport.buffered
        self.is_congested = self.is_full
        waiting = buffered - last_frame
        if waiting > 0 and waiting + last_frame > self._maximum_buffered:
            self._cut_off(waiting)

    def _cut_off(self, waiting: int) -> None:
        self.slow_log.cut_off(waiting)
        self.cut(SlowClientError("The client does not read what is sent to it."))

    async def drain(self) -> None:
        """Waits while the connection ``is_congested``. If the wait is too long, cuts it."""  # TG-9
        if not self.is_congested:
            return
        self.is_congested = self.is_full
        if not self.is_congested or self.ending is not None:
            return
        try:
            async with asyncio.timeout(self.limits.transport_send_timeout):
                await self._transport.drain()
        except TimeoutError:
            self._cut_after_timeout()

    async def drain_answers(self) -> None:
        """Like ``drain``, but does not wait if only a few answers are held back for an Ack.

        The Ack may arrive behind calls that run only after the caller has returned.
        """
        if self.counted is None or not self.counted.may_hold_more:
            await self.drain()

    def _cut_after_timeout(self) -> None:
        if self.ending is None:  # a transport that is closing has a timeout of its own
            self.slow_log.timed_out()
            self.cut(SlowClientError("The client took too long to read."))

    def open_result(self, invocation_id: str) -> asyncio.Future[Completion | None]:
        """A future of the client's answer to the call with this id. The caller sends the call.

        The answer is None when the connection has ended, or ends before the client answers. The
        caller removes the entry in ``results`` when it no longer waits.
        """
        answer = asyncio.get_running_loop().create_future()
        if self.ending is not None or self.connection_aborted.is_set():
            answer.set_result(None)
        else:
            self.results[invocation_id] = answer
        return answer

    def fail_results(self) -> None:
        """Ends all calls that wait for an answer of this client, because no answer will come."""
        for answer in self.results.values():
            if not answer.done():  # it is cancelled if its caller was cancelled in this turn
                answer.set_result(None)
        self.results.clear()

    def end(self, ending: Ending) -> None:
        """Ends the connection. Only the first ``ending`` counts."""
        if self.ending is None:
            self.ending = ending
            if self._moving is not None:
                self._moving.cancel()
            self._waiting = None
            self.on_end()
            self.fail_results()

    def cut(self, error: Exception) -> None:
        """Ends the connection without a Close, which would wait behind the buffered bytes."""
        self.end(Ending(None, error))
        self._transport.abort()

    def close(self, reason: str | None = None) -> bool:
        """Ends the connection with a Close whose error is ``reason``.

        Returns False if the connection has ended already.
        """
        if self.ending is not None:
            return False
        self.end(Ending(Close(error=reason) if reason else Close()))
        return True

    def abort(self) -> None:
        """See HubCallerContext."""
        self.end(Ending(Close()))


class SlowClientError(SignalRError):
    """The error that OnDisconnected gets for a client that did not read."""

    exception_name = "OperationCanceledException"


class UnacknowledgedError(SlowClientError):
    """The error that OnDisconnected gets for a client that did not acknowledge messages (SR-8)."""

    def __init__(self) -> None:
        super().__init__("The operation was canceled.")


class ClientTimeoutError(RemoteProtocolError):
    """The client was silent for longer than the client timeout interval (K-3)."""

    def __init__(self) -> None:
        super().__init__(
            "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
            "OperationCanceledException",
        )
