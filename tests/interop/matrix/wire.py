"""The wire of a cell: a link in front of its server, which a test can cut.

The wire sees which transport and hub protocol client and server use, and can end a connection that
neither of them has closed. It reads only the heads of requests and the handshake.
"""

import re
from typing import Final

from protocol.testing import TcpLink

_REQUEST: Final = re.compile(
    rb"(GET|POST|DELETE) \S*[?&]id=([^&\s]*)\S* HTTP/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n"
)
"""A request of a connection: method, the connection's id, headers. By GET a transport is opened."""
_HANDSHAKE: Final = re.compile(rb'"protocol":\s*"(\w+)"')
_UPGRADE: Final = b"upgrade: websocket"
_LONGEST_HEAD: Final = 16_384


class Wire(TcpLink):
    """A link to the server at ``url``; ``async with`` opens and closes it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, watch=lambda: _Requests(self).read)
        self._living: set[bytes] = set()
        self._dead: set[bytes] = set()
        self.transports: set[str] = set()
        """The transports that were used since the start or the last cut."""
        self.hub_protocols: set[str] = set()
        """The hub protocols of handshakes since the start or the last cut."""

    def lose(self) -> None:
        """Cuts all connections of clients, and refuses later requests of these.

        Losing a request is not enough: browsers and .NET send a poll once more by themselves.
        """
        self._dead |= self._living
        self._living.clear()
        self.transports.clear()
        self.hub_protocols.clear()
        self.cut()

    def note(self, method: bytes, connection_id: bytes, headers: bytes) -> None:
        """Raises ConnectionError for a request of a connection that was lost."""
        if connection_id in self._dead:
            raise ConnectionError("that connection was lost")
        self._living.add(connection_id)
        if method == b"GET":
            self.transports.add(_transport(headers))


class _Requests:
    """Reads the requests of one socket, and the handshake behind them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._seen = b""
        self._is_web_socket = False

    def read(self, data: bytes) -> None:
        seen = self._seen + data
        while request := _REQUEST.search(seen):
            self._wire.note(*request.groups())
            self._is_web_socket = _UPGRADE in request[3].lower()
            seen = seen[request.end() :]
        if handshake := _HANDSHAKE.search(_unmasked(seen) if self._is_web_socket else seen):
            self._wire.hub_protocols.add(handshake[1].decode())
            seen = b""
        self._seen = seen[-_LONGEST_HEAD:]


def _unmasked(frame: bytes) -> bytes:
    """The payload of a short frame of a client, as far as it has arrived."""
    mask, payload = frame[2:6], frame[6:]
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload[:125]))


def _transport(headers: bytes) -> str:
    headers = headers.lower()
    if _UPGRADE in headers:
        return "WebSockets"
    return "ServerSentEvents" if b"text/event-stream" in headers else "LongPolling"
