"""The wire of a cell: a TCP relay in front of its server, which a test can cut.

The relay sees which transport and hub protocol client and server use, and can end a connection that
neither of them has closed. It reads only the heads of requests and the handshake.
"""

import asyncio
import contextlib
import re
from typing import Final, Self

from yarl import URL

_REQUEST: Final = re.compile(
    rb"(GET|POST|DELETE) \S*[?&]id=([^&\s]*)\S* HTTP/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n"
)
"""A request of a connection: method, the connection's id, headers. By GET a transport is opened."""
_HANDSHAKE: Final = re.compile(rb'"protocol":\s*"(\w+)"')
_UPGRADE: Final = b"upgrade: websocket"
_CHUNK: Final = 65_536
_LONGEST_HEAD: Final = 16_384


class Wire:
    """A relay in front of the server at ``url``; ``async with`` opens and closes it."""

    def __init__(self, url: str) -> None:
        self._url = URL(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._living: set[bytes] = set()
        self._dead: set[bytes] = set()
        self.transports: set[str] = set()
        """The transports that were used since the start or the last cut."""
        self.hub_protocols: set[str] = set()
        """The hub protocols of handshakes since the start or the last cut."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._relays, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address to which clients connect."""
        return str(self._url.with_port(self._server.sockets[0].getsockname()[1]))

    def cut(self) -> None:
        """Ends all connections, and whatever they try to go on with; new ones get through.

        Losing a request is not enough: browsers and .NET quietly send a poll once more.
        """
        self._dead |= self._living
        self._living.clear()
        self.transports.clear()
        self.hub_protocols.clear()
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        ends = [writer]
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(self._url.host, self._url.port)
            ends.append(back)
            self._writers.add(back)
            await asyncio.gather(self._requests(reader, back), _copy(there, writer))
        except ConnectionError:
            pass  # the other end notices it by the next bytes
        finally:
            for end in ends:
                self._writers.discard(end)
                end.transport.abort()
            self._relays.discard(task)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        is_web_socket = False
        while data := await reader.read(_CHUNK):
            seen += data
            while request := _REQUEST.search(seen):
                self._note(*request.groups())
                is_web_socket = _UPGRADE in request[3].lower()
                seen = seen[request.end() :]
            if handshake := _HANDSHAKE.search(_unmasked(seen) if is_web_socket else seen):
                self.hub_protocols.add(handshake[1].decode())
                seen = b""
            seen = seen[-_LONGEST_HEAD:]
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def _note(self, method: bytes, connection_id: bytes, headers: bytes) -> None:
        """Raises ConnectionError for a request of a connection that was cut."""
        if connection_id in self._dead:
            raise ConnectionError("that connection was cut")
        self._living.add(connection_id)
        if method == b"GET":
            self.transports.add(_transport(headers))


def _unmasked(frame: bytes) -> bytes:
    """The payload of a short frame of a client, as far as it has arrived."""
    mask, payload = frame[2:6], frame[6:]
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload[:125]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _transport(headers: bytes) -> str:
    headers = headers.lower()
    if _UPGRADE in headers:
        return "WebSockets"
    return "ServerSentEvents" if b"text/event-stream" in headers else "LongPolling"
