"""``MemoryLink``: a link between transports in memory."""

from collections.abc import Callable

from .link import Link, LinkConnection
from .memory_transport import MemoryTransport


class MemoryLink(Link):
    """Carries connections between transports in memory.

    ``connect`` opens a connection. A test passes one of its ends to a client and the other to a
    server.
    """

    def connect(self) -> tuple[MemoryTransport, MemoryTransport]:
        """Opens a connection, and returns the client's and the server's end.

        Raises ConnectionRefusedError while the link does not accept connections.
        """
        if not self.accepts:
            raise ConnectionRefusedError("The link does not accept connections.")
        client, server = MemoryTransport(), MemoryTransport()
        near, far = _MemoryEnd(client), _MemoryEnd(server)
        connection = LinkConnection(self, near, far)
        near.join(connection)
        far.join(connection)
        return client, server


class _FlushedTransport(MemoryTransport):
    """Calls a function after each flush."""

    after_flush: Callable[[], object] = staticmethod(lambda: None)

    def flush(self) -> None:
        super().flush()
        self.after_flush()


class _MemoryEnd:
    """The link's end of a pair of transports. It is a ``LinkEnd`` and a ``Receiver``."""

    def __init__(self, other: MemoryTransport) -> None:
        self._transport = _FlushedTransport()
        self._transport.peer, other.peer = other, self._transport

    def join(self, connection: LinkConnection) -> None:
        """Carries bytes from now on."""
        self._connection = connection
        self._out = connection.pipe_from(self)
        self._transport.after_flush = connection.pipe_to(self).deliver
        self._transport.set_receiver(self)

    # ---- Receiver

    def data_received(self, data: bytes) -> None:
        self._out.put(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._out.finish(error)
        self._connection.lost(self)

    # ---- LinkEnd

    @property
    def is_full(self) -> bool:
        return self._transport.buffered > 0 and self._transport.peer._paused

    def write(self, data: bytes) -> object:
        return self._transport.write(data)

    def finish(self, error: Exception | None) -> None:
        self._transport.flush()
        if error is None:
            self._transport.finish()
        else:
            self._transport.fail(error)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def cut(self, *, reset: bool) -> None:
        self._transport.after_flush = lambda: None
        self._transport.flush()  # these bytes count as passed
        self._transport.abort()
