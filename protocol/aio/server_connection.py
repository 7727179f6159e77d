"""The life of one connection on a server: handshake, reading, and a proper end (section L).

The order at the end is fixed (TW-14): what is queued, the hub's Close, OnDisconnected, and only
then the end of the transport. Dispatch is left to ``dispatcher``, the clock to ``server``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ..errors import HandshakeError, RemoteProtocolError, TransportViolationError, error_details
from ..handshake import HANDSHAKE_CANCELED, SUCCESS_RESPONSE, ServerHandshake, write_response
from ..hub_protocol import HubProtocol
from ..keepalive import KeepAlive, KeepAliveAction
from ..messages import Close, Ping, Role
from ..peer import HubPeer
from .call_queue import CallQueue
from .connection import Ending, HubConnectionContext
from .dispatcher import HubDispatcher
from .hub import Hub, HubMethodTable
from .invoker import HubInvoker
from .lifetime import HubLifetimeManager
from .options import HubOptions
from .transport import ServerTransport

logger = logging.getLogger(__name__)

_CLOSED_WITH_ERROR: Final = "Connection closed with an error."


class ClientTimeoutError(RemoteProtocolError):
    """The client was silent for longer than the client timeout interval (K-3)."""

    def __init__(self) -> None:
        super().__init__(
            "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
            "OperationCanceledException",
        )


class ServerConnection:
    """Drives one connection from its first byte to its last.

    ``activate`` gives a new instance of ``hub_class`` for this connection; ``protocols`` are those
    on offer, by lower-case name.
    """

    def __init__(
        self,
        connection: HubConnectionContext,
        transport: ServerTransport,
        *,
        options: HubOptions,
        protocols: Mapping[str, HubProtocol],
        methods: HubMethodTable,
        lifetime: HubLifetimeManager,
        hub_class: type[Hub],
        activate: Callable[[], Hub],
    ) -> None:
        self.connection = connection
        self._transport = transport
        self._options = options
        self._methods = methods
        self._lifetime = lifetime
        self._hub_class = hub_class
        self._activate = activate
        loop = asyncio.get_running_loop()
        self._handshake_timer = loop.call_later(options.handshake_timeout, self._give_up_handshake)
        self._peer = HubPeer(
            Role.SERVER,
            ServerHandshake(
                protocols,
                transfer_formats=transport.transfer_formats,
                maximum_size=options.maximum_receive_message_size,
                detailed_errors=options.enable_detailed_errors,
            ),
            KeepAlive(
                Role.SERVER,
                interval=options.keep_alive_interval,
                timeout=options.client_timeout_interval,
                now=loop.time(),
            ),
            options.maximum_receive_message_size,
        )
        self._queue = CallQueue(
            connection,
            self._peer,
            connection.limits.application_max_buffer_size,
            self._fail,
        )
        self._dispatcher = HubDispatcher(
            connection, self._queue, options.maximum_parallel_invocations_per_client
        )
        self._ping = b""
        self._refusal = ""  # of the handshake
        self._registered = False
        self._connected = False  # on_connected has succeeded: on_disconnected is owed
        self._connecting: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Returns when the connection has ended and everybody was told."""
        self._task = asyncio.current_task()
        self.connection.on_end = self._stop_reading
        try:
            if self.connection.ending is None:  # as it is when the server is shutting down
                await self._read()
        except asyncio.CancelledError:
            if self.connection.ending is None or self._task is None or self._task.uncancel():
                self._dispatcher.stop()
                raise  # somebody else's cancellation
        except HandshakeError as error:
            self._refusal = str(error)
            self.connection.end(Ending(None, error))
        except TransportViolationError as error:
            self.connection.end(Ending(None, error))
        except Exception as error:
            self._fail(error)
        finally:
            self._handshake_timer.cancel()
            self.connection.on_end = lambda: None
        self.connection.end(Ending(Close(allow_reconnect=True)))  # unless there is a reason already
        await self._finish()

    def _stop_reading(self) -> None:
        """Interrupts the reader, unless it is the reader that found the reason to end."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    # ---- reading

    async def _read(self) -> None:
        rest = await self._read_handshake()
        if rest is not None:
            await self._accept()
            self._queue.inbox += rest
            await self._dispatcher.receive(self._transport)
            await self._transport.acknowledge_end()
            # What was sent before the end is served before it. A method that lasts until its
            # caller is gone has to learn of it now, or those behind it would wait for ever.
            self.connection.connection_aborted.set()
            await self._queue.wait_until_served()
        self._peer.receive_end()

    async def _read_handshake(self) -> bytes | None:
        """What follows the handshake; None when the client left before (H-11)."""
        inbox = bytearray()
        while await self._transport.receive_into(inbox, 0):
            rest = self._peer.receive_handshake(bytes(inbox))
            if rest is not None:
                return rest
            inbox.clear()
        await self._transport.acknowledge_end()
        return None

    async def _accept(self) -> None:
        """The handshake is done: answer, register, call OnConnected, serve (H-14, L-1, L-2)."""
        self._handshake_timer.cancel()
        hub_protocol = self._peer.hub_protocol
        self.connection.hub_protocol = hub_protocol
        self._ping = hub_protocol.encode(Ping())
        self._transport.use_transfer_format(hub_protocol.transfer_format)
        self._transport.write(SUCCESS_RESPONSE)
        self._registered = True
        await self._lifetime.on_connected(self.connection)
        if self._hub_class.on_connected is Hub.on_connected:
            self._serve()
        else:  # in a task of its own: the reader has to notice when the client leaves meanwhile
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        if failure := await self._call_hub("on_connected", lambda hub: hub.on_connected()):
            self._end_with_failure(failure)
        else:
            self._serve()

    async def _call_hub(
        self, name: str, call: Callable[[Hub], Awaitable[None]]
    ) -> BaseException | None:
        """Calls one of the hub's two events; how it failed, if it did.

        It has a task of its own, so that whatever it does to its task ends this event alone.
        """

        async def run() -> None:
            await call(self._activate())

        event = asyncio.create_task(run())
        await asyncio.wait({event})
        error = asyncio.CancelledError() if event.cancelled() else event.exception()
        if error is not None:
            logger.error("%s.%s failed.", self._hub_class.__name__, name, exc_info=error)
        return error

    def _serve(self) -> None:
        self._connected = True
        hub_protocol = self._peer.hub_protocol
        self._dispatcher.start(
            HubInvoker(
                self.connection,
                hub_protocol,
                self._methods.for_protocol(hub_protocol),
                self._activate,
                self._options.enable_detailed_errors,
            )
        )

    # ---- time

    def _give_up_handshake(self) -> None:
        if self.connection.ending is None:
            self._refusal = HANDSHAKE_CANCELED  # H-9
            self.connection.end(Ending(None))

    def tick(self, now: float) -> None:
        """Called about once a second: timeouts and pings."""
        self._transport.tick(now)
        if self.connection.ending is not None:
            return
        if not self._peer.is_connected:
            return
        if self._queue.is_full and self._transport.is_closed:
            self.connection.end(Ending(None))  # the reader waits for room and cannot notice
            return
        if self._queue.is_stalled:
            self._peer.keep_alive.heard(now)
        match self._peer.keep_alive.tick(now):
            case KeepAliveAction.PING:
                if not self._transport.has_inherent_keep_alive:  # TL-11
                    self.connection.ping(self._ping)
            case KeepAliveAction.TIMEOUT:
                self._end_with_error(ClientTimeoutError())
            case KeepAliveAction.NOTHING:
                pass

    # ---- the end

    def _fail(self, error: Exception) -> None:
        """The client's mistake, or ours, the lifetime manager's, the hub protocol's."""
        if isinstance(error, RemoteProtocolError):
            self._end_with_error(error)
        else:
            logger.error("A connection failed unexpectedly.", exc_info=error)
            self._end_with_failure(error)

    def _end_with_error(self, error: RemoteProtocolError) -> None:
        self.connection.end(Ending(Close(error=self._text(error), allow_reconnect=True), error))

    def _end_with_failure(self, error: BaseException) -> None:
        """As when OnConnected fails: no invitation to come again (L-3)."""
        self.connection.end(Ending(Close(error=self._text(error))))

    def _text(self, error: BaseException) -> str:
        return _CLOSED_WITH_ERROR + error_details(error, self._options.enable_detailed_errors)

    async def _finish(self) -> None:
        """Each step happens, whatever became of the one before; the transport always closes."""
        ending = self.connection.ending
        assert ending is not None
        if self._refusal:
            self._transport.write(write_response(self._refusal))
        elif ending.close is not None and self._peer.is_connected:
            self._transport.write(self._peer.hub_protocol.encode(ending.close))
        self._transport.flush()
        self._transport.stop_receiving()
        self.connection.connection_aborted.set()
        self._dispatcher.stop()
        if self._connecting is not None:
            await asyncio.wait({self._connecting})
        failed = False
        try:
            if self._connected and self._hub_class.on_disconnected is not Hub.on_disconnected:
                error = ending.error
                failed = None is not await self._call_hub(
                    "on_disconnected", lambda hub: hub.on_disconnected(error)
                )
            if self._registered:
                await self._lifetime.on_disconnected(self.connection)
        except Exception:
            logger.exception("A connection could not be forgotten.")
        finally:
            await self._transport.close(failed=failed)
