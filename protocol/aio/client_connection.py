"""One physical connection of a client: handshake, calls and answers, pings, and why it ended.

Reconnecting means making a new one of these; that, and what users see, is ``client``.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw

from ..calls import CallLedger
from ..errors import (
    ArgumentBindingError,
    ConnectionClosed,
    HandshakeError,
    HubException,
    LocalProtocolError,
    MessageTooLargeError,
    NotConnectedError,
    ProtocolError,
    ServerTimeoutError,
)
from ..handshake import ClientHandshake
from ..hub_protocol import HubProtocol, ValueReader
from ..keepalive import KeepAlive, KeepAliveAction
from ..messages import (
    VOID,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    Ping,
    ReceivedMessage,
    Role,
    StreamItem,
)
from ..peer import HubPeer
from .client_options import HubConnectionOptions
from .event_queue import EventQueue
from .handlers import HandlerRegistry
from .transport import ClientTransport

logger = logging.getLogger(__name__)

_TICK: Final = 1.0
_NO_STREAM: Final = "Streaming hub methods must be called as streams, not invoked."  # C-10
_CONGESTED: Final = 1024 * 1024  # bytes waiting to be sent from which on callers wait (C-21)
_PAUSE: Final = 1024 * 1024  # bytes of waiting events from which on nothing more is read (C-21)


@dataclass(slots=True)
class _Call:
    answer: "asyncio.Future[Any]"
    read_result: ValueReader
    result_type: Any


class ClientConnection:
    """Drives one transport through one peer. Made by ``HubConnection``, used until it ends.

    ``on_end`` is called in the moment it ends, before anybody learns of it otherwise. The events
    of the connection before are handled before those of this one.
    """

    def __init__(
        self,
        transport: ClientTransport,
        hub_protocol: HubProtocol,
        handlers: HandlerRegistry,
        previous_events: EventQueue | None,
        options: HubConnectionOptions,
        on_end: Callable[[ConnectionClosed], None],
    ) -> None:
        self._transport = transport
        self._hub_protocol = hub_protocol
        self._handlers = handlers
        self._may_read = asyncio.Event()
        self._is_paused = False
        self._attention = min(_PAUSE, options.maximum_waiting_events_size)
        self.events = EventQueue(handlers, previous_events, self._may_read.set)
        self._options = options
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._handshake = ClientHandshake(hub_protocol)
        self._peer = HubPeer(
            Role.CLIENT,
            self._handshake,
            KeepAlive(
                Role.CLIENT,
                interval=options.keep_alive_interval,
                timeout=options.server_timeout,
                now=self._loop.time(),
            ),
            options.maximum_receive_message_size,
        )
        self._calls: CallLedger[_Call] = CallLedger()
        self._ping = hub_protocol.encode(Ping())
        self._rest = b""  # what came behind the handshake response
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[None] | None = None
        self._end: ConnectionClosed | None = None
        self._leaving: asyncio.Task[None] | None = None

    # ---- begin and end

    async def start(self) -> None:
        """Performs the handshake (C-1).

        Raises HandshakeError when the server refuses, answers nonsense, or says nothing in time;
        the transport is closed then.
        """
        try:
            async with asyncio.timeout(self._options.handshake_timeout):
                await self._shake_hands()
        except TimeoutError:
            self._leave()
            raise HandshakeError(
                f"The server did not answer the handshake within "
                f"{self._options.handshake_timeout:g} seconds."
            ) from None
        except HandshakeError:
            self._leave()
            raise
        except BaseException:
            self._transport.abort()
            raise
        if not self._transport.has_inherent_keep_alive:
            self._peer.keep_alive.heard(self._loop.time())
            self._transport.write(self._ping)  # arms the server's client timeout (H-13)
            self._timer = self._loop.call_later(_TICK, self._tick)
        self._reader = self._loop.create_task(self._read())

    async def _shake_hands(self) -> None:
        self._transport.write(self._handshake.request())
        while True:
            try:
                data = await self._transport.receive()
            except ProtocolError as error:
                raise HandshakeError(str(error), summary=error.summary) from error
            if data is None:
                raise HandshakeError("The server disconnected before sending a handshake response")
            rest = self._peer.receive_handshake(data)
            if rest is not None:
                self._rest = rest
                return

    async def wait_until_ended(self) -> ConnectionClosed:
        """Why the connection has ended; all calls in flight have failed with it by then."""
        assert self._reader is not None, "not started"
        await asyncio.wait({self._reader})  # which may be cancelled before its first step
        assert self._end is not None, "the reader ends with a reason"
        return self._end

    async def stop(self) -> None:
        """Says goodbye and ends the connection (C-17)."""
        if self._end is None:
            self._transport.write(self._hub_protocol.encode(Close()))
            self._finish(ConnectionClosed("The connection was stopped.", allow_reconnect=False))
        await self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once, without a word."""
        self._transport.abort()
        self._finish(ConnectionClosed("The connection was given up.", allow_reconnect=False))

    def _leave(self) -> None:
        """Ends the transport in an orderly way; nobody waits for a server that may be silent."""
        self._leaving = self._loop.create_task(self._transport.close())

    def _finish(self, end: ConnectionClosed) -> None:
        """The first reason counts; calls in flight end now (R-3)."""
        if self._end is not None:
            return
        self._end = end
        if self._timer is not None:
            self._timer.cancel()
        self._on_end(end)
        for call in self._calls.drain():
            if not call.answer.done():
                call.answer.set_exception(_copy(end))
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK, self._tick)
        if self._is_paused:  # the server's messages are not read: its clock stands still
            self._peer.keep_alive.heard(self._loop.time())
        match self._peer.keep_alive.tick(self._loop.time()):
            case KeepAliveAction.PING:
                self._transport.write(self._ping)
            case KeepAliveAction.TIMEOUT:
                milliseconds = self._options.server_timeout * 1000
                self._leave()
                self._finish(
                    ServerTimeoutError(
                        f"Server timeout ({milliseconds:.2f}ms) elapsed without receiving a "
                        "message from the server."
                    )
                )
            case KeepAliveAction.NOTHING:
                pass

    # ---- receiving

    async def _read(self) -> None:
        try:
            await self._receive(self._rest)
            while self._end is None:
                data = await self._transport.receive()
                if data is None:
                    self._peer.receive_end()
                    break
                await self._receive(data)
        except ProtocolError as error:
            end = ConnectionClosed(str(error), summary=error.summary)
            end.__cause__ = error
            self._finish(end)
        except asyncio.CancelledError:
            if self._end is None:  # not by us: the loop is being torn down
                self._finish(ConnectionClosed("The connection was cancelled."))
                raise
        except Exception as error:
            logger.exception("Reading from the server failed unexpectedly.")
            self._finish(ConnectionClosed(f"Reading failed: {type(error).__name__}"))
        except (KeyboardInterrupt, SystemExit) as error:  # which end the loop
            self._finish(ConnectionClosed(f"Reading failed: {type(error).__name__}"))
            raise
        self._finish(ConnectionClosed("The server ended the connection."))
        if self._leaving is None:
            await self._transport.close()

    async def _receive(self, data: bytes) -> None:
        for message in self._peer.receive_data(data, self._loop.time()):
            self._handle(message)
            if self._end is not None:
                return  # nothing behind a Close counts (C-15)
            if self.events.size > self._attention:
                await self._wait_for_handlers()
            if self._transport.buffered > _CONGESTED:  # by answers that the server does not read
                await self._transport.drain()

    async def _wait_for_handlers(self) -> None:
        """Pauses reading while much is waiting, unless a call waits for what comes behind it."""
        while self.events.size > _PAUSE and not self._calls and self._end is None:
            self._may_read.clear()
            self._is_paused = True
            try:
                await self._may_read.wait()
            finally:
                self._is_paused = False
        limit = self._options.maximum_waiting_events_size
        if self.events.size > limit and self._calls and self._end is None:
            self._leave()
            self._finish(
                ConnectionClosed(
                    f"More than {limit} bytes of events wait for their handlers while a call waits "
                    "for its answer (with_maximum_waiting_events_size)."
                )
            )

    def _handle(self, message: ReceivedMessage) -> None:
        match message:
            case Completion():
                call = self._calls.close(message.invocation_id)
                if call is not None and not call.answer.done():
                    self._complete(call, message)
            case StreamItem():
                call = self._calls.close(message.invocation_id)
                if call is not None and not call.answer.done():
                    call.answer.set_exception(LocalProtocolError(_NO_STREAM))
            case Invocation():
                self._hub_protocol.require_arguments(message.arguments)
                self.events.put(message)
                if message.invocation_id:
                    error = self._handlers.refusal(message)
                    self._write(Completion(invocation_id=message.invocation_id, error=error))
            case Close():
                text = summary = "The server closed the connection."
                if message.error:
                    summary = "The server closed the connection with an error."
                    text = (
                        "The server closed the connection with the following error: "
                        f"{message.error}"
                    )
                self._finish(ConnectionClosed(text, message.allow_reconnect, summary=summary))
            case _:
                pass  # no streams are open, and acks were not agreed on

    def _complete(self, call: _Call, completion: Completion) -> None:
        if completion.error:
            call.answer.set_exception(HubException(completion.error))
            return
        result = completion.result
        if result == VOID:  # a void completion is as good as null (C-25)
            if call.result_type is Raw:
                call.answer.set_result(VOID)
                return
            result = self._hub_protocol.encode_value(None)
        try:
            call.answer.set_result(call.read_result(result))
        except ArgumentBindingError as error:
            name = getattr(call.result_type, "__name__", str(call.result_type))
            call.answer.set_exception(
                HubException(f"Error trying to deserialize result to {name}. {error}")
            )

    # ---- sending

    async def invoke(self, target: str, arguments: Sequence[Any], result_type: Any) -> Any:
        """See HubConnection.invoke."""
        call = _Call(
            self._loop.create_future(), self._hub_protocol.value_reader(result_type), result_type
        )
        await self._wait_for_room()
        invocation_id = self._calls.next_id()
        self._write_invocation(target, arguments, invocation_id)
        self._calls.open(invocation_id, call)
        self._may_read.set()  # the answer may come behind any number of events
        try:
            return await call.answer
        except asyncio.CancelledError:
            if self._calls.close(invocation_id) is not None and self._end is None:
                self._write(CancelInvocation(invocation_id=invocation_id))  # C-8, S-27
            raise

    async def send(self, target: str, arguments: Sequence[Any]) -> None:
        """See HubConnection.send."""
        await self._wait_for_room()
        self._write_invocation(target, arguments, "")

    async def _wait_for_room(self) -> None:
        if self._transport.buffered > _CONGESTED:
            await self._transport.drain()
        if self._end is not None:
            raise NotConnectedError("The connection is not active.") from self._end

    def _write_invocation(self, target: str, arguments: Sequence[Any], invocation_id: str) -> None:
        frame = self._hub_protocol.encode(
            Invocation(
                invocation_id=invocation_id,
                target=target,
                arguments=self._hub_protocol.encode_arguments(arguments),
            )
        )
        limit = self._options.maximum_send_message_size
        if limit is not None and len(frame) > limit:
            raise MessageTooLargeError(len(frame), limit)
        self._send_frame(frame)

    def _write(self, message: Completion | CancelInvocation) -> None:
        self._send_frame(self._hub_protocol.encode(message))

    def _send_frame(self, frame: bytes) -> None:
        self._transport.write(frame)
        self._peer.keep_alive.sent(self._loop.time())


def _copy(end: ConnectionClosed) -> ConnectionClosed:
    """Each waiter raises an exception of its own: a shared one would collect all tracebacks."""
    copy = type(end)(str(end), end.allow_reconnect, summary=end.summary)
    copy.__cause__ = end.__cause__
    return copy
