"""Client connections without sockets, and servers that a test plays record by record."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from protocol import HubConnection, NegotiationError, RetryPolicy
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.hub_protocol import HubProtocol
from protocol.json.protocol import JsonHubProtocol
from protocol.testing import LoopClock, MemoryTransport, memory_pair

RS: Final = "\x1e"
REQUEST: Final = {"protocol": "json", "version": 1}
PING: Final = {"type": 6}
CLOSE: Final = {"type": 7}

Answer = Callable[["RawServer"], None]
"""What a server does as soon as a client has come."""


def accept(server: "RawServer") -> None:
    """Answers the handshake before it is asked, which a client cannot tell from a fast answer."""
    server.send({})


def be_silent(_: "RawServer") -> None:
    """Accepts the transport, and says nothing."""


class RawServer:
    """The far end of one client connection."""

    def __init__(self, clock: LoopClock, transport: MemoryTransport) -> None:
        self.transport = transport
        self._clock = clock
        self._rest = ""

    def send(self, *records: Any) -> None:
        """Sends records, all of one call in one piece: text as it is, the rest as JSON."""
        texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
        self.send_bytes("".join(text + RS for text in texts).encode())

    def send_bytes(self, data: bytes) -> None:
        """Sends one piece as it is."""
        self.transport.write(data)
        self.transport.flush()

    async def arrived(self) -> bytes:
        """All bytes that have arrived since the last time, once all is quiet."""
        await self._clock.settle()
        return self.transport.take()

    async def take(self) -> list[Any]:
        """All records that have arrived since the last time, once all is quiet."""
        self._rest += (await self.arrived()).decode()
        *records, self._rest = self._rest.split(RS)
        return [json.loads(record) for record in records]

    def vanish(self) -> None:
        """Ends the connection without a word."""
        self.transport.abort()


class ClientLab:
    """What a connection under test connects to: one RawServer per attempt, or a refusal."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.servers: list[RawServer] = []
        self.near_ends: list[MemoryTransport] = []
        self.attempts: list[float] = []
        """When each attempt began."""
        self.answers: deque[Answer | BaseException] = deque()
        """For the next attempts; when there is none, the handshake is accepted."""
        self.has_inherent_keep_alive = False
        """Of the transports that connections get, as over long polling."""
        self.before_connecting: Callable[[], Awaitable[object]] | None = None
        self._connections: list[HubConnection] = []

    @property
    def server(self) -> RawServer:
        """Of the newest connection."""
        return self.servers[-1]

    async def connect(self) -> Connected:
        """The Connector."""
        self.attempts.append(self.clock.time())
        if self.before_connecting is not None:
            await self.before_connecting()
        await asyncio.sleep(0)  # as any real one would have to wait
        answer = self.answers.popleft() if self.answers else accept
        if isinstance(answer, BaseException):
            raise answer
        near, far = memory_pair()
        near.has_inherent_keep_alive = self.has_inherent_keep_alive
        self.near_ends.append(near)
        self.servers.append(RawServer(self.clock, far))
        answer(self.server)
        return Connected(near, f"id-{len(self.servers)}")

    def connection(
        self,
        retry: RetryPolicy | None = None,
        hub_protocol: HubProtocol | None = None,
        **options: Any,
    ) -> HubConnection:
        """A connection that is not started; it speaks JSON unless told otherwise."""
        connection = HubConnection(
            self.connect, hub_protocol or JsonHubProtocol(), HubConnectionOptions(**options), retry
        )
        self._connections.append(connection)
        return connection

    async def started(self, retry: RetryPolicy | None = None, **options: Any) -> HubConnection:
        """A connection whose handshake and first Ping are done (H-13)."""
        connection = self.connection(retry, **options)
        await connection.start()
        assert await self.server.take() == [REQUEST, PING]
        return connection

    async def close(self) -> None:
        """Stops whatever still runs."""
        for connection in self._connections:
            stopping = asyncio.create_task(connection.stop())
            await self.clock.advance(5)
            await stopping


def refusal(text: str = "refused") -> NegotiationError:
    """An attempt that ends before there is a transport."""
    return NegotiationError(text)
