"""A hub server without sockets: the test acts as its clients."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from protocol import Hub, HubOptions, Principal
from protocol.aio.transport import TransportLimits
from protocol.server.connection import ServerConnection
from protocol.server.http_request import HttpRequestData
from protocol.server.hub_server import HubServer
from protocol.server.lifetime import HubLifetimeManager
from protocol.server.resumable_transport import ResumableTransport
from protocol.testing import LoopClock, MemoryTransport, memory_pair
from tests.support.hub_messages import HANDSHAKE, STATEFUL_HANDSHAKE
from tests.support.memory_peer import MemoryPeer

GAP = 15.0
"""Seconds for which a connection with stateful reconnect waits for another socket."""


class MemoryClient(MemoryPeer):
    """A client of the server under test."""

    def __init__(
        self,
        clock: LoopClock,
        transport: MemoryTransport,
        connection_id: str,
        connection: ServerConnection,
    ) -> None:
        super().__init__(clock, transport)
        self.connection_id = connection_id
        self.connection = connection

    async def has_ended(self) -> bool:
        """Whether the server has ended the connection and all work for it."""
        await self._clock.settle()
        return self.transport.peer.ended is not None and self.connection.closed.done()


class StatefulClient(MemoryClient):
    """A client of the server under test that can change its socket."""

    def __init__(
        self,
        clock: LoopClock,
        transport: MemoryTransport,
        connection_id: str,
        connection: ServerConnection,
        sockets: ResumableTransport,
    ) -> None:
        super().__init__(clock, transport, connection_id, connection)
        self.sockets = sockets

    def resume(self, query: str = "") -> None:
        """Continues on a new socket."""
        near, self.transport = memory_pair()
        near.limits = self.sockets.limits
        request = HttpRequestData("GET", "/hub", query, {}, "127.0.0.1")
        self.sockets.exchange(near, request)

    @property
    def ended(self) -> str | None:
        """How the server has ended the present socket."""
        return self.transport.peer.ended


class ServerHarness:
    """Serves one hub class to clients in memory."""

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

    async def open(self, user: Principal | None = None, query: str = "") -> MemoryClient:
        """A client whose transport is open, without a handshake. Connection ids are c1, c2, …"""
        await self.server.start()
        self._count += 1
        connection_id = f"c{self._count}"
        near, far = memory_pair()
        near.limits = self._limits
        request = HttpRequestData("GET", "/hub", query, {}, "127.0.0.1")
        connection = self.server.open(near, connection_id, request, user)
        await self.clock.settle()
        return MemoryClient(self.clock, far, connection_id, connection)

    async def open_stateful(self, query: str = "") -> "StatefulClient":
        """A client with stateful reconnect, whose socket is open, without a handshake."""
        await self.server.start()
        self._count += 1
        connection_id = f"c{self._count}"
        near, far = memory_pair()
        near.limits = self._limits
        sockets = ResumableTransport(near, GAP)
        request = HttpRequestData("GET", "/hub", query, {}, "127.0.0.1")
        connection = self.server.open(sockets, connection_id, request, None, is_stateful=True)
        return StatefulClient(self.clock, far, connection_id, connection, sockets)

    async def connect_stateful(self, query: str = "") -> "StatefulClient":
        """A client with stateful reconnect, whose handshake is done."""
        client = await self.open_stateful(query)
        assert await client.ask(STATEFUL_HANDSHAKE) == [{}]
        return client

    async def connect(self, user: Principal | None = None, query: str = "") -> MemoryClient:
        """A client whose handshake is done."""
        client = await self.open(user, query)
        assert await client.ask(HANDSHAKE) == [{}]
        return client

    async def close(self) -> None:
        """Closes the server, and gives methods that hang the time that ``close`` allows."""
        closing = asyncio.create_task(self.server.close())
        await self.clock.advance(20)
        await closing


class MakeServer(Protocol):
    def __call__(
        self, hub_class: type[Hub], options: HubOptions | None = None, **more: Any
    ) -> ServerHarness: ...
