"""Stateful reconnect on a server: a transport that outlives the loss of its socket (SR-9, SR-10).

The connection uses it like any other transport. The host exchanges its sockets, which are
transports themselves. ``resumption`` decides what a new socket gets first. ``hosting`` decides
which requests bring a new socket.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from ..aio.transport import Receiver, ServerTransport
from ..hub_protocol import TransferFormat
from .http_request import HttpRequestData


class ServerSocketUser(Protocol):
    """The connection above a ``ResumableTransport``."""

    def socket_lost(self) -> None:
        """The connection has no socket for a time."""

    def socket_exchanged(self, request: HttpRequestData) -> bytes:
        """Returns the first bytes for the new socket, which ``request`` has opened."""


class ResumableTransport:
    """A ``ServerTransport`` whose socket can be exchanged. The first one is ``socket``.

    While there is no socket, written bytes are dropped. If there is no socket for ``gap`` seconds,
    or if the peer closes a socket, the receiver loses the connection. ``write`` is the method of
    the present socket, so callers must not keep it.
    """

    was_cut: Final = False

    def __init__(self, socket: ServerTransport, gap: float) -> None:
        self.has_inherent_keep_alive: Final = socket.has_inherent_keep_alive
        self.limits: Final = socket.limits
        self.transfer_formats: Final = socket.transfer_formats
        self.can_resume = True
        """Whether the socket may be exchanged."""
        self._gap = gap
        self._loop = asyncio.get_running_loop()
        self._socket: ServerTransport | None = socket
        # Not a method, which would add 0.1 µs to each message.
        self.write: Callable[[bytes], int] = socket.write
        self._left: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None  # set while there is no socket
        self._receiver: Receiver | None = None
        self._user: ServerSocketUser | None = None
        self._format: TransferFormat | None = None
        self._is_paused = False

    def set_user(self, user: ServerSocketUser) -> None:
        """Sets the connection. Called once, before the first socket can be lost."""
        self._user = user

    def exchange(self, socket: ServerTransport, request: HttpRequestData) -> None:
        """Continues on ``socket``. The last socket is cut without a Close, if it still lives."""
        assert self._user is not None
        assert self._receiver is not None
        last = self._socket
        self._leave()
        if last is not None:
            last.abort()
        self._socket = socket
        self.write = socket.write
        self._left = self._loop.create_future()
        if self._format is not None:
            socket.use_transfer_format(self._format)
        first = self._user.socket_exchanged(request)
        if first:
            socket.write(first)
            socket.flush()
        if self._is_paused:
            socket.pause_reading()
        socket.set_receiver(_SocketReceiver(self, socket, self._receiver))

    @property
    def left(self) -> asyncio.Future[None]:
        """Done when the present socket is lost, closed or exchanged."""
        return self._left

    def uses(self, socket: ServerTransport) -> bool:
        """Whether ``socket`` is the present one."""
        return socket is self._socket

    def socket_lost(self, socket: ServerTransport, error: Exception | None) -> None:
        """Waits for another socket if ``socket`` was cut. Otherwise the connection ends."""
        assert self._user is not None
        assert self._receiver is not None
        if error is not None or not socket.was_cut or not self.can_resume:
            self.can_resume = False
            self._receiver.connection_lost(error)
            return
        self._leave()
        self._timer = self._loop.call_later(self._gap, self._give_up)
        self._user.socket_lost()

    def _give_up(self) -> None:
        assert self._receiver is not None
        self.can_resume = False
        self._receiver.connection_lost(None)

    def _leave(self) -> None:
        """Forgets the socket."""
        self._socket = None
        self.write = _drop
        if not self._left.done():
            self._left.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- ServerTransport

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport."""
        self._receiver = receiver
        if self._socket is not None:
            self._socket.set_receiver(_SocketReceiver(self, self._socket, receiver))

    def flush(self) -> None:
        """See Transport."""
        if self._socket is not None:
            self._socket.flush()

    @property
    def buffered(self) -> int:
        """See Transport."""
        return 0 if self._socket is None else self._socket.buffered

    async def drain(self) -> None:
        """See Transport."""
        if self._socket is not None:
            await self._socket.drain()

    def pause_reading(self) -> None:
        """See Transport."""
        self._is_paused = True
        if self._socket is not None:
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """See Transport."""
        self._is_paused = False
        if self._socket is not None:
            self._socket.resume_reading()

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport. Also sets the format of later sockets."""
        self._format = transfer_format
        if self._socket is not None:
            self._socket.use_transfer_format(transfer_format)

    def stop_receiving(self) -> None:
        """See ServerTransport."""
        self.can_resume = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.stop_receiving()

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self.can_resume = False
        try:
            if self._socket is not None:
                await self._socket.close(failed=failed)
        finally:
            self._leave()

    def abort(self) -> None:
        """See Transport."""
        self.can_resume = False
        if self._socket is not None:
            self._socket.abort()
        self._leave()


def _drop(_data: bytes) -> int:
    return 0


class _SocketReceiver:
    """Passes on what one socket receives, as long as the socket is in use."""

    __slots__ = ("_receiver", "_socket", "_transport")

    def __init__(
        self, transport: ResumableTransport, socket: ServerTransport, receiver: Receiver
    ) -> None:
        self._transport = transport
        self._socket = socket
        self._receiver = receiver

    def data_received(self, data: bytes) -> None:
        """See Receiver."""
        if self._transport.uses(self._socket):
            self._receiver.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """See Receiver."""
        if self._transport.uses(self._socket):
            self._transport.socket_lost(self._socket, error)
