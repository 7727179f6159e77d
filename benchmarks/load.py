"""A load generator that costs little: raw sockets, ready-made frames, replies only counted."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from .servers import frame

_HANDSHAKE = b'{"protocol":"json","version":1}\x1e'
_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True)
class Server:
    """A server process; ``cpu`` reads its clock."""

    port: int

    async def get(self, path: str) -> float:
        """The number that a GET answers with."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return float(answer.rpartition(b"\r\n\r\n")[2])


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server process for the duration of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.servers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.stdin.close()


class Echoes(asyncio.Protocol):
    """One WebSocket that keeps ``depth`` messages in flight, and counts replies."""

    def __init__(self, path: str, message: bytes, mark: bytes, depth: int) -> None:
        self._path = path
        self._frame = frame(message)
        self._mark = mark  # occurs once in each right reply
        self._depth = depth
        self._left = 0  # to be sent
        self._missing = 0  # to be received
        self._tail = b""
        self._open = False
        self._done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_UPGRADE.format(path=self._path).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends too early is a fault."""
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        """Counts replies and sends as many messages."""
        if not self._open:
            if self._path.startswith("/hub") and b"{}\x1e" not in data:
                self._transport.write(frame(_HANDSHAKE))
                return
            self._open = True
            self.ready.set_result(None)
            return
        data = self._tail + data
        count = data.count(self._mark)
        self._tail = data[data.rfind(self._mark) + len(self._mark) :] if count else data
        self._tail = self._tail[-len(self._mark) + 1 :] if len(self._mark) > 1 else b""
        self._missing -= count
        self._send(count)
        if self._missing <= 0 and not self._done.done():
            self._done.set_result(data)

    async def run(self, total: int) -> bytes:
        """Returns when there have been ``total`` replies, with what came last."""
        self._left = self._missing = total
        self._done = asyncio.get_running_loop().create_future()
        self._send(self._depth)
        return await self._done

    def _send(self, count: int) -> None:
        count = min(count, self._left)
        if count:
            self._left -= count
            self._transport.write(self._frame * count)

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


class Listener(asyncio.Protocol):
    """A connection that only takes what comes: a hub's client, or without a path a plain socket."""

    def __init__(self, path: str, mark: bytes, total: int) -> None:
        self._path = path
        self._mark = mark  # occurs once in each event
        self._missing = total
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when there have been as many events as there should be."""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade, if there is anything to ask."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._path:
            transport.write(_UPGRADE.format(path=self._path).encode())
        else:
            self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Completes the handshake, then only counts."""
        if self.ready.done():
            self._missing -= data.count(self._mark)
            if self._missing <= 0 and not self.done.done():
                self.done.set_result(None)
        elif b"{}\x1e" in data:
            self.ready.set_result(None)
        else:
            self._transport.write(frame(_HANDSHAKE))

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()


@contextlib.asynccontextmanager
async def connected(
    server: Server, path: str, count: int, message: bytes, mark: bytes, depth: int
) -> AsyncIterator[list[Echoes]]:
    """``count`` open WebSockets."""
    loop = asyncio.get_running_loop()
    clients: list[Echoes] = []
    for _ in range(count):
        _, client = await loop.create_connection(
            lambda: Echoes(path, message, mark, depth), "127.0.0.1", server.port
        )
        await client.ready
        clients.append(client)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
