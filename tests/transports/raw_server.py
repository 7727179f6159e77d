"""A handmade SignalR server that negotiates and upgrades; the test does everything else."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.support.hub_messages import RECORD_SEPARATOR

from .raw_web_socket import CLOSE, RawWebSocket, accept_key, read_head

OFFER: dict[str, Any] = {
    "negotiateVersion": 1,
    "connectionId": "public",
    "connectionToken": "secret-token",
    "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
}


@dataclass
class Request:
    """The request of a client."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization")


@dataclass
class Reply:
    """The answer to a request that is not upgraded."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class RawServer:
    """Answers requests with ``replies``, one each, then with ``OFFER``; upgrades what asks for it.

    With ``hands_over`` the test gets each upgraded connection from ``sockets``, else it is read
    until it ends. With ``shakes_hands`` the hub handshake is done before.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: deque[Reply | None] = deque()
        self.upgrade_replies: deque[Reply | None] = deque()
        self.sockets: asyncio.Queue[RawWebSocket] = asyncio.Queue()
        self.shakes_hands = True
        self.hands_over = False
        self.url = ""
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def reply(self, status: int = 200, *headers: tuple[str, str], **body: Any) -> None:
        """Queues an answer to negotiate."""
        self.replies.append(Reply(status, json.dumps(body).encode() if body else b"", headers))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hub"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._handlers):
            task.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self._writers.append(writer)
        try:
            while await self._request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        except asyncio.CancelledError:
            pass

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, headers = await read_head(reader)
        method, target, _ = first.split(" ")
        self.requests.append(Request(method, target, headers))
        if int(headers.get("content-length", "0")):
            await reader.readexactly(int(headers["content-length"]))
        is_upgrade = headers.get("upgrade", "").lower() == "websocket"
        waiting = self.upgrade_replies if is_upgrade else self.replies
        reply = waiting.popleft() if waiting else None
        if reply is None and not is_upgrade:
            reply = Reply(body=json.dumps(OFFER).encode())
        if reply is not None:
            lines = [f"HTTP/1.1 {reply.status} Said", f"Content-Length: {len(reply.body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)
            return True
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(headers['sec-websocket-key'])}\r\n\r\n".encode()
        )
        web_socket = RawWebSocket(reader, writer, is_client=False)
        if self.shakes_hands:
            assert await web_socket.record() == {"protocol": "json", "version": 1}
            web_socket.send_text("{}" + RECORD_SEPARATOR)
        if self.hands_over:
            self.sockets.put_nowait(web_socket)
        else:
            closing = await web_socket.closing()
            web_socket.send(CLOSE, closing.payload)
            writer.close()
        return False
