"""``TcpLink``: a link between the sockets of programs, as a TCP proxy on loopback."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from .link import Link, LinkConnection

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

Watch = Callable[[bytes], object]


class TcpLink(Link):
    """Listens on 127.0.0.1, and carries connections to the server at ``server_url``.

    ``async with`` opens and closes the listener. Clients connect to ``url``. The bytes are carried
    unchanged, so https works, too. While the link refuses connections, it closes each new
    connection at once.

    ``watch`` is called for each connection. The function that it returns gets all bytes of the
    client before they are carried. If that function raises ConnectionError, the connection is cut.
    """

    def __init__(self, server_url: str, *, watch: Callable[[], Watch] | None = None) -> None:
        super().__init__()
        self._server_url = url = urlsplit(server_url)
        if url.hostname is None or url.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"not an http, https, ws or wss URL with a host: {server_url!r}")
        self._server_address = url.hostname, url.port or _DEFAULT_PORTS[url.scheme]
        self._watch = watch
        self._connecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept, "127.0.0.1", 0
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._connecting:
            task.cancel()
        self.cut()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets in the next turn

    @property
    def port(self) -> int:
        """The port to which clients connect."""
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL to which clients connect: the server's URL with the address of the link."""
        return self._server_url._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def _accept(self) -> asyncio.Protocol:
        return _ClientEnd(self)

    def open(self, client: "_TcpEnd") -> None:
        """Connects to the server on behalf of a client."""
        if not self.accepts:
            client.cut(reset=False)
            return
        server = _TcpEnd()
        connection = LinkConnection(self, client, server)
        client.join(connection, None if self._watch is None else self._watch())
        server.join(connection, None)
        task = asyncio.get_running_loop().create_task(self._connect(connection, server))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: LinkConnection, server: "_TcpEnd") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: server, *self._server_address)
        except OSError:
            connection.cut()


class _TcpEnd(asyncio.Protocol):
    """The link's end of a TCP connection. It is a ``LinkEnd``."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self.is_full = True  # until there is a transport to write to
        self._has_received_end = False
        self._has_sent_end = False
        self._is_cut = False

    def join(self, connection: LinkConnection, watch: Watch | None) -> None:
        """Carries bytes from now on."""
        self._connection = connection
        self._out = connection.pipe_from(self)
        self._watch = watch

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_cut:
            transport.abort()
        else:
            self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._watch is not None:
            try:
                self._watch(data)
            except ConnectionError:
                self._connection.cut()
                return
        self._out.put(data)

    def eof_received(self) -> bool:
        self._has_received_end = True
        self._out.finish(None)
        self._close_if_ended()
        return True  # the other direction stays open

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_cut:
            return
        if error is None:
            self._out.finish(None)
            self._connection.lost(self)
        else:
            self._connection.cut(reset=True)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._connection.pipe_to(self).deliver()

    # ---- LinkEnd

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def finish(self, error: Exception | None) -> None:
        self._has_sent_end = True
        assert self._transport is not None
        self._transport.write_eof()
        self._close_if_ended()

    def _close_if_ended(self) -> None:
        if self._has_received_end and self._has_sent_end and self._transport is not None:
            self._transport.close()

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def cut(self, *, reset: bool) -> None:
        self._is_cut = True
        if self._transport is None:  # the server has not accepted the connection yet
            return
        if reset:
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
        self._transport.abort()


class _ClientEnd(_TcpEnd):
    """The end of a client. It opens the connection to the server."""

    def __init__(self, link: TcpLink) -> None:
        super().__init__()
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_full = False
        self._link.open(self)
