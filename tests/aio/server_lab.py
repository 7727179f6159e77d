"""A hub server without sockets, and clients that a test plays record by record."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from protocol import Hub, HubOptions, Principal
from protocol.aio.transport import TransportLimits
from protocol.server.connection import ServerConnection
from protocol.server.context import HttpRequestData
from protocol.server.hub_server import HubServer
from protocol.server.lifetime import HubLifetimeManager
from protocol.testing import LoopClock, MemoryTransport, memory_pair

RS: Final = "\x1e"
HANDSHAKE: Final = {"protocol": "json", "version": 1}
PING: Final = {"type": 6}
CLOSE: Final = {"type": 7}
GOODBYE: Final = {"type": 7, "allowReconnect": True}


def call(target: str, *arguments: Any, id: str | None = "1", **more: Any) -> dict[str, Any]:
    """An Invocation; with ``id`` None nobody waits for its answer."""
    wanted = {} if id is None else {"invocationId": id}
    return {"type": 1, **wanted, "target": target, "arguments": list(arguments), **more}


def invocation(target: str, *arguments: Any) -> dict[str, Any]:
    """What a client is sent by ``clients.….send`` (G-1)."""
    return call(target, *arguments, id=None)


def result(value: Any = None, id: str = "1") -> dict[str, Any]:
    """A Completion with a result; a void method's is null (S-18)."""
    return {"type": 3, "invocationId": id, "result": value}


def failure(text: str, id: str = "1") -> dict[str, Any]:
    """A Completion with an error."""
    return {"type": 3, "invocationId": id, "error": text}


class RawClient:
    """The far end of one connection of a server."""

    def __init__(
        self,
        clock: LoopClock,
        transport: MemoryTransport,
        connection_id: str,
        connection: ServerConnection,
    ) -> None:
        self.transport = transport
        self.connection_id = connection_id
        self.connection = connection
        self._clock = clock
        self._rest = ""

    def send(self, *records: Any) -> None:
        """Sends records, all of one call in one piece: text as it is, the rest as JSON."""
        texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
        self.transport.write("".join(text + RS for text in texts).encode())
        self.transport.flush()

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

    async def ask(self, *records: Any) -> list[Any]:
        """``send`` and ``take``."""
        self.send(*records)
        return await self.take()

    def vanish(self) -> None:
        """Ends the connection without a word."""
        self.transport.abort()

    async def has_ended(self) -> bool:
        """Whether the server has ended the connection, and is done with it."""
        await self._clock.settle()
        return self.transport.peer.ended is not None and self.connection.closed.done()


class ServerLab:
    """One hub class in service."""

    def __init__(
        self,
        clock: LoopClock,
        hub_class: type[Hub],
        options: HubOptions | None = None,
        *,
        hub_factory: Callable[[], Hub] | None = None,
        lifetime: HubLifetimeManager | None = None,
        limits: TransportLimits | None = None,
    ) -> None:
        self._limits = limits or TransportLimits()
        self.clock = clock
        self.server = HubServer(hub_class, options, hub_factory=hub_factory, lifetime=lifetime)
        self._count = 0

    async def open(self, user: Principal | None = None, query: str = "") -> RawClient:
        """A connection of which nothing but the transport is there yet; ids are c1, c2, …"""
        await self.server.start()
        self._count += 1
        connection_id = f"c{self._count}"
        near, far = memory_pair()
        near.limits = self._limits
        request = HttpRequestData("GET", "/hub", query, {}, "127.0.0.1")
        connection = self.server.open(near, connection_id, request, user)
        await self.clock.settle()
        return RawClient(self.clock, far, connection_id, connection)

    async def connect(self, user: Principal | None = None, query: str = "") -> RawClient:
        """A client whose handshake is done."""
        client = await self.open(user, query)
        assert await client.ask(HANDSHAKE) == [{}]
        return client

    async def close(self) -> None:
        """Ends the service; whatever hangs is given the time that ``HubServer.close`` allows."""
        closing = asyncio.create_task(self.server.close())
        await self.clock.advance(20)
        await closing
