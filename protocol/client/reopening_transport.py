"""Stateful reconnect on a client: a transport that outlives the loss of its socket (SR-9, SR-11).

The connection uses it like any other transport. Its sockets are transports themselves.
``resumption`` decides what a new socket gets first. A ``Connector`` opens the sockets.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from ..aio.cancellation import is_being_cancelled
from ..aio.transport import Receiver, Transport
from .endings import not_resumed

Reopen = Callable[[], Awaitable[Transport]]
"""Opens another socket for a connection that has lost its socket."""

_MAXIMUM_FRUITLESS: Final = 5
"""After this many fruitless sockets in a row, the connection is lost."""

_SHORT_LIFE: Final = 1.0  # seconds


class ClientSocketUser(Protocol):
    """The connection above a ``ReopeningTransport``."""

    @property
    def progress(self) -> int:
        """Grows with each new message that this client receives or that the server acknowledges."""

    def socket_resumed(self) -> bytes:
        """Returns the first bytes for a new socket."""


class ReopeningTransport:
    """A ``Transport`` that replaces its socket when the socket is cut. The first is ``socket``.

    It makes one attempt to open another socket, at once. While there is no socket, written bytes
    are dropped. If the attempt fails, or the server has closed the socket, the receiver loses the
    connection. ``write`` is the method of the present socket, so callers must not keep it.

    A socket is fruitless if nothing was received on it. It is also fruitless if it was lost within
    a second without ``progress``: both ends repeat old messages on every socket. After several
    fruitless sockets in a row, the receiver loses the connection.
    """

    has_inherent_keep_alive: Final = False
    was_cut: Final = False

    def __init__(self, socket: Transport, reopen: Reopen) -> None:
        self.can_resume = False
        """Whether a socket that is cut is replaced."""
        self._socket = socket
        # Not a method, which would add 0.1 µs to each message.
        self.write: Callable[[bytes], int] = socket.write
        self._reopen = reopen
        self._reopening: asyncio.Task[None] | None = None  # set while there is no socket
        self._receiver: Receiver | None = None
        self._user: ClientSocketUser | None = None
        self._is_paused = False
        self._fruitless = 0  # sockets in a row that were fruitless
        self._progress = 0  # of the connection, when its last socket was lost
        self._opened_at = -math.inf
        self._has_received = False  # on the present socket

    def set_user(self, user: ClientSocketUser) -> None:
        """Sets the connection. Called once, before ``can_resume`` is set."""
        self._user = user

    async def _resume(self) -> None:
        assert self._receiver is not None
        try:
            socket = await self._reopen()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a token factory may raise anything
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            self._reopening = None
            self._receiver.connection_lost(not_resumed(error))
            return
        self._reopening = None
        self._socket = socket
        self.write = socket.write
        self._opened_at = asyncio.get_running_loop().time()
        self._has_received = False
        if not self.can_resume:  # the connection has ended, and will close this socket
            return
        assert self._user is not None
        socket.write(self._user.socket_resumed())
        socket.flush()
        if self._is_paused:
            socket.pause_reading()
        socket.set_receiver(_SocketReceiver(self, socket))

    def socket_received(self, data: bytes) -> None:
        """Passes on what the present socket has received."""
        assert self._receiver is not None
        self._has_received = True
        self._receiver.data_received(data)

    def socket_lost(self, socket: Transport, error: Exception | None) -> None:
        """Replaces ``socket`` if it was cut. Otherwise the connection ends."""
        assert self._receiver is not None
        if error is not None or not socket.was_cut or not self.can_resume:
            self._receiver.connection_lost(error)
            return
        assert self._user is not None
        progress = self._user.progress
        self._fruitless = self._fruitless + 1 if self._was_fruitless(progress) else 0
        self._progress = progress
        if self._fruitless >= _MAXIMUM_FRUITLESS:
            self._receiver.connection_lost(None)
            return
        self.write = _drop
        self._reopening = asyncio.get_running_loop().create_task(self._resume())

    def _was_fruitless(self, progress: int) -> bool:
        """Whether the lost socket was fruitless. ``progress`` is its value at the loss."""
        if progress > self._progress:
            return False
        lifetime = asyncio.get_running_loop().time() - self._opened_at
        return lifetime < _SHORT_LIFE or not self._has_received

    # ---- Transport

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport."""
        self._receiver = receiver
        self._socket.set_receiver(_SocketReceiver(self, self._socket))

    def flush(self) -> None:
        """See Transport."""
        if self._reopening is None:
            self._socket.flush()

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._socket.buffered if self._reopening is None else 0

    async def drain(self) -> None:
        """See Transport."""
        if self._reopening is None:
            await self._socket.drain()

    def pause_reading(self) -> None:
        """See Transport."""
        self._is_paused = True
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """See Transport."""
        self._is_paused = False
        self._socket.resume_reading()

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self.can_resume = False
        reopening = self._reopening
        if reopening is not None:
            reopening.cancel()
            await asyncio.wait({reopening})
        await self._socket.close(failed=failed)

    def abort(self) -> None:
        """See Transport."""
        self.can_resume = False
        if self._reopening is not None:
            self._reopening.cancel()
        self._socket.abort()


def _drop(_data: bytes) -> int:
    return 0


class _SocketReceiver:
    """Passes on what one socket receives."""

    __slots__ = ("_socket", "_transport", "data_received")

    def __init__(self, transport: ReopeningTransport, socket: Transport) -> None:
        self._transport = transport
        self._socket = socket
        self.data_received = transport.socket_received

    def connection_lost(self, error: Exception | None) -> None:
        """See Receiver."""
        self._transport.socket_lost(self._socket, error)
