"""Client connections without sockets: a test plays the servers that they connect to."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from protocol import HubConnection, NegotiationError, RetryPolicy
from protocol.client.authentication import Refresh
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.hub_protocol import HubProtocol
from protocol.json.protocol import JsonHubProtocol
from protocol.testing import LoopClock, MemoryTransport, memory_pair
from tests.support.hub_messages import HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

Answer = Callable[[MemoryPeer], None]
"""What a server does as soon as a client has connected."""


def accept(server: MemoryPeer) -> None:
    """Answers the handshake before the request, which a client cannot tell from a fast answer."""
    server.send({})


def be_silent(_: MemoryPeer) -> None:
    """Accepts the transport, and sends nothing."""


class ClientHarness:
    """What a connection under test connects to: one MemoryPeer per attempt, or a refusal."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.servers: list[MemoryPeer] = []
        self.near_ends: list[MemoryTransport] = []
        self.attempts: list[float] = []
        """When each attempt began."""
        self.answers: deque[Answer | BaseException] = deque()
        """For the next attempts; when there is none, the handshake is accepted."""
        self.has_inherent_keep_alive = False
        """Of the transports that connections get, as over long polling."""
        self.refresh: Refresh | None = None
        """How connections refresh their authentication, and how long their tokens are valid."""
        self.token_lifetime: float | None = None
        self.before_connecting: Callable[[], Awaitable[object]] | None = None
        self._connections: list[HubConnection] = []

    @property
    def server(self) -> MemoryPeer:
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
        self.servers.append(MemoryPeer(self.clock, far))
        answer(self.server)
        return Connected(near, f"id-{len(self.servers)}", self.refresh, self.token_lifetime)

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
        assert await self.server.take() == [HANDSHAKE, PING]
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
